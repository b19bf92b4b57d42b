"""What was refused: at the gateway (rejected) and in the log (quarantined)."""

from sqlalchemy import func, null, select, union_all

from contracts.tables import quarantine, rejected_events
from serving.queries import Statement
from serving.queries.measures import moment
from serving.windows import Span


def rejection_counts(span: Span) -> Statement:
    """How many were refused in the span by reason and source, most first; a null source is the quarantine."""
    rejected = (
        select(rejected_events.c.reason, rejected_events.c.source, func.count().label("count"))
        .where(rejected_events.c.received_at >= moment(span.start), rejected_events.c.received_at < moment(span.end))
        .group_by(rejected_events.c.reason, rejected_events.c.source)
    )
    quarantined = (
        select(quarantine.c.reason, null().label("source"), func.count().label("count"))
        .where(quarantine.c.log_time >= moment(span.start), quarantine.c.log_time < moment(span.end))
        .group_by(quarantine.c.reason)
    )
    both = union_all(rejected, quarantined).subquery("refused")
    return select(both.c.reason, both.c.source, both.c.count).order_by(
        both.c.count.desc(), both.c.reason, both.c.source
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
