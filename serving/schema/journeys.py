"""Root about journeys: how sessions go from page to page, or from action to action."""

from enum import Enum
from typing import Annotated

import strawberry

from serving.errors import InvalidArgument, TooLarge
from serving.queries import folded
from serving.queries.journeys import Asked
from serving.queries.journeys import journeys as journeys_sql
from serving.queries.visits import Visits
from serving.schema.common import BotFilter, Bots, Range, page_size
from serving.schema.comparison import Columns, CompareWith, row_before
from serving.schema.context import Info
from serving.schema.history import AsOfEpoch, rows_then, told_as_of
from serving.schema.narrowing import CategoryOfVisit, Device, Medium, ProductOfVisit, Source
from serving.schema.scalars import Long

MAX_DEPTH = 50

_PREVIOUS = "The same in the earlier period; null without `compareWith`, and where it was in no journey."
_PLACE = "Place in the journey, from 1 on; null without `depth`."


@strawberry.enum(description="What a step of a journey is.")
class JourneyStep(Enum):
    PAGE = strawberry.enum_value(
        "page",
        description="A page, by its URL's path: host, query and fragment are left out, and so is all after the first "
        "segment: `/cart`, `/p/*` for `https://shop.example/p/kettle?x=1`, `/` for the home page, `/*` for a path that "
        "is only an id (a number, a UUID, a long hexadecimal). Events without a page are left out.",
    )
    STEP = strawberry.enum_value("step", description="An event, by its action: `view`, `add_to_cart`, `purchase`.")


@strawberry.type(description="A step that journeys go through. Its visits are those that repeat nothing.")
class JourneyNode:
    place: int | None = strawberry.field(description=_PLACE)
    label: str = strawberry.field(description="The page or the action.")
    visits: Long = strawberry.field(description="How often journeys came to it; staying on it is the same visit.")
    sessions: Long = strawberry.field(description="In how many sessions.")
    repeats: Long = strawberry.field(
        description="How often it followed itself. No transition goes from a step to itself."
    )
    entries: Long = strawberry.field(description="Journeys that began with it.")
    exits: Long = strawberry.field(description="Journeys that ended with it, of those that are not cut.")
    entry_share: float = strawberry.field(description="`entries` by all journeys: 0 to 1.")
    exit_share: float = strawberry.field(description="`exits` by all journeys: 0 to 1.")
    exit_rate: float = strawberry.field(description="`exits` by `visits`: 0 to 1.")
    previous: "JourneyNode | None" = strawberry.field(description=_PREVIOUS)


@strawberry.type(description="From one step to the next one that is different.")
class Transition:
    place: int | None = strawberry.field(description=f"Of `from`. {_PLACE}")
    from_: str = strawberry.field(name="from", description="Label of the step it leaves.")
    to: str = strawberry.field(description="Label of the step it goes to.")
    count: Long = strawberry.field(description="How often.")
    sessions: Long = strawberry.field(description="In how many sessions.")
    share: float = strawberry.field(
        description="`count` by the visits of `from`: 0 to 1. The other visits went on to other steps, ended the "
        "journey, or are where a journey is cut."
    )
    previous: "Transition | None" = strawberry.field(description=_PREVIOUS)


@strawberry.type(description="The journeys of an earlier period.")
class EarlierJourneys:
    journeys: Long = strawberry.field(description="Sessions with at least one step.")
    cut: Long = strawberry.field(description="Those with more than 50 events.")


@strawberry.type(
    description="How the sessions that started in a range went from step to step, within their first 50 events."
)
class Journeys:
    journeys: Long = strawberry.field(description="Sessions with at least one step.")
    cut: Long = strawberry.field(
        description="Those with more than 50 events: where they went and left after is unknown."
    )
    nodes: list[JourneyNode] = strawberry.field(description="Most visits first.")
    transitions: list[Transition] = strawberry.field(description="Most frequent first.")
    previous: EarlierJourneys | None = strawberry.field(
        description="All of them in the earlier period; null without `compareWith`."
    )


async def journeys(
    info: Info,
    range: Range,
    *,
    by: Annotated[
        JourneyStep, strawberry.argument(description="Whether pages or actions are the steps.")
    ] = JourneyStep.PAGE,
    depth: Annotated[
        int | None,
        strawberry.argument(
            description="Tell the first so many places of the journeys apart, 1 to 50, and leave out later ones: the "
            "layers of a Sankey diagram. Without it all places are added up."
        ),
    ] = None,
    compare_with: CompareWith = None,
    device: Device = None,
    medium: Medium = None,
    source: Source = None,
    category: CategoryOfVisit = None,
    product_id: ProductOfVisit = None,
    bots: Bots = BotFilter.EXCLUDE,
    first: Annotated[int, strawberry.argument(description="Most nodes, and most transitions wanted.")] = 50,
    as_of: AsOfEpoch = None,
) -> Journeys:
    """Reads the paths; over the limit of sessions it reads none and says so."""
    limit = info.context.services.settings.max_path_sessions
    if depth is not None and not 1 <= depth <= MAX_DEPTH:
        raise InvalidArgument("depth", f"must be from 1 to {MAX_DEPTH}")
    most = page_size("first", first, info)
    span = range.span()
    visits = Visits(span, bots.bot, device, medium, source, category, product_id)
    earlier = compare_with.span(span) if compare_with is not None else None
    asked = Asked(visits, by is JourneyStep.PAGE, depth, most, earlier)
    folds = folded.sessions([span, earlier or span], info.context.services.session_gap)
    rows = await rows_then(info, await told_as_of(info, as_of), journeys_sql(asked, limit), folds)
    found = [row._mapping for row in rows]
    whole = next(told for told in found if told["kind"] == "total")
    before = row_before(whole, "kind")
    for told, which in ((whole, "it"), (before, "the period it is compared with")):
        if told is not None and told["scope"] > limit:
            raise TooLarge(
                "range", f"more than {limit} sessions started in {which}, the limit for journeys; shorten it"
            )
    begun = (whole["count"], before["count"] if before is not None else 0)
    return Journeys(
        journeys=whole["count"],
        cut=whole["repeats"],
        nodes=[_node(told, row_before(told, "kind"), begun, depth) for told in found if told["kind"] == "node"],
        transitions=[_transition(told, row_before(told, "kind"), depth) for told in found if told["kind"] == "move"],
        previous=EarlierJourneys(journeys=before["count"], cut=before["repeats"]) if before is not None else None,
    )


def _node(told: Columns, before: Columns | None, journeys: tuple[int, int], depth: int | None) -> JourneyNode:
    """`journeys` are how many there are, and were."""
    now, then = journeys
    return JourneyNode(
        place=told["place"] if depth else None,
        label=told["source"],
        visits=told["count"],
        sessions=told["sessions"],
        repeats=told["repeats"],
        entries=told["entries"],
        exits=told["exits"],
        entry_share=told["entries"] / now,
        exit_share=told["exits"] / now,
        exit_rate=told["exits"] / told["count"],
        previous=_node(before, None, (then, 0), depth) if before is not None else None,
    )


def _transition(told: Columns, before: Columns | None, depth: int | None) -> Transition:
    return Transition(
        place=told["place"] if depth else None,
        from_=told["source"],
        to=told["target"],
        count=told["count"],
        sessions=told["sessions"],
        share=told["count"] / told["departures"],
        previous=_transition(before, None, depth) if before is not None else None,
    )
