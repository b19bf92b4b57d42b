"""The same measures per minute and category, for every event; a category that is not named is the empty one."""

from contracts import tables
from processing.projection import KeyedMerge, Projection
from processing.projections.measures import RULES, minutes_delta


def category_minutes() -> Projection:
    """Sums over the categories equal the site's."""
    delta = minutes_delta({"category": "coalesce(category, '')"})
    return Projection(tables.category_minutes, delta, KeyedMerge(tables.category_minutes, RULES))
