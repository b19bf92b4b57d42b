"""Ranges and windows of time, and the rules that keep an answer finite. No database here.

Ranges and windows are half-open, [from, to). A window belongs to a range when it *starts* in it, and is always
whole: the last one may reach past the range. So two ranges that touch give each window exactly once, and no number
is ever that of a part of a window. Windows align to 1970-01-01T00:00Z, as Spark's and Flink's do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from serving.errors import InvalidArgument, TooLarge

ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Span:
    """A half-open span of time, both ends with a zone."""

    start: datetime
    end: datetime

    @classmethod
    def checked(cls, start: datetime, end: datetime, argument: str = "range") -> "Span":
        """The span, once it is certain that it is not empty."""
        if start >= end:
            raise InvalidArgument(argument, f"`from` ({start.isoformat()}) must be before `to` ({end.isoformat()})")
        return cls(start, end)

    @property
    def length(self) -> timedelta:
        """How long it is; always positive."""
        return self.end - self.start


def joined(spans: Iterable[Span]) -> list[Span]:
    """The stretches of time that the spans make, in order: those that overlap or touch are one."""
    made: list[Span] = []
    for span in sorted(spans, key=lambda each: each.start):
        if made and span.start <= made[-1].end:
            made[-1] = Span(made[-1].start, max(made[-1].end, span.end))
        else:
            made.append(span)
    return made


@dataclass(frozen=True)
class Windows:
    """Windows of one length, one starting each `slide`; tumbling where the two are equal."""

    length: timedelta
    slide: timedelta

    @classmethod
    def checked(cls, length: timedelta, slide: timedelta | None) -> "Windows":
        """The windows, once they can be rolled up from minutes.

        Raises:
            InvalidArgument: a length that is not whole minutes, or a slide that does not divide the window.
        """
        _whole_minutes("window", length)
        if slide is None:
            return cls(length, length)
        _whole_minutes("slide", slide)
        if length % slide:
            raise InvalidArgument("slide", f"{slide} does not divide the window of {length}")
        return cls(length, slide)

    @property
    def overlap(self) -> int:
        """How many windows each minute belongs to."""
        return self.length // self.slide

    def starts_in(self, span: Span, max_points: int) -> Span | None:
        """From the first window start in the span to just after the last one; None where none starts in it.

        Raises:
            TooLarge: more than `max_points` windows start in the span, or hold the same minute.
        """
        if self.overlap > max_points:
            raise TooLarge("slide", f"each minute would be in {self.overlap} windows, the limit is {max_points}")
        first = ceiling(span.start, self.slide)
        after = ceiling(span.end, self.slide)
        points = (after - first) // self.slide
        if points > max_points:
            raise TooLarge(
                "range",
                f"{points} windows start in it, the limit is {max_points}; use a longer slide or a shorter range",
            )
        return Span(first, after) if points else None

    def edges(self, starts: Span) -> list[datetime]:
        """Where any of the windows that start in `starts` begins or ends, in order."""
        last = starts.end - self.slide + self.length
        return [starts.start + n * self.slide for n in range((last - starts.start) // self.slide + 1)]


def minute_edges(moments: Iterable[datetime]) -> list[datetime]:
    """The moments in order, each once, as the beginning of the first minute that begins at or after it."""
    return sorted({ceiling(moment, MINUTE) for moment in moments})


def ceiling(moment: datetime, step: timedelta) -> datetime:
    """The first multiple of `step` since the origin that is not before `moment`."""
    try:
        return moment + (ORIGIN - moment) % step
    except OverflowError as error:
        raise InvalidArgument("range", "too close to the end of the calendar") from error


def floor(moment: datetime, step: timedelta) -> datetime:
    """The last multiple of `step` since the origin that is not after `moment`."""
    return moment - (moment - ORIGIN) % step


def _whole_minutes(argument: str, duration: timedelta) -> None:
    if duration < MINUTE or duration % MINUTE:
        raise InvalidArgument(argument, f"{duration} is not a positive multiple of one minute")
