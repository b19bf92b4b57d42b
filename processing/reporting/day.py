"""A day of the shop: from midnight to midnight of its zone, and the same stretch a week before by its clock."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Day:
    """One calendar day. It may have 23 or 25 hours."""

    of: date
    zone: ZoneInfo

    @property
    def name(self) -> str:
        return self.of.isoformat()

    @property
    def start(self) -> datetime:
        return self._midnight(self.of)

    @property
    def end(self) -> datetime:
        """Exclusive."""
        return self._midnight(self.of + timedelta(days=1))

    def before(self, days: int = 1) -> "Day":
        """The day so many days earlier."""
        return Day(self.of - timedelta(days=days), self.zone)

    def week_before(self, until: datetime) -> tuple[datetime, datetime]:
        """The same weekday a week ago, up to the time of day of `until`, an instant of this day or its end."""
        if until == self.end:
            return self.before(7).start, self.before(7).end
        # Within one zone, Python reckons by the clock on the wall.
        return self.before(7).start, (until.astimezone(self.zone) - _WEEK).astimezone(UTC)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


def day_of(instant: datetime, zone: ZoneInfo) -> Day:
    """The day that an instant is in."""
    return Day(instant.astimezone(zone).date(), zone)
