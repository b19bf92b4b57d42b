"""What the minute projections measure, defined once for every grain, so that the parts sum up to the whole."""

from typing import Final

from sqlalchemy import Table

from processing.grouping import Rule
from processing.projection import Projection, keyed
from processing.sketches import LG_NOMINAL_ENTRIES

PURCHASE: Final = "kind = 'purchase'"
REFUND: Final = "kind = 'refund'"

COUNTS: Final = {
    "events": "count(*)",
    "views": "count(*) FILTER (WHERE action IN ('page_view', 'view'))",
    "clicks": "count(*) FILTER (WHERE action = 'click')",
    "searches": "count(*) FILTER (WHERE action = 'search')",
    "adds": "count(*) FILTER (WHERE action = 'add_to_cart')",
    "removes": "count(*) FILTER (WHERE action = 'remove_from_cart')",
    "checkouts": "count(*) FILTER (WHERE action = 'checkout_start')",
    "purchases": f"count(*) FILTER (WHERE {PURCHASE})",
    "units": f"coalesce(sum(quantity) FILTER (WHERE {PURCHASE}), 0)",
}
"""Measures that a session has too."""

REVENUE: Final = f"coalesce(sum(amount) FILTER (WHERE {PURCHASE}), 0)"
REFUNDED: Final = f"coalesce(sum(amount) FILTER (WHERE {REFUND}), 0)"
LATE: Final = "count(*) FILTER (WHERE late)"
LAST_EPOCH: Final = "max(epoch)"

SKETCHES: Final = ("users", "buyers")
"""Measures that are sets of users: theta sketches."""

_MEASURES: Final = {
    **COUNTS,
    "refunds": f"count(*) FILTER (WHERE {REFUND})",
    "revenue": REVENUE,
    "refunded": REFUNDED,
    "users": f"theta_sketch_agg(user_id, {LG_NOMINAL_ENTRIES})",
    "buyers": f"theta_sketch_agg(CASE WHEN {PURCHASE} THEN user_id END, {LG_NOMINAL_ENTRIES})",
    "late": LATE,
}
RULES: Final = {name: Rule.UNITE if name in SKETCHES else Rule.SUM for name in _MEASURES}


def minutes(table: Table, keys: dict[str, str], where: str = "true") -> Projection:
    """A minute projection: `keys` maps its key columns beside `minute` and `bot` to their SQL."""
    grouped = {"minute": "date_trunc('minute', timestamp)", **keys, "bot": "bot"}
    delta = select(grouped, _MEASURES, where)
    return keyed(table, delta, RULES)


def select(keys: dict[str, str], measures: dict[str, str], where: str = "true", source: str = "events") -> str:
    """Delta SQL: the measures of the events that match, by key."""
    columns = {**keys, **measures, "last_epoch": LAST_EPOCH}
    listed = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    return f"SELECT {listed} FROM {source} WHERE {where} GROUP BY {', '.join(keys.values())}"
