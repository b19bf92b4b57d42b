"""Rows of the minute tables written by hand, for what reads them: a shop of two categories with a product each."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from contracts.projections import category_minutes, product_minutes, site_minutes
from processing.store import Store, Transaction

MINUTE: Final = timedelta(minutes=1)
HALVES: Final = {"books": "b-1", "shoes": "s-1"}
"""Category: its only product. Each has half of everything, unless told otherwise."""


def write_minute(
    transaction: Transaction, minute: datetime, epoch: int, measures: Mapping[str, float], *, bot: bool = False
) -> None:
    """What the whole shop did in one minute, instead of what was there."""
    write_minutes(transaction, minute, minute, epoch, measures, bot=bot)


def write_minutes(
    transaction: Transaction,
    first: datetime,
    last: datetime,
    epoch: int,
    measures: Mapping[str, float],
    *,
    bot: bool = False,
) -> None:
    """The same in every minute from the first to the last, a little more in one and less in the next."""
    for category, product in HALVES.items():
        own = {name: value / 2 for name, value in measures.items()}
        keys = {"category": category, "bot": bot}
        _write(transaction, category_minutes.name, (first, last), epoch, keys, own)
        _write(transaction, product_minutes.name, (first, last), epoch, {"product_id": product, **keys}, own)
    _write(transaction, site_minutes.name, (first, last), epoch, {"bot": bot}, measures)


def write_category(
    transaction: Transaction, minute: datetime, category: str, epoch: int, measures: Mapping[str, float]
) -> None:
    """What one category did, the site left as it is."""
    keys = {"category": category, "bot": False}
    _write(transaction, category_minutes.name, (minute, minute), epoch, keys, measures)


def commit(transaction: Transaction, epoch: int, watermark: datetime, log_time: datetime | None = None) -> None:
    """A line of the ledger, and no more."""
    transaction.execute(
        "INSERT INTO epochs (epoch, started_at, newest_log_time, offsets, event_time_by_partition, watermark)"
        " VALUES ($1, $2, $2, '{}', '{}', $3)",
        (epoch, log_time or watermark + timedelta(minutes=5), watermark),
    )


def rows(store: Store, sql: str, *parameters: object) -> list[dict[str, Any]]:
    with store.transaction() as transaction:
        found: list[dict[str, Any]] = transaction.query(sql, parameters).to_pylist()
    for row in found:
        for name in ("contributions", "members", "body"):
            if name in row:
                row[name] = json.loads(row[name])
    return found


def _write(  # noqa: PLR0917
    transaction: Transaction,
    table: str,
    span: tuple[datetime, datetime],
    epoch: int,
    keys: Mapping[str, object],
    measures: Mapping[str, float],
) -> None:
    others = {**keys, "users": b"", "buyers": b"", "late": 0, "last_epoch": epoch}
    columns = ", ".join(("minute", *others, *measures))
    marks = ", ".join(f"${place}" for place in range(3, 3 + len(others)))
    wobbling = ", ".join(
        f"round(${place}::float8 * (1 + CASE WHEN $1 = $2 THEN 0 ELSE 0.02 * (number % 5 - 2) END))"
        for place in range(3 + len(others), 3 + len(others) + len(measures))
    )
    updates = ", ".join(f"{name} = excluded.{name}" for name in (*others, *measures) if name not in keys)
    transaction.execute(
        f"INSERT INTO {table} ({columns}) SELECT minute, {marks}, {wobbling}"
        " FROM generate_series($1::timestamptz, $2::timestamptz, interval '1 minute')"
        " WITH ORDINALITY AS minutes (minute, number)"
        f" ON CONFLICT ({', '.join(('minute', *keys))}) DO UPDATE SET {updates}",
        (*span, *others.values(), *(float(value) for value in measures.values())),
    )
