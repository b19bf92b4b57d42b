"""Rows of windows, each beside the row of the same keys in an earlier window."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, select

from serving.queries import Statement
from serving.queries.measures import duration, moment
from serving.windows import Span

BEFORE: Final = "before_"
"""Stands before the name of what is told of an earlier window."""


def within(time: ColumnElement[Any], spans: Sequence[Span]) -> ColumnElement[bool]:
    """That a time is in one of the spans."""
    return or_(*((time >= moment(span.start)) & (time < moment(span.end)) for span in spans))


def beside(rows: Statement, keys: Sequence[str], starts: Span, earlier: Span | None, limit: int) -> Statement:
    """The rows of the windows that start in `starts`, in order of `keys`, the first of which is `window_start`.

    With `earlier`, whose windows are in `rows` as well, each row has under `before_…` the columns of the one so much
    earlier; null where there is none.
    """
    if earlier is None:
        return rows.order_by(*keys).limit(limit)
    told = rows.cte("told")
    now = (
        select(*told.c)
        .where(within(told.c.window_start, [starts]))
        .order_by(*(told.c[key] for key in keys))
        .limit(limit)
        .subquery("now")
    )
    before = told.alias("before")
    then: ColumnElement[datetime] = now.c.window_start - duration(starts.start - earlier.start)
    same = and_(before.c.window_start == then, *(before.c[key] == now.c[key] for key in keys[1:]))
    return (
        select(*now.c, *(column.label(f"{BEFORE}{column.name}") for column in before.c))
        .join_from(now, before, same, isouter=True)
        .order_by(*(now.c[key] for key in keys))
    )
