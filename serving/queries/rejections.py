"""What was refused: at the gateway (rejected) and in the log (quarantined)."""

from typing import Any

from sqlalchemy import ColumnElement, Select, Text, false, func, null, or_, select, union_all

from contracts.tables import quarantine, rejected_events
from serving.queries import Statement
from serving.queries.measures import within_span
from serving.queries.paging import Page, paged
from serving.windows import Span


def rejection_counts(span: Span, earlier: Span | None = None) -> Statement:
    """How many were refused in the span by reason and source, most first; a null source is the quarantine.

    With an `earlier` span how many were `before` as well, and what was refused only then, with a count of 0.
    """
    table = rejected_events.c
    both = union_all(
        _counts(table.received_at, table.reason, table.source, span, earlier),
        _counts(quarantine.c.log_time, quarantine.c.reason, null().cast(Text), span, earlier),
    ).subquery("refused")
    return select(*both.c).order_by(both.c.count.desc(), both.c.reason, both.c.source)


def _counts(
    time: ColumnElement[Any],
    reason: ColumnElement[Any],
    source: ColumnElement[Any],
    span: Span,
    earlier: Span | None,
) -> Select[Any]:
    now = within_span(time, span)
    then = within_span(time, earlier) if earlier is not None else false()
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


def rejection_samples(page: Page, span: Span, *, reason: str | None, source: str | None) -> Statement:
    """Events the gateway refused in the span, for a reason, of a source or any; with what was sent, newest first."""
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
    ).where(within_span(table.received_at, span))
    narrowed = _only(_only(statement, table.reason, reason), table.source, source)
    return paged(narrowed, (table.received_at, *_place(table)), page)


def quarantine_samples(page: Page, span: Span, *, reason: str | None) -> Statement:
    """Records quarantined in the span, for a reason or any, with what the log holds of them; newest first."""
    table = quarantine.c
    statement = select(*_place(table), table.epoch, table.log_time, table.reason, table.raw)
    narrowed = _only(statement.where(within_span(table.log_time, span)), table.reason, reason)
    return paged(narrowed, (table.log_time, *_place(table)), page)


def _place(columns: Any) -> tuple[ColumnElement[Any], ...]:
    return columns.topic, columns.partition, columns.offset


def _only(statement: Statement, column: ColumnElement[str], value: str | None) -> Statement:
    return statement if value is None else statement.where(column == value)
