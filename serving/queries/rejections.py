"""What was refused: at the gateway (rejected) and in the log (quarantined)."""

from typing import Any

from sqlalchemy import ColumnElement, Select, Text, false, func, null, or_, select, union_all

from contracts.tables import quarantine, rejected_events
from serving.queries import Statement
from serving.queries.measures import moment, within_span
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


def rejection_samples(span: Span, first: int) -> Statement:
    """The newest events the gateway refused in the span, with what was sent."""
    table = rejected_events
    return (
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
        .where(table.c.received_at >= moment(span.start), table.c.received_at < moment(span.end))
        .order_by(table.c.received_at.desc(), table.c.topic, table.c.partition, table.c.offset.desc())
        .limit(first)
    )


def quarantine_samples(span: Span, first: int) -> Statement:
    """The newest records quarantined in the span, with what the log holds of them."""
    table = quarantine
    return (
        select(
            table.c.topic,
            table.c.partition,
            table.c.offset,
            table.c.epoch,
            table.c.log_time,
            table.c.reason,
            table.c.raw,
        )
        .where(table.c.log_time >= moment(span.start), table.c.log_time < moment(span.end))
        .order_by(table.c.log_time.desc(), table.c.topic, table.c.partition, table.c.offset.desc())
        .limit(first)
    )
