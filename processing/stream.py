"""The streaming query, kept running: every start, first or after a fault, begins at the ledger's position."""

import os
import shutil
import threading
from functools import partial
from pathlib import Path
from time import monotonic

import structlog
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from contracts.settings import KafkaSettings
from processing.epoch import EpochRunner
from processing.errors import FatalError, ProcessingError
from processing.handover import Handover
from processing.lag import LagWatch
from processing.metrics import EpochMetrics
from processing.progress import ProgressWatch
from processing.settings import ProcessingSettings
from processing.source import read_ranges, read_stream, starting_offsets
from processing.tallies import TallyWatch

log = structlog.get_logger()

_RUN = "run-"
_LOOK_SECONDS = 1.0
_NEXT_STEP_SECONDS = 0.05
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
        *,
        tallies: TallyWatch,
    ) -> None:
        self._spark = spark
        self._runner = runner
        self._settings = settings
        self._kafka = kafka
        self._metrics = metrics
        self._lag = LagWatch(kafka, metrics)
        self._tallies = tallies
        self._stopping = threading.Event()
        self._handover = Handover()
        self._taking = threading.Lock()
        self._runs = 0
        self._rolled_up_at = monotonic()
        self.not_ready: str | None = "starting"
        """Why the part is not ready, or None when it is."""

    def stop(self) -> None:
        """Ask the query to end after the epoch in progress. Returns at once."""
        self._stopping.set()

    def run(self) -> None:
        """Run until `stop`. Raises FatalError.

        Faults without an epoch between them are waited for longer each time; after an epoch it begins anew.
        """
        pause, failed_at = 0.0, -1
        while not self._stopping.is_set():
            begun = monotonic()
            try:
                self._run_query()
            except FatalError:
                raise
            except Exception as error:
                self.not_ready = f"recovering: {type(error).__name__}"
                self._metrics.restarts.inc()
                epoch = self._runner.position.epoch
                if epoch != failed_at or monotonic() - begun > _HEALTHY_AFTER_SECONDS:
                    pause = self._settings.restart_backoff_seconds
                else:
                    pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                failed_at = epoch
                log.warning("query_failed", error=f"{type(error).__name__}: {error}"[:1000], resume_in_seconds=pause)
                self._stopping.wait(pause)

    def _run_query(self) -> None:
        position = self._runner.resume()
        starting = starting_offsets(self._kafka, position.next_offsets)
        self._runner.repair(partial(read_ranges, self._kafka))
        self._handover = Handover()
        query = (
            read_stream(self._spark, self._kafka, starting, self._settings.max_events_per_epoch)
            .writeStream.queryName("millrace")
            .foreachBatch(partial(self._take, self._handover))
            .option("checkpointLocation", str(self._fresh_checkpoint()))
            .start()
        )
        log.info("query_started", after_epoch=position.epoch, starting_offsets=starting)
        self.not_ready = None
        try:
            self._watch(query)
        finally:
            query.stop()
            self._handover.close()
            with self._taking:  # what is being judged for nothing is done before the next query judges
                pass
        if self._handover.failure is not None:
            raise self._handover.failure
        if self._stopping.is_set():
            self._runner.flush_log()

    def _watch(self, query: StreamingQuery) -> None:
        """Wait for the end of the query; between epochs, append to the log what has waited long enough, and roll up."""
        progress = ProgressWatch(query, self._metrics)
        while not self._stopping.is_set() and self._handover.failure is None:
            try:
                # After an import there are weeks to roll up: a step a second would take as long as an hour for them.
                pause = _NEXT_STEP_SECONDS if self._runner.has_more_to_roll_up else _LOOK_SECONDS
                if query.awaitTermination(pause):  # type: ignore[arg-type]  # parts of a second are taken, too
                    return
            except StreamingQueryException:
                if self._stopping.is_set() or self._handover.failure is not None:
                    return
                raise
            progress.look()
            self._lag.look(self._runner.position.next_offsets)
            self._tallies.look()
            if self._handover.is_idle and self._runner.log_is_due:
                self._handover.put(self._runner.flush_log)
            if self._handover.is_idle or monotonic() - self._rolled_up_at > self._settings.roll_up_wait_seconds:
                self._rolled_up_at = monotonic()
                self._handover.put(self._runner.roll_up)

    def _take(self, handover: Handover, records: DataFrame, _batch_id: int) -> None:
        """Read and judge a micro-batch and hand it over; the next one is read while this one is folded.

        Spark is given no interval and waits here: its own trigger waits for a moment of the wall clock, so that a clock
        that was ahead and is set right would hold up the stream for as long as it was ahead.
        """
        if self._stopping.is_set():
            raise StoppingError
        begun = monotonic()
        with self._taking:
            table = records.toArrow()
            if table.num_rows:
                handover.put(self._runner.run, self._runner.judge(table, monotonic() - begun))
        self._stopping.wait(begun + self._settings.epoch_interval_ms / 1000 - monotonic())

    def _fresh_checkpoint(self) -> Path:
        """An empty scratch folder: what Spark keeps there is never read again by another run.

        Nothing but scratch folders is removed: the setting may name a folder that holds other things, too.
        """
        for earlier in self._settings.checkpoint.glob(f"{_RUN}*"):
            shutil.rmtree(earlier, ignore_errors=True)
        self._runs += 1
        folder = self._settings.checkpoint / f"{_RUN}{self._runs}-{os.getpid()}"
        folder.mkdir(parents=True)
        return folder
