"""The event log as the batch side reads it: one version of the Delta table, its Parquet files straight into DuckDB."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from processing.batch import EVENT_LOG
from processing.errors import ProcessingError
from processing.event_log import APPLICATION
from processing.scratch import scratch

_UNREADABLE: Final = {"deletionVectors", "columnMapping"}
"""Features of Delta under which a file's rows are not all rows of the table, or not under their names."""


class LogUnreadableError(ProcessingError):
    """There is no event log, or none that can be read file by file."""


@dataclass(frozen=True)
class _File:
    path: str
    rows: int
    first_epoch: int | None
    last_epoch: int | None
    """None where the writer noted no statistics."""


@dataclass(frozen=True)
class LogFiles:
    """The files of one version. They stay there until a vacuum: an append changes none of them."""

    identity: str
    """The id that the table was given when it was made."""
    version: int
    epoch: int
    """The newest epoch that this version holds."""
    files: tuple[_File, ...]

    @classmethod
    def of(cls, path: Path) -> "LogFiles":
        """The newest version of the table `events` below `path`. Raises LogUnreadableError."""
        root = path / "events"
        try:
            table = DeltaTable(str(root))
        except TableNotFoundError as error:
            raise LogUnreadableError(f"there is no event log at {path}: processing makes it when it starts") from error
        if features := sorted(_UNREADABLE & set(table.protocol().reader_features or ())):
            raise LogUnreadableError(f"the event log at {path} uses {', '.join(features)}, which is not supported here")
        actions = pa.table(table.get_add_actions(flatten=True))
        unknown = pa.nulls(actions.num_rows, pa.int64())
        names = ("path", "num_records", "min.epoch", "max.epoch")
        columns = [(actions[name] if name in actions.column_names else unknown).to_pylist() for name in names]
        files = tuple(_File(str(root / name), *rest) for name, *rest in zip(*columns, strict=True))
        epoch = int(table.transaction_version(APPLICATION) or 0)
        return cls(str(table.metadata().id), table.version(), epoch, files)

    def after(self, epoch: int) -> "LogFiles":
        """The files that may hold later epochs."""
        later = tuple(file for file in self.files if file.last_epoch is None or file.last_epoch > epoch)
        return replace(self, files=later)

    @property
    def rows(self) -> int:
        """How many events the files hold."""
        return sum(file.rows for file in self.files)

    def open_in(self, duck: duckdb.DuckDBPyConnection, view: str) -> None:
        """Make a view with the columns of `EVENT_LOG` over the files; a column that a file lacks is null there."""
        # The empty table gives names and types of all columns. `date` is none of a file's columns: it is in its path.
        duck.register(f"{view}_columns", EVENT_LOG.empty_table())
        sql = f'CREATE OR REPLACE TEMP VIEW "{view}" AS SELECT * FROM "{view}_columns"'
        if self.files:
            paths = ", ".join("'{}'".format(file.path.replace("'", "''")) for file in self.files)
            sql += f" UNION ALL BY NAME FROM read_parquet([{paths}], union_by_name=true, hive_partitioning=false)"
        duck.execute(sql)


@contextmanager
def open_duck(folder: Path, *, threads: int, memory: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB in UTC, on a database in a scratch folder of its own, where it also puts what does not fit in memory."""
    with scratch(folder):
        duck = duckdb.connect(str(folder / "work.duckdb"), config={"threads": str(threads), "memory_limit": memory})
        try:
            duck.execute("SET TimeZone = 'UTC'")
            yield duck
        finally:
            duck.close()


def batches(
    duck: duckdb.DuckDBPyConnection, view: str, columns: tuple[str, ...], where: str, rows: int
) -> Iterator[pa.Table]:
    """The matching events, about so many at a time, read while the caller works."""
    listed = ", ".join(f'"{column}"' for column in columns)
    waiting: list[pa.RecordBatch] = []
    for batch in duck.sql(f'SELECT {listed} FROM "{view}" WHERE {where}').to_arrow_reader(min(rows, 100_000)):
        waiting.append(batch)
        if sum(part.num_rows for part in waiting) >= rows:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)
