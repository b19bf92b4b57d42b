"""What maintenance tells Prometheus; names and meanings stand in `contracts.metrics`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from time import perf_counter

from contracts.metrics import Instruments
from processing.background import Told
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
        self._ended = instruments.gauge("millrace_processing_maintenance_timestamp_seconds")
        self._files = instruments.gauge("millrace_processing_delta_files")
        self._bytes = instruments.gauge("millrace_processing_delta_bytes")
        self._compacted = instruments.counter("millrace_processing_compacted_files_total")
        self._deleted = instruments.counter("millrace_processing_deleted_files_total")
        self._gold_cells = instruments.counter("millrace_processing_gold_cells_total")

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

    def observe_compact(self, code: int, told: Told, seconds: float) -> None:
        """A turn of `compact` ended (`processing.background`)."""
        if self._observe_turn("compact", code, seconds):
            for table in told["tables"]:
                name = table["table"]
                self._files.labels(name).set(table["files_after"])
                self._bytes.labels(name).set(table["bytes_after"])
                self._compacted.labels(name).inc(table["put_together"])
                self._deleted.labels(name).inc(table["deleted"])

    def observe_gold(self, code: int, told: Told, seconds: float) -> None:
        """A turn of `gold` ended."""
        if self._observe_turn("gold", code, seconds):
            self._gold_cells.inc(told["cells"])

    def observe_report(self, code: int, _told: Told, seconds: float) -> None:
        """A turn of `report` ended."""
        self._observe_turn("report", code, seconds)

    def _observe_turn(self, task: str, code: int, seconds: float) -> bool:
        """Returns whether it did what it was to do."""
        self._seconds.labels(task).observe(seconds)
        if code != 0:
            self._failures.labels(task).inc()
            return False
        self._ended.labels(task).set_to_current_time()
        return True
