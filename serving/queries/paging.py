"""Pages of a list by key: rows between two keys, the largest key first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, literal, tuple_

from serving.cursors import Key
from serving.queries import Statement


@dataclass(frozen=True)
class Page:
    """At most `limit` rows between two keys; `from_end` takes the last ones of those, in reverse order."""

    limit: int
    after: Key[Any] | None = None
    before: Key[Any] | None = None
    from_end: bool = False


def paged(statement: Statement, key: Sequence[ColumnElement[Any]], page: Page) -> Statement:
    """The page's rows of the statement, ordered by the key's columns."""
    if page.after is not None:
        statement = statement.where(tuple_(*key) < _bound(key, page.after))
    if page.before is not None:
        statement = statement.where(tuple_(*key) > _bound(key, page.before))
    return statement.order_by(*ordered(key, page)).limit(page.limit)


def ordered(key: Sequence[ColumnElement[Any]], page: Page) -> list[ColumnElement[Any]]:
    """The order of the page's rows as they are fetched."""
    return [column.asc() if page.from_end else column.desc() for column in key]


def _bound(key: Sequence[ColumnElement[Any]], at: Key[Any]) -> ColumnElement[Any]:
    return tuple_(*(_bound_value(value, column) for column, value in zip(key, at.columns, strict=True)))


def _bound_value(value: Any, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return value if isinstance(value, ColumnElement) else literal(value, column.type)
