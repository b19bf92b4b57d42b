"""Views, adds, purchases, revenue and unique users per minute, product and category; any window is a roll-up of it."""

from contracts import tables
from processing.projection import KeyedMerge, Projection
from processing.projections.measures import RULES, minutes_delta


def product_minutes() -> Projection:
    """Only events that name a product."""
    delta = minutes_delta(
        {"product_id": "product_id", "category": "coalesce(category, '')"}, where="product_id IS NOT NULL"
    )
    return Projection(tables.product_minutes, delta, KeyedMerge(tables.product_minutes, RULES))
