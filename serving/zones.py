"""Hours and days of a time zone, as instants: a day is 23 or 25 hours long where the zone says so."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from serving.errors import InvalidArgument
from serving.windows import Span

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def checked_zone(name: str) -> str:
    """The zone's name, once it is known to exist.

    Raises:
        InvalidArgument: not a name of the IANA time zone database.
    """
    if name not in _zones():
        raise InvalidArgument("timeZone", f"{name[:80]!r} is not an IANA time zone such as 'Europe/Berlin'")
    return name


def hours_in(span: Span, zone: ZoneInfo) -> list[Span]:
    """The hours that begin in the span. They are counted in absolute time: the repeated hour of autumn is two."""
    local = span.start.astimezone(zone)
    start = span.start - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    start = start if start >= span.start else start + _HOUR
    count = max(0, -((start - span.end) // _HOUR))
    return [Span(start + n * _HOUR, start + (n + 1) * _HOUR) for n in range(count)]


def days_in(span: Span, zone: ZoneInfo) -> list[Span]:
    """The days that begin in the span, from midnight to midnight. A day that a zone left out is none."""
    midnights = pairwise(_midnights(span, zone))
    return [Span(start, end) for start, end in midnights if span.start <= start < span.end and start < end]


def day_before(day: Span, days: int, zone: ZoneInfo) -> Span | None:
    """The day so many days before it, by the calendar; None where the zone left that one out."""
    date_then = day.start.astimezone(zone).date() - days * _DAY
    start, end = _midnight(date_then, zone), _midnight(date_then + _DAY, zone)
    return Span(start, end) if start < end else None


def hour_before(hour: Span, days: int, zone: ZoneInfo) -> Span:
    """The hour that began when the zone's clocks showed the same, so many days before.

    Both hours of autumn's repeated one go back to the same; an hour that spring left out stands for the one after it.
    """
    start = (hour.start.astimezone(zone) - days * _DAY).astimezone(UTC)  # the clock's arithmetic, not time's
    return Span(start, start + _HOUR)


def day_so_far_before(now: datetime, days: int, zone: ZoneInfo) -> Span | None:
    """From the midnight so many days before until the zone's clocks showed what they show now.

    A time that spring left out stands for the one after it. None where the zone left that day out, or where it begins
    with this time.
    """
    local = now.astimezone(zone)
    date_then = local.date() - days * _DAY
    start, midnight = _midnight(date_then, zone), _midnight(date_then + _DAY, zone)
    end = min((local - days * _DAY).astimezone(UTC), midnight)  # the clock's arithmetic, not time's
    return Span(start, end) if start < end else None


def _midnights(span: Span, zone: ZoneInfo) -> Iterator[datetime]:
    """From the last one before the span to the first two after it."""
    day: date = span.start.astimezone(zone).date()
    last = span.end.astimezone(zone).date() + _DAY
    while day <= last:
        yield _midnight(day, zone)
        day += _DAY


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """When the day begins: at the second of two midnights, and where there is none, when the clock jumps over it."""
    local = datetime.combine(day, time(), zone)
    return max(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
