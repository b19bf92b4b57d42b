"""The same measures per minute for the whole site: sales, realtime numbers, and the sum that the books check."""

from contracts import tables
from processing.projection import KeyedMerge, Projection
from processing.projections.measures import RULES, minutes_delta


def site_minutes() -> Projection:
    """Every applied event is counted here exactly once."""
    return Projection(tables.site_minutes, minutes_delta({}), KeyedMerge(tables.site_minutes, RULES))
