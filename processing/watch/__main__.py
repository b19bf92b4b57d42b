"""`python -m processing.watch`: build the real objects and look until SIGTERM. With a verb: `processing.watch.cli`.

Exit codes: 0 stopped on request; 1 a fault that needs a person (the message says what to do); 2 a bad setting.
"""

import sys
import threading
from time import perf_counter
from typing import Final

import structlog

from processing.alerting.sender import Sender
from processing.background import Background, Turn
from processing.errors import FatalError
from processing.health import serve_health
from processing.running import run_module, when_asked
from processing.store import Store
from processing.watch.cli import app
from processing.watch.look import Watcher
from processing.watch.metrics import WatchMetrics
from processing.watch.settings import Settings
from schemas_avro import load_registry

log = structlog.get_logger()

_LONGEST_PAUSE_SECONDS: Final = 30.0
_DELIVER_SECONDS: Final = 1.0
_VERB: Final = (sys.executable, "-m", "processing.watch")
_WHEN_DUE: Final = ("--due", "--background", "--json")


class Loop:
    """Looks again and again. What goes wrong is logged, and tried again after a growing pause."""

    def __init__(self, watcher: Watcher, metrics: WatchMetrics, interval_seconds: float) -> None:
        self._watcher = watcher
        self._metrics = metrics
        self._interval_seconds = interval_seconds
        self.stopping = threading.Event()
        self.not_ready: str | None = "starting"
        """Why the part is not ready, or None when it is."""

    def run(self) -> None:
        """Look until `stopping` is set. Raises FatalError."""
        pause = self._interval_seconds
        while not self.stopping.wait(pause):
            begun = perf_counter()
            try:
                looked = self._watcher.look()
            except FatalError:
                raise
            except Exception as error:
                self.not_ready = f"recovering: {type(error).__name__}"
                self._metrics.failures.inc()
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                log.warning("look_failed", error=f"{type(error).__name__}: {error}"[:1000], again_in_seconds=pause)
                continue
            pause = self._interval_seconds
            self.not_ready = None if looked else "waiting for processing to make the tables"
            if looked and looked.seen:
                self._metrics.look_seconds.observe(perf_counter() - begun)
                self._metrics.observe(looked.seen.epoch, looked.flags, looked.waits, looked.steps)


def _deliver(sender: Sender, metrics: WatchMetrics, stopping: threading.Event) -> None:
    """Empty the outbox now and again, whatever a look takes."""
    pause = _DELIVER_SECONDS
    while not stopping.wait(pause):
        try:
            metrics.observe_deliveries(sender.run_once())
        except Exception as error:
            metrics.failures.inc()
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            log.warning("outbox_failed", error=f"{type(error).__name__}: {error}"[:1000], again_in_seconds=pause)
        else:
            pause = _DELIVER_SECONDS
    sender.stop()


def run(settings: Settings) -> None:
    """Run the part until it is asked to stop. Raises FatalError."""
    options = settings.watch
    metrics = WatchMetrics()
    store = Store(settings.postgres, role="watch", work_mem="16MB")
    loop = Loop(Watcher(store, options, settings.shop, load_registry()), metrics, options.interval_seconds)
    sender = Sender(settings.postgres, options.destinations)
    deliveries = threading.Thread(target=_deliver, args=(sender, metrics, loop.stopping), name="sender", daemon=True)
    learning = Background(
        [
            Turn(("detect", "train", *_WHEN_DUE), options.train_interval_seconds, metrics.observe_training),
            Turn(("detect", "forecast", *_WHEN_DUE), options.forecast_interval_seconds, metrics.observe_forecast),
        ],
        _VERB,
    )
    serve_health(options.host, options.port, metrics.registry, lambda: loop.not_ready)

    when_asked(loop.stopping.set)
    deliveries.start()
    learning.start()
    try:
        loop.run()
    finally:
        loop.stopping.set()
        learning.stop()
        deliveries.join(_LONGEST_PAUSE_SECONDS)
        store.close()


if __name__ == "__main__":
    run_module("processing.watch", Settings, run, app)
