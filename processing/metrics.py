"""What processing tells Prometheus; names and meanings stand in `contracts.metrics`."""

from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry
from pyspark.sql.streaming.listener import StreamingQueryProgress

from contracts.metrics import PROCESSING, Instruments
from processing.ledger import TALLY, Entry
from processing.maintenance.metrics import MaintenanceMetrics


class VerifyMetrics:
    """What verification in the background tells."""

    def __init__(self, instruments: Instruments) -> None:
        self._runs = instruments.counter("millrace_processing_verify_runs_total")
        self._rows = instruments.counter("millrace_processing_verify_rows_total")
        self._mismatches = instruments.gauge("millrace_processing_verify_mismatches")
        self._seconds = instruments.histogram("millrace_processing_verify_seconds")
        self._ended = instruments.gauge("millrace_processing_verify_timestamp_seconds")

    def observe(self, outcome: str, told: dict[str, Any], ended: float) -> None:
        """Record one. `told` is its JSON object, empty where it failed; `ended` is in Unix seconds."""
        self._runs.labels(outcome).inc()
        self._ended.set(ended)
        if told:
            self._rows.inc(told["rows"])
            self._mismatches.set(told["mismatches"])
            self._seconds.observe(told["seconds"])


class EpochMetrics:
    """One per process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        instruments = Instruments(PROCESSING, self.registry)
        self.restarts = instruments.counter("millrace_processing_restarts_total")
        self.behind = instruments.gauge("millrace_processing_behind_records")
        self._epoch = instruments.gauge("millrace_processing_epoch")
        self._phase = instruments.histogram("millrace_processing_phase_seconds")
        self._freshness = instruments.histogram("millrace_processing_freshness_seconds")
        self._records = instruments.counter("millrace_processing_records_total")
        self._watermark = instruments.gauge("millrace_processing_watermark_timestamp_seconds")
        self._residue = instruments.gauge("millrace_processing_books_residue")
        self.verify = VerifyMetrics(instruments)
        self.maintenance = MaintenanceMetrics(instruments)

    def observe_books(self, residues: dict[str, int]) -> None:
        """Record what each check of the books is off by."""
        for check, residue in residues.items():
            self._residue.labels(check).set(residue)

    def observe_progress(self, progress: StreamingQueryProgress | None) -> None:
        """Record what the query tells of itself, if it has run yet."""
        if progress is not None and progress.sources:
            self.behind.set(float(progress.sources[0].metrics.get("maxOffsetsBehindLatest", 0)))

    def observe(self, entry: Entry, phases: dict[str, float], committed_at: datetime) -> None:
        """Record a committed epoch."""
        self._epoch.set(entry.epoch)
        for name, seconds in phases.items():
            self._phase.labels(name).observe(seconds)
        self._freshness.observe((committed_at - entry.batch.newest_log_time).total_seconds())
        for name in TALLY:
            self._records.labels(name).inc(entry.counts[name])
        if entry.watermark is not None:
            self._watermark.set(entry.watermark.timestamp())
