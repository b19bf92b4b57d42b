"""Views, adds, purchases, revenue and unique users per minute, product and category; any window is a roll-up of it."""

from contracts import projections
from processing.projection import Projection
from processing.projections.measures import minutes


def product_minutes() -> Projection:
    """Only events that name a product."""
    keys = {"product_id": "product_id", "category": "coalesce(category, '')"}
    return minutes(projections.product_minutes, keys, where="product_id IS NOT NULL")
