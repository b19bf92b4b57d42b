"""An epoch: one micro-batch of the query, from Kafka records to one committed transaction.

decode → judge → dedupe → enrich → deltas → merges → ledger → commit → event log → results. Nothing before the commit
leaves a trace if it fails; everything after it can be repeated from the ledger and skips what it has done.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic, perf_counter
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from contracts.settings import ShopSettings
from processing import definitions, failpoints, gate, ledger
from processing.batch import Batch, event_rows
from processing.decode import Decoder
from processing.dedupe import Deduplicated, deduplicate, forget, keep_duplicates, load_ids, write_ids
from processing.deltas import DeltaEngine
from processing.enrichment.enrich import Enricher
from processing.erased import ErasedUsers
from processing.event_log import EventLog
from processing.judge import Judge
from processing.kept import keep_quarantined, keep_rejected
from processing.ledger import Entry, Position
from processing.maintenance.rolling import RollUps
from processing.merge import fold_all
from processing.metrics import EpochMetrics
from processing.projection import Projection
from processing.recent_ids import RecentIds
from processing.reread import EpochReader
from processing.results import ResultsPublisher
from processing.settings import ProcessingSettings
from processing.source import Ranges
from processing.store import Store, Transaction
from processing.undelivered import Undelivered
from processing.watermark import observe, watermark

log = structlog.get_logger()

_FORGET_EVERY_SECONDS: Final = 60.0
_REPAIRED_TOGETHER: Final = 500_000
"""Events appended at a time while the log is repaired."""


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


@dataclass(frozen=True)
class Judged:
    """A micro-batch that is ready to be folded."""

    batch: Batch
    phases: Phases


@dataclass(frozen=True)
class _Work:
    """What an epoch is to write of its events."""

    told: Deduplicated
    events: pa.Table
    deltas: list[tuple[Projection, pa.Table]]


class EpochRunner:
    """Runs epochs one after another. Owns the position; everything it uses is passed in."""

    def __init__(
        self,
        *,
        store: Store,
        event_log: EventLog,
        decoder: Decoder,
        judge: Judge,
        enricher: Enricher,
        engine: DeltaEngine,
        projections: tuple[Projection, ...],
        shop: ShopSettings,
        settings: ProcessingSettings,
        metrics: EpochMetrics,
        results: ResultsPublisher | None,
        roll_ups: RollUps | None = None,
    ) -> None:
        self._store = store
        self._event_log = event_log
        self._decoder = decoder
        self._judge = judge
        self._enricher = enricher
        self._engine = engine
        self._projections = projections
        self._shop = shop
        self._settings = settings
        self._metrics = metrics
        self._results = results
        self._undelivered = Undelivered(results) if results is not None else None
        self._roll_ups = roll_ups
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="merges")
        self._recent = RecentIds()
        self._erased = ErasedUsers()
        self._forgotten_at = monotonic()
        self.position = Position()

    def resume(self) -> Position:
        """Create what is missing and read the committed state. Call before the first epoch and after any fault."""
        definitions.prepare(self._store, self._projections, self._shop)
        self._recent = RecentIds()  # gives its memory back before the next one takes as much
        with self._store.transaction() as transaction:
            self.position = ledger.read_position(transaction)
            self._recent = load_ids(transaction)
            self._erased.learn(transaction)
        return self.position

    def judge(self, records: pa.Table, read_seconds: float = 0.0) -> Judged:
        """Decode and judge one micro-batch of Kafka records: what no epoch before it can change.

        One thread at a time may do this, beside the one that runs epochs. `read_seconds` is what reading took.
        """
        phases = Phases({"read": read_seconds})
        with phases.time("decode"):
            decoded = self._decoder.decode(records)
        with phases.time("judge"):
            return Judged(self._judge.judge(decoded), phases)

    def run(self, judged: Judged) -> None:
        """Fold one micro-batch. Returns after commit; raises with nothing committed."""
        phases, started_at = judged.phases, datetime.now(UTC)
        epoch = self.position.epoch + 1
        batch = self._erased.sift(judged.batch)
        failpoints.at(failpoints.DECODED)
        work = self._prepare(batch, epoch, phases)
        with self._store.transaction() as transaction:
            gate.enter(transaction)
            if self._erased.learn(transaction):  # somebody was erased since
                batch = self._erased.sift(batch)
                work = self._prepare(batch, epoch, phases)
            told, events = work.told, work.events
            with phases.time("merge"):
                merged = []
                for each in fold_all(transaction, self._beside, work.deltas):
                    merged.append(each)
                    failpoints.at(f"{failpoints.MERGED}:{each.projection.name}")
                if self._roll_ups is not None:
                    self._roll_ups.note(transaction, merged)
            with phases.time("ledger"):
                forgotten = self._keep(transaction, batch, told, epoch)
                entry = self._entry(epoch, started_at, batch, told, events)
                delivered = self._undelivered.keep(transaction, epoch, merged) if self._undelivered else None
                ledger.write_entry(transaction, entry, delivered)
                failpoints.at(failpoints.ENTRY_WRITTEN)
            begun = perf_counter()
        phases.seconds["commit"] = perf_counter() - begun
        failpoints.at(failpoints.COMMITTED)
        committed_at = datetime.now(UTC)
        self._recent.add(epoch, told.fresh)
        self._recent.forget(forgotten)
        self.position = Position(epoch, entry.watermark, entry.times, self._moved(batch))
        self._event_log.add(epoch, events)
        with phases.time("log"):
            if self._event_log.is_due:
                self.flush_log()
        with phases.time("results"):
            if self._results is not None:
                self._results.publish(epoch, merged)
        failpoints.at(failpoints.PUBLISHED)
        self._metrics.observe(entry, phases.seconds, committed_at)
        self._metrics.observe_recent(self._recent)
        log.info(
            "epoch_committed",
            epoch=epoch,
            **entry.counts,
            seconds={name: round(seconds, 3) for name, seconds in phases.seconds.items()},
        )

    def _prepare(self, batch: Batch, epoch: int, phases: Phases) -> "_Work":
        """All that can be computed before the transaction."""
        with phases.time("dedupe"):
            told = deduplicate(self._recent, batch.events, epoch)
        with phases.time("enrich"):
            events = event_rows(told.first, epoch, self.position.watermark, self._enricher)
        with phases.time("deltas"):
            found = self._engine.deltas(events, self._projections) if events.num_rows else ()
            deltas = [(projection, delta) for projection, delta in found if delta.num_rows]
        return _Work(told, events, deltas)

    def repair(self, read: Callable[[Ranges], pa.Table]) -> None:
        """Append to the event log every epoch that the ledger has and the log has not, read again from Kafka.

        And publish what the results topic may lack. Call while the broker answers, before the first epoch.
        """
        reader = EpochReader(self._decoder, self._judge, self._enricher, read)
        with self._store.transaction() as transaction:
            gate.enter(transaction)
            held = self._event_log.open()
            ledger.claim_log(transaction, self._event_log.identity, held)
            for epoch, events in reader.epochs_after(transaction, held):
                self._event_log.add(epoch, events)
                if self._event_log.waiting_rows > _REPAIRED_TOGETHER:
                    self._event_log.flush()
                log.info("epoch_repaired", epoch=epoch, events=events.num_rows)
            self._event_log.flush()
            ledger.set_log(transaction, self._event_log.last_epoch(), self._event_log.count_rows())
        if self._undelivered is not None:
            with self._store.transaction() as transaction:
                self._undelivered.publish(transaction, self._projections)

    def roll_up(self) -> None:
        """Make roll-ups for a short while, of what is committed."""
        if self._roll_ups is not None:
            self._roll_ups.work(self.position.epoch, self.position.watermark)

    @property
    def has_more_to_roll_up(self) -> bool:
        """Whether cells are due that the last `roll_up` did not come to."""
        return self._roll_ups is not None and self._roll_ups.has_more

    def flush_log(self) -> None:
        """Append the epochs that wait to the event log, and note it in the ledger."""
        with self._store.transaction() as transaction:
            gate.enter(transaction)  # an erasure appends the same epochs, and deletes from what it then finds
            appended = self._event_log.flush()
            if appended is None:
                return
            failpoints.at(failpoints.APPENDED)
            ledger.note_log(transaction, appended.epoch, appended.version, appended.rows)
            if not appended.alone:
                ledger.set_log(transaction, appended.epoch, self._event_log.count_rows())
            self._metrics.observe_books(ledger.residues(transaction))
        failpoints.at(failpoints.APPEND_NOTED)

    @property
    def log_is_due(self) -> bool:
        """Whether committed epochs have waited long enough for their append."""
        return self._event_log.is_due

    def _keep(self, transaction: Transaction, batch: Batch, told: Deduplicated, epoch: int) -> int:
        """Write down all but the events applied. Returns the last epoch whose ids may be forgotten after the commit."""
        write_ids(transaction, epoch, told.fresh)
        failpoints.at(failpoints.IDS_WRITTEN)
        keep_duplicates(transaction, told.duplicates)
        keep_quarantined(transaction, batch.quarantined, epoch)
        keep_rejected(transaction, batch.rejected, epoch)
        if monotonic() - self._forgotten_at <= _FORGET_EVERY_SECONDS:
            return 0
        self._forgotten_at = monotonic()
        return forget(transaction, self._settings.dedupe_horizon_seconds)

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


def _count_true(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags).as_py() or 0)
