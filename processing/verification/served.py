"""The tables as they are served: read in one snapshot, so that all of them are of one epoch, and kept to compare."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duckdb
import pyarrow as pa

from contracts.settings import PostgresSettings, ShopSettings
from processing.arrow_types import arrow_type, typed
from processing.errors import ProcessingError
from processing.store import Transaction, one_transaction
from processing.verification.check import Check

_LONGEST: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


class VerificationError(ProcessingError):
    """Nothing could be compared. The message says why."""


@dataclass(frozen=True)
class Span:
    """Event time from `since` up to, not including, `until`; None: without end."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_whole(self) -> bool:
        return self.since is None and self.until is None

    def fill(self, sql: str, shop: ShopSettings) -> str:
        """SQL of a check for this span; `{cart_minutes}` stands for the minutes after which a cart is abandoned."""
        return sql.format(
            since=self.since.astimezone(UTC).isoformat() if self.since else "-infinity",
            until=self.until.astimezone(UTC).isoformat() if self.until else "infinity",
            gap=shop.session_gap_seconds,
            cart_minutes=shop.cart_minutes,
            whole="true" if self.is_whole else "false",
        )


WHOLE: Final = Span()
"""All there is."""


@dataclass(frozen=True)
class AtRandom:
    """Ask for a random span of at most an hour, and of about so many events."""

    events: int


@dataclass(frozen=True)
class Served:
    """What was read. The rows of each table are in DuckDB's table `served_<name>`."""

    epoch: int
    span: Span
    applied: int
    erased: int
    in_site_minutes: int
    """Events that the minutes of the whole site, and the hours that have none any more, sum up to."""
    applied_by_epoch: pa.Table
    """epoch, applied"""


def read(
    duck: duckdb.DuckDBPyConnection,
    postgres: PostgresSettings,
    checks: Iterable[Check],
    asked: Span | AtRandom,
    shop: ShopSettings,
) -> Served:
    """Read the rows of the span. Raises VerificationError where there are no tables, or no events for a random span."""
    with one_transaction(postgres, postgres.db_schema, application_name="millrace-verify") as transaction:
        transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        there = transaction.query("SELECT to_regclass('totals') IS NOT NULL AS there")["there"].to_pylist()
        if there != [True]:
            raise VerificationError(f"there is no store in schema {postgres.db_schema!r}")
        (totals,) = transaction.query(
            "SELECT epoch, applied, erased, (SELECT coalesce(sum(events), 0)::bigint FROM ("
            "  SELECT events FROM site_minutes UNION ALL SELECT events FROM site_hours JOIN roll_ups"
            "   ON grain = 'hour' AND starts_at = hour AND fine_gone) e) AS in_site_minutes FROM totals"
        ).to_pylist()
        span = _draw(transaction, asked.events) if isinstance(asked, AtRandom) else asked
        for check in checks:
            _copy(duck, transaction, check, span.fill(check.served, shop))
        duck.register("cells", transaction.query("SELECT grain, starts_at, stale, fine_gone FROM roll_ups"))
        by_epoch = transaction.query("SELECT epoch, applied FROM epochs")
    return Served(**totals, span=span, applied_by_epoch=by_epoch)


def erased(postgres: PostgresSettings) -> int:
    """How many events have been erased by now."""
    with one_transaction(postgres, postgres.db_schema) as transaction:
        return int(transaction.query("SELECT erased FROM totals")["erased"].to_pylist()[0])


def _draw(transaction: Transaction, events: int) -> Span:
    """A random minute with events, and as many after it as come to an hour or the number of events at most.

    Or an hour whose minutes are no longer kept, whole.
    """
    drawn: list[dict[str, Any]] = transaction.query(
        "SELECT at, gone FROM (SELECT minute AS at, false AS gone FROM site_minutes UNION ALL"
        " SELECT starts_at, true FROM roll_ups WHERE grain = 'hour' AND fine_gone) there"
        " WHERE at < (SELECT watermark FROM epochs ORDER BY epoch DESC LIMIT 1) ORDER BY random() LIMIT 1"
    ).to_pylist()
    if not drawn:
        raise VerificationError("there are no events yet that the watermark has passed")
    since = drawn[0]["at"]
    if drawn[0]["gone"]:
        return Span(since, since + _LONGEST)
    minutes: Sequence[dict[str, Any]] = transaction.query(
        "SELECT minute, sum(events)::bigint AS events FROM site_minutes WHERE minute >= $1 AND minute < $2"
        " GROUP BY minute ORDER BY minute",
        (since, since + _LONGEST),
    ).to_pylist()
    until, left = since + _MINUTE, events - minutes[0]["events"]
    for row in minutes[1:]:
        left -= row["events"]
        if left < 0:
            break
        until = row["minute"] + _MINUTE
    return Span(since, until)


def _copy(duck: duckdb.DuckDBPyConnection, transaction: Transaction, check: Check, condition: str) -> None:
    """Copy a table's rows, a batch at a time: there may be more than memory holds."""
    target = f"served_{check.name}"
    schema = pa.schema([(column.name, arrow_type(column)) for column in check.table.columns])
    duck.register("copied", schema.empty_table())
    duck.execute(f"CREATE TABLE {target} AS FROM copied")
    columns = ", ".join(f'"{name}"' for name in schema.names)
    for batch in transaction.stream(f"SELECT {columns} FROM {check.name} WHERE {condition}"):
        duck.register("copied", typed(pa.Table.from_batches([batch]), check.table))
        duck.execute(f"INSERT INTO {target} FROM copied")
    duck.unregister("copied")
