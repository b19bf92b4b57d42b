"""Recorded shop traffic as our events: REES46's "eCommerce behavior data from multi category store".

The recording has no event ids. Ours is the SHA-256 of the row's content and its occurrence number among identical
rows, so that a replay is repeatable (sent twice, it counts once) while exact repeats in the recording stay events of
their own: two equal rows are two things that happened in one second, and the publisher counts them as such.

    view -> view    cart -> add_to_cart    purchase -> transaction of quantity 1, amount = price
    category = category_code, or category_id where there is none
"""

import csv
import gzip
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

from loadtest.faults import Kind, Sending

COLUMNS: Final = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
_ACTIONS: Final = {"view": "view", "cart": "add_to_cart", "remove_from_cart": "remove_from_cart"}
_TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S UTC"

Row = Mapping[str, str]


class RecordingError(ValueError):
    """The file is not a recording in the expected form; the message names file and line."""


@dataclass
class Totals:
    """Our own count of a recording."""

    rows: int
    views: int
    carts: int
    purchases: int
    revenue: Decimal
    users: int
    sessions: int
    """Session ids; one with a gap of half an hour counts once here."""
    products: int
    first_at: datetime | None
    last_at: datetime | None


def read_rows(path: Path) -> Iterator[Row]:
    """Rows of a recording, gzip or plain. Raises RecordingError, OSError."""
    with path.open("rb") as raw:
        zipped = raw.peek(2)[:2] == b"\x1f\x8b"
        with TextIOWrapper(gzip.GzipFile(fileobj=raw) if zipped else raw, "utf-8", newline="") as text:
            reader = csv.DictReader(text)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise RecordingError(f"{path}: the columns are not {','.join(COLUMNS)}")
            for row in reader:
                if None in row or None in row.values():
                    raise RecordingError(f"{path}, line {reader.line_num}: {len(COLUMNS)} values are needed")
                yield row


def to_events(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Our events, in the order of the rows. Raises RecordingError for a row that cannot be one."""
    occurrences: Counter[bytes] = Counter()
    for row in rows:
        content = hashlib.sha256("\x1f".join(row[column] for column in COLUMNS).encode()).digest()
        occurrences[content] += 1
        event_id = hashlib.sha256(content + str(occurrences[content]).encode()).hexdigest()[:32]
        try:
            yield _event(row, event_id)
        except (KeyError, ValueError, ArithmeticError) as error:
            raise RecordingError(f"no event can be made of {dict(row)}: {error!r}") from error


def _event(row: Row, event_id: str) -> dict[str, Any]:
    shared = {
        "user_id": row["user_id"],
        "session_id": row["user_session"],
        "product_id": row["product_id"],
        "category": row["category_code"] or row["category_id"],
        "timestamp": int(_time(row).timestamp() * 1000),
    }
    if row["event_type"] == "purchase":
        return {
            "type": "transaction",
            "transaction_id": f"rees46-{event_id}",
            **shared,
            "amount": str(Decimal(row["price"])),
            "quantity": 1,
            "payment_method": "unknown",
        }
    properties = {"brand": row["brand"]} if row["brand"] else {}
    return {
        "type": "clickstream",
        "event_id": f"rees46-{event_id}",
        **shared,
        "action": _ACTIONS[row["event_type"]],
        "properties": properties,
    }


def to_sendings(events: Iterable[dict[str, Any]]) -> Iterator[Sending]:
    """The events at the pace they were recorded, the first one at 0."""
    start_ms: int | None = None
    for event in events:
        start_ms = event["timestamp"] if start_ms is None else start_ms
        event_id = event.get("event_id") or event["transaction_id"]
        yield Sending(event["timestamp"] - start_ms, Kind.REPLAY, event_id, event)


def count(rows: Iterable[Row]) -> Totals:
    """Count a recording from its rows, not from the events made of them, so that the mapping can be checked by it."""
    kinds: Counter[str] = Counter()
    users, sessions, products = set(), set(), set()
    revenue = Decimal(0)
    times: set[datetime] = set()
    for row in rows:
        kinds[row["event_type"]] += 1
        users.add(row["user_id"])
        sessions.add(row["user_session"])
        products.add(row["product_id"])
        times.add(_time(row))
        if row["event_type"] == "purchase":
            revenue += Decimal(row["price"])
    return Totals(
        rows=kinds.total(),
        views=kinds["view"],
        carts=kinds["cart"],
        purchases=kinds["purchase"],
        revenue=revenue,
        users=len(users),
        sessions=len(sessions),
        products=len(products),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
    )


def _time(row: Row) -> datetime:
    return datetime.strptime(row["event_time"], _TIME_FORMAT).replace(tzinfo=UTC)
