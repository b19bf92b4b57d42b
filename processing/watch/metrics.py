"""What the watch tells Prometheus; names and meanings stand in `contracts.metrics`."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry

from contracts.metrics import WATCH, Instruments
from processing.alerting.lifecycle import Changed, Opened, Step
from processing.background import Told
from processing.detection.judging import Flag


class WatchMetrics:
    """One per process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        instruments = Instruments(WATCH, self.registry)
        self.look_seconds = instruments.histogram("millrace_watch_look_seconds")
        self.failures = instruments.counter("millrace_watch_failures_total")
        self._flag_seconds = instruments.histogram("millrace_watch_flag_seconds")
        self._epoch = instruments.gauge("millrace_watch_epoch")
        self._flags = instruments.counter("millrace_watch_flags_total")
        self._alerts = instruments.counter("millrace_watch_alerts_total")
        self._deliveries = instruments.counter("millrace_watch_deliveries_total")
        self._trainings = instruments.counter("millrace_watch_trainings_total")
        self._forecasts = instruments.counter("millrace_watch_forecasts_total")
        self._version = instruments.gauge("millrace_watch_model_version")

    def observe(self, epoch: int, flags: Iterable[Flag], waits: Iterable[float], steps: Iterable[Step]) -> None:
        """A committed state was looked at."""
        self._epoch.set(epoch)
        for seconds in waits:
            self._flag_seconds.observe(seconds)
        for flag in flags:
            self._flags.labels(flag.scope, flag.method).inc()
        for step in steps:
            if not isinstance(step, Changed):
                self._alerts.labels(step.alert.kind, "opened" if isinstance(step, Opened) else "resolved").inc()

    def observe_deliveries(self, outcomes: Mapping[str, int]) -> None:
        """So many notices were delivered, put off or dropped."""
        for outcome, count in outcomes.items():
            self._deliveries.labels(outcome).inc(count)

    def observe_training(self, code: int, told: Told, _seconds: float) -> None:
        """A training was looked for."""
        version = told.get("version")
        self._trainings.labels("failed" if code else "trained" if version else "nothing_to_do").inc()
        if version:
            self._version.set(version)

    def observe_forecast(self, code: int, told: Told, _seconds: float) -> None:
        """A forecast was looked for."""
        self._forecasts.labels("failed" if code else "made" if told.get("series") else "nothing_to_do").inc()
