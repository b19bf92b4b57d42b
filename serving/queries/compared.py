"""Rows of windows, each beside the row of the same keys in an earlier window."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Interval, and_, bindparam, or_, select

from serving.queries import Statement
from serving.queries.measures import duration, given_moment
from serving.windows import Span

BEFORE: Final = "before_"
"""Stands before the name of what is told of an earlier window."""


def asked_windows(starts: Span, earlier: Span | None, limit: int) -> dict[str, Any]:
    """The parameters of `in_asked` and `beside`: where the windows start, and the earlier ones, and how many rows."""
    values = {"starts_from": starts.start, "starts_to": starts.end, "most": limit}
    if earlier is not None:
        values |= {"earlier_from": earlier.start, "earlier_to": earlier.end, "ago": starts.start - earlier.start}
    return values


def in_asked(time: ColumnElement[Any], *, compares: bool, reach: timedelta = timedelta()) -> ColumnElement[bool]:
    """That a time is where the windows start, or up to `reach` after the last; with `compares`, or in the earlier."""
    names = ["starts", "earlier"] if compares else ["starts"]
    ends = [given_moment(f"{name}_to") + duration(reach) if reach else given_moment(f"{name}_to") for name in names]
    starts = [given_moment(f"{name}_from") for name in names]
    return or_(*((time >= start) & (time < end) for start, end in zip(starts, ends, strict=True)))


def beside(rows: Statement, keys: Sequence[str], *, compares: bool) -> Statement:
    """The rows of the windows asked for, in order of `keys`, the first of which is `window_start`.

    Where it `compares`, the earlier windows are in `rows` as well, and each row has under `before_…` the columns of
    the one so much earlier; null where there is none.
    """
    most = bindparam("most", type_=Integer)
    if not compares:
        return rows.order_by(*keys).limit(most)
    told = rows.cte("told")
    now = (
        select(*told.c)
        .where(in_asked(told.c.window_start, compares=False))
        .order_by(*(told.c[key] for key in keys))
        .limit(most)
        .subquery("now")
    )
    before = told.alias("before")
    then: ColumnElement[Any] = now.c.window_start - bindparam("ago", type_=Interval)
    same = and_(before.c.window_start == then, *(before.c[key] == now.c[key] for key in keys[1:]))
    return (
        select(*now.c, *(column.label(f"{BEFORE}{column.name}") for column in before.c))
        .join_from(now, before, same, isouter=True)
        .order_by(*(now.c[key] for key in keys))
    )
