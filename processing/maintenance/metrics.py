"""What maintenance tells Prometheus; names and meanings stand in `contracts.metrics`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from time import perf_counter

from contracts.metrics import Instruments
from processing.maintenance.cells import Cell


class MaintenanceMetrics:
    """One per process."""

    def __init__(self, instruments: Instruments) -> None:
        self._seconds = instruments.histogram("millrace_processing_maintenance_seconds")
        self._failures = instruments.counter("millrace_processing_maintenance_failures_total")
        self._made = instruments.counter("millrace_processing_roll_ups_made_total")
        self._due = instruments.gauge("millrace_processing_roll_ups_due")
        self._delay = instruments.gauge("millrace_processing_roll_up_delay_seconds")
        self._dropped = instruments.counter("millrace_processing_dropped_hours_total")
        self._files = instruments.gauge("millrace_processing_log_files")
        self._bytes = instruments.gauge("millrace_processing_log_bytes")
        self._compacted = instruments.counter("millrace_processing_compacted_files_total")

    @contextmanager
    def timed(self, task: str) -> Iterator[None]:
        """Record how long the block takes, and whether it fails."""
        begun = perf_counter()
        try:
            yield
        except Exception:
            self._failures.labels(task).inc()
            raise
        finally:
            self._seconds.labels(task).observe(perf_counter() - begun)

    def observe_made(self, cell: Cell) -> None:
        """A cell was made."""
        self._made.labels(cell.grain).inc()

    def observe_due(self, due: list[Cell], watermark: datetime) -> None:
        """Those cells could be made."""
        self._due.set(len(due))
        oldest = min((cell.ends_at for cell in due), default=watermark)
        self._delay.set((watermark - oldest).total_seconds())

    def observe_dropped(self, cell: Cell) -> None:
        """The fine rows of a cell were dropped."""
        self._dropped.labels(cell.grain).inc()

    def observe_log(self, files: int, size_bytes: int, compacted: int) -> None:
        """What the event log is after a compaction, and of how many files that one has made fewer."""
        self._files.set(files)
        self._bytes.set(size_bytes)
        self._compacted.inc(compacted)
