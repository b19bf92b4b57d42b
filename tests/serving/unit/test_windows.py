"""Ranges and windows: which are refused, and which windows a range has."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidArgument, TooLarge
from serving.windows import MINUTE, ORIGIN, Span, Windows, ceiling, floor

pytestmark = pytest.mark.unit

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
moments = st.datetimes(datetime(1975, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
steps = st.integers(1, 3000).map(lambda minutes: minutes * MINUTE)


@pytest.mark.parametrize(
    "length", [timedelta(0), -MINUTE, timedelta(seconds=59), timedelta(seconds=61), timedelta(seconds=90)]
)
def test_a_window_that_is_not_whole_minutes_is_refused(length: timedelta) -> None:
    with pytest.raises(InvalidArgument, match=r"window: .* is not a positive multiple of one minute"):
        Windows.checked(length, None)


@pytest.mark.parametrize(
    ("slide", "fault"), [(4, "does not divide"), (20, "does not divide"), (0, "not a positive multiple")]
)
def test_a_slide_that_does_not_divide_the_window_is_refused(slide: int, fault: str) -> None:
    with pytest.raises(InvalidArgument, match=f"slide: .*{fault}"):
        Windows.checked(10 * MINUTE, slide * MINUTE)


def test_windows_without_a_slide_tumble() -> None:
    assert Windows.checked(10 * MINUTE, None).overlap == 1
    assert Windows.checked(10 * MINUTE, 2 * MINUTE).overlap == 5


@pytest.mark.parametrize("end", [NOON, NOON - MINUTE])
def test_a_range_must_not_be_empty(end: datetime) -> None:
    with pytest.raises(InvalidArgument, match="range: `from`"):
        Span.checked(NOON, end)


@given(moments, steps)
def test_a_moment_lies_between_the_boundaries_around_it(moment: datetime, step: timedelta) -> None:
    below, above = floor(moment, step), ceiling(moment, step)
    assert below <= moment <= above
    assert (below - ORIGIN) % step == (above - ORIGIN) % step == timedelta(0)
    assert above - below == (timedelta(0) if below == moment else step)


@given(moments, steps, st.lists(st.integers(1, 100_000), min_size=2, max_size=2))
def test_ranges_that_touch_give_each_window_once(start: datetime, step: timedelta, lengths: list[int]) -> None:
    windows = Windows.checked(step, None)
    middle = start + timedelta(seconds=lengths[0])
    end = middle + timedelta(seconds=lengths[1])

    def starts(span: Span) -> list[datetime]:
        found = windows.starts_in(span, 1_000_000)
        return [] if found is None else [found.start + n * step for n in range((found.end - found.start) // step)]

    assert starts(Span(start, middle)) + starts(Span(middle, end)) == starts(Span(start, end))


@pytest.mark.parametrize(("limit", "fits"), [(61, True), (60, True), (59, False)])
def test_too_many_windows_are_refused_with_both_numbers(limit: int, fits: bool) -> None:
    span, windows = Span(NOON, NOON + timedelta(hours=1)), Windows.checked(MINUTE, None)
    if fits:
        assert windows.starts_in(span, limit) == span
    else:
        with pytest.raises(TooLarge, match="60 windows start in it, the limit is 59"):
            windows.starts_in(span, limit)


def test_a_range_within_a_window_has_no_start() -> None:
    span = Span(NOON + timedelta(seconds=1), NOON + timedelta(seconds=59))
    assert Windows.checked(MINUTE, None).starts_in(span, 10) is None


def test_the_end_of_the_calendar_is_an_argument_error() -> None:
    late = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    with pytest.raises(InvalidArgument, match="end of the calendar"):
        ceiling(late, timedelta(hours=1))
