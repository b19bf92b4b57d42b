"""What was refused: at the gateway (rejected) and in the log (quarantined)."""

from typing import Any

from sqlalchemy import ColumnElement, Select, Text, false, func, null, or_, select, union_all

from contracts.tables import quarantine, rejected_events
from serving.queries import Statement
from serving.queries.measures import within_span
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


def rejection_samples(span: Span, first: int, *, reason: str | None = None, source: str | None = None) -> Statement:
    """The newest events the gateway refused in the span, with what was sent; for a reason, of a source, or of any."""
    table = rejected_events
    statement = (
        select(
            table.c.rejection_id,
            table.c.received_at,
            table.c.source,
            table.c.reason,
            table.c.pointer,
            table.c.detail,
            table.c.content_type,
            table.c.event_id,
            table.c.raw,
            table.c.truncated,
        )
        .where(within_span(table.c.received_at, span))
        .order_by(table.c.received_at.desc(), table.c.topic, table.c.partition, table.c.offset.desc())
        .limit(first)
    )
    return _only(_only(statement, table.c.reason, reason), table.c.source, source)


def quarantine_samples(span: Span, first: int, *, reason: str | None = None) -> Statement:
    """The newest records quarantined in the span, for a reason or any, with what the log holds of them."""
    table = quarantine
    statement = (
        select(
            table.c.topic,
            table.c.partition,
            table.c.offset,
            table.c.epoch,
            table.c.log_time,
            table.c.reason,
            table.c.raw,
        )
        .where(within_span(table.c.log_time, span))
        .order_by(table.c.log_time.desc(), table.c.topic, table.c.partition, table.c.offset.desc())
        .limit(first)
    )
    return _only(statement, table.c.reason, reason)


def _only(statement: Statement, column: ColumnElement[str], value: str | None) -> Statement:
    return statement if value is None else statement.where(column == value)
