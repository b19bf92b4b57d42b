"""The earlier period: days by the calendar, hours by the clock, and as many of them as there are now."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from serving.errors import InvalidArgument
from serving.schema.comparison import Earlier
from serving.windows import Span
from serving.zones import days_in, hours_in

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def day(year: int, month: int, number: int, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime(year, month, number, tzinfo=zone)


def whole(start: datetime, end: datetime) -> Span:
    return Span(start.astimezone(UTC), end.astimezone(UTC))


def test_a_day_goes_back_by_the_calendar_over_a_change_of_the_clock() -> None:
    (monday,) = days_in(whole(day(2026, 3, 30), day(2026, 3, 31)), BERLIN)
    assert Earlier.DAY_BEFORE.days([monday], BERLIN) == [whole(day(2026, 3, 29), day(2026, 3, 30))]  # 23 hours
    assert Earlier.WEEK_BEFORE.days([monday], BERLIN) == [whole(day(2026, 3, 23), day(2026, 3, 24))]


def test_a_year_before_is_the_same_day_of_the_week() -> None:
    (one,) = days_in(whole(day(2026, 3, 10), day(2026, 3, 11)), BERLIN)
    (before,) = Earlier.YEAR_BEFORE.days([one], BERLIN)
    assert before is not None
    assert before.start.astimezone(BERLIN).weekday() == one.start.astimezone(BERLIN).weekday()


def test_the_range_before_is_as_many_days() -> None:
    days = days_in(whole(day(2026, 3, 28), day(2026, 3, 31)), BERLIN)
    before = [whole(day(2026, 3, 25), day(2026, 3, 26)), whole(day(2026, 3, 26), day(2026, 3, 27))]
    assert Earlier.RANGE_BEFORE.days(days, BERLIN) == [*before, whole(day(2026, 3, 27), day(2026, 3, 28))]


def test_a_day_that_the_zone_left_out_is_compared_with_nothing() -> None:
    apia = ZoneInfo("Pacific/Apia")
    days = days_in(whole(day(2011, 12, 31, apia), day(2012, 1, 1, apia)), apia)
    assert Earlier.DAY_BEFORE.days(days, apia) == [None]


def test_an_hour_goes_back_by_the_clock_and_the_repeated_one_twice_to_the_same() -> None:
    hours = hours_in(whole(day(2026, 10, 25), day(2026, 10, 26)), BERLIN)
    before = [one for one in Earlier.DAY_BEFORE.hours(hours, BERLIN) if one is not None]
    assert [one.start.astimezone(BERLIN).hour for one in before] == [one.start.astimezone(BERLIN).hour for one in hours]
    assert before[2] == before[3]
    assert len(hours) == len({*before}) + 1 == 25


def test_hours_of_the_range_before_are_counted() -> None:
    hours = hours_in(whole(day(2026, 3, 29), day(2026, 3, 30)), BERLIN)
    before = Earlier.RANGE_BEFORE.hours(hours, BERLIN)
    assert before == [Span(one.start - 23 * HOUR, one.end - 23 * HOUR) for one in hours]


def test_a_range_is_moved_by_its_own_length_or_by_days() -> None:
    span = Span(datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 13, 30, tzinfo=UTC))
    assert Earlier.RANGE_BEFORE.span(span).end == span.start
    assert Earlier.RANGE_BEFORE.span(span).length == span.length
    assert Earlier.WEEK_BEFORE.span(span) == Span(span.start - 7 * DAY, span.end - 7 * DAY)


@pytest.mark.parametrize("how", list(Earlier))
def test_before_the_calendar_there_is_nothing(how: Earlier) -> None:
    first = Span(datetime(1, 1, 1, 1, tzinfo=UTC), datetime(1, 1, 1, 12, tzinfo=UTC))
    for back in (how.span, lambda span: how.hours([span] * 30, BERLIN), lambda span: how.days([span], BERLIN)):
        with pytest.raises(InvalidArgument, match="beginning of the calendar"):
            back(first)
