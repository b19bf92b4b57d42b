"""Rules over what has been seen: minutes up to the newest event, whether closed or not, so that a rule speaks at once.

A rule is told by the tables alone, so nothing is kept between looks: that it held a minute ago is counted again.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from processing.alerting.firing import Firing, Member
from processing.alerting.rule_settings import Rule
from processing.detection.detector import Values
from processing.detection.series import floor
from processing.detection.watches import SCOPES
from processing.store import Transaction

_MINUTE: Final = timedelta(minutes=1)
_HELD_ON: Final = 2
"""A rule holds on for so many minutes: one that comes and goes within them does not ring twice."""
_MOST_MEMBERS: Final = 20


def firings(
    transaction: Transaction, rules: Mapping[str, Rule], seen_until: datetime, zone: ZoneInfo
) -> Iterator[Firing]:
    """What the enabled rules say of the minutes before the one in which the newest event lies."""
    until = floor(seen_until, _MINUTE)
    for name, rule in rules.items():
        if not rule.enabled:
            continue
        members = tuple(_members(transaction, rule, until))
        if members:
            yield Firing(
                key=f"rule:{name}",
                kind="shop",
                severity=rule.severity,
                title=rule.title,
                members=members[:_MOST_MEMBERS],
                since=until - (rule.window_minutes + rule.for_minutes) * _MINUTE,
                until=until,
                quiet=rule.quiet.hours(zone) if rule.quiet else None,
            )


def _members(transaction: Transaction, rule: Rule, until: datetime) -> Iterator[Member]:
    """Whoever the rule holds for, the most events first."""
    ends = rule.for_minutes + _HELD_ON - 1
    minutes = rule.window_minutes + ends - 1
    by_subject = _minutes(transaction, rule, until - minutes * _MINUTE, until, minutes)
    found = []
    for subject, columns in by_subject.items():
        sums = {name: _sliding(values, rule.window_minutes) for name, values in columns.items()}
        holding = _holding(rule, sums)
        held = [holding[last - rule.for_minutes : last].all() for last in range(rule.for_minutes, ends + 1)]
        if any(held):
            found.append((sums["events"][-1], subject, _says(rule, sums, until)))
    for _, subject, says in sorted(found, key=lambda each: (-each[0], each[1])):
        yield Member(rule.scope, subject, says)


def _holding(rule: Rule, sums: Mapping[str, Values]) -> np.typing.NDArray[np.bool_]:
    """For each window whether all conditions hold in it."""
    holding = sums["events"] >= rule.minimum_events
    for condition in rule.conditions:
        values = _values(condition.measures, sums)
        holding &= np.array([condition.holds(value) for value in values])
    return holding


def _values(measures: tuple[str, ...], sums: Mapping[str, Values]) -> Values:
    if len(measures) == 1:
        return sums[measures[0]]
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient: Values = sums[measures[0]] / sums[measures[1]]
    return quotient


def _says(rule: Rule, sums: Mapping[str, Values], until: datetime) -> str:
    numbers = ", ".join(
        f"{condition.metric} {_values(condition.measures, sums)[-1]:,.4g} ({condition})"
        for condition in rule.conditions
    )
    return f"{numbers} in the {rule.window_minutes} minutes before {until:%H:%M} UTC"


def _sliding(values: Values, length: int) -> Values:
    """Sums over each window of so many minutes, the oldest first."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    windows: Values = sums[length:] - sums[:-length]
    return windows


def _minutes(
    transaction: Transaction, rule: Rule, since: datetime, until: datetime, minutes: int
) -> dict[str, dict[str, Values]]:
    """What each subject did minute by minute; those who can not reach what a rule wants above are left out."""
    scope = SCOPES[rule.scope]
    subject = scope.subject or "''"
    names = sorted({"events", *(name for each in rule.conditions for name in each.measures)})
    sums = ", ".join(f"sum({name})::float8 AS {name}" for name in names)
    reach = [("events", rule.minimum_events)]
    reach += [
        (each.metric, each.above) for each in rule.conditions if each.above is not None and "/" not in each.metric
    ]
    enough = " AND ".join(f"sum({name}) >= ${place}::float8" for place, (name, _) in enumerate(reach, start=3))
    rows = transaction.query(
        f"SELECT minute, {subject} AS subject, {sums} FROM {scope.table.name}"
        f" WHERE minute >= $1 AND minute < $2 AND NOT bot AND {subject} IN (SELECT {subject} FROM {scope.table.name}"
        f" WHERE minute >= $1 AND minute < $2 AND NOT bot GROUP BY 1 HAVING {enough}) GROUP BY 1, 2",
        (since, until, *(float(value) for _, value in reach)),
    ).to_pylist()
    found: dict[str, dict[str, Values]] = {}
    for row in rows:
        columns = found.setdefault(row["subject"], {name: np.zeros(minutes) for name in names})
        place = (row["minute"].astimezone(UTC) - since) // _MINUTE
        for name in names:
            columns[name][place] = row[name]
    return found
