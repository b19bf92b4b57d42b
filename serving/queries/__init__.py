"""SQL, one statement per root: expressions and bound parameters only, no text put together.

Each module builds statements and runs none, so that what is asked can be read and tested without a database.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, Select
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData

Statement = Select[*tuple[Any, ...]]
"""A statement whose rows are read by name."""
ResultRow = Row[*tuple[Any, ...]]


KEPT_STATEMENTS: Final = 256
"""Of one kind of question; a client may name windows of any length."""


class Asked(NamedTuple):
    """A statement that is made once for all requests of its kind, and what this one gives for its parameters.

    To put a large statement together costs more than to run it.
    """

    statement: Statement
    values: Mapping[str, Any]


def by_name(rows: Iterable[ResultRow]) -> list[dict[str, Any]]:
    """Rows as dicts: to read ten columns of a row's own mapping costs twice as much."""
    return [dict(zip(row._fields, row, strict=True)) for row in rows]


def rows_of(names: Sequence[str], values: Iterable[Sequence[Any]]) -> Sequence[ResultRow]:
    """Values from elsewhere, to be read by name like the rows of a statement."""
    return IteratorResult(SimpleResultMetaData(names), iter(values)).all()


__all__ = ["KEPT_STATEMENTS", "Asked", "ResultRow", "Statement", "by_name", "rows_of"]
