"""Types that several roots share: ranges, windows, and what an answer is as of."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Annotated

import strawberry

from serving.errors import InvalidArgument, TooLarge
from serving.queries import ResultRow
from serving.schema.context import Info
from serving.schema.scalars import Long
from serving.sketches import count_users
from serving.snapshot import EpochRow
from serving.windows import Span

FINAL = "Whether the watermark has passed the end: nothing on time can change it any more."
REVISION = (
    "How many events came into it after the watermark had passed them. It only grows, and where it has grown, numbers "
    "read earlier were corrected."
)
LATE = "Events in it that arrived after the watermark had passed them. They are counted all the same."
CURRENCY = "ISO 4217 code of the shop's one currency."


@strawberry.type(description="The commit that every number of this answer belongs to.")
class AsOf:
    epoch: Long = strawberry.field(description="Number of the newest committed epoch; it never goes back.")
    committed_at: datetime = strawberry.field(description="When it was committed, by the database's clock.")
    watermark: datetime | None = strawberry.field(
        description="Event time before which everything is final; null until there is one."
    )
    lag: timedelta = strawberry.field(
        description="Age of the newest committed event: now less the broker's time of that event. It grows while the "
        "stream is quiet as well as while processing is behind; `freshness` tells the two apart."
    )
    freshness: timedelta = strawberry.field(
        description="How long the newest event of the last epoch took from the broker to this commit: `committedAt` "
        "less the broker's time. It stays as it was while the stream is quiet."
    )
    lag_seconds: float = strawberry.field(description="`lag` in seconds.", deprecation_reason="Use `lag`.")
    freshness_seconds: float = strawberry.field(
        description="`freshness` in seconds.", deprecation_reason="Use `freshness`."
    )

    @classmethod
    def of(cls, row: EpochRow) -> "AsOf":
        """The API's view of the newest line of the ledger. Clocks may disagree by a little; no age is negative."""
        lag = max(timedelta(0), row.read_at - row.newest_log_time)
        freshness = max(timedelta(0), row.committed_at - row.newest_log_time)
        return cls(
            epoch=Long(row.epoch),
            committed_at=row.committed_at,
            watermark=row.watermark,
            lag=lag,
            freshness=freshness,
            lag_seconds=lag.total_seconds(),
            freshness_seconds=freshness.total_seconds(),
        )


@strawberry.input(description="A half-open range of time, [from, to).")
class TimeRange:
    from_: datetime = strawberry.field(name="from", description="First instant in it.")
    to: datetime = strawberry.field(description="First instant after it.")

    def span(self, argument: str = "range") -> Span:
        """The range, checked not to be empty."""
        return Span.checked(self.from_, self.to, argument)


Range = Annotated[
    TimeRange, strawberry.argument(description="Windows, minutes and sessions that start in it are in the answer.")
]


@strawberry.enum(
    description="Whether what bots did is in the answer: events with a bot score of 50 or more, and sessions and users "
    "with such an event."
)
class BotFilter(Enum):
    EXCLUDE = strawberry.enum_value("exclude", description="Only what people did.")
    INCLUDE = strawberry.enum_value("include", description="What people did and what bots did.")
    ONLY = strawberry.enum_value("only", description="Only what bots did.")

    @property
    def bot(self) -> bool | None:
        """What the column `bot` must be; None for either."""
        return None if self is BotFilter.INCLUDE else self is BotFilter.ONLY


Bots = Annotated[BotFilter, strawberry.argument(description="Whether what bots did counts.")]


@strawberry.type
class Bounds:
    """Fields of the types that are of a window."""

    window_start: datetime = strawberry.field(description="First instant in the window.")
    window_end: datetime = strawberry.field(description="First instant after it.")


@strawberry.interface(description="Numbers of a half-open window of event time, [windowStart, windowEnd).")
class Window(Bounds):
    is_final: bool = strawberry.field(description=FINAL)
    revision: Long = strawberry.field(description=REVISION)
    late_events: Long = strawberry.field(description=LATE)


def is_final(end: datetime, as_of: EpochRow | None) -> bool:
    """Whether a window that ends then is final."""
    return as_of is not None and as_of.watermark is not None and end <= as_of.watermark


def check_kept(edges: Iterable[datetime], as_of: EpochRow | None, argument: str = "range") -> None:
    """That no window begins or ends within an hour of which only the sum is left.

    Raises:
        InvalidArgument: one does; the message says from when on it may.
    """
    until = as_of.summed_until if as_of is not None else None
    if until is not None and any(edge < until and (edge.minute or edge.second) for edge in edges):
        when = until.astimezone(UTC).isoformat().replace("+00:00", "Z")
        raise InvalidArgument(argument, f"before {when} only whole hours (UTC) are kept: windows must begin with them")


def average(total: Decimal, count: int) -> Decimal | None:
    """Mean to four places, halves away from zero; None of nothing."""
    return (total / count).quantize(Decimal("0.0001"), ROUND_HALF_UP) if count else None


def page_size(argument: str, value: int, info: Info) -> int:
    """A `first` or `last`, checked against the limit."""
    limit = info.context.services.settings.max_page_size
    if value < 0:
        raise InvalidArgument(argument, "must not be negative")
    if value > limit:
        raise TooLarge(argument, f"{value} is over the limit of {limit}")
    return value


async def users_in(rows: Sequence[ResultRow], sketch: str) -> list[int]:
    """Unique users of each row, united off the event loop."""
    return await asyncio.to_thread(_counts, rows, lambda row: row._mapping[sketch] or ())


def _counts(rows: Sequence[ResultRow], sketches: Callable[[ResultRow], Sequence[bytes]]) -> list[int]:
    return [count_users(sketch for sketch in sketches(row) if sketch is not None) for row in rows]
