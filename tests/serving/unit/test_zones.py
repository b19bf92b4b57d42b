"""Hours and days of every kind of zone, against a walk through each minute."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidArgument
from serving.windows import Span
from serving.zones import checked_zone, day_so_far_before, days_in, hours_in

pytestmark = pytest.mark.unit

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
)
CHANGES = [
    datetime(2018, 11, 4, tzinfo=UTC),  # no midnight in Sao Paulo
    datetime(2018, 2, 18, tzinfo=UTC),  # two of them
    datetime(2011, 12, 30, tzinfo=UTC),  # a day that Apia left out
    datetime(2026, 3, 29, tzinfo=UTC),
    datetime(2026, 10, 25, tzinfo=UTC),
    datetime(2026, 4, 5, tzinfo=UTC),  # half an hour on Lord Howe
]
spans = st.builds(
    lambda near, offset, length: Span(near + offset * MINUTE, near + (offset + length) * MINUTE),
    st.sampled_from(CHANGES),
    st.integers(-3000, 3000),
    st.integers(1, 6000),
)


def walked(span: Span, zone: ZoneInfo) -> list[datetime]:
    """The instants in the span at which a local day begins that lasts at least a minute."""
    begins: list[datetime] = []
    moment = span.start.replace(second=0, microsecond=0) - 2 * DAY
    newest = date.min
    while moment < span.end:
        today = moment.astimezone(zone).date()
        if today > newest:  # a clock put back over midnight does not begin the day before again
            newest = today
            begins.append(moment)
        moment += MINUTE
    return [begin for begin in begins[1:] if begin >= span.start]


@given(span=spans, zone=st.sampled_from(ZONES))
def test_days_begin_when_the_date_changes(span: Span, zone: str) -> None:
    days = days_in(span, ZoneInfo(zone))
    for day in days:
        assert span.start <= day.start < span.end
        assert 23 * HOUR <= day.end - day.start <= 25 * HOUR
        for edge in (day.start, day.end):
            assert edge.astimezone(ZoneInfo(zone)).date() != (edge - MINUTE).astimezone(ZoneInfo(zone)).date()
    assert all(one.end == other.start for one, other in pairwise(days))
    if zone != "America/Sao_Paulo":  # there, a date can begin twice
        assert [day.start for day in days] == walked(span, ZoneInfo(zone))


@given(span=spans, zone=st.sampled_from(ZONES))
def test_hours_are_sixty_minutes_and_leave_nothing_out(span: Span, zone: str) -> None:
    hours = hours_in(span, ZoneInfo(zone))
    assert all(hour.end - hour.start == HOUR for hour in hours)
    assert all(one.end == other.start for one, other in pairwise(hours))
    if hours:
        assert span.start <= hours[0].start < span.start + HOUR
        assert hours[-1].start < span.end <= hours[-1].end
    else:
        assert span.length < HOUR


def test_a_zone_that_is_none_is_named() -> None:
    with pytest.raises(InvalidArgument, match="Mars"):
        checked_zone("Mars/Olympus")


@pytest.mark.parametrize(
    ("now", "days", "zone", "start", "end"),
    [
        ("2026-03-10T12:35:00+00:00", 1, "UTC", "2026-03-09T00:00:00+00:00", "2026-03-09T12:35:00+00:00"),
        # Clocks went forward on the 29th: noon of the day before is 23 hours earlier.
        ("2026-03-29T12:00:00+02:00", 1, "Europe/Berlin", "2026-03-28T00:00:00+01:00", "2026-03-28T12:00:00+01:00"),
        ("2026-03-30T12:00:00+02:00", 7, "Europe/Berlin", "2026-03-23T00:00:00+01:00", "2026-03-23T12:00:00+01:00"),
        # That day had no midnight; it began at one, and half past midnight stands for half past one.
        ("2018-11-05T00:30:00-02:00", 1, "America/Sao_Paulo", "2018-11-04T01:00:00-02:00", "2018-11-04T01:30:00-02:00"),
        ("2018-11-05T09:00:00-02:00", 1, "America/Sao_Paulo", "2018-11-04T01:00:00-02:00", "2018-11-04T09:00:00-02:00"),
    ],
)
def test_a_day_so_far_ends_when_the_clocks_showed_the_same(
    now: str, days: int, zone: str, start: str, end: str
) -> None:
    found = day_so_far_before(datetime.fromisoformat(now), days, ZoneInfo(zone))
    assert found == Span(datetime.fromisoformat(start), datetime.fromisoformat(end))


def test_a_day_that_the_zone_left_out_is_none() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert day_so_far_before(datetime(2011, 12, 31, 9, tzinfo=apia), 1, apia) is None
