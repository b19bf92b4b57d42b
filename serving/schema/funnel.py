"""Root about the funnel: how far sessions get on their way to a purchase."""

from datetime import timedelta
from enum import Enum
from typing import Annotated

import strawberry

from serving.errors import InvalidArgument, TooLarge
from serving.queries import ResultRow
from serving.queries.funnel import Asked, Breakdown, custom_funnel, usual_funnel
from serving.queries.sessions import completed_by
from serving.schema.common import BotFilter, Range, is_final, page_size
from serving.schema.context import Info
from serving.schema.scalars import Long

MAX_STEPS = 10


@strawberry.enum(description="What an event must be to reach a step of a funnel.")
class FunnelAction(Enum):
    VIEW = strawberry.enum_value("view", description="A page view or a product view.")
    PAGE_VIEW = strawberry.enum_value("page_view", description="A page view.")
    PRODUCT_VIEW = strawberry.enum_value("product_view", description="A product view: the action `view`.")
    SEARCH = "search"
    CLICK = "click"
    SCROLL = "scroll"
    ADD_TO_CART = "add_to_cart"
    REMOVE_FROM_CART = "remove_from_cart"
    CHECKOUT_START = "checkout_start"
    PURCHASE = "purchase"
    REFUND = "refund"
    OTHER = strawberry.enum_value("other", description="An action that has no name of its own.")


_ACTIONS = {action: frozenset({str(action.value)}) for action in FunnelAction} | {
    FunnelAction.VIEW: frozenset({"page_view", "view"}),
    FunnelAction.PRODUCT_VIEW: frozenset({"view"}),
}
USUAL = (FunnelAction.VIEW, FunnelAction.ADD_TO_CART, FunnelAction.CHECKOUT_START, FunnelAction.PURCHASE)


@strawberry.enum(description="What the sessions of a funnel are told apart by.")
class FunnelBreakdown(Enum):
    NONE = strawberry.enum_value("none", description="All sessions together.")
    CATEGORY = strawberry.enum_value("category", description="The first category that an event of the session named.")
    DEVICE = strawberry.enum_value("device", description="The session's device.")
    SOURCE = strawberry.enum_value("source", description="The campaign's source, else the site the visitor came from.")
    MEDIUM = strawberry.enum_value("medium", description="How the visitor came: direct, search, social and so on.")


_BREAKDOWNS: dict[FunnelBreakdown, Breakdown] = {
    FunnelBreakdown.NONE: "none",
    FunnelBreakdown.CATEGORY: "category",
    FunnelBreakdown.DEVICE: "device",
    FunnelBreakdown.SOURCE: "source",
    FunnelBreakdown.MEDIUM: "medium",
}


@strawberry.type(description="A step of a funnel.")
class FunnelStep:
    action: FunnelAction
    sessions: Long = strawberry.field(description="Sessions that reached it, by way of all the steps ahead of it.")
    share_of_first: float | None = strawberry.field(
        description="Share of the sessions that reached the first step: 0 to 1; null where none did."
    )
    share_of_previous: float | None = strawberry.field(
        description="Share of the sessions that reached the step ahead: 0 to 1; null for the first step, and where "
        "none reached the one ahead."
    )
    median_time: timedelta | None = strawberry.field(
        description="Median time from the first step to this one, over the sessions that reached it."
    )
    mean_time: timedelta | None = strawberry.field(description="Mean of the same times.")


@strawberry.type(description="The funnel of some of the sessions.")
class FunnelSegment:
    segment: str | None = strawberry.field(
        description="By what the breakdown tells them apart; null without one, and for sessions that do not say."
    )
    sessions: Long = strawberry.field(description="Sessions in it, whether or not they reached the first step.")
    steps: list[FunnelStep]


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
    breakdown: FunnelBreakdown = FunnelBreakdown.NONE,
    steps: Annotated[
        list[FunnelAction] | None,
        strawberry.argument(
            description="Its steps in order, at most ten. Without it the usual four, which are read without the paths: "
            "VIEW, ADD_TO_CART, CHECKOUT_START, PURCHASE."
        ),
    ] = None,
    bots: BotFilter = BotFilter.EXCLUDE,
    first: Annotated[int, strawberry.argument(description="Most segments wanted: those with most sessions.")] = 20,
) -> Funnel:
    """A step is reached by the first event that fits and is not before the event of the step ahead of it."""
    settings, snapshot = info.context.services.settings, info.context.snapshot
    if steps is not None and not 1 <= len(steps) <= MAX_STEPS:
        raise InvalidArgument("steps", f"give 1 to {MAX_STEPS}, not {len(steps)}")
    span, most = range.span(), page_size("first", first, info)
    as_of = await snapshot.as_of()
    ended_by = completed_by(as_of.watermark if as_of else None, info.context.services.session_gap)
    asked = Asked(span, bots.bot, _BREAKDOWNS[breakdown], ended_by, most)
    if steps is None:
        rows = await snapshot.rows(usual_funnel(asked))
    else:
        limit = settings.max_path_sessions
        rows = await snapshot.rows(custom_funnel(asked, [_ACTIONS[step] for step in steps], limit))
        if rows[0].scope > limit:
            raise TooLarge("range", f"more than {limit} sessions started in it, the limit for `steps`; shorten it")
    segments = [_segment(row, steps or USUAL) for row in rows if row.sessions is not None]
    active = any(row.active for row in rows)
    return Funnel(is_final=is_final(span.end, as_of) and not active, segments=segments)


def _segment(row: ResultRow, actions: list[FunnelAction] | tuple[FunnelAction, ...]) -> FunnelSegment:
    reached = [row._mapping[f"reached_{number}"] for number in range(len(actions))]
    return FunnelSegment(
        segment=row.segment,
        sessions=row.sessions,
        steps=[
            FunnelStep(
                action=action,
                sessions=reached[number],
                share_of_first=reached[number] / reached[0] if reached[0] else None,
                share_of_previous=reached[number] / reached[number - 1] if number and reached[number - 1] else None,
                median_time=row._mapping[f"median_{number}"],
                mean_time=row._mapping[f"mean_{number}"],
            )
            for number, action in enumerate(actions)
        ],
    )
