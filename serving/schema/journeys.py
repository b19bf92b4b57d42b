"""Root about journeys: how sessions go from page to page, or from action to action."""

from enum import Enum
from typing import Annotated

import strawberry

from serving.errors import InvalidArgument, TooLarge
from serving.queries import ResultRow
from serving.queries.journeys import Asked
from serving.queries.journeys import journeys as journeys_sql
from serving.queries.visits import Visits
from serving.schema.common import BotFilter, Range, page_size
from serving.schema.context import Info
from serving.schema.narrowing import CategoryOfVisit, Device, Medium, ProductOfVisit, Source
from serving.schema.scalars import Long

MAX_DEPTH = 50

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
    label: str
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


async def journeys(
    info: Info,
    range: Range,
    *,
    by: JourneyStep = JourneyStep.PAGE,
    depth: Annotated[
        int | None,
        strawberry.argument(
            description="Tell the first so many places of the journeys apart, 1 to 50, and leave out later ones: the "
            "layers of a Sankey diagram. Without it all places are added up."
        ),
    ] = None,
    device: Device = None,
    medium: Medium = None,
    source: Source = None,
    category: CategoryOfVisit = None,
    product_id: ProductOfVisit = None,
    bots: BotFilter = BotFilter.EXCLUDE,
    first: Annotated[int, strawberry.argument(description="Most nodes, and most transitions wanted.")] = 50,
) -> Journeys:
    """Reads the paths; over the limit of sessions it reads none and says so."""
    limit = info.context.services.settings.max_path_sessions
    if depth is not None and not 1 <= depth <= MAX_DEPTH:
        raise InvalidArgument("depth", f"must be from 1 to {MAX_DEPTH}")
    most = page_size("first", first, info)
    visits = Visits(range.span(), bots.bot, device, medium, source, category, product_id)
    asked = Asked(visits, by is JourneyStep.PAGE, depth, most)
    rows = await info.context.snapshot.rows(journeys_sql(asked, limit))
    whole = next(row for row in rows if row.kind == "total")
    if whole.scope > limit:
        raise TooLarge("range", f"more than {limit} sessions started in it, the limit for journeys; shorten it")
    begun: int = whole._mapping["count"]
    return Journeys(
        journeys=Long(begun),
        cut=whole.repeats,
        nodes=[_node(row, begun, depth) for row in rows if row.kind == "node"],
        transitions=[_transition(row, depth) for row in rows if row.kind == "move"],
    )


def _node(row: ResultRow, journeys: int, depth: int | None) -> JourneyNode:
    visits = row._mapping["count"]
    return JourneyNode(
        place=row.place if depth else None,
        label=row.source,
        visits=visits,
        sessions=row.sessions,
        repeats=row.repeats,
        entries=row.entries,
        exits=row.exits,
        entry_share=row.entries / journeys,
        exit_share=row.exits / journeys,
        exit_rate=row.exits / visits,
    )


def _transition(row: ResultRow, depth: int | None) -> Transition:
    count = row._mapping["count"]
    return Transition(
        place=row.place if depth else None,
        from_=row.source,
        to=row.target,
        count=count,
        sessions=row.sessions,
        share=count / row.departures,
    )
