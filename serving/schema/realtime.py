"""The shop just now, relative to the last commit rather than to the reader's clock."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from zoneinfo import ZoneInfo

import strawberry

from serving.queries import ResultRow
from serving.queries.realtime import realtime as realtime_sql
from serving.schema.common import CURRENCY, AsOf, BotFilter, Bots, check_kept
from serving.schema.comparison import Earlier
from serving.schema.context import Info, selected
from serving.schema.scalars import Long
from serving.sketches import count_users
from serving.windows import MINUTE, Span, floor
from serving.zones import checked_zone

RECENT_MINUTES = 5
SERIES_MINUTES = 60

_RECENT = "over the minute of the last commit and the four before it"
_HOUR = "over the minute of the last commit and the 59 before it"


@strawberry.type(description="One minute of the shop.")
class MinutePoint:
    minute: datetime = strawberry.field(description="Its start.")
    views: Long = strawberry.field(description="Page views and product views.")
    purchases: Long = strawberry.field(description="Order lines bought.")
    revenue: Decimal = strawberry.field(description="Money of the purchases; refunds are not taken off.")
    currency: str = strawberry.field(description=CURRENCY)


@strawberry.type(description="What was bought of a day until some time of it.")
class DaySoFar:
    since: datetime = strawberry.field(description="Its midnight.")
    until: datetime = strawberry.field(description="When the zone's clocks showed the minute after the commit's.")
    revenue: Decimal = strawberry.field(description="Money of the purchases; refunds are not taken off.")
    currency: str = strawberry.field(description=CURRENCY)
    purchases: Long = strawberry.field(description="Order lines bought.")


@strawberry.type(
    description="The shop just now. Now is `asOf.committedAt`, so that the same epoch always gives the same numbers; "
    "the minute of the commit has only just begun and is included."
)
class Realtime:
    as_of: AsOf = strawberry.field(description="The commit these numbers belong to.")
    active_users: Long | None = strawberry.field(description=f"Distinct users seen {_RECENT}. Never null.")
    events_per_second: float = strawberry.field(
        description=f"Events {_RECENT}, by the seconds from the start of the oldest of them to the commit."
    )
    views_per_minute: float = strawberry.field(description="Views over the same time, by its minutes.")
    revenue_today: Decimal = strawberry.field(
        description="Money of the purchases since midnight in the time zone; refunds are not taken off."
    )
    purchases_today: Long = strawberry.field(description="Order lines bought since midnight in the time zone.")
    currency: str = strawberry.field(description=CURRENCY)
    conversion_rate: float | None = strawberry.field(
        description=f"Share of the distinct users seen who also bought, {_HOUR}: 0 to 1; null where no user was seen."
    )
    cart_abandonment_rate: float | None = strawberry.field(
        description="Share of the sessions that bought nothing among those that put something into a cart, of the "
        f"sessions that started {_HOUR}: 0 to 1; null where no cart was filled. A session that still goes on counts as "
        "it stands."
    )
    previous: DaySoFar | None = strawberry.field(
        description="What `revenueToday` and `purchasesToday` are compared with: the earlier day until the same time "
        "of it. Null without `compareWith`, and where the zone left that day out."
    )
    series: list[MinutePoint] = strawberry.field(
        description="The same 60 minutes, oldest first, minutes without events as zero."
    )


TodaysZone = Annotated[
    str | None,
    strawberry.argument(
        description="IANA name of the zone whose midnight begins today; without it, the shop's own zone."
    ),
]
EarlierDay = Annotated[
    Earlier | None,
    strawberry.argument(description="Tell of an earlier day, too, how it was by now; not with RANGE_BEFORE."),
]
_USERS = frozenset({"activeUsers", "conversionRate"})
_BUYERS = frozenset({"conversionRate"})
_CARTS = frozenset({"cartAbandonmentRate"})


async def realtime(
    info: Info,
    time_zone: TodaysZone = None,
    bots: Bots = BotFilter.EXCLUDE,
    compare_with: EarlierDay = None,
) -> Realtime | None:
    """Null before the first epoch."""
    services, snapshot = info.context.services, info.context.snapshot
    sketches = {"users"} if selected(info, _USERS) else set()
    sketches |= {"buyers"} if selected(info, _BUYERS) else set()
    carts = bool(selected(info, _CARTS))
    zone = ZoneInfo(checked_zone(time_zone or services.shop.time_zone))
    as_of = await snapshot.as_of()
    if as_of is None:
        return None
    now = as_of.committed_at
    newest = floor(now, MINUTE)
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    earlier = compare_with.day_so_far(newest + MINUTE, zone) if compare_with is not None else None
    if earlier is not None:
        check_kept((earlier.start, earlier.end), as_of, "compareWith")
    rows = await snapshot.rows(
        *realtime_sql(newest, SERIES_MINUTES, today, earlier, wanted_sketches=sketches, wants_carts=carts, bot=bots.bot)
    )
    recent, currency = rows[-RECENT_MINUTES:], services.shop.currency
    seconds = (now - recent[0].minute).total_seconds()
    active, users, buyers = await asyncio.to_thread(_users, rows, recent, sketches)
    return Realtime(
        as_of=AsOf.of(as_of),
        active_users=Long(active) if active is not None else None,
        events_per_second=sum(row.events for row in recent) / seconds,
        views_per_minute=sum(row.views for row in recent) / seconds * 60,
        revenue_today=rows[0].revenue_today,
        purchases_today=rows[0].purchases_today,
        currency=currency,
        conversion_rate=min(1.0, buyers / users) if users and buyers is not None else None,
        cart_abandonment_rate=rows[0].carts_left / rows[0].carts if carts and rows[0].carts else None,
        previous=_so_far(earlier, rows[0], currency) if earlier is not None else None,
        series=[
            MinutePoint(
                minute=row.minute, views=row.views, purchases=row.purchases, revenue=row.revenue, currency=currency
            )
            for row in rows
        ],
    )


def _so_far(day: Span, row: ResultRow, currency: str) -> DaySoFar:
    return DaySoFar(
        since=day.start,
        until=day.end,
        revenue=row.revenue_before,
        purchases=row.purchases_before,
        currency=currency,
    )


def _users(
    rows: Sequence[ResultRow], recent: Sequence[ResultRow], sketches: set[str]
) -> tuple[int | None, int | None, int | None]:
    """Active users of the last minutes, users of the hour, buyers of the hour."""
    if "users" not in sketches:
        return None, None, None
    active = _united(recent, "users")
    if "buyers" not in sketches:
        return active, None, None
    return active, _united(rows, "users"), _united(rows, "buyers")


def _united(rows: Sequence[ResultRow], sketch: str) -> int:
    return count_users(one for row in rows for one in row._mapping[sketch] if one is not None)
