"""What was refused: at the gateway (rejected) and in the log (quarantined)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, false, func, null, or_, select, true, union_all

from contracts.tables import quarantine, rejected_events
from serving.queries import Statement
from serving.queries.measures import within_span
from serving.queries.paging import Page, paged
from serving.windows import Span


@dataclass(frozen=True)
class Refused:
    """What was refused in a span, and read with the epochs up to one; None for the newest."""

    span: Span
    through: int | None = None

    def conditions(self, time: ColumnElement[datetime], epoch: ColumnElement[int]) -> ColumnElement[bool]:
        """That a row of these columns is of it."""
        return within_span(time, self.span) & (epoch <= self.through if self.through is not None else true())


def rejection_counts(which: Refused, earlier: Refused | None = None) -> Statement:
    """How many were refused by reason and source, most first; a null source is the quarantine.

    With `earlier` ones how many were `before` as well, and what was refused only then, with a count of 0.
    """
    table = rejected_events.c
    both = union_all(
        _counts((table.received_at, table.epoch), table.reason, table.source, which, earlier),
        _counts((quarantine.c.log_time, quarantine.c.epoch), quarantine.c.reason, null().cast(Text), which, earlier),
    ).subquery("refused")
    return select(*both.c).order_by(both.c.count.desc(), both.c.reason, both.c.source)


def _counts(
    time_and_epoch: tuple[ColumnElement[datetime], ColumnElement[int]],
    reason: ColumnElement[Any],
    source: ColumnElement[Any],
    which: Refused,
    earlier: Refused | None,
) -> Select[Any]:
    now = which.conditions(*time_and_epoch)
    then = earlier.conditions(*time_and_epoch) if earlier is not None else false()
    return (
        select(
            reason.label("reason"),
            source.label("source"),
            func.count().filter(now).label("count"),
            func.count().filter(then).label("before"),
        )
        .where(or_(now, then))
        .group_by(reason, source)
    )


def rejection_samples(page: Page, which: Refused, *, reason: str | None, source: str | None) -> Statement:
    """Events the gateway refused, for a reason, of a source or any; with what was sent, newest first."""
    table = rejected_events.c
    statement = select(
        *_place(table),
        table.rejection_id,
        table.received_at,
        table.source,
        table.reason,
        table.pointer,
        table.detail,
        table.content_type,
        table.event_id,
        table.raw,
        table.truncated,
    ).where(which.conditions(table.received_at, table.epoch))
    narrowed = _only(_only(statement, table.reason, reason), table.source, source)
    return paged(narrowed, (table.received_at, *_place(table)), page)


def quarantine_samples(page: Page, which: Refused, *, reason: str | None) -> Statement:
    """Quarantined records, for a reason or any, with what the log holds of them; newest first."""
    table = quarantine.c
    statement = select(*_place(table), table.epoch, table.log_time, table.reason, table.raw)
    narrowed = _only(statement.where(which.conditions(table.log_time, table.epoch)), table.reason, reason)
    return paged(narrowed, (table.log_time, *_place(table)), page)


def _place(columns: Any) -> tuple[ColumnElement[Any], ...]:
    return columns.topic, columns.partition, columns.offset


def _only(statement: Statement, column: ColumnElement[str], value: str | None) -> Statement:
    return statement if value is None else statement.where(column == value)
