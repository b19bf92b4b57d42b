"""A rebuild from beginning to end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final

from adbc_driver_manager import Error

from contracts.settings import PostgresSettings
from processing import definitions, failpoints, gate, ledger
from processing.errors import AnotherProcessorError, LogAheadError
from processing.log_files import LogFiles
from processing.projection import Projection
from processing.rebuild.differences import Difference, compare
from processing.rebuild.folding import Folding, Tell
from processing.rebuild.plan import Plan, RebuildError
from processing.rebuild.roll_ups import RollUpsBeside
from processing.rebuild.shadow import Shadow
from processing.rebuild.swap import BusyError, await_older_snapshots, change_places, is_lock_timeout, replace_rows
from processing.reread import EpochReader
from processing.scratch import scratch
from processing.store import Store, Transaction, one_transaction, table_names

LOADED: Final = "rebuild:loaded"
COMPARED: Final = "rebuild:compared"
FOLDED_REST: Final = "rebuild:folded_rest"
SWAPPING: Final = "rebuild:swapping"
"""Failpoints."""

_SHUT_PATIENCE_SECONDS: Final = 30.0
_SWAP_PATIENCE_SECONDS: Final = 5.0
_TRIES: Final = 12
_PAUSE_SECONDS: Final = 5.0


@dataclass
class Result:
    """What a rebuild found and did."""

    differences: list[Difference] = field(default_factory=list)
    compared_epoch: int = 0
    """The live tables were compared as of this epoch."""
    swapped_epoch: int | None = None
    """The epoch as of which the new tables took the place of the live ones; None if they did not."""
    events: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """By step. `paused`: how long the stream was held back."""


class Rebuild:
    """One rebuild. `folder` is scratch space, emptied before and after; `projections` are all that there are."""

    def __init__(
        self,
        postgres: PostgresSettings,
        log_path: Path,
        folder: Path,
        *,
        projections: tuple[Projection, ...],
        plan: Plan,
        reader: EpochReader,
        tell: Tell,
    ) -> None:
        self._postgres = postgres
        self._live = postgres.db_schema
        self._log_path = log_path
        self._folder = folder
        self._plan = plan
        self._all = projections
        self._reader = reader
        self._tell = tell
        self._shadow = Shadow(postgres, plan.projections)
        self._roll_ups = RollUpsBeside(plan)
        self._result = Result()
        self._erased = 0
        self._writer: Store | None = None
        """Holds the stream's lock, where the stream must not run."""

    def run(self) -> Result:
        """Rebuild, compare and, if the plan says so, swap.

        Raises RebuildError, LogUnreadableError, RetryableError, LogGapError or an error of Postgres, with the live
        tables as they were.
        """
        comparable = self._prepare()
        try:
            self._shadow.make()
            with scratch(self._folder) as folder:
                folding = Folding(self._log_path, folder, self._plan, self._shadow, self._reader)
                with self._step("fold"):
                    folding.fold_log(self._tell)
                failpoints.at(LOADED)
                with self._step("catch up"):
                    folding.catch_up(self._tell)
                with self._step("compare"):
                    self._compare(folding, comparable)
                failpoints.at(COMPARED)
                if self._plan.swap:
                    with self._step("swap"):
                        self._swap(folding)
                self._result.events = folding.events
        finally:
            self._leave()
        return self._result

    def _prepare(self) -> set[str]:
        """See that the ledger is this version's. Returns the projections whose live tables hold what this one makes."""
        names = {projection.name for projection in self._plan.projections}
        log = LogFiles.of(self._log_path)  # looked at before the ledger, which is never behind it
        with one_transaction(self._postgres, self._live) as transaction:
            there = table_names(transaction, self._live)
            if "totals" not in there:
                if log.epoch:
                    raise LogAheadError(log.epoch, 0)
                raise RebuildError(f"there is no store in schema {self._live!r}: processing makes it when it starts")
            stale = names & set(definitions.prepare_ledger(transaction, self._live, self._all))
            ledger.check_log(transaction, log.identity, log.epoch)
            self._roll_ups.check(transaction, stale)
            self._erased = _erased(transaction)
        if stale:
            if self._plan.span:
                raise RebuildError(f"{', '.join(sorted(stale))} must be rebuilt whole: another definition made them")
            # Nobody may write by the old definitions any more.
            self._writer = Store(self._postgres)
            with self._writer.transaction():
                pass
        return names & there - stale

    def _compare(self, folding: Folding, comparable: set[str]) -> None:
        """Compare in one snapshot, in which shadow and live tables are of the same epoch while the stream goes on."""
        with self._shadow.transaction(snapshot=True) as transaction:
            self._check_erased(transaction)
            folding.fold_rest(transaction)
            transaction.execute("SAVEPOINT folded")
            self._roll_ups.drop_again(transaction, for_comparison=True)
            for number, projection in enumerate(self._plan.projections):
                self._tell("compare", number, len(self._plan.projections))
                rows, known = self._plan.rows(projection), projection.name in comparable
                self._result.differences.append(
                    compare(transaction, self._live, self._shadow.schema, projection, rows, comparable=known)
                )
            transaction.execute("ROLLBACK TO SAVEPOINT folded")
        self._tell("compare", len(self._plan.projections), len(self._plan.projections))
        self._result.compared_epoch = folding.epoch

    def _swap(self, folding: Folding) -> None:
        """Swap at a moment when nobody is in the way."""
        reason = ""
        for attempt in range(_TRIES):
            self._tell("swap", attempt, _TRIES)
            folding.catch_up(self._tell)
            begun = perf_counter()
            try:
                with one_transaction(self._postgres, self._live) as transaction:
                    gate.shut(transaction, _SHUT_PATIENCE_SECONDS)
                    self._swap_behind_the_gate(transaction, folding)
            except BusyError as error:
                reason = str(error)
            except Error as error:
                if not is_lock_timeout(error):
                    raise
                reason = "an epoch took too long"
            else:
                self._result.swapped_epoch = folding.epoch
                self._result.seconds["paused"] = perf_counter() - begun
                self._tell("swap", _TRIES, _TRIES)
                return
            time.sleep(_PAUSE_SECONDS)
        raise RebuildError(f"the live tables are as they were, because they were never free: {reason}")

    def _swap_behind_the_gate(self, transaction: Transaction, folding: Folding) -> None:
        with self._shadow.transaction() as rest:
            self._check_erased(rest)
            folding.fold_rest(rest)
            self._roll_ups.drop_again(rest, for_comparison=False)
        failpoints.at(FOLDED_REST)
        if self._plan.span:
            replace_rows(transaction, self._live, self._shadow.schema, self._plan)
        else:
            await_older_snapshots(transaction, _SWAP_PATIENCE_SECONDS)
            change_places(transaction, self._live, self._shadow.schema, self._plan, _SWAP_PATIENCE_SECONDS)
        self._roll_ups.make_again(transaction)
        ledger.tell_change(transaction)
        failpoints.at(SWAPPING)

    def _check_erased(self, transaction: Transaction) -> None:
        if _erased(transaction) != self._erased:
            raise RebuildError("a user was erased in the meantime, whose events are folded in already; run it again")

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        begun = perf_counter()
        try:
            yield
        finally:
            self._result.seconds[name] = perf_counter() - begun

    def _leave(self) -> None:
        """Remove what is left of the shadow tables. What cannot be removed now is removed by the next rebuild."""
        with suppress(Error, AnotherProcessorError):
            self._shadow.drop()
        self._shadow.close()
        if self._writer is not None:
            self._writer.close()


def _erased(transaction: Transaction) -> int:
    (erased,) = transaction.query("SELECT erased FROM totals")["erased"].to_pylist()
    return int(erased)
