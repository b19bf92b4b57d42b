"""Users: when they were first and last seen, what they did and bought, and the weeks in which they were there."""

from typing import Final

from contracts import projections
from processing.grouping import Rule
from processing.projection import Projection, keyed
from processing.projections.measures import COUNTS, LATE, REFUNDED, REVENUE, select

WEEK: Final = "CAST(floor((unix_seconds(timestamp) + 3 * 86400) / (7 * 86400)) AS int)"
"""Number of the ISO week (from Monday, UTC); 1970-01-01, a Thursday, is in week 0."""


def users() -> Projection:
    """The weeks are the input of retention by cohort: the first week is the cohort, the others are returns."""
    measures = {
        "first_seen": "min(timestamp)",
        "last_seen": "max(timestamp)",
        **COUNTS,
        "revenue": REVENUE,
        "refunded": REFUNDED,
        "weeks": f"array_sort(collect_set({WEEK}))",
        "bot_score": "max(bot_score)",
        "late": LATE,
    }
    rules = dict.fromkeys(measures, Rule.SUM) | {
        "first_seen": Rule.MIN,
        "last_seen": Rule.MAX,
        "weeks": Rule.GATHER,
        "bot_score": Rule.MAX,
    }
    return keyed(projections.users, select({"user_id": "user_id"}, measures), rules)
