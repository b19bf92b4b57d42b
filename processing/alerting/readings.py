"""The measures of a rule, summed up over windows that slide by minutes: a statement per source that it names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from datasketches import compact_theta_sketch, theta_union

from processing.alerting.measures import MEASURES, SECONDS, Source
from processing.alerting.rule_settings import Rule
from processing.detection.detector import Values
from processing.sketches import LG_NOMINAL_ENTRIES
from processing.store import Transaction

MINUTE: Final = timedelta(minutes=1)
_MOST_COUNTED: Final = 200
"""Users are counted of so many categories or products, those with the most events."""

Windows = dict[str, Values]
"""By measure: a value per window, the oldest first."""


@dataclass(frozen=True)
class Stretch:
    """The minutes that the windows lie in."""

    until: datetime
    """A minute's beginning: the end of the last window."""
    ends: int
    """How many windows there are, each ending a minute after the one before."""
    decided: datetime
    """Additions to carts before it are bought or abandoned."""

    def minutes(self, rule: Rule) -> int:
        """How many minutes all windows take together."""
        return rule.window_minutes + self.ends - 1


def read(transaction: Transaction, rule: Rule, stretch: Stretch) -> dict[str, Windows]:
    """By subject, what the rule's conditions are about. Who can not reach what one wants above may be left out."""
    names = list(dict.fromkeys((rule.volume, *rule.named)))
    found: dict[str, Windows] = {}
    for source in dict.fromkeys(MEASURES[name] for name in names if name != SECONDS):
        own = [name for name in names if MEASURES.get(name) is source]
        for subject, windows in _sums(transaction, rule, source, own, stretch).items():
            found.setdefault(subject, {}).update(windows)
        for subject, windows in _users(transaction, rule, source, own, stretch).items():
            found.setdefault(subject, {}).update(windows)
    nothing = np.zeros(stretch.ends)
    window = {SECONDS: np.full(stretch.ends, 60.0 * rule.window_minutes)}
    return {subject: dict.fromkeys(names, nothing) | windows | window for subject, windows in found.items()}


def _sums(
    transaction: Transaction, rule: Rule, source: Source, names: Sequence[str], stretch: Stretch
) -> dict[str, Windows]:
    names = [name for name in names if name in source.measures]
    if not names:
        return {}
    table, subject = source.scopes[rule.scope]
    minutes = stretch.minutes(rule)
    since = stretch.until - minutes * MINUTE
    parameters: list[object] = [since, stretch.until, stretch.decided]
    enough = ["$3::timestamptz IS NOT NULL"]  # a parameter that no measure names would have no type
    for name, least in _reach(rule, source):
        parameters.append(float(least))
        enough.append(f"coalesce({source.measures[name]}, 0) >= ${len(parameters)}::float8")
    within = f"{source.time} >= $1 AND {source.time} < $2 AND {source.where.format(minutes=minutes)}"
    sums = ", ".join(f"coalesce({source.measures[name]}, 0)::float8 AS {name}" for name in names)
    rows = transaction.query(
        f"SELECT date_trunc('minute', {source.time}) AS minute, {subject} AS subject, {sums} FROM {table}"
        f" WHERE {within} AND {subject} IN (SELECT {subject} FROM {table} WHERE {within} GROUP BY 1"
        f" HAVING {' AND '.join(enough)}) GROUP BY 1, 2",
        parameters,
    ).to_pylist()
    by_minute: dict[str, Windows] = {}
    for row in rows:
        own = by_minute.setdefault(row["subject"], {name: np.zeros(minutes) for name in names})
        for name in names:
            own[name][_place(row, since)] += row[name]
    return {
        each: {name: _sliding(values, rule.window_minutes) for name, values in own.items()}
        for each, own in by_minute.items()
    }


def _reach(rule: Rule, source: Source) -> list[tuple[str, float]]:
    """What a subject must have in all windows together, at the least, for the rule to hold in one of them."""
    least = [(rule.volume, rule.minimum_events)]
    for each in rule.conditions:
        name, *by = each.measures
        if each.above is not None and not by:
            least.append((rule.volume if name in MEASURES[name].users else name, each.above))
    return [(name, value) for name, value in least if name in source.measures]


def _users(
    transaction: Transaction, rule: Rule, source: Source, names: Sequence[str], stretch: Stretch
) -> dict[str, Windows]:
    """Different users, which do not add up: the sketches of each window's minutes are united."""
    columns = {name: source.users[name] for name in names if name in source.users}
    if not columns:
        return {}
    table, subject = source.scopes[rule.scope]
    minutes = stretch.minutes(rule)
    since = stretch.until - minutes * MINUTE
    within = f"{source.time} >= $1 AND {source.time} < $2 AND {source.where}"
    rows = transaction.query(
        f"SELECT {source.time} AS minute, {subject} AS subject, {', '.join(columns.values())} FROM {table}"
        f" WHERE {within} AND {subject} IN (SELECT {subject} FROM {table} WHERE {within} GROUP BY 1"
        f" ORDER BY {source.measures[rule.volume]} DESC, 1 LIMIT {_MOST_COUNTED})",
        (since, stretch.until),
    ).to_pylist()
    sketches: dict[str, dict[str, list[list[compact_theta_sketch]]]] = {}
    for row in rows:
        own = sketches.setdefault(row["subject"], {name: [[] for _ in range(minutes)] for name in columns})
        for name, column in columns.items():
            if row[column]:
                own[name][_place(row, since)].append(compact_theta_sketch.deserialize(row[column]))
    return {
        each: {name: counted(of_minutes, rule.window_minutes) for name, of_minutes in own.items()}
        for each, own in sketches.items()
    }


def _place(row: dict[str, Any], since: datetime) -> int:
    place: int = (row["minute"].astimezone(UTC) - since) // MINUTE
    return place


def _sliding(values: Values, length: int) -> Values:
    """Sums over each window of so many minutes, the oldest first."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    windows: Values = sums[length:] - sums[:-length]
    return windows


def counted(of_minutes: Sequence[Sequence[compact_theta_sketch]], length: int) -> Values:
    """Sizes of the unions over each window of so many minutes, the oldest first.

    A window is the end of one block of `length` minutes and the beginning of the next: so each minute is united twice,
    whatever the length.
    """
    whole = [_united(each) for each in of_minutes]
    upto, since = list(whole), list(whole)
    for place in range(1, len(whole)):
        if place % length:
            upto[place] = _united((upto[place - 1], whole[place]))
    for place in range(len(whole) - 2, -1, -1):
        if (place + 1) % length:
            since[place] = _united((whole[place], since[place + 1]))
    windows = range(len(whole) - length + 1)
    return np.array([_united((since[first], upto[first + length - 1])).get_estimate() for first in windows])


def _united(sketches: Sequence[compact_theta_sketch]) -> compact_theta_sketch:
    union = theta_union(LG_NOMINAL_ENTRIES)
    for sketch in sketches:
        union.update(sketch)
    return union.get_result()
