"""Made cells written to the gold tables, a bounded number at a time, in the order in which they were made.

The registry numbers every making, and a commit carries the newest number in it as its application transaction. So
each table knows by itself how far it is, and a write that was killed is begun again and replaces the same cells.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from time import perf_counter
from typing import Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from contracts.rollups import roll_ups
from contracts.settings import PostgresSettings
from processing import failpoints
from processing.arrow_types import typed
from processing.errors import ProcessingError
from processing.gold.flags import FLAGS, write_flags
from processing.gold.tables import GOLD, GoldTable
from processing.maintenance.cells import Cell
from processing.store import Transaction as Reading
from processing.store import one_transaction

APPLICATION: Final = "millrace"
WRITTEN: Final = "gold:written"
"""Failpoint, after each commit; with the table: `gold:written:site_hours`."""

_TOGETHER: Final = 100
"""Cells of one commit, at most: some hundred thousand rows where there are many products."""

Tell = Callable[[str, int, int], None]


class GoldError(ProcessingError):
    """The gold tables do not belong to the store."""


@dataclass
class Written:
    """What was written."""

    cells: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    """By table."""
    making: int = 0
    """The tables hold every cell that was made up to this number, and was not stale."""
    seconds: float = 0.0


@dataclass(frozen=True)
class _Made:
    cells: list[Cell]
    making: int
    """The newest of them."""


def write_gold(
    postgres: PostgresSettings,
    log_path: Path,
    tell: Tell,
    tables: Iterable[GoldTable] = GOLD,
    together: int = _TOGETHER,
) -> Written:
    """Bring the tables to what the store has. Raises GoldError, or what Postgres or Delta raise; run it again then."""
    begun, written = perf_counter(), Written()
    opened = [(gold, gold.open(log_path)) for gold in tables]
    flags = FLAGS.open(log_path)
    while True:
        after = min(_making(table) for _, table in opened)
        with one_transaction(postgres, postgres.db_schema) as reading:
            reading.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            newest = _newest(reading)
            if max(_making(table) for _, table in opened) > newest:
                raise GoldError(
                    f"the gold tables below {log_path} hold cells that this store has not made: they belong to another."
                    " Remove them; they are written again"
                )
            made = _next(reading, after, together)
            if made is None:
                written.making = after
                written.rows[FLAGS.name] = write_flags(reading, flags)
                written.seconds = round(perf_counter() - begun, 3)
                return written
            tell("gold", after, newest)
            for gold, table in opened:
                if _making(table) < made.making:
                    count = _replace(reading, gold, table, made)
                    written.rows[gold.name] = written.rows.get(gold.name, 0) + count
                    failpoints.at(f"{WRITTEN}:{gold.name}")
            written.cells += len(made.cells)


def _making(table: DeltaTable) -> int:
    return int(table.transaction_version(APPLICATION) or 0)


def _newest(reading: Reading) -> int:
    return int(reading.query(f"SELECT coalesce(max(making), 0) AS making FROM {roll_ups.name}")["making"][0].as_py())


def _next(reading: Reading, after: int, together: int) -> _Made | None:
    """The cells that were made next. With a day come those of its hours that have lost their minutes.

    Late minutes are added to such an hour where it stands; the day, which is made again, is the sign of it.
    """
    rows = reading.query(
        f"WITH made AS (SELECT grain, starts_at, making FROM {roll_ups.name} WHERE making > $1 AND NOT stale"
        " ORDER BY making LIMIT $2)"
        f" SELECT grain, starts_at, making FROM made UNION SELECT h.grain, h.starts_at, 0 FROM {roll_ups.name} h"
        " JOIN made d ON d.grain = 'day' AND h.starts_at >= d.starts_at"
        " AND h.starts_at < d.starts_at + interval '24 hours'"
        " WHERE h.grain = 'hour' AND h.fine_gone AND NOT h.stale",
        (after, together),
    ).to_pylist()
    if not rows:
        return None
    cells = {Cell(row["starts_at"].astimezone(UTC), row["grain"]) for row in rows}
    return _Made(sorted(cells), max(row["making"] for row in rows))


def _replace(reading: Reading, gold: GoldTable, table: DeltaTable, made: _Made) -> int:
    """Replace the cells' rows by what the store has now, in one commit. Returns how many rows there are."""
    cells = [cell for cell in made.cells if cell.grain == gold.grain]
    parts = [gold.rows(_held(reading, gold, cell)) for cell in cells]
    rows = pa.concat_tables([gold.columns.empty_table(), *parts])
    properties = CommitProperties(app_transactions=[Transaction(APPLICATION, made.making)])
    if cells:
        write_deltalake(table, rows, mode="overwrite", predicate=_within(gold, cells), commit_properties=properties)
    else:  # nothing of this grain: the number alone moves on
        write_deltalake(table, rows, mode="append", commit_properties=properties)
    return int(rows.num_rows)


def _held(reading: Reading, gold: GoldTable, cell: Cell) -> pa.Table:
    """The cell's rows in the store."""
    return typed(
        reading.query(
            f"SELECT * FROM {gold.name} WHERE {gold.time} >= $1 AND {gold.time} < $2", (cell.starts_at, cell.ends_at)
        ),
        gold.source,
    )


def _within(gold: GoldTable, cells: list[Cell]) -> str:
    """A condition on rows: in one of the cells. It names the partition too, so that few files are looked into."""
    format_ = "%Y-%m" if gold.partition == "month" else "%Y-%m-%d"
    by_partition = groupby(cells, key=lambda cell: cell.starts_at.strftime(format_))
    parts = []
    for partition, of_partition in by_partition:
        spans = " OR ".join(
            f"({gold.time} >= '{_text(cell.starts_at)}' AND {gold.time} < '{_text(cell.ends_at)}')"
            for cell in of_partition
        )
        parts.append(f"({gold.partition} = '{partition}' AND ({spans}))")
    return " OR ".join(parts)


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
