"""An epoch: one micro-batch of the query, from Kafka records to one committed transaction.

decode (Spark) → judge → dedupe → deltas → merges → ledger → commit → event log → results. Everything up to the
commit is one Postgres transaction; everything after it can be repeated from the ledger and skips what it has done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic, perf_counter

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from pyspark.sql import DataFrame, SparkSession

from contracts.settings import ShopSettings
from processing import ledger
from processing.batch import Batch, event_rows, sort_records
from processing.decode import decode
from processing.dedupe import Deduplicated, applied_before, deduplicate, forget, keep_duplicates
from processing.deltas import DeltaEngine
from processing.event_log import EventLog
from processing.judge import Judge
from processing.kept import keep_quarantined, keep_rejected
from processing.ledger import Entry, Position
from processing.metrics import EpochMetrics
from processing.projection import Projection
from processing.results import ResultsPublisher
from processing.settings import ProcessingSettings
from processing.source import RangeReader
from processing.store import Store, Transaction
from processing.watermark import observe, watermark
from schemas_avro import Registry

log = structlog.get_logger()

_FORGET_EVERY_SECONDS = 60.0


@dataclass
class Phases:
    """Seconds spent in each phase of one epoch."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the time of the block to the phase."""
        begun = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - begun


class EpochRunner:
    """Runs epochs one after another. Owns the position; everything it uses is passed in."""

    def __init__(
        self,
        *,
        store: Store,
        event_log: EventLog,
        judge: Judge,
        engine: DeltaEngine,
        projections: tuple[Projection, ...],
        registry: Registry,
        shop: ShopSettings,
        settings: ProcessingSettings,
        metrics: EpochMetrics,
        results: ResultsPublisher | None,
    ) -> None:
        self._store = store
        self._event_log = event_log
        self._engine = engine
        self._projections = projections
        self._registry = registry
        self._judge = judge
        self._shop = shop
        self._settings = settings
        self._metrics = metrics
        self._results = results
        self._forgotten_at = monotonic()
        self.position = Position()

    def resume(self) -> Position:
        """Create what is missing and read the committed position. Call before the first epoch and after any fault."""
        self._store.create_tables()
        with self._store.transaction() as transaction:
            self.position = ledger.read_position(transaction)
        return self.position

    def decoded(self, records: DataFrame) -> DataFrame:
        """Kafka records decoded. Part of the streaming plan, so that it is built once and not in every epoch."""
        return decode(records, self._registry)

    def run(self, decoded_records: DataFrame) -> None:
        """Fold one micro-batch of decoded records. Returns after commit; raises with nothing committed."""
        phases, started_at = Phases(), datetime.now(UTC)
        with phases.time("decode"):
            decoded = decoded_records.toArrow()
        if decoded.num_rows == 0:
            return
        epoch = self.position.epoch + 1
        with phases.time("judge"):
            batch = sort_records(self._judge.judge(decoded))
        with self._store.transaction() as transaction:
            with phases.time("dedupe"):
                told = deduplicate(transaction, batch.events, epoch)
            events = event_rows(told.first, epoch, self.position.watermark)
            with phases.time("deltas"):
                deltas = list(self._engine.deltas(events, self._projections)) if events.num_rows else []
            with phases.time("merge"):
                changed = [
                    (projection.name, projection.merge.apply(transaction, delta, epoch)) for projection, delta in deltas
                ]
                self._keep(transaction, batch, told, epoch)
                entry = self._entry(epoch, started_at, batch, told, events)
                ledger.write_entry(transaction, entry)
        committed_at = datetime.now(UTC)
        self.position = Position(epoch, entry.watermark, entry.times, self._moved(batch))
        self._event_log.add(epoch, events)
        with phases.time("log"):
            if self._event_log.is_due:
                self.flush_log()
        with phases.time("results"):
            self._publish(epoch, changed)
        self._metrics.observe(entry, phases.seconds, committed_at)
        log.info(
            "epoch_committed",
            epoch=epoch,
            **entry.counts,
            seconds={name: round(seconds, 3) for name, seconds in phases.seconds.items()},
        )

    def repair_log(self, spark: SparkSession, read_range: RangeReader) -> None:
        """Append to the event log every epoch that the ledger has and the log has not, read again from Kafka."""
        held = self._event_log.open()
        with self._store.transaction() as transaction:
            missing = ledger.offset_ranges(transaction, held)
        for epoch, ranges in missing:
            batch = sort_records(self._judge.judge(self.decoded(read_range(spark, ranges)).toArrow()))
            with self._store.transaction() as transaction:
                applied = applied_before(transaction, batch.events, epoch)
                mark = ledger.watermark_before(transaction, epoch)
            self._event_log.add(epoch, event_rows(applied, epoch, mark))
            log.info("epoch_repaired", epoch=epoch, events=applied.num_rows)
        self._event_log.flush()
        with self._store.transaction() as transaction:
            ledger.set_log(transaction, self._event_log.last_epoch(), self._event_log.count_rows())

    def flush_log(self) -> None:
        """Append the epochs that wait to the event log, and note it in the ledger."""
        appended = self._event_log.flush()
        if appended is not None:
            with self._store.transaction() as transaction:
                ledger.note_log(transaction, appended.epoch, appended.version, appended.rows)

    @property
    def log_is_due(self) -> bool:
        """Whether committed epochs have waited long enough for their append."""
        return self._event_log.is_due

    def _keep(self, transaction: Transaction, batch: Batch, told: Deduplicated, epoch: int) -> None:
        keep_duplicates(transaction, told.duplicates)
        keep_quarantined(transaction, batch.quarantined, epoch)
        keep_rejected(transaction, batch.rejected, epoch)
        if monotonic() - self._forgotten_at > _FORGET_EVERY_SECONDS:
            forget(transaction, self._settings.dedupe_horizon_seconds)
            self._forgotten_at = monotonic()

    def _entry(self, epoch: int, started_at: datetime, batch: Batch, told: Deduplicated, events: pa.Table) -> Entry:
        times = observe(self.position.times, told.first)
        mark = watermark(
            times,
            self.position.watermark,
            allowed_lateness=timedelta(seconds=self._shop.allowed_lateness_seconds),
            idle=timedelta(seconds=self._settings.partition_idle_seconds),
        )
        counts = {
            "records": batch.records,
            "applied": events.num_rows,
            "duplicates": told.duplicates.num_rows,
            "conflicts": told.conflicts,
            "quarantined": batch.quarantined.num_rows,
            "rejected": batch.rejected.num_rows,
            "late": _count_true(events["late"]),
            "imported": _count_true(events["imported"]),
        }
        return Entry(epoch, started_at, batch, counts, times, mark)

    def _moved(self, batch: Batch) -> ledger.Offsets:
        offsets = {topic: dict(partitions) for topic, partitions in self.position.next_offsets.items()}
        for row in batch.offsets.to_pylist():
            offsets.setdefault(row["topic"], {})[row["partition"]] = row["until_offset"]
        return offsets

    def _publish(self, epoch: int, changed: list[tuple[str, pa.Table]]) -> None:
        if self._results is not None:
            for projection, rows in changed:
                self._results.publish(epoch, projection, rows)


def _count_true(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags).as_py() or 0)
