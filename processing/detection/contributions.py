"""What moved most with a flagged window: the parts of its scope whose share of the difference is largest."""

from dataclasses import dataclass
from typing import Final

from processing.detection.judging import Flag
from processing.detection.watches import SCOPES
from processing.store import Transaction

_MOST: Final = 3


@dataclass(frozen=True)
class Contribution:
    """One part of a flagged scope."""

    dimension: str
    value: str
    expected: float
    """Mean of the windows before."""
    observed: float


def contributions(transaction: Transaction, flag: Flag, windows: int) -> list[Contribution]:
    """The parts that moved most in the flag's direction, held against that many windows before; none of a product."""
    scope = SCOPES[flag.scope]
    if scope.parts is None:
        return []
    parts = SCOPES[scope.parts]
    length = flag.window_end - flag.window_start
    within = f" AND {scope.subject} = $4" if scope.subject else ""
    subject = (flag.subject,) if scope.subject else ()
    sign = 1 if flag.direction == "up" else -1
    rows = transaction.query(
        f"SELECT {parts.subject} AS value, coalesce(sum({flag.metric}) FILTER (WHERE minute >= $2), 0)::float8 AS now,"
        f" coalesce(sum({flag.metric}) FILTER (WHERE minute < $2), 0)::float8 / {windows} AS usual"
        f" FROM {parts.table.name} WHERE minute >= $1 AND minute < $3 AND NOT bot{within} GROUP BY 1",
        (flag.window_start - windows * length, flag.window_start, flag.window_end, *subject),
    ).to_pylist()
    moved = [row for row in rows if sign * (row["now"] - row["usual"]) > 0]
    moved.sort(key=lambda row: (-abs(row["now"] - row["usual"]), row["value"]))
    return [
        Contribution(parts.name, row["value"] or "(none)", round(row["usual"], 2), row["now"]) for row in moved[:_MOST]
    ]
