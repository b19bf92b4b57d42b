"""What was told as of an earlier commit: which commit is meant, and whether the event log can tell."""

from datetime import datetime
from typing import Annotated, NamedTuple

import strawberry

from serving.database import EpochRow
from serving.errors import InvalidArgument, Unavailable
from serving.queries.as_of import line_of
from serving.schema.context import Info
from serving.schema.scalars import Long

AsOfEpoch = Annotated[
    Long | None,
    strawberry.argument(
        description="Tell what this was as of an earlier epoch, from the event log: what was answered then. Events of "
        "users erased since are in it no more. Without it, as of the newest commit."
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
    told = dict(rows[0]._mapping)
    log_epoch: int = told.pop("log_epoch")
    return EpochRow(**told), log_epoch


def check_logged(epoch: int, log_epoch: int) -> None:
    """That the event log has the epoch. Raises Unavailable: it follows the commit by some seconds."""
    if epoch > log_epoch:
        raise Unavailable(
            f"The event log does not have epoch {epoch} yet, it is at {log_epoch}; it follows in seconds."
        )
