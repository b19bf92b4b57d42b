"""SQL, one statement per root: expressions and bound parameters only, no text put together.

Each module builds statements and runs none, so that what is asked can be read and tested without a database.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, cast

from sqlalchemy import Select
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData

Statement = Select[*tuple[Any, ...]]
"""A statement whose rows are read by name."""


class ResultRow(Protocol):
    """A row: its columns are its attributes, and by any name in `_mapping`."""

    @property
    def _mapping(self) -> Mapping[str, Any]: ...
    @property
    def _fields(self) -> Sequence[str]: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, place: int) -> Any: ...
    def __getattr__(self, name: str) -> Any: ...


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
    return cast("Sequence[ResultRow]", IteratorResult(SimpleResultMetaData(names), iter(values)).all())


__all__ = ["KEPT_STATEMENTS", "Asked", "ResultRow", "Statement", "by_name", "rows_of"]
