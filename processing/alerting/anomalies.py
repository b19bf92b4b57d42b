"""Flags that make an alert: of a metric's last three closed windows two are flagged, or one is critical.

All that moved in one direction in one metric is one alert, whatever number of categories and products it is about. Of
the scopes the widest comes first. Hours are told apart from shorter windows, and tell only what those did not ring for:
what has crept in, or stays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from processing.alerting.firing import Firing, Member, Severity, worst
from processing.detection.series import floor
from processing.detection.watches import HOURLY, SCOPES, WATCHES
from processing.store import Transaction

WINDOWS: Final = 3
_ENOUGH: Final = 2
_MOST_MEMBERS: Final = 20
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Flagged:
    """One window of one subject, by the method that is surest of it."""

    metric: str
    scope: str
    subject: str
    direction: str
    window_start: datetime
    window_end: datetime
    expected: float
    observed: float
    severity: Severity
    method: str


def read(transaction: Transaction, watermark: datetime) -> list[Flagged]:
    """The standing flags of the last windows that have closed, of every length there is, the surest method of each."""
    longest = max(watch.window for watch in (*WATCHES, *HOURLY))
    rows = transaction.query(
        "SELECT DISTINCT ON (scope, subject, metric, window_start, window_end) metric, scope, subject, direction,"
        " window_start, window_end, expected, observed, severity, method FROM anomalies AS flag"
        " WHERE standing AND window_end > $1 AND window_end <= $2 AND NOT EXISTS (SELECT FROM anomalies AS shorter"
        " WHERE shorter.standing AND shorter.severity = 'critical' AND shorter.metric = flag.metric"
        " AND shorter.direction = flag.direction AND shorter.window_start >= flag.window_start"
        " AND shorter.window_end <= flag.window_end AND flag.window_end - flag.window_start = interval '1 hour'"
        " AND shorter.window_end - shorter.window_start < interval '1 hour')"
        " ORDER BY scope, subject, metric, window_start, window_end, score / threshold DESC",
        (watermark - (WINDOWS + 1) * longest, watermark),
    ).to_pylist()
    times = ("window_start", "window_end")
    flags = [Flagged(**{**row, **{name: row[name].astimezone(UTC) for name in times}}) for row in rows]
    return [flag for flag in flags if flag.window_end > last_edge(flag, watermark) - WINDOWS * _length(flag)]


def firings(flags: Iterable[Flagged]) -> list[Firing]:
    """One firing per metric, direction and whether by the hour of what is confirmed."""
    by_member: dict[tuple[str, str, str, str, timedelta], list[Flagged]] = {}
    for flag in flags:
        member = (flag.metric, flag.direction, flag.scope, flag.subject, _length(flag))
        by_member.setdefault(member, []).append(flag)
    by_key: dict[tuple[str, str, bool], list[list[Flagged]]] = {}
    for (metric, direction, _, _, length), own in by_member.items():
        if len(own) >= _ENOUGH or any(flag.severity == "critical" for flag in own):
            key = (metric, direction, length == _HOUR)
            by_key.setdefault(key, []).append(sorted(own, key=lambda flag: flag.window_end))
    return [_firing(*key, found) for key, found in sorted(by_key.items())]


def _firing(metric: str, direction: str, by_hour: bool, found: Sequence[Sequence[Flagged]]) -> Firing:
    order = list(SCOPES)
    last = sorted(
        (own[-1] for own in found), key=lambda flag: (order.index(flag.scope), -abs(_off(flag)), flag.subject)
    )
    members = {(flag.scope, flag.subject): Member(flag.scope, flag.subject, _says(flag)) for flag in reversed(last)}
    every = [flag for own in found for flag in own]
    return Firing(
        key=f"anomaly:{metric}:{direction}{':hour' if by_hour else ''}",
        kind="shop",
        severity=worst([flag.severity for flag in every]),
        title=f"{metric.capitalize()} {direction}{', by the hour' if by_hour else ''}",
        members=tuple(reversed(members.values()))[:_MOST_MEMBERS],
        since=min(flag.window_start for flag in every),
        until=max(flag.window_end for flag in every),
    )


def _says(flag: Flagged) -> str:
    return (
        f"{flag.metric} {flag.observed:,.0f} from {flag.window_start:%H:%M} to {flag.window_end:%H:%M} UTC,"
        f" expected about {flag.expected:,.0f} ({flag.method})"
    )


def _off(flag: Flagged) -> float:
    return flag.observed - flag.expected


def _length(flag: Flagged) -> timedelta:
    return flag.window_end - flag.window_start


def last_edge(flag: Flagged, watermark: datetime) -> datetime:
    """The end of the last closed window of the flag's length."""
    return floor(watermark, _length(flag))
