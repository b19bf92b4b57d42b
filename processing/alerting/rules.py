"""Rules over what has been seen: minutes up to the newest event, whether closed or not, so that a rule speaks at once.

Rules on what arrived go by when it was committed, up to now. A rule is told by the tables alone, so nothing is kept
between looks: that it held a minute ago is counted again.
"""

from collections.abc import Iterator, Mapping
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from processing.alerting.data_faults import Clock
from processing.alerting.firing import Firing, Member
from processing.alerting.readings import MINUTE, Stretch, Windows, read
from processing.alerting.rule_settings import Condition, Rule, number
from processing.detection.detector import Values
from processing.detection.series import floor
from processing.store import Transaction

_HELD_ON: Final = 2
"""A rule holds on for so many minutes: one that comes and goes within them does not ring twice."""
_MOST_MEMBERS: Final = 20


def firings(transaction: Transaction, rules: Mapping[str, Rule], clock: Clock, zone: ZoneInfo) -> Iterator[Firing]:
    """What these rules say of the minutes before the one in which the newest event lies, or now."""
    for name, rule in rules.items():
        of_data = rule.axis == "arrivals"
        stretch = Stretch(
            floor(clock.now if of_data else clock.seen_until, MINUTE),
            rule.for_minutes + _HELD_ON - 1,
            clock.decided_until,
        )
        members = tuple(_members(rule, read(transaction, rule, stretch), stretch))
        if members:
            yield Firing(
                key=f"data:rule:{name}" if of_data else f"rule:{name}",
                kind="data" if of_data else "shop",
                severity=rule.severity,
                title=rule.title,
                members=members[:_MOST_MEMBERS],
                since=stretch.until - (rule.window_minutes + rule.for_minutes) * MINUTE,
                until=stretch.until,
                quiet=rule.quiet.hours(zone) if rule.quiet else None,
            )


def _members(rule: Rule, by_subject: Mapping[str, Windows], stretch: Stretch) -> Iterator[Member]:
    """Whoever the rule holds for, the most events first."""
    found = []
    for subject, windows in by_subject.items():
        holding = windows[rule.volume] >= rule.minimum_events
        for condition in rule.conditions:
            holding &= np.array([condition.holds(value) for value in metric_of(condition, windows)])
        ends = range(rule.for_minutes, stretch.ends + 1)
        held = [last - 1 for last in ends if holding[last - rule.for_minutes : last].all()]
        if held:
            found.append((windows[rule.volume][held[-1]], subject, _says(rule, windows, stretch, held[-1])))
    for _, subject, says in sorted(found, key=lambda each: (-each[0], each[1])):
        yield Member(rule.scope, subject, says)


def metric_of(condition: Condition, windows: Windows) -> Values:
    """The condition's metric in each window; unknown (NaN) where it would be divided by nothing."""
    name, *by = condition.measures
    if not by:
        return windows[name]
    divisor = windows[by[0]]
    unknown = np.full(len(divisor), np.nan)
    quotients: Values = np.divide(windows[name], divisor, out=unknown, where=divisor != 0)
    return quotients


def _says(rule: Rule, windows: Windows, stretch: Stretch, place: int) -> str:
    """The numbers of the last window that it held in: those of a later one are not beyond anything."""
    numbers = ", ".join(
        f"{condition.metric} {number(metric_of(condition, windows)[place])} ({condition})"
        for condition in rule.conditions
    )
    end = stretch.until - (stretch.ends - 1 - place) * MINUTE
    return f"{numbers} in the {rule.window_minutes} minutes before {end:%H:%M} UTC"
