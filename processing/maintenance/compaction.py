"""Delta tables kept to few files: small files made into large ones, old ones deleted, the transaction log cut.

It runs beside whoever writes. Putting files together changes no row, and its commit conflicts with no append; where
somebody else has rewritten the same files, theirs stands and the day is tried again. Every day is a commit of its own,
so what a kill takes is the work on one day. Files leave the disk only once no version has had them for so many hours:
whoever has begun to read a version by then can read it to its end.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final

import pyarrow as pa
from deltalake import DeltaTable, WriterProperties
from deltalake.exceptions import CommitFailedError

from processing import failpoints
from processing.errors import ProcessingError

TARGET_BYTES: Final = 128 * 1024 * 1024
"""About how large a file is made."""
_SMALL_BYTES: Final = TARGET_BYTES // 4
_ENOUGH: Final = 16
"""So many small files make it worth while to touch the newest day, which gets more of them all the time."""
_TRIES: Final = 5
_WRITER: Final = WriterProperties(compression="ZSTD", compression_level=3)

PUT_TOGETHER: Final = "compact:put_together"
"""Failpoint, after each day's commit."""

Tell = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


class CompactionError(ProcessingError):
    """A table could not be compacted. Whatever was done is whole, and the rest is done by running it again."""


@dataclass(frozen=True)
class Day:
    """A partition with small files in it."""

    partition: str
    files: int
    """Small ones."""
    size_bytes: int


@dataclass
class Compacted:
    """What was done to a table, or would be."""

    table: str
    files_before: int
    bytes_before: int
    files_after: int = 0
    bytes_after: int = 0
    days: list[str] = field(default_factory=list)
    """Partitions whose files were put together."""
    put_together: int = 0
    """Files that others have taken the place of."""
    deleted: int = 0
    """Files gone from the disk."""
    version: int = 0
    seconds: float = 0.0


def tables_below(path: Path) -> list[Path]:
    """Every Delta table below a folder, by name."""
    return sorted(log.parent for log in path.glob("**/_delta_log"))


class Compaction:
    """Compacts tables one after the other."""

    def __init__(self, keep_hours: int, tell: Tell, target_bytes: int = TARGET_BYTES) -> None:
        self._keep_hours = keep_hours
        self._tell = tell
        self._target_bytes = target_bytes

    def outline(self, paths: Iterable[Path], root: Path) -> list[Compacted]:
        """What `run` would do; changes nothing. The figures afterwards are not known beforehand."""
        outlined = []
        for path in paths:
            table = DeltaTable(str(path))
            told = _before(table, path, root)
            days = due(table)
            told.days, told.put_together = [day.partition for day in days], sum(day.files for day in days)
            told.deleted = len(self._vacuum(table, dry_run=True))
            told.version = table.version()
            outlined.append(told)
        return outlined

    def run(self, paths: Iterable[Path], root: Path) -> list[Compacted]:
        """Compact the tables at these paths; names are told relative to `root`. Raises CompactionError."""
        return [self._compact(path, root) for path in paths]

    def _compact(self, path: Path, root: Path) -> Compacted:
        begun, table = perf_counter(), DeltaTable(str(path))
        told = _before(table, path, root)
        days = due(table)
        for number, day in enumerate(days):
            self._tell(told.table, number, len(days))
            told.put_together += self._put_together(table, day)
            told.days.append(day.partition)
            failpoints.at(PUT_TOGETHER)
        self._tell(told.table, len(days), len(days))
        table.update_incremental()
        told.deleted = len(self._vacuum(table, dry_run=False))
        table.create_checkpoint()
        table.cleanup_metadata()
        told.files_after, told.bytes_after = _size(table)
        told.version, told.seconds = table.version(), round(perf_counter() - begun, 3)
        return told

    def _put_together(self, table: DeltaTable, day: Day) -> int:
        """One day's files. Returns how many were replaced."""
        column = table.metadata().partition_columns[0]
        for attempt in range(_TRIES):
            try:
                done = table.optimize.compact(
                    partition_filters=[(column, "=", day.partition)],
                    target_size=self._target_bytes,
                    max_concurrent_tasks=1,
                    writer_properties=_WRITER,
                )
            except CommitFailedError as error:  # an erasure has rewritten one of the files
                if attempt == _TRIES - 1:
                    raise CompactionError(f"{table.table_uri}: its files are being rewritten by another") from error
                table.update_incremental()
            else:
                return int(done["numFilesRemoved"])
        raise AssertionError("the last attempt returns or raises")

    def _vacuum(self, table: DeltaTable, *, dry_run: bool) -> list[str]:
        """Full: what a killed writer has left is in no version of the log, and goes too once it is old enough."""
        return table.vacuum(
            retention_hours=self._keep_hours,
            dry_run=dry_run,
            enforce_retention_duration=False,
            full=True,
        )


def due(table: DeltaTable) -> list[Day]:
    """The days whose files are worth putting together, the oldest first."""
    column = table.metadata().partition_columns[0]
    actions = pa.table(table.get_add_actions(flatten=True))
    names = (f"partition.{column}", "size_bytes")
    newest, small = "", dict[str, list[int]]()
    for partition, size in zip(*(actions[name].to_pylist() for name in names), strict=True):
        newest = max(newest, str(partition))
        if size < _SMALL_BYTES:
            small.setdefault(str(partition), []).append(size)
    return [
        Day(partition, len(sizes), sum(sizes))
        for partition, sizes in sorted(small.items())
        if len(sizes) >= (_ENOUGH if partition == newest else 2)
    ]


def _before(table: DeltaTable, path: Path, root: Path) -> Compacted:
    return Compacted(path.relative_to(root).as_posix(), *_size(table))


def _size(table: DeltaTable) -> tuple[int, int]:
    """Files and bytes of the newest version."""
    sizes = pa.table(table.get_add_actions(flatten=True))["size_bytes"].to_pylist()
    return len(sizes), sum(sizes)
