"""What moved most with a flagged window: the parts of its scope whose share of the difference is largest."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from processing.detection.judging import Flag
from processing.detection.watches import SCOPES, Watch
from processing.store import Transaction

_MOST: Final = 3
_DAYS: Final = 7


@dataclass(frozen=True)
class Contribution:
    """One part of a flagged scope."""

    dimension: str
    value: str
    expected: float
    """Mean of the windows before; of hours, of the same hour of the days before."""
    observed: float


def contributions(transaction: Transaction, flag: Flag, watch: Watch) -> list[Contribution]:
    """The parts that moved most in the flag's direction, held against what they did before; none of a product."""
    scope = SCOPES[flag.scope]
    if scope.parts is None:
        return []
    parts, source = SCOPES[scope.parts], watch.source(scope.parts)
    at, windows, since = source.time, watch.history, flag.window_start - watch.history * watch.window
    within = f" AND {scope.subject} = $4" if scope.subject else ""
    if watch.by_hour:
        windows, since = _DAYS, flag.window_start - _DAYS * timedelta(days=1)
        within += f" AND extract(hour FROM {at}) = extract(hour FROM $2::timestamptz)"
    subject = (flag.subject,) if scope.subject else ()
    sign = 1 if flag.direction == "up" else -1
    rows = transaction.query(
        f"SELECT {parts.subject} AS value, coalesce(sum({flag.metric}) FILTER (WHERE {at} >= $2), 0)::float8 AS now,"
        f" coalesce(sum({flag.metric}) FILTER (WHERE {at} < $2), 0)::float8 / {windows} AS usual"
        f" FROM {source.table} WHERE {at} >= $1 AND {at} < $3 AND NOT bot{within} GROUP BY 1",
        (since, flag.window_start, flag.window_end, *subject),
    ).to_pylist()
    moved = [row for row in rows if sign * (row["now"] - row["usual"]) > 0]
    moved.sort(key=lambda row: (-abs(row["now"] - row["usual"]), row["value"]))
    return [
        Contribution(parts.name, row["value"] or "(none)", round(row["usual"], 2), row["now"]) for row in moved[:_MOST]
    ]
