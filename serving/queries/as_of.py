"""The newest epoch, which every number of a snapshot is as of; whether it still is that one; and one of history."""

from functools import lru_cache
from typing import Final

from sqlalchemy import BigInteger, Interval, Text, bindparam, func, literal, select, true

from contracts.rollups import HOUR, roll_ups
from contracts.tables import epochs, last_change, totals
from serving.queries import KEPT_STATEMENTS, Statement
from serving.queries.measures import given_moment

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
AS_OF: Final[Statement] = (
    select(*_LINE, _SUMMED_UNTIL.label("summed_until"), last_change.c.token)
    .join_from(epochs, last_change, true())
    .order_by(epochs.c.epoch.desc())
    .limit(1)
)
_AS_KNOWN: Final = (
    select(
        (epochs.c.epoch == bindparam("known_epoch", type_=BigInteger))
        & (epochs.c.committed_at == given_moment("known_committed_at"))
        & (select(last_change.c.token).scalar_subquery() == bindparam("known_token", type_=Text))
    )
    .order_by(epochs.c.epoch.desc())
    .limit(1)
    .scalar_subquery()
    .correlate(None)
)


@lru_cache(KEPT_STATEMENTS)
def proving(statement: Statement) -> Statement:
    """The statement, each row of which also says `as_known`: whether what it reads is of the state that is given.

    Takes the parameters `known_epoch`, `known_committed_at` and `known_token`.
    """
    return statement.add_columns(_AS_KNOWN.label("as_known"))


def line_of(epoch: int) -> Statement:
    """The ledger's line of an epoch, with the newest epoch that the event log is known to have: `log_epoch`."""
    return select(*_LINE, totals.c.log_epoch).join_from(epochs, totals, true()).where(epochs.c.epoch == epoch)
