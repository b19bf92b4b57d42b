"""The same measures per minute and category, for every event; a category that is not named is the empty one."""

from contracts import projections
from processing.projection import Projection
from processing.projections.measures import minutes


def category_minutes() -> Projection:
    """Sums over the categories equal the site's."""
    return minutes(projections.category_minutes, {"category": "coalesce(category, '')"})
