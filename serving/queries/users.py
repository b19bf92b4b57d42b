"""Users: a list by revenue, events or last seen, each with what the other tables know of them."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Select, exists, func, select

from contracts.projections import orders, sessions, user_categories, users
from serving.queries import Statement
from serving.queries.measures import moment
from serving.queries.paging import Page, ordered, paged
from serving.windows import Span

BOT_FROM: Final = 50
"""The bot score from which a user, like an event, is a bot."""
Order = Literal["revenue", "events", "last_seen"]
Counted = Literal["sessions", "orders", "favourite_category"]
COUNTED: Final[tuple[Counted, ...]] = ("sessions", "orders", "favourite_category")
_COLUMNS: Final = tuple(column.name for column in users.c if column.name not in {"weeks", "last_epoch"})


@dataclass(frozen=True)
class UserFilter:
    """Which users; None of a field means any."""

    first_seen: Span | None = None
    last_seen: Span | None = None
    bought: bool | None = None
    min_revenue: Decimal | None = None
    category: str | None = None
    bot: bool | None = None


def user_page(where: UserFilter, order: Order, page: Page, wanted: Collection[Counted]) -> Statement:
    """The users of a page, the largest of `order` first, ties by user id. What is not wanted is not counted."""
    columns = [users.c[name] for name in _COLUMNS]
    active_weeks = func.cardinality(users.c.weeks).label("active_weeks")
    listed = select(*columns, active_weeks).where(*_conditions(where))
    chosen = paged(listed, (users.c[order], users.c.user_id), page).subquery("chosen")
    return _told(chosen.c, wanted).order_by(*ordered((chosen.c[order], chosen.c.user_id), page))


def one_user(user_id: str, wanted: Collection[Counted]) -> Statement:
    """The user of an id."""
    columns = [users.c[name] for name in _COLUMNS]
    chosen = (
        select(*columns, func.cardinality(users.c.weeks).label("active_weeks"))
        .where(users.c.user_id == user_id)
        .subquery("chosen")
    )
    return _told(chosen.c, wanted)


def _told(chosen: Any, wanted: Collection[Counted]) -> Statement:
    user_id = chosen.user_id
    told: dict[Counted, Select[Any]] = {
        "sessions": select(func.count()).select_from(sessions).where(sessions.c.user_id == user_id),
        "orders": select(func.count())
        .select_from(orders)
        .where(orders.c.user_id == user_id, orders.c.ordered_at.is_not(None)),
        "favourite_category": select(user_categories.c.category)
        .where(user_categories.c.user_id == user_id)
        .order_by(user_categories.c.events.desc(), user_categories.c.category.collate("C"))
        .limit(1),
    }
    return select(*chosen, *(told[name].scalar_subquery().label(name) for name in COUNTED if name in wanted))


def _conditions(where: UserFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for column, span in ((users.c.first_seen, where.first_seen), (users.c.last_seen, where.last_seen)):
        if span is not None:
            found += [column >= moment(span.start), column < moment(span.end)]
    if where.bought is not None:
        found.append(users.c.purchases > 0 if where.bought else users.c.purchases == 0)
    if where.min_revenue is not None:
        found.append(users.c.revenue >= where.min_revenue)
    if where.category is not None:
        met = (user_categories.c.user_id == users.c.user_id) & (user_categories.c.category == where.category)
        found.append(exists(select(user_categories.c.user_id).where(met)))
    return [*found, is_bot(where.bot)] if where.bot is not None else found


def is_bot(bot: bool) -> ColumnElement[bool]:
    """Users who are bots, or who are not."""
    return users.c.bot_score >= BOT_FROM if bot else users.c.bot_score < BOT_FROM
