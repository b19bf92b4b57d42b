"""Roots about users: a Relay connection in one of three orders, and one user by id."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import strawberry

from serving.cursors import USERS_BY_EVENTS, USERS_BY_LAST_SEEN, USERS_BY_REVENUE, Key, Naming
from serving.queries import ResultRow, folded
from serving.queries.folded import Fold
from serving.queries.users import BOT_FROM, Counted, Order, UserFilter, one_user, user_page
from serving.schema.common import LATE, REVISION, BotFilter, Bots, TimeRange
from serving.schema.connections import After, Asked, Before, Connection, First, Last
from serving.schema.context import Info, selected_below
from serving.schema.counts import Counts
from serving.schema.history import AsOfEpoch, rows_then, told_as_of
from serving.schema.scalars import Long

_COUNTED: dict[str, Counted] = {
    "sessions": "sessions",
    "orders": "orders",
    "favouriteCategory": "favourite_category",
}


@strawberry.enum(description="What users are ordered by, the largest first; ties by user id.")
class UserOrder(Enum):
    REVENUE = strawberry.enum_value("revenue", description="Money of their purchases.")
    EVENTS = strawberry.enum_value("events", description="Number of their events.")
    LAST_SEEN = strawberry.enum_value("last_seen", description="Time of the last event.")


_ORDERS: dict[UserOrder, tuple[Order, Naming[Any]]] = {
    UserOrder.REVENUE: ("revenue", USERS_BY_REVENUE),
    UserOrder.EVENTS: ("events", USERS_BY_EVENTS),
    UserOrder.LAST_SEEN: ("last_seen", USERS_BY_LAST_SEEN),
}


@strawberry.type(description="Everything that one user id did.")
class User(Counts):
    id: strawberry.ID = strawberry.field(description="The user id of the events.")
    first_seen: datetime = strawberry.field(description="Time of the first event.")
    last_seen: datetime = strawberry.field(description="Time of the last event.")
    active_weeks: int = strawberry.field(description="ISO weeks (from Monday, UTC) with an event.")
    events: Long = strawberry.field(description="Events of any kind.")
    sessions: Long | None = strawberry.field(description="Sessions whose first event is the user's. Never null.")
    orders: Long | None = strawberry.field(
        description="Distinct orders placed; a line that names no order is an order by itself. Never null."
    )
    refunded: Decimal = strawberry.field(description="Money of the refunds, positive.")
    favourite_category: str | None = strawberry.field(
        description="The category that most of the events name, of several the first by name; null where none does."
    )
    bot: bool = strawberry.field(description="Whether `botScore` is 50 or more.")
    bot_score: int = strawberry.field(description="0 to 100, the highest among the events.")
    late_events: Long = strawberry.field(description=LATE)
    revision: Long = strawberry.field(description=REVISION)


async def users(
    info: Info,
    *,
    order_by: Annotated[UserOrder, strawberry.argument(description="What they are ordered by.")] = UserOrder.LAST_SEEN,
    first_seen: Annotated[TimeRange | None, strawberry.argument(description="Users first seen in it.")] = None,
    last_seen: Annotated[TimeRange | None, strawberry.argument(description="Users last seen in it.")] = None,
    bought: Annotated[
        bool | None, strawberry.argument(description="Users who ever bought something, or who never did.")
    ] = None,
    min_revenue: Annotated[
        Decimal | None, strawberry.argument(description="Users whose purchases add up to this or more.")
    ] = None,
    category: Annotated[
        str | None, strawberry.argument(description="Users with an event that names this category.")
    ] = None,
    bots: Bots = BotFilter.EXCLUDE,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    as_of: AsOfEpoch = None,
) -> Connection[User]:
    """The largest first; `first`/`after` go towards smaller ones, `last`/`before` towards larger ones."""
    order, naming = _ORDERS[order_by]
    asked = Asked.checked(info, naming, first=first, after=after, last=last, before=before)
    where = UserFilter(
        first_seen=first_seen.span("firstSeen") if first_seen is not None else None,
        last_seen=last_seen.span("lastSeen") if last_seen is not None else None,
        bought=bought,
        min_revenue=min_revenue,
        category=category,
        bot=bots.bot,
    )
    told, wanted = await told_as_of(info, as_of), _wanted(info)
    folds: list[Fold] = []
    if told.past:  # who is on the page is asked first: all that is known of everybody would be too much
        folds = folded.users(first_seen=where.first_seen, last_seen=where.last_seen)
        folds += folded.user_categories(category=category) if category is not None else []
        found = await rows_then(info, told, user_page(where, order, asked.page, ()), folds)
        folds = _folds(info, [row.user_id for row in found], wanted)
    rows = await rows_then(info, told, user_page(where, order, asked.page, wanted), folds)
    return asked.connection(rows, lambda row: Key(row._mapping[order], row.user_id), lambda row: _user(row, info))


async def user(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="The user id of the events.")],
    as_of: AsOfEpoch = None,
) -> User | None:
    """One user; null where there is none."""
    told, wanted = await told_as_of(info, as_of), _wanted(info)
    rows = await rows_then(info, told, one_user(id, wanted), _folds(info, [id], wanted))
    return _user(rows[0], info) if rows else None


def _folds(info: Info, ids: list[str], wanted: set[Counted]) -> list[Fold]:
    """What is known of some users."""
    folds = folded.users(ids=ids) + folded.user_categories(ids=ids)
    folds += folded.sessions(None, info.context.services.session_gap, users=ids) if "sessions" in wanted else []
    return folds + (folded.orders(ids) if "orders" in wanted else [])


def _wanted(info: Info) -> set[Counted]:
    return {_COUNTED[name] for name in selected_below(info, _COUNTED)}


def _user(row: ResultRow, info: Info) -> User:
    told = row._mapping
    counts = ("events", "views", "clicks", "searches", "adds", "removes", "checkouts", "purchases", "units")
    return User(
        id=strawberry.ID(row.user_id),
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        active_weeks=row.active_weeks,
        **{name: told[name] for name in counts},
        sessions=told.get("sessions"),
        orders=told.get("orders"),
        revenue=row.revenue,
        refunded=row.refunded,
        currency=info.context.services.shop.currency,
        favourite_category=told.get("favourite_category"),
        bot=row.bot_score >= BOT_FROM,
        bot_score=row.bot_score,
        late_events=row.late,
        revision=row.late,
    )
