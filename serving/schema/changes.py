"""What changed numbers between two commits: the events that came with the epochs between them."""

from typing import Annotated

import strawberry

from serving.cursors import ARRIVALS, Key
from serving.errors import InvalidArgument
from serving.queries import ResultRow, logged
from serving.schema.common import BotFilter, Bots, TimeRange
from serving.schema.connections import After, Asked, Connection, First
from serving.schema.context import Info
from serving.schema.counts import ProductMeasures
from serving.schema.history import check_logged, line_in_ledger
from serving.schema.logged_event import LoggedEvent
from serving.schema.logged_event import logged as fields_of
from serving.schema.narrowing import Categories, Products
from serving.schema.products import measures
from serving.schema.scalars import Long


@strawberry.type(description="What events add up to: with what was told before them, what is told after them.")
class Added(ProductMeasures):
    events: Long = strawberry.field(description="Events of any kind.")
    late_events: Long = strawberry.field(
        description="Those that the watermark had passed, which raised `revision` by as many."
    )


@strawberry.type(description="An event that came with one of the epochs.")
class Arrival(LoggedEvent):
    pass


async def _added(root: strawberry.Parent["Changes"], info: Info) -> Added:
    (row,) = await info.context.logged(logged.added(root.news))
    currency = info.context.services.shop.currency
    return Added(**measures(row._mapping), currency=currency, events=row.events, late_events=row.late)


async def _arrivals(
    root: strawberry.Parent["Changes"], info: Info, first: First = None, after: After = None
) -> Connection[Arrival]:
    asked = Asked.checked(info, ARRIVALS, first=first, after=after, last=None, before=None)
    rows = await info.context.logged(logged.arrivals(root.news, asked.page.after, asked.page.limit))
    return asked.connection(rows, _key, lambda row: Arrival(**fields_of(row)))


@strawberry.type(description="What the epochs after one through another brought to a range of event time.")
class Changes:
    since_epoch: Long = strawberry.field(description="The events came with later epochs …")
    until_epoch: Long = strawberry.field(description="… up to and with this one.")
    added: Added = strawberry.field(
        resolver=_added, description="What was told as of `sinceEpoch` and this is what is told as of `untilEpoch`."
    )
    events: Connection[Arrival] = strawberry.field(
        resolver=_arrivals, description="The events themselves, in the order in which they came to count (Relay)."
    )
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


def _key(row: ResultRow) -> Key[int]:
    told = row._mapping
    return Key(row.epoch, (row.topic, told["partition"], told["offset"]))
