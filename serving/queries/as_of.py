"""The newest epoch: what every number of a snapshot is as of."""

from typing import Final

from sqlalchemy import Interval, func, literal, select

from contracts.rollups import HOUR, roll_ups
from contracts.tables import epochs
from serving.queries import Statement

_SUMMED_UNTIL: Final = (
    select(roll_ups.c.starts_at + literal(HOUR, Interval))
    .where(roll_ups.c.grain == "hour", roll_ups.c.fine_gone)
    .order_by(roll_ups.c.starts_at.desc())
    .limit(1)
    .scalar_subquery()
)
AS_OF: Final[Statement] = (
    select(
        epochs.c.epoch,
        epochs.c.committed_at,
        epochs.c.watermark,
        epochs.c.newest_log_time,
        func.clock_timestamp().label("read_at"),
        _SUMMED_UNTIL.label("summed_until"),
    )
    .order_by(epochs.c.epoch.desc())
    .limit(1)
)
