"""The serving store's projections: the tables that are folds of the log, and what a row of each means.

Every row has `last_epoch`, the newest epoch that touched it. `late` counts the events in it that came after the
watermark had passed them; it only grows, so it serves as the row's revision as well. `bot` tells apart what bots
did (`bot_score` of 50 and more): it is in the key of the minutes, so that default views can leave bots out.
"""

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from contracts.tables import count_column, metadata, money_type, time_type

_sortable = Text(collation="C")
"""JSON text that begins with a zero-padded time: its byte order is the order of events, so min and max merge it."""
_REWRITTEN: Final = {"fillfactor": 80}
"""Rows that are written again and again find room for their next version on the same page."""

ACTION_COUNTS: Final = (
    "events",
    "views",
    "clicks",
    "searches",
    "adds",
    "removes",
    "checkouts",
    "purchases",
    "units",
)


def _bot_key() -> Column[Any]:
    return Column("bot", Boolean, primary_key=True, comment="what bots did is in rows of its own")


def _bookkeeping() -> list[Column[Any]]:
    return [
        Column("late", BigInteger, nullable=False, comment="events applied after the watermark had passed them"),
        Column("last_epoch", BigInteger, nullable=False),
    ]


def _measures() -> list[Column[Any]]:
    """What the minute tables measure; the same columns at every grain, so that parts sum up to the whole."""
    return [
        *(count_column(name) for name in (*ACTION_COUNTS, "refunds")),
        Column("revenue", money_type, nullable=False, server_default=text("0"), comment="sum of purchases"),
        Column("refunded", money_type, nullable=False, server_default=text("0"), comment="sum of refunds, positive"),
        Column("users", LargeBinary, nullable=False, comment="theta sketch of every user seen"),
        Column("buyers", LargeBinary, nullable=False, comment="theta sketch of users with a purchase"),
        *_bookkeeping(),
    ]


def _pairs(name: str, purchased_at: str, purchase_id: str, comment: str) -> Table:
    """Events of one kind on products beside purchases of products."""
    return Table(
        name,
        metadata,
        Column("user_id", Text, primary_key=True),
        Column("product_id", Text, primary_key=True),
        Column("happened_at", time_type, primary_key=True),
        Column("event_id", Text, primary_key=True),
        Column("is_purchase", Boolean, primary_key=True),
        Column("category", Text, nullable=False),
        Column("bot", Boolean, nullable=False),
        Column("purchased_at", time_type, comment=purchased_at),
        Column("purchase_id", Text, comment=purchase_id),
        Column("late", Boolean, nullable=False),
        Column("last_epoch", BigInteger, nullable=False),
        Index(f"{name}_happened_at", "happened_at"),
        comment=comment,
    )


product_minutes: Final = Table(
    "product_minutes",
    metadata,
    Column("minute", time_type, primary_key=True),
    Column("product_id", Text, primary_key=True),
    Column("category", Text, primary_key=True, comment="empty where the event named none"),
    _bot_key(),
    *_measures(),
    comment="Any window per product and category is a roll-up of these.",
    postgresql_with=_REWRITTEN,
)

category_minutes: Final = Table(
    "category_minutes",
    metadata,
    Column("minute", time_type, primary_key=True),
    Column("category", Text, primary_key=True, comment="empty where the event named none"),
    _bot_key(),
    *_measures(),
    comment="Every event once, by category.",
    postgresql_with=_REWRITTEN,
)

