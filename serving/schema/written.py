"""Rows that the database has written: what an operation chooses of them, and whether that can be written."""

from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

import orjson
from graphql import FieldNode

from serving.queries import ResultRow
from serving.queries.json import Chosen, Selection, Writers
from serving.schema.context import Info, selections_of

T = TypeVar("T")


def chosen(
    info: Info, writers: Writers, *, nested: str = "", under: Sequence[Sequence[str]] = ((),)
) -> Selection | None:
    """What is selected of the rows; None where it takes more than the writers: then objects are made of them.

    Args:
        info: Of the root.
        writers: Of the type of the rows.
        nested: The field that is another row of the type.
        under: Paths of the fields in which the rows are; without, the root itself is a list of them.
    """
    try:
        found = [selected for path in under if (selected := _chosen(_below(info, path), writers, nested, info))]
    except _DearerError:
        return None
    return found[0] if len(found) == 1 else None


def as_written(rows: Sequence[ResultRow], of: type[T]) -> list[T] | None:
    """The rows as values of an answer, in place of objects of the type; None if one could not be written."""
    texts = [row.json for row in rows]
    return cast("list[T]", [orjson.Fragment(text) for text in texts]) if None not in texts else None


class _DearerError(Exception):
    """The selection takes more than writing fields down."""


def _below(info: Info, path: Sequence[str]) -> Iterable[FieldNode]:
    fields = _fields(info._raw_info.field_nodes, info)
    for name in path:
        fields = _fields([field for field in fields if field.name.value == name], info)
    return fields


def _chosen(fields: Iterable[FieldNode], writers: Writers, nested: str, info: Info) -> Selection:
    chosen: dict[str, Chosen] = {}
    for field in fields:
        name = field.name.value
        response = field.alias.value if field.alias else name
        if field.arguments or not (name in writers or (name == nested and response not in chosen)):
            raise _DearerError
        below = _chosen(_fields([field], info), writers, nested, info) if name == nested else ()
        chosen[response] = Chosen(response, name, below)
    return tuple(chosen.values())


def _fields(fields: Iterable[FieldNode], info: Info) -> Iterable[FieldNode]:
    for node in selections_of(fields, info._raw_info):
        if node.directives:
            raise _DearerError
        if isinstance(node, FieldNode):
            yield node
