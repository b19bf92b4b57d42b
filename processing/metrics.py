"""What processing tells Prometheus; names and meanings stand in `contracts.metrics`."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from prometheus_client import CollectorRegistry

from contracts.metrics import PROCESSING, Instruments
from processing.background import Told
from processing.ledger import TALLY, Entry
from processing.maintenance.metrics import MaintenanceMetrics
from processing.memory import KINDS, resident_bytes
from processing.recent_ids import RecentIds


class VerifyMetrics:
    """What verification in the background tells."""

    def __init__(self, instruments: Instruments) -> None:
        self._runs = instruments.counter("millrace_processing_verify_runs_total")
        self._rows = instruments.counter("millrace_processing_verify_rows_total")
        self._mismatches = instruments.gauge("millrace_processing_verify_mismatches")
        self._seconds = instruments.histogram("millrace_processing_verify_seconds")
        self._ended = instruments.gauge("millrace_processing_verify_timestamp_seconds")

    def observe(self, outcome: str, told: Told) -> None:
        """Record one that ended now. `told` is its JSON object, empty where it failed."""
        self._runs.labels(outcome).inc()
        self._ended.set_to_current_time()
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
        self.undelivered = instruments.counter("millrace_processing_undelivered_results_total")
        self._behind = instruments.gauge("millrace_processing_behind_records")
        self._query_phase = instruments.histogram("millrace_processing_query_phase_seconds")
        self._input_rate = instruments.gauge("millrace_processing_input_records_per_second")
        self._read_rate = instruments.gauge("millrace_processing_read_records_per_second")
        self._recent_ids = instruments.gauge("millrace_processing_recent_ids")
        self._recent_ids_bytes = instruments.gauge("millrace_processing_recent_ids_bytes")
        memory = instruments.gauge("millrace_processing_resident_memory_bytes")
        for kind in KINDS:
            memory.labels(kind).set_function(partial(resident_bytes, kind))
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

    def observe_batch(self, seconds: Mapping[str, float], input_rate: float, read_rate: float) -> None:
        """Record a micro-batch of Spark's: its phases, records that came per second, and that were read per second."""
        for phase, spent in seconds.items():
            self._query_phase.labels(phase).observe(spent)
        self._input_rate.set(input_rate)
        self._read_rate.set(read_rate)

    def observe_behind(self, topic: str, records: float) -> None:
        """Record how many records of a topic no committed epoch has read; NaN where the broker does not say."""
        self._behind.labels(topic).set(records)

    def observe_recent(self, recent: RecentIds) -> None:
        """Record what dedupe remembers."""
        self._recent_ids.set(len(recent))
        self._recent_ids_bytes.set(recent.size_bytes)

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
