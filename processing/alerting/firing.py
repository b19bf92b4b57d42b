"""What holds at this moment and people should know of: made anew at every look, kept nowhere."""

from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Final, Literal
from zoneinfo import ZoneInfo

Kind = Literal["data", "shop"]
Severity = Literal["warning", "critical"]

WORST: Final[tuple[Severity, ...]] = ("warning", "critical")


@dataclass(frozen=True)
class Member:
    """One thing that a firing holds for."""

    scope: str
    subject: str
    """Which category, product or source; empty where there is but one."""
    says: str = field(compare=False)
    """A sentence with the numbers. They change from look to look; the member stays the same."""


@dataclass(frozen=True)
class QuietHours:
    """A time of day in which nobody is notified of warnings; it may go over midnight."""

    start: time
    end: time
    zone: ZoneInfo

    def until(self, instant: datetime) -> datetime | None:
        """When the quiet hours end in which the instant is; None outside of them."""
        local = instant.astimezone(self.zone)
        clock = local.time()
        over_midnight = self.end <= self.start
        inside = clock >= self.start or clock < self.end if over_midnight else self.start <= clock < self.end
        if not inside:
            return None
        day = local.date()
        if over_midnight and clock >= self.start:
            day = day.fromordinal(day.toordinal() + 1)
        return datetime.combine(day, self.end, self.zone).astimezone(instant.tzinfo)


@dataclass(frozen=True)
class Firing:
    """One thing to know of, whatever number of categories or products it is about."""

    key: str
    """At most one alert is open per key."""
    kind: Kind
    severity: Severity
    title: str
    members: tuple[Member, ...]
    since: datetime
    """Beginning of the time that it is about."""
    until: datetime
    quiet: QuietHours | None = None


def worst(severities: "list[Severity]") -> Severity:
    """The worst of them."""
    return max(severities, key=WORST.index)
