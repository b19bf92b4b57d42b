"""The same measures per minute for the whole site: sales, realtime numbers, and the sum that the books check."""

from contracts import projections
from processing.projection import Projection
from processing.projections.measures import minutes


def site_minutes() -> Projection:
    """Every applied event is counted here exactly once."""
    return minutes(projections.site_minutes, {})
