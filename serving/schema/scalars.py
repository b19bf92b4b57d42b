"""Scalars of the API: money that is never a float, durations, times that always have a zone, large counts."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

Long = NewType("Long", int)
"""A count: a JSON integer up to 2^53 - 1, beyond GraphQL's 32-bit Int."""

_MAX_LONG: Final = 2**53 - 1
_CENTS: Final = 2
_DURATION: Final = re.compile(
    r"P(?=.)(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d{1,6})?)S)?)?",
    re.ASCII,
)


def format_decimal(value: Any) -> str:
    """Plain notation with at least two places; further places only where they are not zero."""
    if not isinstance(value, Decimal) or not value.is_finite():
        raise GraphQLError(f"{value!r} is not a finite decimal")
    whole, _, places = format(value, "f").partition(".")
    return f"{whole}.{places.rstrip('0').ljust(_CENTS, '0')}"


def parse_decimal(value: Any) -> Decimal:
    """A decimal from a string (exact) or an integer; never from a float."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,34}(\.\d{1,4})?", value, re.ASCII):
        return Decimal(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise GraphQLError('a Decimal is a string such as "12.50"')


def format_duration(value: Any) -> str:
    """ISO 8601 in hours, minutes and seconds; days only from 24 hours on."""
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise GraphQLError(f"{value!r} is not a duration")
    days, seconds, micros = value.days, value.seconds, value.microseconds
    time = "".join(
        f"{number}{unit}"
        for number, unit in ((seconds // 3600, "H"), (seconds // 60 % 60, "M"), (_seconds(seconds % 60, micros), "S"))
        if number not in {0, "0"}
    )
    date = f"{days}D" if days else ""
    if not date and not time:
        return "PT0S"
    return f"P{date}" + (f"T{time}" if time else "")


def parse_duration(value: Any) -> timedelta:
    """Weeks, days, hours, minutes and seconds; no months or years, whose length depends on when they begin."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise GraphQLError('a Duration is ISO 8601 without years and months, such as "PT5M"')
    numbers = {
        unit: float(number) if unit == "seconds" else int(number) for unit, number in match.groupdict("0").items()
    }
    try:
        return timedelta(**numbers)
    except OverflowError as error:
        raise GraphQLError("a Duration of this length can not be counted") from error


def format_time(value: Any) -> str:
    """RFC 3339 in UTC, with `Z`; fractions only where there are some."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise GraphQLError(f"{value!r} is not a time with a zone")
    return _in_utc(value)


@lru_cache(4096)  # in a series every window has a row for each category, and ends where the next one begins
def _in_utc(value: datetime) -> str:
    precision = "auto" if value.microsecond % 1000 else "milliseconds" if value.microsecond else "seconds"
    return value.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def parse_time(value: Any) -> datetime:
    """ISO 8601; a time without a zone is UTC."""
    if not isinstance(value, str) or "T" not in value.upper():
        raise GraphQLError('a DateTime is ISO 8601 such as "2026-01-31T12:00:00Z"')
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise GraphQLError(f"not a DateTime: {error}") from error


def check_long(value: Any) -> int:
    """An integer that JSON readers keep exact."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MAX_LONG:
        raise GraphQLError(f"{value!r} is not an integer of at most 53 bits")
    return value


def _seconds(whole: int, micros: int) -> str:
    return f"{whole}.{micros:06d}".rstrip("0") if micros else str(whole)


SCALARS: Final[dict[object, ScalarDefinition]] = {
    Decimal: strawberry.scalar(
        name="Decimal",
        description="Exact decimal number as a string: at least two places, trailing zeros beyond them trimmed. "
        "The currency stands in a field beside it.",
        serialize=format_decimal,
        parse_value=parse_decimal,
    ),
    timedelta: strawberry.scalar(
        name="Duration",
        description="Length of time in ISO 8601, in weeks, days, hours, minutes and seconds (`PT5M`).",
        serialize=format_duration,
        parse_value=parse_duration,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="Instant in RFC 3339. Answers are in UTC; an argument may carry any offset, one without is UTC.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=format_time,
        parse_value=parse_time,
    ),
    Long: strawberry.scalar(
        name="Long",
        description="Whole number up to 2^53 - 1, as a JSON number.",
        serialize=check_long,
        parse_value=check_long,
    ),
}
