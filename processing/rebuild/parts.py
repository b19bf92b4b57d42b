"""Rows of deltas, put aside on disk in parts that can each be combined alone, so that memory bounds no log.

Rows that belong together agree in `Fold.common`, so by its hash they meet in the same part, whatever they came in.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from processing.duck import Duck
from processing.projection import Projection
from processing.slices import sliced


class Parts:
    """The deltas of one rebuild, in files below `folder`. First everything is added, then it is taken."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count
        self._duck = Duck()
        self._files: dict[tuple[str, int], pa.RecordBatchWriter] = {}

    def add(self, projection: Projection, rows: pa.Table) -> None:
        """Put the rows of one delta aside."""
        if self._count == 1:
            return self._write(projection.name, 0, rows)
        for part, chosen in enumerate(sliced(self._duck, rows, projection.fold.common, self._count)):
            self._write(projection.name, part, chosen)
        return None

    def take(self, projection: Projection) -> Iterator[pa.Table]:
        """All rows of the projection, a part at a time. The part's file is gone afterwards."""
        for part in range(self._count):
            writer = self._files.pop((projection.name, part), None)
            if writer is not None:
                writer.close()
                path = self._path(projection.name, part)
                with pa.memory_map(str(path)) as source:
                    yield pa.ipc.open_stream(source).read_all()
                path.unlink()

    def _write(self, name: str, part: int, rows: pa.Table) -> None:
        if rows.num_rows == 0:
            return
        if (name, part) not in self._files:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._files[name, part] = pa.ipc.new_stream(str(self._path(name, part)), rows.schema, options=options)
        self._files[name, part].write_table(rows)

    def _path(self, name: str, part: int) -> Path:
        return self._folder / f"{name}-{part}.arrows"
