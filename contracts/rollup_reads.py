"""The rule of `contracts.rollups` as SQL: which cells may be used, and what is left to the finer rows.

A reader has windows; their edges, in order, are all that these statements need to know. Cells are chosen so that none
reaches over an edge, each as coarse as can be: windows of whole UTC days are read from days, windows that begin at half
past (days of Asia/Kolkata) from hours and the minutes of two half hours. Every minute from the first edge to the last
is in exactly one row that comes back, so the sums over a window are those over its minutes, in any time zone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    DateTime,
    Interval,
    Select,
    Table,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from contracts.projections import category_minutes
from contracts.rollups import COARSER, GRAINS, HOUR, category_windows, roll_ups

_TIME: Final = DateTime(timezone=True)
_TIMES: Final = ARRAY(_TIME)
_ORIGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Edges:
    """A reader's edges as SQL: all of them in order, the first, the last."""

    every: ColumnElement[Any]
    first: ColumnElement[datetime]
    last: ColumnElement[datetime]


GIVEN: Final = Edges(
    cast(bindparam("edges", type_=_TIMES), _TIMES),
    cast(bindparam("first_edge", type_=_TIME), _TIME),
    cast(bindparam("last_edge", type_=_TIME), _TIME),
)
"""Edges that are given when the statement is run, as `given` says them: it need not be made anew for each reader."""


def given(edges: Sequence[datetime]) -> dict[str, Any]:
    """The parameters of `GIVEN`. Raises ValueError as `fixed` does."""
    _check(edges)
    return {"edges": list(edges), "first_edge": edges[0], "last_edge": edges[-1]}


def fixed(edges: Sequence[datetime]) -> Edges:
    """Edges that are part of the statement.

    Raises ValueError for fewer than two edges, or such as are not whole minutes or do not ascend.
    """
    _check(edges)
    return instants(edges)


def instants(edges: Sequence[datetime]) -> Edges:
    """The same for `whole_cells` and `gaps` alone, where edges need not be whole minutes."""
    first, last = (cast(literal(edge, _TIME), _TIME) for edge in (edges[0], edges[-1]))
    return Edges(cast(literal(list(edges), _TIMES), _TIMES), first, last)


def days_fit(edges: Sequence[datetime]) -> bool:
    """Whether a day may lie between two of the edges next to each other."""
    return any(later - earlier >= GRAINS["day"] for earlier, later in pairwise(edges))


def readable(minutes: Table, edges: Edges, *, days: bool = True) -> CompoundSelect[Any]:
    """Rows that together hold every minute from the first edge to the last, once: days, hours and minutes.

    Without `days`, which is right where none fits between two edges, there are none in the statement: to plan one is
    most of what a short one costs.

    `minutes` is a key of `COARSER`; the columns are its own, the first of them called `starts_at`. A condition on the
    other keys is best put on the statement's subquery; Postgres moves it inside.
    Sketches come as they are stored, a row each: uniting them is the reader's.
    """
    hours_table, days_table = COARSER[minutes.name]
    in_hours = whole_cells("hour", edges)
    cells, parts = list[CTE](), list[Select[Any]]()
    if days:
        in_days = whole_cells("day", edges).cte("days")
        cells.append(in_days)
        parts.append(_rows(days_table).join_from(in_days, days_table, in_days.c.starts_at == days_table.c.day))
        in_a_day = exists().where(in_days.c.starts_at == func.date_trunc("day", roll_ups.c.starts_at, "UTC"))
        in_hours = in_hours.where(~in_a_day)
    hours = in_hours.cte("hours")
    left = gaps([*cells, hours], edges).cte("gaps")
    return union_all(
        *parts,
        _rows(hours_table).join_from(hours, hours_table, hours.c.starts_at == hours_table.c.hour),
        _rows(minutes).join_from(
            left, minutes, (minutes.c.minute >= left.c.starts_at) & (minutes.c.minute < left.c.ends_at)
        ),
    )


def readable_windows() -> CompoundSelect[Any]:
    """Rows of `category_windows`, and of `category_minutes` where those may not be used, in the hours `window_hours`.

    Hours are given when the statement is run, as `hours_of` says them. The reader leaves out what lies in them before
    its first edge or after its last; its edges are multiples of five minutes. The columns are those of
    `category_windows`, the first of them called `starts_at`. Each hour is looked up by itself: to plan gaps between
    cells takes longer.
    """
    given_hours = (
        func.unnest(cast(bindparam("window_hours", type_=_TIMES), _TIMES))
        .table_valued(column("starts_at", _TIME), name="given")
        .render_derived()
    )
    made = exists().where(
        roll_ups.c.grain == "window_hour", roll_ups.c.starts_at == given_hours.c.starts_at, ~roll_ups.c.stale
    )
    hours = select(given_hours.c.starts_at, made.label("made")).cte("hours")

    def of_hours(table: Table, which: ColumnElement[bool]) -> Select[Any]:
        time, *others = (table.c[name] for name in (table.columns.keys()[0], *category_windows.columns.keys()[1:]))
        begun, ended = time >= hours.c.starts_at, time < hours.c.starts_at + literal(HOUR, Interval)
        return select(time.label("starts_at"), *others).join_from(hours, table, which & begun & ended)

    return union_all(of_hours(category_windows, hours.c.made), of_hours(category_minutes, ~hours.c.made))


def hours_of(spans: Sequence[tuple[datetime, datetime]]) -> dict[str, Any]:
    """The parameter of `readable_windows`: every hour that has a part of one of the spans in it."""
    first_hours = [(first - (first - _ORIGIN) % HOUR, last) for first, last in spans]
    hours = {first + number * HOUR for first, last in first_hours for number in range(-((first - last) // HOUR))}
    return {"window_hours": sorted(hours)}


def whole_cells(grain: str, edges: Edges) -> Select[Any]:
    """`starts_at` and `ends_at` of the grain's cells that may be used and lie between two edges, next to each other."""
    starts, ends = roll_ups.c.starts_at, roll_ups.c.starts_at + literal(GRAINS[grain], Interval)
    last_instant = ends - literal(timedelta(microseconds=1), Interval)
    return select(starts.label("starts_at"), ends.label("ends_at")).where(
        roll_ups.c.grain == grain,
        ~roll_ups.c.stale,
        starts >= edges.first,
        starts <= edges.last - literal(GRAINS[grain], Interval),
        func.width_bucket(starts, edges.every) == func.width_bucket(last_instant, edges.every),
    )


def gaps(cells: Sequence[CTE], edges: Edges) -> Select[Any]:
    """`starts_at` and `ends_at` of what no cell covers between the first edge and the last: there, read finer rows."""
    covered = union_all(
        *(select(each.c.starts_at, each.c.ends_at) for each in cells),
        select(edges.last.label("starts_at"), edges.last.label("ends_at")),
    ).subquery("covered")
    before = func.lag(covered.c.ends_at, 1, edges.first).over(order_by=covered.c.starts_at)
    between = select(before.label("starts_at"), covered.c.starts_at.label("ends_at")).subquery("between_cells")
    return select(between.c.starts_at, between.c.ends_at).where(between.c.starts_at < between.c.ends_at)


def _rows(table: Table) -> Select[Any]:
    time, *others = table.columns
    return select(time.label("starts_at"), *others)


def _check(edges: Sequence[datetime]) -> None:
    if len(edges) < 2 or any(later <= earlier for earlier, later in pairwise(edges)):
        raise ValueError("edges are two or more instants that ascend")
    if any(edge.second or edge.microsecond for edge in edges):
        raise ValueError("edges are whole minutes")
