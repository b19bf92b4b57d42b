"""What was told as of an earlier commit: which commit is meant, and whether the event log can tell."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import strawberry
from sqlalchemy import Table

from serving.errors import InvalidArgument, TooLarge, Unavailable
from serving.queries import ResultRow, Statement
from serving.queries.as_of import line_of
from serving.queries.folded import Fold
from serving.queries.then import asked_then, columns_read
from serving.schema.context import Info
from serving.schema.scalars import Long
from serving.snapshot import EpochRow

AsOfEpoch = Annotated[
    Long | None,
    strawberry.argument(
        description="Tell what this was as of an earlier epoch, from the event log: what was answered then. Events of "
        "users erased since are in it no more. Without it, as of the newest commit."
    ),
]

AsOfCommit = Annotated[
    Long | None,
    strawberry.argument(
        description="Tell what this was as of an earlier epoch: what came with it and with those before it. Without "
        "it, as of the newest commit."
    ),
]


class Told(NamedTuple):
    """The commit that an answer is as of."""

    as_of: EpochRow | None
    past: bool
    """Whether it is an earlier one than the snapshot's: then the event log is asked, and not the tables."""

    @property
    def epoch(self) -> int:
        """Its number; 0 before the first."""
        return self.as_of.epoch if self.as_of is not None else 0

    @property
    def watermark(self) -> datetime | None:
        """Event time before which everything was final."""
        return self.as_of.watermark if self.as_of is not None else None


async def told_as_of(info: Info, epoch: int | None, argument: str = "asOf") -> Told:
    """The commit that the argument means.

    Raises:
        InvalidArgument: there is no such epoch.
        Unavailable: the event log does not have it yet.
    """
    newest = await info.context.snapshot.as_of()
    if epoch is None or (newest is not None and epoch == newest.epoch):
        return Told(newest, past=False)
    line, log_epoch = await line_in_ledger(info, epoch, argument)
    check_logged(epoch, log_epoch)
    return Told(line, past=True)


async def committed(info: Info, epoch: int | None) -> int | None:
    """The epoch that `asOf` means where rows are only ever added: it needs no event log.

    Raises:
        InvalidArgument: there is no such epoch.
    """
    return (await line_in_ledger(info, epoch, "asOf"))[0].epoch if epoch is not None else None


async def line_in_ledger(info: Info, epoch: int, argument: str) -> tuple[EpochRow, int]:
    """The ledger's line of an epoch, and the newest epoch that the event log is known to have.

    Raises:
        InvalidArgument: there is no such epoch.
    """
    newest = await info.context.snapshot.as_of()
    if newest is None or epoch > newest.epoch:
        there = f"the newest is {newest.epoch}" if newest is not None else "there is none yet"
        raise InvalidArgument(argument, f"there is no epoch {epoch}; {there}")
    if epoch < 1:
        raise InvalidArgument(argument, "epochs are counted from 1")
    rows = await info.context.snapshot.rows(line_of(epoch))
    if not rows:
        raise InvalidArgument(argument, f"the ledger does not have epoch {epoch} any more")
    (line,) = rows
    told = EpochRow(line.epoch, line.committed_at, line.watermark, line.newest_log_time, line.read_at)
    return told, line.log_epoch


def check_logged(epoch: int, log_epoch: int) -> None:
    """That the event log has the epoch. Raises Unavailable: it follows the commit by some seconds."""
    if epoch > log_epoch:
        raise Unavailable(
            f"The event log does not have epoch {epoch} yet, it is at {log_epoch}; it follows in seconds."
        )


async def rows_then(
    info: Info,
    told: Told,
    statement: Statement,
    folds: Sequence[Fold],
    *,
    empty: Sequence[Table] = (),
    values: Mapping[str, Any] | None = None,
) -> Sequence[ResultRow]:
    """The rows of a statement as of the commit: from the tables, or from what the folds say that these held then.

    Args:
        info: Of the root.
        told: The commit.
        statement: It may read tables of the folds, and of the empty ones.
        folds: Of one table several, where they have different rows of it.
        empty: Tables that are read as if they held nothing: what they sum up is of now.
        values: Of the statement's parameters.

    Raises:
        TooLarge: there are more rows in a fold than are folded for one answer.
        Unavailable: the event log cannot be read just now.
    """
    if not told.past:
        return await info.context.snapshot.rows(statement, values)
    held: dict[Table, list[str]] = {table: [] for table in empty}
    read = columns_read(statement)
    for fold in folds:
        held.setdefault(fold.table, []).append(await _folded(info, fold, read.get(fold.table, set()), told.epoch))
    assert read.keys() <= held.keys(), "else it would tell of now"
    asked = asked_then(statement, {table: ",".join(filter(None, rows)) for table, rows in held.items()})
    return await info.context.snapshot.rows(asked.statement, {**asked.values, **(values or {})})


async def _folded(info: Info, fold: Fold, columns: set[str], epoch: int) -> str:
    most = info.context.services.settings.max_folded_rows
    (found,) = await info.context.logged(fold.reading(columns, epoch, most))
    while found.open:
        fold = fold.wider()
        (found,) = await info.context.logged(fold.reading(columns, epoch, most))
    if found.number > most:
        raise TooLarge(
            fold.narrowed_by, f"more than {most} {fold.table.name} would be folded from the event log; ask for less"
        )
    rows: str = found.rows
    return rows
