"""The Delta event log: every applied event, under the epoch that applied it.

Epochs are appended in order, several at a time (few, larger files), each append under the application transaction
(`millrace`, last epoch in it), so a repeated append is skipped by the log itself.
"""

from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError

from processing.log_description import DESCRIPTION, constrain, described
from processing.log_schema import add_missing_columns

APPLICATION: Final = "millrace"
_CONFIGURATION: Final = {
    "delta.checkpointInterval": "50",
    # Nobody asks for versions of long ago, and there are 17,000 a day; `compact` has files kept as long.
    "delta.logRetentionDuration": "interval 1 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
    "delta.appendOnly": "false",  # erasing a person deletes rows
}


@dataclass(frozen=True)
class Appended:
    """What an append did."""

    epoch: int
    version: int
    rows: int
    alone: bool = True
    """Whether nobody else has appended since the last append of ours."""


@dataclass
class EventLog:
    """The table `events` below `path`. Not thread-safe."""

    path: Path
    interval_seconds: float
    _pending: list[tuple[int, pa.Table]] = field(default_factory=list)
    _pending_since: float = 0.0
    _table: DeltaTable | None = None
    _held: int = 0
    """The last epoch that the table held after our own last append."""

    def open(self) -> int:
        """Create the table if it is not there; returns the last epoch it holds, 0 for none. Raises LogSchemaError."""
        location = str(self.path / "events")
        try:
            self._table = DeltaTable(location)
            add_missing_columns(self._table)
        except TableNotFoundError:
            self._table = DeltaTable.create(
                location,
                schema=described(),
                partition_by=["date"],
                name="events",
                description=DESCRIPTION,
                configuration=_CONFIGURATION,
            )
        constrain(self._table)
        self._pending.clear()
        self._held = self.last_epoch()
        return self._held

    @property
    def identity(self) -> str:
        """The id that the table was given when it was made."""
        return str(self._opened.metadata().id)

    def last_epoch(self) -> int:
        """The newest epoch that the table holds."""
        return int(self._opened.transaction_version(APPLICATION) or 0)

    def count_rows(self) -> int:
        """How many events the table holds, from its own metadata."""
        actions = pa.table(self._opened.get_add_actions(flatten=True))
        return sum(actions["num_records"].to_pylist())

    def add(self, epoch: int, events: pa.Table) -> None:
        """Take a committed epoch's events for the next append."""
        if not self._pending:
            self._pending_since = monotonic()
        self._pending.append((epoch, events))

    @property
    def waiting_rows(self) -> int:
        """How many events wait for the next append."""
        return sum(events.num_rows for _, events in self._pending)

    @property
    def is_due(self) -> bool:
        """Whether the oldest epoch waiting has waited for the interval."""
        return bool(self._pending) and monotonic() - self._pending_since >= self.interval_seconds

    def flush(self) -> Appended | None:
        """Append what waits, in one Delta commit; None if nothing waits that the table does not hold."""
        table = self._opened
        table.update_incremental()
        held = self.last_epoch()
        waiting = [(epoch, events) for epoch, events in self._pending if epoch > held]
        alone = held == self._held
        if waiting:
            self._held = last = waiting[-1][0]
            rows = pa.concat_tables([events for _, events in waiting])
            write_deltalake(
                table,
                rows,
                mode="append",
                commit_properties=CommitProperties(app_transactions=[Transaction(APPLICATION, last)]),
            )
        self._pending.clear()
        return Appended(last, table.version(), rows.num_rows, alone) if waiting else None

    @property
    def _opened(self) -> DeltaTable:
        if self._table is None:
            raise RuntimeError("the event log is used before it is opened")
        return self._table
