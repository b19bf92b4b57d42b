"""Root about sessions as numbers: how many bounce, and how long they last."""

from datetime import timedelta
from typing import Annotated

import strawberry

from contracts.rollups import roll_ups, session_hours
from serving.queries import folded
from serving.queries.session_metrics import Asked
from serving.queries.session_metrics import session_metrics as session_metrics_sql
from serving.queries.sessions import completed_by
from serving.queries.visits import Visits
from serving.schema.common import BotFilter, Bots, Range, is_final, page_size
from serving.schema.comparison import Columns, CompareWith, row_before
from serving.schema.context import Info
from serving.schema.funnel import BREAKDOWNS, FunnelBreakdown
from serving.schema.history import AsOfEpoch, rows_then, told_as_of
from serving.schema.narrowing import CategoryOfVisit, Device, Medium, Source
from serving.schema.scalars import Long


@strawberry.type(description="Some of the sessions, summed up.")
class SessionSegment:
    segment: str | None = strawberry.field(
        description="By what the breakdown tells them apart; null without one, and for sessions that do not say."
    )
    sessions: Long = strawberry.field(description="How many they are.")
    bounces: Long = strawberry.field(description="Those of exactly one event.")
    bounce_rate: float | None = strawberry.field(
        description="`bounces` by `sessions`: 0 to 1; null where there is none."
    )
    events: Long = strawberry.field(description="Events in them.")
    events_per_session: float | None = strawberry.field(
        description="`events` by `sessions`; null where there is no session."
    )
    mean_duration: timedelta | None = strawberry.field(
        description="Mean time from the first event to the last, bounces as zero; null where there is no session."
    )
    previous: "SessionSegment | None" = strawberry.field(
        description="The same segment in the earlier period; null without `compareWith`, and where it had no session."
    )


@strawberry.type(description="The sessions that started in a range, summed up.")
class SessionMetrics:
    is_final: bool = strawberry.field(
        description="Whether the watermark has passed the range and every session in it is completed."
    )
    segments: list[SessionSegment] = strawberry.field(
        description="Most sessions first. Without a breakdown, exactly one."
    )


async def session_metrics(
    info: Info,
    range: Range,
    *,
    breakdown: Annotated[
        FunnelBreakdown, strawberry.argument(description="What sessions are told apart by.")
    ] = FunnelBreakdown.NONE,
    compare_with: CompareWith = None,
    device: Device = None,
    medium: Medium = None,
    source: Source = None,
    category: CategoryOfVisit = None,
    bots: Bots = BotFilter.EXCLUDE,
    first: Annotated[int, strawberry.argument(description="Most segments wanted: those with most sessions.")] = 20,
    as_of: AsOfEpoch = None,
) -> SessionMetrics:
    """Reads hours that are summed up, and the sessions that began in others."""
    span, most, gap = range.span(), page_size("first", first, info), info.context.services.session_gap
    told = await told_as_of(info, as_of)
    earlier = compare_with.span(span) if compare_with is not None else None
    asked = Asked(
        span,
        Visits(None, bots.bot, device, medium, source, category),
        BREAKDOWNS[breakdown],
        completed_by(told.watermark, gap),
        most,
        earlier,
    )
    folds = folded.sessions([span, earlier or span], gap)
    rows = [
        row._mapping
        for row in await rows_then(info, told, session_metrics_sql(asked), folds, empty=(roll_ups, session_hours))
    ]
    active = any(row["active"] for row in rows)
    return SessionMetrics(
        is_final=is_final(span.end, told.as_of) and not active,
        segments=[_segment(row, row_before(row, "sessions")) for row in rows],
    )


def _segment(told: Columns, before: Columns | None) -> SessionSegment:
    sessions, lasted = told["sessions"], timedelta(milliseconds=told["duration_ms"])
    return SessionSegment(
        segment=told["segment"],
        sessions=sessions,
        bounces=told["bounces"],
        bounce_rate=told["bounces"] / sessions if sessions else None,
        events=told["events"],
        events_per_session=told["events"] / sessions if sessions else None,
        mean_duration=lasted / sessions if sessions else None,
        previous=_segment(before, None) if before is not None and before["sessions"] else None,
    )
