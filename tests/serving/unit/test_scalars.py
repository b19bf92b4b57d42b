"""Scalars: money stays exact, durations are ISO 8601, times have a zone."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from serving.schema.scalars import (
    check_long,
    format_decimal,
    format_duration,
    format_time,
    parse_decimal,
    parse_duration,
    parse_time,
)

pytestmark = pytest.mark.unit

money = st.decimals(min_value=-(10**14), max_value=10**14, places=4, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0.00"),
        ("12.5000", "12.50"),
        ("12.3333", "12.3333"),
        ("12.3400", "12.34"),
        ("1E+3", "1000.00"),
        ("-0.0100", "-0.01"),
    ],
)
def test_money_has_at_least_two_places_and_no_trailing_zeros_beyond(value: str, text: str) -> None:
    assert format_decimal(Decimal(value)) == text


@given(money)
def test_money_survives_the_wire_exactly(amount: Decimal) -> None:
    assert parse_decimal(format_decimal(amount)) == amount


@pytest.mark.parametrize("value", [1.5, "1e5", "NaN", "", "1.23456", True, None, "１2"])
def test_money_is_not_read_from_floats_or_other_notations(value: Any) -> None:
    with pytest.raises(GraphQLError):
        parse_decimal(value)


@pytest.mark.parametrize("value", [1.5, Decimal("NaN"), Decimal("Infinity")])
def test_money_that_is_not_a_finite_decimal_is_never_written(value: Any) -> None:
    with pytest.raises(GraphQLError):
        format_decimal(value)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(minutes=5), "PT5M"),
        (timedelta(seconds=83.5), "PT1M23.5S"),
        (timedelta(hours=1, microseconds=1), "PT1H0.000001S"),
        (timedelta(days=1), "P1D"),
        (timedelta(days=2, hours=3, seconds=4), "P2DT3H4S"),
    ],
)
def test_durations_are_written_in_iso_8601(length: timedelta, text: str) -> None:
    assert format_duration(length) == text
    assert parse_duration(text) == length


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=40_000)))
def test_durations_survive_the_wire(length: timedelta) -> None:
    assert parse_duration(format_duration(length)) == length


def test_a_week_is_seven_days() -> None:
    assert parse_duration("P1W") == timedelta(days=7)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "5M", "P1Y", "P1M", "PT-5M", "PT5", "pt5m", "P999999999999D", 300, None]
)
def test_what_is_not_a_fixed_length_is_refused(text: Any) -> None:
    with pytest.raises(GraphQLError):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00", "2026-03-01T13:00:00+01:00", "2026-03-01T12:00:00.000Z"]
)
def test_a_time_without_a_zone_is_utc_and_any_offset_is_turned_into_it(text: str) -> None:
    assert parse_time(text) == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-03-01", "12:00", "yesterday", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+05:00", 5]
)
def test_what_is_not_an_instant_is_refused(text: Any) -> None:
    with pytest.raises(GraphQLError):
        parse_time(text)


def test_times_are_written_in_utc_with_the_fraction_they_have() -> None:
    berlin = timezone(timedelta(hours=2))
    assert format_time(datetime(2026, 7, 1, 14, tzinfo=berlin)) == "2026-07-01T12:00:00Z"
    assert format_time(datetime(2026, 7, 1, 14, 0, 0, 5000, tzinfo=berlin)) == "2026-07-01T12:00:00.005Z"
    assert format_time(datetime(2026, 7, 1, 14, 0, 0, 5, tzinfo=berlin)) == "2026-07-01T12:00:00.000005Z"
    with pytest.raises(GraphQLError):
        format_time(datetime(2026, 7, 1, 14))  # noqa: DTZ001 - the very thing that must not get out


@pytest.mark.parametrize(
    ("value", "fits"), [(2**53 - 1, True), (2**53, False), (-(2**53), False), (True, False), (1.0, False)]
)
def test_a_long_is_an_integer_that_json_keeps_exact(value: Any, fits: bool) -> None:
    if fits:
        assert check_long(value) == value
    else:
        with pytest.raises(GraphQLError):
            check_long(value)
