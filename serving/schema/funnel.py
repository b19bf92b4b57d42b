"""Root about the funnel: how far sessions get on their way to a purchase."""

from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from typing import Annotated

import strawberry

from serving.errors import InvalidArgument, TooLarge
from serving.queries import ResultRow, folded
from serving.queries.funnel import Asked, Breakdown
from serving.queries.funnel import funnel as funnel_sql
from serving.queries.sessions import completed_by
from serving.queries.visits import Visits
from serving.schema.common import BotFilter, Bots, Range, is_final, page_size
from serving.schema.comparison import CompareWith
from serving.schema.context import Info
from serving.schema.history import AsOfEpoch, rows_then, told_as_of
from serving.schema.narrowing import CategoryOfVisit, Device, Medium, ProductOfVisit, Source
from serving.schema.scalars import Long

MAX_STEPS = 10


@strawberry.enum(description="What an event must be to reach a step of a funnel.")
class FunnelAction(Enum):
    VIEW = strawberry.enum_value("view", description="A page view or a product view.")
    PAGE_VIEW = strawberry.enum_value("page_view", description="A page view.")
    PRODUCT_VIEW = strawberry.enum_value("product_view", description="A product view: the action `view`.")
    SEARCH = strawberry.enum_value("search", description="A search.")
    CLICK = strawberry.enum_value("click", description="A click.")
    SCROLL = strawberry.enum_value("scroll", description="A scroll.")
    ADD_TO_CART = strawberry.enum_value("add_to_cart", description="An addition to a cart.")
    REMOVE_FROM_CART = strawberry.enum_value("remove_from_cart", description="A removal from a cart.")
    CHECKOUT_START = strawberry.enum_value("checkout_start", description="A checkout begun.")
    PURCHASE = strawberry.enum_value("purchase", description="An order line bought.")
    REFUND = strawberry.enum_value("refund", description="An order line refunded.")
    OTHER = strawberry.enum_value("other", description="An action that has no name of its own.")


_ACTIONS = {action: frozenset({str(action.value)}) for action in FunnelAction} | {
    FunnelAction.VIEW: frozenset({"page_view", "view"}),
    FunnelAction.PRODUCT_VIEW: frozenset({"view"}),
}
USUAL = (FunnelAction.VIEW, FunnelAction.ADD_TO_CART, FunnelAction.CHECKOUT_START, FunnelAction.PURCHASE)


@strawberry.enum(description="What sessions are told apart by.")
class FunnelBreakdown(Enum):
    NONE = strawberry.enum_value("none", description="All sessions together.")
    CATEGORY = strawberry.enum_value("category", description="The first category that an event of the session named.")
    DEVICE = strawberry.enum_value("device", description="The session's device.")
    SOURCE = strawberry.enum_value("source", description="The campaign's source, else the site the visitor came from.")
    MEDIUM = strawberry.enum_value("medium", description="How the visitor came: direct, search, social and so on.")


BREAKDOWNS: dict[FunnelBreakdown, Breakdown] = {
    FunnelBreakdown.NONE: "none",
    FunnelBreakdown.CATEGORY: "category",
    FunnelBreakdown.DEVICE: "device",
    FunnelBreakdown.SOURCE: "source",
    FunnelBreakdown.MEDIUM: "medium",
}


@strawberry.type(description="A step of a funnel.")
class FunnelStep:
    action: FunnelAction = strawberry.field(description="What reaches the step.")
    sessions: Long = strawberry.field(description="Sessions that reached it, by way of all the steps ahead of it.")
    share_of_first: float | None = strawberry.field(
        description="Share of the sessions that reached the first step: 0 to 1; null where none did."
    )
    share_of_previous: float | None = strawberry.field(
        description="Share of the sessions that reached the step ahead: 0 to 1; null for the first step, and where "
        "none reached the one ahead."
    )
    median_time: timedelta | None = strawberry.field(
        description="Median time from the first step to this one, of the sessions that reached it; null where none did."
    )
    mean_time: timedelta | None = strawberry.field(description="Mean of the same times; null where none is.")


