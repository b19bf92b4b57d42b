"""An erasure from beginning to end. Every step can be repeated, and `erased_users` knows of one that is not done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from contracts.settings import PostgresSettings
from processing import failpoints, gate, ledger
from processing.erase import payloads, receipt, scopes
from processing.erase.remaking import Remaking, Replaced
from processing.erase.scopes import Touched
from processing.errors import ProcessingError
from processing.event_log import EventLog
from processing.log_files import LogFiles, open_duck
from processing.projection import Projection
from processing.reread import EpochReader
from processing.results import ResultsPublisher
from processing.scratch import scratch
from processing.store import Transaction, connect, one_transaction

BLOCKED: Final = "erase:blocked"
DELETED: Final = "erase:deleted"
MADE_AGAIN: Final = "erase:made_again"
COMMITTED: Final = "erase:committed"
VACUUMED: Final = "erase:vacuumed"
"""Failpoints."""

_PATIENCE_SECONDS: Final = 60.0
_TRIES: Final = 10
_MEMORY: Final = "1GB"


class EraseError(ProcessingError):
    """The erasure is not done. What it has done already stays done; the message says what is left to do."""


@dataclass
class Outline:
    """What an erasure would take."""

    events: int = 0
    """In the event log."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows of cells that would be made again without the person, or not at all; and payloads blanked."""
    blocked: bool = False
    """The person was erased before."""


