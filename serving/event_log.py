"""The Delta event log, read as any reader of Delta may: its files, by DuckDB, off the event loop."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from serving.errors import TooLarge, Unavailable
from serving.queries import ResultRow, rows_of
from serving.sketches import sketch_of
from serving.windows import Span

_LIMITS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": "1",
    "memory_limit": "512MB",
    "temp_directory": "",  # what does not fit in memory is refused, and not put on the disk
}
_VIEW: Final = (
    "WITH log AS NOT MATERIALIZED (SELECT * FROM columns"
    " UNION ALL BY NAME SELECT * FROM read_parquet($paths, union_by_name=true, hive_partitioning=false)) "
)
_NO_FILES: Final = "WITH log AS NOT MATERIALIZED (SELECT * FROM columns) "


@dataclass(frozen=True)
class Reading:
    """A question to the log: a SELECT of DuckDB's from `log`, and what tells which files may hold its answer."""

    sql: str
    parameters: Mapping[str, Any]
    epochs: range
    """The epochs that it is about."""
    span: Span | None = None
    """Event time that it is about; None for all of it."""
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    """Tables, by name, that the SELECT reads besides."""
    sketches: Collection[str] = ()
    """Columns that are lists of users, to be read as the store has them: a list of one sketch."""


class EventLog:
    """The table `events` below a folder. It is read for one at a time, by one thread.

    An operation holds a connection to Postgres while it waits for its turn; so only a few operations may wait.
    """

    def __init__(self, path: Path, most_operations: int) -> None:
        self._table = path / "events"
        self._turn = asyncio.Lock()
        self._most_operations = most_operations
        self._reading: Counter[object] = Counter()

    async def read(self, reading: Reading, operation: object) -> Sequence[ResultRow]:
        """The rows of the answer, to be read like those of a statement; `operation` is whatever tells it from others.

        Raises:
            Unavailable: too many operations wait already, or there is no log where serving looks for it, or it is just
                being rewritten.
            TooLarge: it takes more memory than one answer may.
        """
        if operation not in self._reading and len(self._reading) >= self._most_operations:
            raise Unavailable("The event log is read for others just now.")
        self._reading[operation] += 1
        try:
            return await self._in_turn(reading)
        finally:
            self._reading[operation] -= 1
            if not self._reading[operation]:
                del self._reading[operation]

    async def _in_turn(self, reading: Reading) -> Sequence[ResultRow]:
        async with self._turn:
            duck = duckdb.connect(config=_LIMITS)
            answering = asyncio.create_task(asyncio.to_thread(self._read, duck, reading))
            try:
                return await asyncio.shield(answering)
            except asyncio.CancelledError:
                duck.interrupt()  # nobody waits for it any more
                raise
            except duckdb.OutOfMemoryException as error:
                raise TooLarge("range", "there are more events in it than are read from the log at once") from error
            except (TableNotFoundError, DeltaError, duckdb.IOException) as error:
                raise Unavailable("The event log cannot be read from here just now.") from error
            finally:
                await asyncio.wait([answering])
                duck.close()

    def _read(self, duck: duckdb.DuckDBPyConnection, reading: Reading) -> Sequence[ResultRow]:
        table = DeltaTable(str(self._table))
        paths = _paths(pa.table(table.get_add_actions(flatten=True)), reading)
        parameters = dict(reading.parameters)
        if paths:
            parameters["paths"] = [str(self._table / path) for path in paths]
        duck.execute("SET TimeZone = 'UTC'")
        # The empty table has all columns, with their types: an old file may lack the newest ones.
        duck.register("columns", pa.schema(table.schema().to_arrow()).empty_table())
        for name, told in reading.tables.items():
            duck.register(name, told)
        found = duck.sql((_VIEW if paths else _NO_FILES) + reading.sql, params=parameters).to_arrow_table()
        return _rows(found, reading.sketches)


def _paths(files: pa.Table, reading: Reading) -> list[str]:
    """The files that may hold something of it, by the day that each is of and by its epochs, where those are noted."""
    unknown = [None] * files.num_rows
    days, first, last = (
        files[name].to_pylist() if name in files.column_names else unknown
        for name in ("partition.date", "min.epoch", "max.epoch")
    )
    asked = reading.epochs
    return [
        path
        for path, day, least, most in zip(files["path"].to_pylist(), days, first, last, strict=True)
        if (day is None or reading.span is None or _day_within(day, reading.span))
        and (least is None or least < asked.stop)
        and (most is None or most >= asked.start)
    ]


def _day_within(day: date, span: Span) -> bool:
    return span.start.astimezone(UTC).date() <= day <= span.end.astimezone(UTC).date()


def _rows(found: pa.Table, sketches: Collection[str]) -> Sequence[ResultRow]:
    columns = [
        [[sketch_of(users)] if users else [] for users in column.to_pylist()]
        if name in sketches
        else column.to_pylist()
        for name, column in zip(found.column_names, found.columns, strict=True)
    ]
    return rows_of(found.column_names, zip(*columns, strict=True))
