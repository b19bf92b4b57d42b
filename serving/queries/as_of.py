"""The newest epoch, which every number of a snapshot is as of; and one of history."""

from typing import Final

from sqlalchemy import Interval, func, literal, select, true

from contracts.rollups import HOUR, roll_ups
from contracts.tables import epochs, last_change, totals
from serving.queries import Statement

_SUMMED_UNTIL: Final = (
    select(roll_ups.c.starts_at + literal(HOUR, Interval))
    .where(roll_ups.c.grain == "hour", roll_ups.c.fine_gone)
    .order_by(roll_ups.c.starts_at.desc())
    .limit(1)
    .scalar_subquery()
)
_LINE: Final = (
    epochs.c.epoch,
    epochs.c.committed_at,
    epochs.c.watermark,
    epochs.c.newest_log_time,
    func.clock_timestamp().label("read_at"),
)
AS_OF: Final[Statement] = select(*_LINE, _SUMMED_UNTIL.label("summed_until")).order_by(epochs.c.epoch.desc()).limit(1)


STATE: Final[Statement] = (
    select(epochs.c.epoch, epochs.c.committed_at, last_change.c.token)
    .join_from(epochs, last_change, true())
    .order_by(epochs.c.epoch.desc())
    .limit(1)
)
"""Which state of the store a snapshot shows: another one after each transaction that changes what readers are told."""


def line_of(epoch: int) -> Statement:
    """The ledger's line of an epoch, with the newest epoch that the event log is known to have: `log_epoch`."""
    return select(*_LINE, totals.c.log_epoch).join_from(epochs, totals, true()).where(epochs.c.epoch == epoch)