class Erasure:
    """Erasures of one store. `folder` is scratch space, emptied before and after."""

    def __init__(
        self,
        postgres: PostgresSettings,
        log_path: Path,
        folder: Path,
        *,
        projections: tuple[Projection, ...],
        reader: EpochReader,
        results: ResultsPublisher | None,
        dedupe_horizon_seconds: int,
        tell: Callable[[str, int, int], None],
    ) -> None:
        scopes.check(projections)
        self._postgres = postgres
        self._log_path = log_path
        self._folder = folder
        self._projections = projections
        self._reader = reader
        self._results = results
        self._horizon = dedupe_horizon_seconds
        self._tell = tell

    def outline(self, user_id: str) -> Outline:
        """What would go. Changes nothing."""
        with scratch(self._folder), one_transaction(self._postgres, self._postgres.db_schema) as transaction:
            events, touched = self._find(LogFiles.of(self._log_path), user_id)
            rows = {}
            for scope in scopes.SCOPES:
                staged = f"outlined_{scope.name}"
                transaction.load(staged, pa.table({"cell": scopes.cells(scope, touched)}))
                for name in scope.projections:
                    sql = f"SELECT count(*) AS n FROM {name} WHERE {scope.column} IN (SELECT cell FROM {staged})"
                    rows[name] = transaction.query(sql)["n"][0].as_py()
            rows |= payloads.count(transaction, user_id)
            return Outline(events.num_rows, rows, receipt.is_known(transaction, user_id))

    def run(self, user_id: str) -> dict[str, Any]:
        """Erase, or end what an earlier run began; returns the receipt.

        Raises EraseError, LogUnreadableError, RetryableError, LogGapError or an error of Postgres; run it again then.
        """
        with self._alone(), scratch(self._folder):
            done = self._done_before(user_id)
            if done is not None:
                return done
            self._tell("block", 0, 5)
            epoch, touched = self._block(user_id)
            failpoints.at(BLOCKED)
            self._tell("event log", 1, 5)
            versions = self._delete_events(user_id, epoch)
            failpoints.at(DELETED)
            self._tell("tables", 2, 5)
            with one_transaction(self._postgres, self._postgres.db_schema) as transaction:
                receipt.note(transaction, user_id, {"blanked": payloads.blank(transaction, user_id)})
            replaced = self._make_again(user_id, touched)
            failpoints.at(COMMITTED)
            if self._results is not None:
                self._results.publish(replaced.epoch, replaced.merged)
            self._tell("files", 3, 5)
            files = self._vacuum()
            failpoints.at(VACUUMED)
            self._tell("receipt", 4, 5)
            with one_transaction(self._postgres, self._postgres.db_schema) as transaction:
                return receipt.close(transaction, user_id, versions | {"files_deleted": files}, self._horizon)

    def _done_before(self, user_id: str) -> dict[str, Any] | None:
        """The receipt of an erasure that left nothing to do."""
        events, _ = self._find(LogFiles.of(self._log_path), user_id)
        with one_transaction(self._postgres, self._postgres.db_schema) as transaction:
            return None if events.num_rows else receipt.closed(transaction, user_id)

    def _block(self, user_id: str) -> tuple[int, Touched]:
        """Let no further event of the person in, and bring the event log up to here. Returns epoch and cells.

        What the cells are is written down: once the events are deleted, nothing else could tell.
        """
        before = LogFiles.of(self._log_path)
        events, touched = self._find(before, user_id)
        with one_transaction(self._postgres, self._postgres.db_schema) as transaction:
            gate.shut(transaction, _PATIENCE_SECONDS)
            epoch = self._complete_log(transaction)
            later, more = self._find(LogFiles.of(self._log_path).after(before.epoch), user_id)
            events = pa.concat_tables([events, later])
            touched = scopes.united(touched, more, receipt.unfinished(transaction, user_id))
            receipt.begin(transaction, user_id, touched)
            copies = payloads.blank_duplicates(transaction, events)
            receipt.note(transaction, user_id, {"blanked": {"duplicates": copies}})
        return epoch, touched

    def _complete_log(self, transaction: Transaction) -> int:
        """With the gate shut: append what the log lacks, state what it holds. Returns the last epoch of both."""
        log = EventLog(self._log_path, 0.0)
        held, position = log.open(), ledger.read_position(transaction)
        ledger.check_log(transaction, log.identity, held)
        for epoch, events in self._reader.epochs_after(transaction, held):
            log.add(epoch, events)
        appended = log.flush()
        if appended is not None:
            ledger.note_log(transaction, appended.epoch, appended.version, 0)
        ledger.set_log(transaction, log.last_epoch(), log.count_rows())
        return position.epoch

    def _delete_events(self, user_id: str, epoch: int) -> dict[str, int]:
        """Rewrite the log's files without the person. Later epochs have none of their events, and do not conflict."""
        table = DeltaTable(str(self._log_path / "events"))
        before = table.version()
        quoted = user_id.replace("'", "''")
        for attempt in range(_TRIES):
            try:
                table.delete(f"user_id = '{quoted}' AND epoch <= {epoch}")
                break
            except CommitFailedError as error:  # somebody rewrote the same files
                if attempt == _TRIES - 1:
                    raise EraseError("the event log's files are being rewritten by another; run it again") from error
                table = DeltaTable(str(self._log_path / "events"))
        left, _ = self._find(LogFiles.of(self._log_path), user_id)
        if left.num_rows:
            raise EraseError(f"{left.num_rows} events are still in the log after they were deleted; run it again")
        return {"version_before": before, "version_after": table.version()}

    def _make_again(self, user_id: str, touched: Touched) -> Replaced:
        for _ in range(_TRIES):
            remaking = Remaking(
                self._postgres, self._log_path, self._folder, self._projections, user_id=user_id, touched=touched
            )
            remaking.fold_log()
            with one_transaction(self._postgres, self._postgres.db_schema) as transaction:
                gate.shut(transaction, _PATIENCE_SECONDS)
                self._complete_log(transaction)
                if not remaking.still_holds(transaction):
                    continue
                replaced = remaking.replace(transaction)
                receipt.note(transaction, user_id, {"epoch": str(replaced.epoch), "events": replaced.events})
                receipt.note(transaction, user_id, {"rows": replaced.gone, "made_again": replaced.written})
                failpoints.at(MADE_AGAIN)
            return replaced
        raise EraseError("minutes were dropped while they were made again; run it again")

    def _vacuum(self) -> int:
        """Delete the files that no longer belong to the log: the person's events are in some of them."""
        table = DeltaTable(str(self._log_path / "events"))
        return len(table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False))

    def _find(self, files: LogFiles, user_id: str) -> tuple[pa.Table, Touched]:
        """The person's events (topic, event_id) in these files of the log, and the cells that they are in."""
        with open_duck(self._folder / "finding", threads=2, memory=_MEMORY) as duck:
            files.open_in(duck, "log")
            sql = "SELECT topic, event_id FROM log WHERE user_id = $user"
            events = duck.sql(sql, params={"user": user_id}).to_arrow_table()
            return events, scopes.touched_in(duck, "log", user_id)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One erasure at a time per store: the connection holds a lock."""
        connection = connect(self._postgres, self._postgres.db_schema)
        try:
            with connection.cursor() as cursor:
                name = f"millrace-erase:{self._postgres.db_schema}"
                cursor.execute("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", parameters=(name,))
                (granted,) = cursor.fetchone()
            connection.commit()
            if not granted:
                raise EraseError("another erasure is running on this store; wait for it")
            yield
        finally:
            connection.close()
