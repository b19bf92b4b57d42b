"""What changed numbers between two commits: the events that came with the epochs between them."""

import re
from typing import Annotated, Final

import strawberry

from serving.cursors import ARRIVALS, Key
from serving.errors import BadCursor, InvalidArgument
from serving.queries import ResultRow, logged
from serving.schema.common import BotFilter, Bots, TimeRange
from serving.schema.connections import After, Asked, First, PageInfo
from serving.schema.context import Info
from serving.schema.counts import ProductMeasures
from serving.schema.history import check_logged, line_in_ledger
from serving.schema.logged_event import LoggedEvent
from serving.schema.logged_event import logged as fields_of
from serving.schema.narrowing import Categories, Products
from serving.schema.products import measures
from serving.schema.scalars import Long

_PLACE: Final = re.compile(r"([a-z]{1,40})/(\d{1,9})/(\d{1,18})", re.ASCII)


@strawberry.type(description="What events add up to: with what was told before them, what is told after them.")
class Added(ProductMeasures):
    events: Long = strawberry.field(description="Events of any kind.")
    late_events: Long = strawberry.field(
        description="Those that the watermark had passed, which raised `revision` by as many."
    )


@strawberry.type(description="An event that came with one of the epochs.")
class Arrival(LoggedEvent):
    pass


@strawberry.type(description="An event and its place in the list.")
class ArrivalEdge:
    cursor: str = strawberry.field(description="Opaque; hand it back as `after`.")
    node: Arrival = strawberry.field(description="The event.")


@strawberry.type(description="A page of events, in the order in which they came to count.")
class ArrivalConnection:
    edges: list[ArrivalEdge] = strawberry.field(description="The events with their cursors.")
    nodes: list[Arrival] = strawberry.field(description="The events without their edges.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in the list.")


async def _added(root: strawberry.Parent["Changes"], info: Info) -> Added:
    (row,) = await info.context.logged(logged.added(root.news))
    currency = info.context.services.shop.currency
    return Added(**measures(row._mapping), currency=currency, events=row.events, late_events=row.late)


async def _arrivals(
    root: strawberry.Parent["Changes"], info: Info, first: First = None, after: After = None
) -> ArrivalConnection:
    asked = Asked.checked(info, ARRIVALS, first=first, after=after, last=None, before=None)
    place = _place(asked.page.after) if asked.page.after is not None else None
    rows = await info.context.logged(logged.arrivals(root.news, place, asked.page.limit))
    edges = [ArrivalEdge(cursor=_cursor(row), node=Arrival(**fields_of(row))) for row in asked.cut(rows)]
    return ArrivalConnection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=asked.info(len(rows), [edge.cursor for edge in edges]),
    )


@strawberry.type(description="What the epochs after one through another brought to a range of event time.")
class Changes:
    since_epoch: Long = strawberry.field(description="The events came with later epochs …")
    until_epoch: Long = strawberry.field(description="… up to and with this one.")
    added: Added = strawberry.field(
        resolver=_added, description="What was told as of `sinceEpoch` and this is what is told as of `untilEpoch`."
    )
    events: ArrivalConnection = strawberry.field(resolver=_arrivals, description="The events themselves (Relay).")
    news: strawberry.Private[logged.News]


async def changes(
    info: Info,
    *,
    range: Annotated[TimeRange, strawberry.argument(description="Event time, such as a window's start and end.")],
    since: Annotated[Long, strawberry.argument(description="What came after this epoch; 0 for all there is.")],
    until: Annotated[
        Long | None,
        strawberry.argument(description="What came up to and with this one; without it, the log's newest."),
    ] = None,
    products: Products = None,
    categories: Categories = None,
    session_id: Annotated[str | None, strawberry.argument(description="Only what came with this session id.")] = None,
    bots: Bots = BotFilter.EXCLUDE,
) -> Changes:
    """Which epochs are meant; they are read when something of them is asked for."""
    span, newest = range.span(), await info.context.snapshot.as_of()
    if newest is None or not 0 <= since <= newest.epoch:
        there = f"from 0 to {newest.epoch}, the newest" if newest is not None else "there is none yet"
        raise InvalidArgument("since", f"must be an epoch: {there}")
    _, log_epoch = await line_in_ledger(info, newest.epoch if until is None else until, "until")
    if until is None:
        until = Long(max(since, min(newest.epoch, log_epoch)))
    elif until < since:
        raise InvalidArgument("until", f"epoch {until} is before {since}, which `since` names")
    else:
        check_logged(until, log_epoch)
    which = logged.Of(bots.bot, products, categories, session_id)
    return Changes(since_epoch=since, until_epoch=until, news=logged.News(span, which, since, until))


def _cursor(row: ResultRow) -> str:
    told = row._mapping
    return ARRIVALS.encode(Key(row.epoch, f"{row.topic}/{told['partition']}/{told['offset']}"))


def _place(key: Key[int]) -> logged.Place:
    found = _PLACE.fullmatch(key.id)
    if found is None:
        raise BadCursor("after", "not one that belongs here; start from the first page")
    return logged.Place(key.value, found[1], int(found[2]), int(found[3]))
