"""How old events were when they reached the log: a histogram per minute of arrival, and how many counted as late."""

from typing import Final

from contracts import projections
from processing.grouping import Rule
from processing.projection import Projection, keyed
from processing.projections.measures import LATE, select

BOUNDS_SECONDS: Final = (1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400)
"""Upper bounds of the buckets; what is older than all of them is in bucket -1."""


def delays() -> Projection:
    """Imported events are left out: they are old on purpose."""
    cases = " ".join(f"WHEN age_ms <= {bound * 1000} THEN {bound}" for bound in BOUNDS_SECONDS)
    keys = {"minute": "date_trunc('minute', log_time)", "up_to_seconds": f"CASE {cases} ELSE -1 END"}
    aged = "(SELECT *, unix_millis(log_time) - unix_millis(timestamp) AS age_ms FROM events)"
    delta = select(keys, {"events": "count(*)", "late": LATE}, where="NOT imported", source=aged)
    return keyed(projections.delays, delta, {"events": Rule.SUM, "late": Rule.SUM})
