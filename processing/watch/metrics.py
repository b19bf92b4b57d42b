"""What the watch tells Prometheus; names and meanings stand in `contracts.metrics`."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from contracts.metrics import WATCH, Instruments
from processing.detection.judging import Flag


class WatchMetrics:
    """One per process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        instruments = Instruments(WATCH, self.registry)
        self.look_seconds = instruments.histogram("millrace_watch_look_seconds")
        self.failures = instruments.counter("millrace_watch_failures_total")
        self._epoch = instruments.gauge("millrace_watch_epoch")
        self._flags = instruments.counter("millrace_watch_flags_total")

    def observe(self, epoch: int, flags: Iterable[Flag]) -> None:
        """A committed state was looked at."""
        self._epoch.set(epoch)
        for flag in flags:
            self._flags.labels(flag.scope, flag.method).inc()
