"""Rows that were served, held against rows that were expected; and how spans and instants are told to GraphQL."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from loadtest.audit.checks import Check

_EXACT_USERS: Final = 4096
"""Up to so many, unique users are counted exactly."""
_SKETCH_ERROR: Final = 4 * 0.016
"""Four standard errors of the count above that."""
_EXAMPLES: Final = 5
HOUR: Final = timedelta(hours=1)

Rows = dict[Any, Any]
"""What is told, by what it is told of."""


def compared(name: str, served: Rows, expected: Rows) -> Check:
    """Every row is there, none besides, and each number is the one expected."""
    off = [
        {
            "key": [str(part) for part in key] if isinstance(key, tuple) else str(key),
            "served": str(served.get(key)),
            "expected": str(expected.get(key)),
        }
        for key in sorted(served.keys() | expected.keys(), key=str)
        if not _same(served.get(key), expected.get(key))
    ]
    meaning = "what GraphQL answers equals what the clients' own log adds up to"
    return Check(f"answers: {name}", meaning, len(off), f"{len(expected):,} rows", off[:_EXAMPLES])


def near(served: int | None, expected: int) -> bool:
    """A number of unique users is the expected one, as far as it is counted exactly."""
    if expected <= _EXACT_USERS:
        return served == expected
    return served is not None and abs(served - expected) <= _SKETCH_ERROR * expected


def hours_of(minutes: Sequence[datetime]) -> tuple[datetime, datetime]:
    """From the first of the hours that the minutes lie in to the end of the last."""
    return min(minutes).replace(minute=0), max(minutes).replace(minute=0) + HOUR


def span(start: datetime, end: datetime) -> dict[str, Any]:
    """The variable `range` of a query."""
    return {"range": {"from": start.isoformat(), "to": end.isoformat()}}


def instant(text: str) -> datetime:
    """An instant of an answer, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _same(served: Any, expected: Any) -> bool:
    if isinstance(served, Mapping) and isinstance(expected, Mapping):
        return served.keys() == expected.keys() and all(
            near(served[name], expected[name]) if name in {"users", "buyers"} else served[name] == expected[name]
            for name in expected
        )
    return bool(served == expected)
