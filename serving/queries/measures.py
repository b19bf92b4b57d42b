"""Rolling up the minute tables: the sums, and the sketches where they are wanted."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Interval,
    LargeBinary,
    Text,
    any_,
    bindparam,
    func,
    literal,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY

from serving.windows import ORIGIN, Span

COUNTS: Final = (
    "events",
    "views",
    "clicks",
    "searches",
    "adds",
    "removes",
    "checkouts",
    "purchases",
    "units",
    "refunds",
    "late",
)
MONEY: Final = ("revenue", "refunded")
SKETCHES: Final = ("users", "buyers")


def moment(value: datetime | ColumnElement[datetime]) -> ColumnElement[datetime]:
    """A bound `timestamptz`; what is one already stays it."""
    return value if isinstance(value, ColumnElement) else literal(value, DateTime(timezone=True))


def within_span(time: ColumnElement[datetime], span: Span) -> ColumnElement[bool]:
    """That a time is in the span."""
    return (time >= moment(span.start)) & (time < moment(span.end))


def given_moment(name: str) -> ColumnElement[datetime]:
    """A `timestamptz` that is given under this name when the statement is run."""
    return bindparam(name, type_=DateTime(timezone=True))


def lists_given(**lists: Sequence[str] | None) -> dict[str, list[str]]:
    """Those of the lists that a request gives, as the parameters that `is_one_of` names."""
    return {name: list(texts) for name, texts in lists.items() if texts is not None}


def is_one_of(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """That a text is among those that are given under this name when the statement is run."""
    return column == any_(bindparam(name, type_=ARRAY(Text)))


def duration(value: timedelta) -> ColumnElement[timedelta]:
    """A bound `interval`."""
    return literal(value, Interval())


def bucket(minute: ColumnElement[datetime], stride: timedelta) -> ColumnElement[datetime]:
    """Start of the stride-long bucket of a minute, aligned to 1970-01-01T00:00Z."""
    return func.date_bin(duration(stride), minute, moment(ORIGIN), type_=DateTime(timezone=True))


def counted(table: FromClause, bot: bool | None) -> ColumnElement[bool]:
    """Only what people did (False), only what bots did (True), or both (None)."""
    return true() if bot is None else table.c.bot.is_(bot)


def total(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Sum of a count as `bigint` (Postgres sums those to `numeric`), or of money as it is."""
    summed = func.coalesce(func.sum(column), 0)
    return summed.cast(BigInteger) if isinstance(column.type, BigInteger | Integer) else summed


def sums(source: FromClause, names: Collection[str] = (*COUNTS, *MONEY)) -> list[ColumnElement[Any]]:
    """The named measures summed, each under its own name."""
    return [total(source.c[name]).label(name) for name in names]


def sketches(source: FromClause, wanted: Collection[str]) -> list[ColumnElement[Any]]:
    """The wanted sketches of a group as arrays, to be united by the reader; nothing is fetched unasked."""
    return [
        type_coerce(func.array_agg(source.c[name]), ARRAY(LargeBinary)).label(name)
        for name in SKETCHES
        if name in wanted
    ]
