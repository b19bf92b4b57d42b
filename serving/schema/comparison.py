"""The earlier period that a range is compared with."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import strawberry

from serving.errors import InvalidArgument
from serving.queries.compared import BEFORE
from serving.windows import Span, Windows
from serving.zones import day_before, day_so_far_before, hour_before

_HOUR = timedelta(hours=1)


@strawberry.enum(description="The earlier period that an answer is compared with; it is as long as the range.")
class Earlier(Enum):
    RANGE_BEFORE = strawberry.enum_value("range_before", description="Right before the range.")
    DAY_BEFORE = strawberry.enum_value("day_before", description="One day earlier.")
    WEEK_BEFORE = strawberry.enum_value("week_before", description="Seven days earlier.")
    YEAR_BEFORE = strawberry.enum_value(
        "year_before", description="52 weeks earlier, so that the days of the week agree."
    )

    def span(self, span: Span) -> Span:
        """The earlier span. A day is 24 hours here.

        Raises:
            InvalidArgument: the calendar does not go back so far.
        """
        back = timedelta(days=_DAYS[self]) or span.length
        try:
            return Span(span.start - back, span.end - back)
        except OverflowError as error:
            raise _too_early() from error

    def windows(self, starts: Span, windows: Windows) -> Span:
        """Of the windows that start in a span the earlier ones; with RANGE_BEFORE, as many of them.

        Raises:
            InvalidArgument: none start then, or the calendar does not go back so far.
        """
        if timedelta(days=_DAYS[self]) % windows.slide:
            raise InvalidArgument(
                "compareWith", f"windows that start every {windows.slide} start at other times of that day"
            )
        return self.span(starts)

    def days(self, days: Sequence[Span], zone: ZoneInfo) -> list[Span | None]:
        """Of each day of a zone the one that it is compared with; None for one that the zone left out.

        Raises:
            InvalidArgument: the calendar does not go back so far.
        """
        back = _DAYS[self] or len(days)
        try:
            return [day_before(day, back, zone) for day in days]
        except OverflowError as error:
            raise _too_early() from error

    def hours(self, hours: Sequence[Span], zone: ZoneInfo) -> list[Span | None]:
        """The same of hours: so many days before by the zone's clock, or as many hours before as there are.

        Raises:
            InvalidArgument: the calendar does not go back so far.
        """
        back = len(hours) * _HOUR
        try:
            if _DAYS[self]:
                return [hour_before(hour, _DAYS[self], zone) for hour in hours]
            return [Span(hour.start - back, hour.end - back) for hour in hours]
        except OverflowError as error:
            raise _too_early() from error

    def day_so_far(self, now: datetime, zone: ZoneInfo) -> Span | None:
        """The earlier day up to the same time by the zone's clock; None for one that the zone left out.

        Raises:
            InvalidArgument: no day is meant, or the calendar does not go back so far.
        """
        if not _DAYS[self]:
            raise InvalidArgument("compareWith", "a day so far is compared with another day's: name how far back")
        try:
            return day_so_far_before(now, _DAYS[self], zone)
        except OverflowError as error:
            raise _too_early() from error


_DAYS: Final = {Earlier.RANGE_BEFORE: 0, Earlier.DAY_BEFORE: 1, Earlier.WEEK_BEFORE: 7, Earlier.YEAR_BEFORE: 364}
"""How many days earlier; 0 for as long as the range is."""

CompareWith = Annotated[
    Earlier | None,
    strawberry.argument(
        description="Tell what was `previous`, too: the numbers of an earlier period, of one snapshot."
    ),
]


PREVIOUS_WINDOW: Final = (
    "The same {} in the window that this one is compared with; null without `compareWith`, and where there was none."
)
Columns = Mapping[Any, Any]
"""Of a row, by name."""


def row_before(told: Columns, key: str = "window_start") -> Columns | None:
    """What a statement has put beside a row under `before_…`, by the same names; None where its `key` is null."""
    if told.get(BEFORE + key) is None:
        return None
    return {name.removeprefix(BEFORE): value for name, value in told.items() if name.startswith(BEFORE)}


def _too_early() -> InvalidArgument:
    return InvalidArgument("compareWith", "too close to the beginning of the calendar")
