"""The event log folded into the shadow tables: first all of it in bulk, then what has come since like epochs.

In bulk no row is read back from Postgres: deltas are put aside in parts (`processing.rebuild.parts`), each part is
combined once, and what comes of it is final and copied into tables without keys, which get those at the end.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import pyarrow as pa

from processing import ledger
from processing.arrow_types import typed
from processing.batch import EVENT_LOG
from processing.deltas import TOGETHER, DuckDeltas, columns_of
from processing.duck import Duck
from processing.handover import Handover
from processing.log_files import LogFiles, batches, open_duck
from processing.merge import fold_in
from processing.rebuild.parts import Parts
from processing.rebuild.plan import Plan
from processing.rebuild.shadow import Shadow
from processing.reread import EpochReader
from processing.slices import sliced
from processing.store import Transaction

Tell: TypeAlias = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

_TOGETHER: Final = 500_000
"""Events whose deltas are computed at a time: about 1 GB of memory."""
_PART: Final = 1_500_000
"""Events per part, on average."""
_CAUGHT_UP: Final = 20_000
"""So few events may be left to those who hold everyone else back."""
_MEMORY: Final = "1GB"


class Folding:
    """Fills shadow tables. Not thread-safe, and for one rebuild."""

    def __init__(self, log_path: Path, folder: Path, plan: Plan, shadow: Shadow, reader: EpochReader) -> None:
        self._log_path = log_path
        self._folder = folder
        self._plan = plan
        self._shadow = shadow
        self._reader = reader
        self._engine = DuckDeltas()
        self._duck = Duck()
        needed = columns_of(plan.projections) | set(re.findall(r"\w+", plan.events)) | {"epoch"}
        self._columns = tuple(name for name in EVENT_LOG.names if name in needed)
        self.epoch = 0
        """The shadow tables hold every epoch through this one."""
        self.events = 0
        """How many events were folded in."""

    def fold_log(self, tell: Tell) -> None:
        """Fold all that the log holds now into empty shadow tables."""
        log = LogFiles.of(self._log_path)
        parts = Parts(self._folder, 1 + log.rows // _PART)
        for events in self._events(log, "true"):
            for projection, delta in self._engine.deltas(events, self._plan.projections):
                parts.add(projection, delta)
            self.events += events.num_rows
            tell("fold", self.events, log.rows)
        loading = Handover()
        try:
            for number, projection in enumerate(self._plan.projections):
                tell("load", number, len(self._plan.projections))
                for part in parts.take(projection):
                    for rows in sliced(self._duck, part, projection.fold.common, 1 + part.num_rows // TOGETHER):
                        final = typed(projection.fold.combine(rows), projection.table)
                        loading.put(self._shadow.load, projection, final)
                loading.put(self._shadow.complete, projection)
        finally:
            loading.close()
        if loading.failure is not None:
            raise loading.failure
        tell("load", len(self._plan.projections), len(self._plan.projections))
        self.epoch = log.epoch

    def catch_up(self, tell: Tell) -> None:
        """Fold what the log got in the meantime, until there is little left of it."""
        while True:
            before, log = self.events, LogFiles.of(self._log_path)
            for events in self._events(log.after(self.epoch), f"epoch > {self.epoch}"):
                with self._shadow.transaction() as transaction:
                    self._fold(transaction, events)
                tell("catch up", log.epoch, log.epoch)
            self.epoch = max(self.epoch, log.epoch)  # what was folded from Kafka is perhaps not in the log yet
            if self.events - before <= _CAUGHT_UP:
                return

    def fold_rest(self, transaction: Transaction) -> None:
        """Fold every epoch that the transaction sees in the ledger: from the log, and from Kafka what it lacks yet.

        Raises LogGapError where Kafka no longer has the records, RetryableError while the broker does not answer.
        """
        last = ledger.read_position(transaction).epoch
        log = LogFiles.of(self._log_path)
        held = max(log.epoch, self.epoch)
        parts = list(self._events(log.after(self.epoch), f"epoch > {self.epoch} AND epoch <= {last}"))
        for _, events in self._reader.epochs_after(transaction, held):
            parts.append(self._duck.query(f"SELECT * FROM events WHERE {self._plan.events}", events=events))
        parts = [part.select(list(self._columns)) for part in parts if part.num_rows]
        if parts:
            self._fold(transaction, pa.concat_tables(parts, promote_options="default"))
        self.epoch = last

    def _events(self, log: LogFiles, where: str) -> Iterator[pa.Table]:
        """Events of the plan in the log's files, so many at a time."""
        with open_duck(self._folder / "reading", threads=2, memory=_MEMORY) as duck:
            log.open_in(duck, "log")
            yield from batches(duck, "log", self._columns, f"({where}) AND ({self._plan.events})", _TOGETHER)

    def _fold(self, transaction: Transaction, events: pa.Table) -> None:
        """Fold events as the stream folds an epoch. Once per transaction."""
        for projection, delta in self._engine.deltas(events, self._plan.projections):
            fold_in(transaction, projection, delta)
        self.events += events.num_rows