@strawberry.type(description="The funnel of some of the sessions.")
class FunnelSegment:
    segment: str | None = strawberry.field(
        description="By what the breakdown tells them apart; null without one, and for sessions that do not say."
    )
    sessions: Long = strawberry.field(description="Sessions in it, whether or not they reached the first step.")
    steps: list[FunnelStep] = strawberry.field(description="Its steps, in order.")
    previous: "FunnelSegment | None" = strawberry.field(
        description="The same segment in the earlier period; null without `compareWith`, and where it had no session."
    )


@strawberry.type(description="How far the sessions that started in a range got, within their first 50 events.")
class Funnel:
    is_final: bool = strawberry.field(
        description="Whether the watermark has passed the range and every session in it is completed."
    )
    segments: list[FunnelSegment] = strawberry.field(
        description="Most sessions first. Without a breakdown, exactly one."
    )


async def funnel(
    info: Info,
    range: Range,
    *,
    breakdown: Annotated[
        FunnelBreakdown, strawberry.argument(description="What sessions are told apart by.")
    ] = FunnelBreakdown.NONE,
    steps: Annotated[
        list[FunnelAction] | None,
        strawberry.argument(
            description="Its steps in order, at most ten. Without it the usual four, which are read without the paths: "
            "VIEW, ADD_TO_CART, CHECKOUT_START, PURCHASE."
        ),
    ] = None,
    compare_with: CompareWith = None,
    device: Device = None,
    medium: Medium = None,
    source: Source = None,
    category: CategoryOfVisit = None,
    product_id: ProductOfVisit = None,
    bots: Bots = BotFilter.EXCLUDE,
    first: Annotated[int, strawberry.argument(description="Most segments wanted: those with most sessions.")] = 20,
    as_of: AsOfEpoch = None,
) -> Funnel:
    """A step is reached by the first event that fits and is not before the event of the step ahead of it."""
    limit, gap = info.context.services.settings.max_path_sessions, info.context.services.session_gap
    if steps is not None and not 1 <= len(steps) <= MAX_STEPS:
        raise InvalidArgument("steps", f"give 1 to {MAX_STEPS}, not {len(steps)}")
    span, most = range.span(), page_size("first", first, info)
    told = await told_as_of(info, as_of)
    ended_by = completed_by(told.watermark, gap)
    earlier = compare_with.span(span) if compare_with is not None else None
    asked = Asked(
        Visits(span, bots.bot, device, medium, source, category, product_id),
        BREAKDOWNS[breakdown],
        ended_by,
        most,
        [_ACTIONS[step] for step in steps] if steps is not None else None,
        earlier,
    )
    folds = folded.sessions([span, earlier or span], gap)
    rows = await rows_then(info, told, funnel_sql(asked, limit), folds)
    for name, which in (("scope", "it"), ("before_scope", "the period it is compared with")):
        if (rows[0]._mapping.get(name) or 0) > limit:
            raise TooLarge(
                "range", f"more than {limit} sessions started in {which}, the limit for `steps` and `productId`"
            )
    actions = steps or USUAL
    segments = [_segment(row, actions) for row in rows if row.sessions is not None]
    active = any(row.active for row in rows)
    return Funnel(is_final=is_final(span.end, told.as_of) and not active, segments=segments)


def _segment(row: ResultRow, actions: Sequence[FunnelAction]) -> FunnelSegment:
    before = "before_sessions" in row._mapping and row.before_sessions is not None
    return FunnelSegment(
        segment=row.segment,
        sessions=row.sessions,
        steps=_steps(row, actions, ""),
        previous=FunnelSegment(
            segment=row.segment,
            sessions=row.before_sessions,
            steps=_steps(row, actions, "before_"),
            previous=None,
        )
        if before
        else None,
    )


def _steps(row: ResultRow, actions: Sequence[FunnelAction], prefix: str) -> list[FunnelStep]:
    told = row._mapping
    reached = [told[f"{prefix}reached_{number}"] for number in range(len(actions))]
    return [
        FunnelStep(
            action=action,
            sessions=reached[number],
            share_of_first=reached[number] / reached[0] if reached[0] else None,
            share_of_previous=reached[number] / reached[number - 1] if number and reached[number - 1] else None,
            median_time=told[f"{prefix}median_{number}"],
            mean_time=told[f"{prefix}mean_{number}"],
        )
        for number, action in enumerate(actions)
    ]
