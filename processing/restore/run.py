"""A restore from beginning to end. It writes in one transaction; the projections are for a rebuild to make after it."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa

from contracts.settings import KafkaSettings, PostgresSettings, ShopSettings
from contracts.tables import definitions as definitions_table
from processing import definitions
from processing.dedupe import write_ids
from processing.errors import ProcessingError
from processing.ledger import Offsets
from processing.log_files import LogFiles, open_duck
from processing.projection import Projection
from processing.reread import EpochReader
from processing.restore.lines import COLUMNS, lines
from processing.restore.logged import Hole, Logged, Part, Partition, spans
from processing.settings import ProcessingSettings
from processing.source import beginnings, starting_offsets
from processing.store import Store, Transaction, create_tables, table_names

_TOGETHER: Final = 100_000
"""Offsets read again at a time."""
_MEMORY: Final = "1GB"


class RestoreError(ProcessingError):
    """Nothing was changed. The message says why, and what to do."""


@dataclass(frozen=True)
class Restored:
    """What the ledger says again."""

    epoch: int
    applied: int
    duplicates: int
    quarantined: int
    unknown: int
    """Offsets that were not applied and are gone from Kafka, or of users who were erased: nobody knows which."""


class Restore:
    """One restore. `folder` is scratch space, emptied before and after; `projections` are all that there are."""

    def __init__(
        self,
        postgres: PostgresSettings,
        kafka: KafkaSettings,
        log_path: Path,
        folder: Path,
        *,
        projections: tuple[Projection, ...],
        shop: ShopSettings,
        settings: ProcessingSettings,
        reader: EpochReader,
        tell: Callable[[str, int, int], None],
    ) -> None:
        self._store = Store(postgres)
        self._kafka = kafka
        self._log_path = log_path
        self._folder = folder
        self._projections = projections
        self._shop = shop
        self._settings = settings
        self._reader = reader
        self._tell = tell

    def run(self) -> Restored:
        """Make the ledger again. Until a rebuild has made the projections, processing does not start.

        Raises RestoreError, AnotherProcessorError, LogUnreadableError, LogGapError, RetryableError, DefinitionsError or
        an error of Postgres, with nothing changed.
        """
        log = LogFiles.of(self._log_path)
        if not log.rows:
            raise RestoreError(f"the event log at {self._log_path} has no events to restore; begin with a new folder")
        try:
            with self._store.transaction() as transaction:
                self._check_lost(transaction)
                with open_duck(self._folder, threads=2, memory=_MEMORY) as duck:
                    restored = self._restore(transaction, log, Logged(duck, log))
        finally:
            self._store.close()
        # They count makings of the lost store, and are written again from this one.
        shutil.rmtree(self._log_path / "gold", ignore_errors=True)
        return restored

    def _check_lost(self, transaction: Transaction) -> None:
        schema = self._store.schema
        if "totals" not in table_names(transaction, schema):
            return
        for epoch in transaction.query("SELECT epoch FROM totals WHERE epoch > 0")["epoch"].to_pylist():
            raise RestoreError(
                f"schema {schema!r} has a ledger, through epoch {epoch}. `millrace rebuild` makes the projections again"
                " beside it; to restore the ledger too, name an empty schema (MILLRACE_POSTGRES_DB_SCHEMA)"
            )

    def _restore(self, transaction: Transaction, log: LogFiles, logged: Logged) -> Restored:
        parts = logged.parts()
        ends = {(part.topic, part.partition): part.until_offset for part in parts}
        starting_offsets(self._kafka, _by_topic(ends))  # raises where the stream could not go on
        held = beginnings(self._kafka, ends)
        first = {place: min(offset, held[place]) for place, offset in logged.first_offsets().items()}
        quarantined = self._read_again(logged, _still_held(logged.find_holes(first), held))
        duplicates = logged.duplicates()
        entries = lines(
            parts,
            first,
            _counted(duplicates, quarantined),
            last_epoch=log.epoch,
            allowed_lateness=timedelta(seconds=self._shop.allowed_lateness_seconds),
            idle=timedelta(seconds=self._settings.partition_idle_seconds),
        )
        schema = self._store.schema
        transaction.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        definitions.prepare_ledger(transaction, schema, self._projections)
        create_tables(transaction, schema)
        # Nobody may write to the projections until they are made again.
        transaction.execute(
            f"DELETE FROM {definitions_table.name} WHERE name = ANY($1)",
            ([projection.name for projection in self._projections],),
        )
        transaction.append(schema, "duplicates", duplicates)
        transaction.append(schema, "quarantine", quarantined)
        newest_ms = max(part.log_ms for part in parts)
        for epoch, ids in logged.ids(newest_ms - 1000 * self._settings.dedupe_horizon_seconds):
            write_ids(transaction, epoch, ids)
        _write_entries(transaction, entries, log)
        unknown = _write_books(transaction, parts, first, duplicates, quarantined)
        return Restored(log.epoch, log.rows, duplicates.num_rows, quarantined.num_rows, unknown)

    def _read_again(self, logged: Logged, holes: list[Hole]) -> pa.Table:
        """Look into the holes. Returns the quarantined records in them, as rows of the table `quarantine`."""
        found = []
        total = sum(hole.until - hole.first for hole in holes)
        for ranges in spans(holes, _TOGETHER):
            found.append(logged.take(self._reader.read(ranges)))
            self._tell("read again", min(_TOGETHER * len(found), total), total)
        if not found:
            return pa.table({"epoch": pa.array([], pa.int64()), "topic": pa.array([], pa.string())})
        return pa.concat_tables(found).rename_columns({"quarantine": "reason"})


def _by_topic(places: dict[Partition, int]) -> Offsets:
    offsets: Offsets = {}
    for (topic, partition), offset in places.items():
        offsets.setdefault(topic, {})[partition] = offset
    return offsets


def _still_held(holes: list[Hole], held: dict[Partition, int]) -> list[Hole]:
    """The holes as far as Kafka has them."""
    cut = (Hole(hole.partition, max(hole.first, held[hole.partition]), hole.until) for hole in holes)
    return [hole for hole in cut if hole.first < hole.until]


def _counted(duplicates: pa.Table, quarantined: pa.Table) -> dict[int, Counter[str]]:
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for epoch, is_conflict in zip(duplicates["epoch"].to_pylist(), duplicates["conflict"].to_pylist(), strict=True):
        counts[epoch].update(duplicates=1, conflicts=int(is_conflict))
    for epoch in quarantined["epoch"].to_pylist():
        counts[epoch].update(quarantined=1)
    return counts


def _write_entries(transaction: Transaction, entries: pa.Table, log: LogFiles) -> None:
    """The lines and their sums. When each was committed is unknown: its newest record's time stands for that."""
    transaction.load("restored", entries)
    plain = ", ".join(name for name in COLUMNS.names if name not in ("offsets", "event_time_by_partition"))
    transaction.execute(
        f"INSERT INTO epochs (started_at, committed_at, offsets, event_time_by_partition, log_version, {plain})"
        " SELECT newest_log_time, newest_log_time, offsets::jsonb, event_time_by_partition::jsonb, $1,"
        f" {plain} FROM restored",
        (log.version,),
    )
    counts = COLUMNS.names[5:]
    sums = ", ".join(f"{name} = s.{name}" for name in counts)
    summed = ", ".join(f"sum({name})::bigint AS {name}" for name in counts)
    transaction.execute(
        f"UPDATE totals SET epoch = $1, log_epoch = $1, log_rows = $2, log_id = $3, {sums}"
        f" FROM (SELECT {summed} FROM restored) s",
        (log.epoch, log.rows, log.identity),
    )


def _write_books(transaction: Transaction, parts: list[Part], first: dict[Partition, int], *unapplied: pa.Table) -> int:
    """Where each partition's books begin and go on. Returns how many offsets of all have a fate that nobody knows."""
    records: Counter[Partition] = Counter()
    ends: dict[Partition, int] = {}
    for part in parts:
        records[part.topic, part.partition] += part.applied
        ends[part.topic, part.partition] = part.until_offset
    for table in unapplied:
        if table.num_rows:
            records.update(zip(table["topic"].to_pylist(), table["partition"].to_pylist(), strict=True))
    unknown = 0
    for (topic, partition), end in ends.items():
        known = records[topic, partition]
        lost = end - first[topic, partition] - known
        unknown += lost
        transaction.execute(
            "INSERT INTO books (topic, partition, first_offset, next_offset, records, unknown)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            (topic, partition, first[topic, partition], end, known, lost),
        )
    return unknown