site_minutes: Final = Table(
    "site_minutes",
    metadata,
    Column("minute", time_type, primary_key=True),
    _bot_key(),
    *_measures(),
    comment="Every event once.",
    postgresql_with=_REWRITTEN,
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("started_at", time_type, primary_key=True, comment="first event of the island"),
    Column("ended_at", time_type, nullable=False, comment="last event of the island"),
    *(count_column(name) for name in ACTION_COUNTS),
    Column("revenue", money_type, nullable=False),
    Column(
        "path",
        ARRAY(_sortable),
        nullable=False,
        comment="first 50 steps in order, each JSON text: [epoch ms as 15 digits, action, event id, product id, page]",
    ),
    Column("first_key", _sortable, nullable=False, comment="time and id of the first event; user_id is read off it"),
    Column("user_id", Text, nullable=False),
    Column("entry_key", _sortable, comment="of the first event that has a page"),
    Column("entry_page", Text),
    Column("exit_key", _sortable, comment="of the last event that has a page"),
    Column("exit_page", Text),
    Column("agent_key", _sortable, comment="of the first event with a user agent; empty texts stand for unknown"),
    Column("device", Text),
    Column("browser", Text),
    Column("os", Text),
    Column("referral_key", _sortable, comment="of the first event with a page or a referrer"),
    Column("medium", Text, comment="how the visitor came: direct, search, social, email, paid, referral, internal"),
    Column("referrer_source", Text),
    Column("campaign_source", Text),
    Column("campaign", Text),
    Column("category_key", _sortable, comment="of the first event that names a category"),
    Column("category", Text),
    Column("bot_evidence", _sortable, nullable=False, comment="score (3 digits) and reason of the most bot-like event"),
    Column("bot_score", SmallInteger, nullable=False, comment="0 to 100, the highest among the events"),
    Column("bot_reason", Text),
    Column("bot", Boolean, nullable=False),
    Column("viewed_at", time_type, comment="funnel: the first view"),
    Column("added_at", time_type, comment="funnel: the first add to cart at or after viewed_at"),
    Column("checkout_at", time_type, comment="funnel: the first start of a checkout at or after added_at"),
    Column("purchased_at", time_type, comment="funnel: the first purchase at or after checkout_at"),
    *_bookkeeping(),
    Index("sessions_started_at", "started_at", "session_id"),
    Index("sessions_user", "user_id", "started_at"),
    comment="Islands of one session id's events that are less than the session gap apart. "
    "The funnel and the path reach as far as the path does.",
    postgresql_with=_REWRITTEN,
)

conversions: Final = _pairs(
    "conversions",
    "clicks: the first purchase within ten minutes, or null",
    "clicks: that purchase's event id",
    "Clicks on products and purchases of products, and which of the former led to which of the latter.",
)

carts: Final = _pairs(
    "carts",
    "additions: the first purchase within the shop's cart_minutes, or null",
    "additions: that purchase's event id",
    "Additions to carts and purchases of products, and which of the former led to which of the latter.",
)

orders: Final = Table(
    "orders",
    metadata,
    Column("order_id", Text, primary_key=True, comment="the line's own id where it names no order"),
    Column("user_id", Text, primary_key=True),
    Column("ordered_at", time_type, comment="the first purchase line; null while only refunds are known"),
    Column("session_id", Text, nullable=False),
    count_column("lines"),
    count_column("units"),
    count_column("refunds"),
    Column("revenue", money_type, nullable=False),
    Column("refunded", money_type, nullable=False),
    Column("bot", Boolean, nullable=False),
    *_bookkeeping(),
    Index("orders_ordered_at", "ordered_at"),
    Index("orders_user", "user_id"),
    comment="Order lines summed up to orders.",
    postgresql_with=_REWRITTEN,
)

users: Final = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("first_seen", time_type, nullable=False),
    Column("last_seen", time_type, nullable=False),
    *(count_column(name) for name in ACTION_COUNTS),
    Column("revenue", money_type, nullable=False),
    Column("refunded", money_type, nullable=False),
    Column(
        "weeks", ARRAY(Integer), nullable=False, comment="ISO weeks with an event, counted from 1969-12-29, in order"
    ),
    Column("bot_score", SmallInteger, nullable=False),
    *_bookkeeping(),
    comment="Everyone ever seen. Sessions and orders of a user are in their own tables.",
    postgresql_with=_REWRITTEN,
)

user_categories: Final = Table(
    "user_categories",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("category", Text, primary_key=True),
    count_column("events"),
    Column("last_epoch", BigInteger, nullable=False),
    comment="How often a user met a category; the favourite is the one met most.",
    postgresql_with=_REWRITTEN,
)

delays: Final = Table(
    "delays",
    metadata,
    Column("minute", time_type, primary_key=True, comment="of arrival in the log"),
    Column(
        "up_to_seconds", Integer, primary_key=True, comment="bucket of arrival time less event time; -1 is above all"
    ),
    count_column("events"),
    *_bookkeeping(),
    comment="How old events were when they arrived, imports left out.",
)

ALL: Final = (
    product_minutes,
    category_minutes,
    site_minutes,
    sessions,
    conversions,
    carts,
    orders,
    users,
    user_categories,
    delays,
)
