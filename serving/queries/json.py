"""JSON that the database writes: what is asked for of a row as one text, spelled as the API's scalars spell it.

A long list costs most where its values pass through Python one by one; here a row is one value and goes into the
answer as it is. What cannot be written so (a count of more than 53 bits) makes the text null, and whoever asks reads
values instead.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import reduce
from operator import add
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Numeric, Text, case, cast, func, literal, literal_column

Read = Callable[[str], ColumnElement[Any]]
"""A column of a row, by its name."""
Writer = Callable[[Read], ColumnElement[str]]
Writers = Mapping[str, Writer]
"""How each field of a type is written, by its name in the API."""

_LONGEST: Final = literal_column(str(2**53 - 1), BigInteger)
_HARMLESS: Final = re.compile(r'[\w{}\[\],:."-]+', re.ASCII)
_SECOND: Final = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS"Z"'""", Text)
_MILLISECOND: Final = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'""", Text)
_MICROSECOND: Final = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""", Text)
_UTC: Final = literal_column("'UTC'", Text)


class Chosen(NamedTuple):
    """A field that an operation selects."""

    response: str
    """Its name in the answer."""
    name: str
    below: "tuple[Chosen, ...]" = ()
    """What is selected of the object that it is."""


Selection = tuple[Chosen, ...]


def an_object(chosen: Selection, writers: Writers, read: Read, beside: Read | None = None) -> ColumnElement[str]:
    """A row as a JSON object of these fields; one that has fields below is the row `beside` it, null without."""
    pieces: list[ColumnElement[str]] = []
    for place, field in enumerate(chosen):
        pieces.append(_verbatim(f'{"," if place else "{"}"{field.response}":'))
        if not field.below:
            pieces.append(writers[field.name](read))
        elif beside is None:
            pieces.append(_verbatim("null"))
        else:
            there = beside("window_start").is_not(None)
            pieces.append(case((there, an_object(field.below, writers, beside)), else_=_verbatim("null")))
    return reduce(add, [*pieces, _verbatim("}")])


def field(write: Callable[[ColumnElement[Any]], ColumnElement[str]], column: str) -> Writer:
    """The field that is a column."""
    return lambda read: write(read(column))


def constant(value: str) -> ColumnElement[str]:
    """A string that needs no escapes, such as a type's name."""
    return _verbatim(f'"{value}"')


def length(value: ColumnElement[timedelta]) -> ColumnElement[str]:
    """A Duration: connections have Postgres write intervals in ISO 8601."""
    return quoted(cast(value, Text))


def quoted(value: ColumnElement[str]) -> ColumnElement[str]:
    """A string that needs no escapes."""
    return _verbatim('"') + value + _verbatim('"')


def text(value: ColumnElement[Any]) -> ColumnElement[str]:
    """A string."""
    return cast(func.to_json(value), Text)


def or_null(value: ColumnElement[str]) -> ColumnElement[str]:
    """What is written of something that may be missing."""
    return func.coalesce(value, _verbatim("null"), type_=Text)


def flag(value: ColumnElement[bool]) -> ColumnElement[str]:
    """A `Boolean`."""
    return cast(value, Text)


def whole(value: ColumnElement[Any]) -> ColumnElement[str]:
    """A `Long`."""
    return case((func.abs(cast(value, BigInteger)) <= _LONGEST, cast(value, Text)))


def decimal(value: ColumnElement[Any]) -> ColumnElement[str]:
    """A `Decimal`."""
    trimmed = func.trim_scale(value, type_=Numeric)
    return quoted(cast(case((func.scale(trimmed) < 2, func.round(value, 2)), else_=trimmed), Text))


def mean(total: ColumnElement[Any], count: ColumnElement[Any]) -> ColumnElement[str]:
    """A `Decimal` of four places, halves away from zero; null of nothing."""
    # div() is exact where / rounds, and a quotient that was rounded once must not be rounded again.
    doubled = func.div(func.abs(total) * 20_000 + count, count * 2, type_=Numeric)
    halves_up = doubled * func.sign(total) * literal("0.0001").cast(Numeric)
    return case((count == 0, _verbatim("null")), else_=decimal(halves_up))


def second(value: ColumnElement[Any]) -> ColumnElement[str]:
    """A `DateTime` of whole seconds."""
    return quoted(func.to_char(func.timezone(_UTC, value), _SECOND, type_=Text))


def instant(value: ColumnElement[Any]) -> ColumnElement[str]:
    """A `DateTime`: of its fraction the three places that there are, or six."""
    there = func.timezone(_UTC, value)
    plain = func.date_trunc(literal_column("'second'"), there) == there
    short = func.date_trunc(literal_column("'milliseconds'"), there) == there
    spelling = case((plain, _SECOND), (short, _MILLISECOND), else_=_MICROSECOND)
    return quoted(func.to_char(there, spelling, type_=Text))


def _verbatim(json: str) -> ColumnElement[str]:
    """JSON of our own words and GraphQL's names, in the statement itself: parameters would cost more than the rest.

    Raises ValueError for what could end a literal of SQL.
    """
    if not _HARMLESS.fullmatch(json):
        raise ValueError(f"not to be written into a statement: {json!r}")
    return literal_column(f"'{json}'", Text)


COUNTS: Final[Writers] = {
    name: field(whole, name)
    for name in ("views", "clicks", "searches", "adds", "removes", "checkouts", "purchases", "units")
}
"""What sessions and windows count alike, each in the column of its name."""
