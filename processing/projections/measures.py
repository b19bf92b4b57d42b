"""What the minute projections measure, defined once for every grain, so that the parts sum up to the whole."""

from typing import Final

from processing.projection import Rule
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


def minutes_delta(keys: dict[str, str], where: str = "true") -> str:
    """Delta of a minute projection: `keys` maps key columns beside the minute to their SQL."""
    grouped = {"minute": "date_trunc('minute', timestamp)", **keys}
    columns = ", ".join(f"{sql} AS {name}" for name, sql in {**grouped, **_MEASURES}.items())
    return f"SELECT {columns} FROM events WHERE {where} GROUP BY {', '.join(grouped.values())}"
