"""The life of an alert, as a decision: which open, which change, which resolve, and of what people are notified.

Faults of the data come first. While one holds, what the shop's numbers say of the same time is kept as an alert of its
own, but explained by it, and nobody is notified of that: a broken tracker does not ring as a broken checkout.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from processing.alerting.firing import WORST, Firing, Kind, Member, Severity, worst

AGAIN_AFTER: Final = timedelta(minutes=5)
"""Shortest time between two notices that an alert has new members."""
_SPREADS: Final = timedelta(minutes=15)
"""A fault of the data is seen this long after it began, at most: what it explains may have begun earlier."""


@dataclass(frozen=True)
class Alert:
    """An alert as it is kept; `id` is None until it is."""

    id: int | None
    key: str
    kind: Kind
    severity: Severity
    title: str
    members: tuple[Member, ...]
    explained_by: int | None
    opened_at: datetime
    notified_at: datetime | None = None
    resolved_at: datetime | None = None


@dataclass(frozen=True)
class Opened:
    """A new alert; `notify` unless it is explained."""

    alert: Alert
    firing: Firing
    notify: bool


@dataclass(frozen=True)
class Changed:
    """An open alert as it is now; `notice` is what to tell, if anything."""

    alert: Alert
    firing: Firing
    notice: str | None


@dataclass(frozen=True)
class Resolved:
    """An alert that has ended; `notify` if anybody was notified of it."""

    alert: Alert
    notify: bool


Step: TypeAlias = Opened | Changed | Resolved


def steps(
    alerts: Sequence[Alert], firings: Iterable[Firing], unknown: Collection[str], faults: Sequence[Alert], now: datetime
) -> list[Step]:
    """What to do, given the open alerts and what holds now.

    `unknown` are the keys of which it is not known at this moment whether they hold: those stay as they are. `faults`
    are the alerts on data, open or of late, that may explain others.
    """
    by_key = {alert.key: alert for alert in alerts}
    found: list[Step] = []
    for firing in firings:
        fault = None if firing.kind == "data" else _explanation(firing, faults, now)
        alert = by_key.pop(firing.key, None)
        found.append(_open(firing, fault, now) if alert is None else _change(alert, firing, fault, now))
    found += [
        Resolved(replace(alert, resolved_at=now), notify=alert.notified_at is not None)
        for alert in by_key.values()
        if alert.key not in unknown
    ]
    return found


def _explanation(firing: Firing, faults: Sequence[Alert], now: datetime) -> int | None:
    """The fault of the data in whose time the firing's lies."""
    for fault in faults:
        if fault.opened_at - _SPREADS <= firing.until and firing.since <= (fault.resolved_at or now):
            return fault.id
    return None


def _open(firing: Firing, fault: int | None, now: datetime) -> Opened:
    alert = Alert(None, firing.key, firing.kind, firing.severity, firing.title, firing.members, fault, now)
    return Opened(alert, firing, notify=fault is None)


def _change(alert: Alert, firing: Firing, fault: int | None, now: datetime) -> Changed:
    severity = worst([alert.severity, firing.severity])
    if alert.notified_at is not None:
        fault = None  # who was told of it goes on being told
    as_it_is = replace(alert, severity=severity, members=firing.members, explained_by=fault)
    return Changed(as_it_is, firing, _notice(alert, as_it_is, now))


def _notice(before: Alert, after: Alert, now: datetime) -> str | None:
    if after.explained_by is not None:
        return None
    if before.notified_at is None:
        return "opened"
    if WORST.index(after.severity) > WORST.index(before.severity):
        return "changed"
    joined = set(after.members) - set(before.members)
    return "changed" if joined and now - before.notified_at >= AGAIN_AFTER else None
