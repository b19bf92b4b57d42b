"""Flags in Delta: the table `anomalies` of the store, so that what was odd can be read beside the hours and days.

A flag changes when late events come to its window, so whole days of it are replaced. Each commit carries the time of
the newest judgement in it as its application transaction; days with younger ones are due.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from sqlalchemy.dialects.postgresql import JSONB

from contracts.alerts import anomalies
from processing.gold.tables import GoldTable
from processing.store import Transaction as Reading

FLAGS: Final = GoldTable("flag", anomalies)
"""The gold table of what detectors flagged."""

APPLICATION: Final = "millrace"
_COLUMNS: Final = ", ".join(
    f"{column.name}::text AS {column.name}" if isinstance(column.type, JSONB) else column.name
    for column in anomalies.columns
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OVERLAP: Final = timedelta(minutes=10)
"""A judgement is dated before its commit, so one may come to light that is older than the newest known."""


def write_flags(reading: Reading, table: DeltaTable) -> int:
    """Replace the days whose flags were judged since the last time. Returns how many rows they have."""
    after = _EPOCH + timedelta(microseconds=table.transaction_version(APPLICATION) or 0)
    (newest,) = reading.query("SELECT max(judged_at) AS newest FROM anomalies")["newest"].to_pylist()
    if newest is None or newest <= after:
        return 0
    days = reading.query(
        "SELECT DISTINCT (window_start AT TIME ZONE 'UTC')::date AS day FROM anomalies WHERE judged_at > $1 ORDER BY 1",
        (after - _OVERLAP,),
    )["day"].to_pylist()
    held = reading.query(
        f"SELECT {_COLUMNS} FROM anomalies WHERE (window_start AT TIME ZONE 'UTC')::date = ANY($1)"
        " ORDER BY window_start",
        (days,),
    )
    rows = FLAGS.rows(held)
    write_deltalake(
        table,
        rows,
        mode="overwrite",
        predicate=_of(days),
        commit_properties=CommitProperties(
            app_transactions=[Transaction(APPLICATION, (newest - _EPOCH) // timedelta(microseconds=1))]
        ),
    )
    return int(rows.num_rows)


def _of(days: list[date]) -> str:
    return " OR ".join(f"{FLAGS.partition} = '{day.isoformat()}'" for day in days)
