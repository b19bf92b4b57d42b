"""The newest epoch: what every number of a snapshot is as of."""

from typing import Final

from sqlalchemy import func, select

from contracts.tables import epochs
from serving.queries import Statement

AS_OF: Final[Statement] = (
    select(
        epochs.c.epoch,
        epochs.c.committed_at,
        epochs.c.watermark,
        epochs.c.newest_log_time,
        func.clock_timestamp().label("read_at"),
    )
    .order_by(epochs.c.epoch.desc())
    .limit(1)
)
