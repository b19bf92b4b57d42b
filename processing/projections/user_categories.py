"""How often a user met each category: the favourite is the one met most."""

from contracts import projections
from processing.grouping import Rule
from processing.projection import Projection, keyed
from processing.projections.measures import select


def user_categories() -> Projection:
    """Events that name a category, and money spent in it."""
    keys = {"user_id": "user_id", "category": "category"}
    delta = select(keys, {"events": "count(*)"}, where="category <> ''")
    return keyed(projections.user_categories, delta, {"events": Rule.SUM})
