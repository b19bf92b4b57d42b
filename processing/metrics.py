"""What processing tells Prometheus."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from processing.ledger import TALLY, Entry

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class EpochMetrics:
    """One per process; names as in `contracts.metrics`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.epoch = Gauge("millrace_epoch", "Last committed epoch", registry=self.registry)
        self.phase = Histogram(
            "millrace_epoch_phase_seconds",
            "Time of an epoch by phase",
            ["phase"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.freshness = Histogram(
            "millrace_freshness_seconds",
            "Commit time less the newest broker time in the epoch",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.records = Counter(
            "millrace_records", "Records by what became of them", ["outcome"], registry=self.registry
        )
        self.watermark = Gauge(
            "millrace_watermark_timestamp_seconds", "Event time that is complete", registry=self.registry
        )
        self.restarts = Counter(
            "millrace_query_restarts", "Restarts of the query after a fault", registry=self.registry
        )
        self.behind = Gauge("millrace_behind_records", "Records in Kafka not yet in an epoch", registry=self.registry)

    def observe(self, entry: Entry, phases: dict[str, float], committed_at: datetime) -> None:
        """Record a committed epoch."""
        self.epoch.set(entry.epoch)
        for name, seconds in phases.items():
            self.phase.labels(name).observe(seconds)
        self.freshness.observe((committed_at - entry.batch.newest_log_time).total_seconds())
        for name in TALLY:
            self.records.labels(name).inc(entry.counts[name])
        if entry.watermark is not None:
            self.watermark.set(entry.watermark.timestamp())
