"""Rows that the database has written: what an operation chooses of them, and whether that can be written."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar, cast

import orjson
from graphql import FieldNode

from serving.queries import Asked, ResultRow
from serving.queries.json import Chosen, Selection, Writers
from serving.queries.window_json import WindowJson
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


async def windows_as_written(
    info: Info,
    ask: Callable[..., Asked],
    writers: Writers,
    of: type[T],
    *,
    length: timedelta | None = None,
    watermark: datetime | None,
) -> list[T] | None:
    """The windows that `ask` asks for, given what is to be written as `json`; None where objects are to be made.

    `length` is theirs, where that is the same for all.
    """
    services = info.context.services
    fields = chosen(info, writers, nested="previous")
    if not fields:
        return None
    json = WindowJson.of(fields, length, watermark, services.shop.currency)
    rows = await info.context.snapshot.rows(*ask(json=json))
    return as_written(rows, of) if len(rows) <= services.settings.max_rows else None


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
