"""The streaming query, kept running: every start, first or after a fault, begins at the ledger's position."""

import shutil
import threading
from pathlib import Path
from time import monotonic

import structlog
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from contracts.settings import KafkaSettings
from processing.epoch import EpochRunner
from processing.errors import FatalError, ProcessingError
from processing.metrics import EpochMetrics
from processing.settings import ProcessingSettings
from processing.source import range_reader, read_stream, starting_offsets

log = structlog.get_logger()

_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_AFTER_SECONDS = 60.0


class StoppingError(ProcessingError):
    """The part is being stopped; the micro-batch that would begin now does not begin."""


class Stream:
    """Runs the query until it is stopped or a fault says that going on would be wrong."""

    def __init__(
        self,
        spark: SparkSession,
        runner: EpochRunner,
        settings: ProcessingSettings,
        kafka: KafkaSettings,
        metrics: EpochMetrics,
    ) -> None:
        self._spark = spark
        self._runner = runner
        self._settings = settings
        self._kafka = kafka
        self._metrics = metrics
        self._stopping = threading.Event()
        self._epoch_running = threading.Lock()
        self._cause: Exception | None = None
        self._runs = 0
        self.not_ready: str | None = "starting"
        """Why the part is not ready, or None when it is."""

    def stop(self) -> None:
        """Ask the query to end after the epoch in progress. Returns at once."""
        self._stopping.set()

    def run(self) -> None:
        """Run until `stop`. Raises FatalError."""
        pause = self._settings.restart_backoff_seconds
        while not self._stopping.is_set():
            begun = monotonic()
            try:
                self._run_query()
            except FatalError:
                raise
            except Exception as error:
                self.not_ready = f"recovering: {type(error).__name__}"
                self._metrics.restarts.inc()
                log.warning("query_failed", error=f"{type(error).__name__}: {error}"[:1000], resume_in_seconds=pause)
                if monotonic() - begun > _HEALTHY_AFTER_SECONDS:
                    pause = self._settings.restart_backoff_seconds
                self._stopping.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _run_query(self) -> None:
        self._cause = None
        position = self._runner.resume()
        starting = starting_offsets(self._kafka, position.next_offsets)
        self._runner.repair_log(self._spark, range_reader(self._kafka))
        checkpoint = self._fresh_checkpoint()
        source = read_stream(self._spark, self._kafka, starting, self._settings.max_events_per_epoch)
        query = (
            self._runner.decoded(source)
            .writeStream.queryName("millrace")
            .foreachBatch(self._epoch)
            .option("checkpointLocation", str(checkpoint))
            .trigger(processingTime=f"{self._settings.epoch_interval_ms} milliseconds")
            .start()
        )
        log.info("query_started", after_epoch=position.epoch, starting_offsets=starting)
        self.not_ready = None
        try:
            self._watch(query)
        finally:
            with self._epoch_running:
                query.stop()
        if self._stopping.is_set():
            self._runner.flush_log()

    def _watch(self, query: StreamingQuery) -> None:
        """Wait for the end of the query; between epochs, append to the log what has waited long enough."""
        while not self._stopping.is_set():
            try:
                if query.awaitTermination(1):
                    return
            except StreamingQueryException:
                if isinstance(self._cause, StoppingError):
                    return
                if self._cause is not None:
                    raise self._cause from None
                raise
            self._observe_lag(query)
            if self._epoch_running.acquire(blocking=False):
                try:
                    if self._runner.log_is_due:
                        self._runner.flush_log()
                finally:
                    self._epoch_running.release()

    def _observe_lag(self, query: StreamingQuery) -> None:
        progress = query.lastProgress
        if progress is not None and progress.sources:
            self._metrics.behind.set(float(progress.sources[0].metrics.get("maxOffsetsBehindLatest", 0)))

    def _epoch(self, decoded: DataFrame, _batch_id: int) -> None:
        try:
            self._await_turn()
            try:
                self._runner.run(decoded)
            finally:
                self._epoch_running.release()
        except Exception as error:
            self._cause = error  # Spark passes on only a text of it
            raise

    def _await_turn(self) -> None:
        """Take the lock. Who holds it may be stopping the query and waiting for this epoch: then the epoch gives up."""
        while not self._epoch_running.acquire(timeout=0.05):
            if self._stopping.is_set():
                raise StoppingError
        if self._stopping.is_set():
            self._epoch_running.release()
            raise StoppingError

    def _fresh_checkpoint(self) -> Path:
        """An empty scratch folder: what Spark keeps there is never read again by another run."""
        shutil.rmtree(self._settings.checkpoint, ignore_errors=True)
        self._runs += 1
        folder = self._settings.checkpoint / f"run-{self._runs}"
        folder.mkdir(parents=True)
        return folder
