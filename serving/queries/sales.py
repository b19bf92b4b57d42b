"""Sales by hour or day: the buckets are given, so that a zone's own rules hold for every single one."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, DateTime, FromClause, Integer, cast, column, func, literal, null, select
from sqlalchemy.dialects.postgresql import ARRAY

from contracts.projections import orders, site_minutes
from contracts.rollup_reads import readable
from serving.queries import Statement
from serving.queries.measures import counted, sketches, sums
from serving.windows import MINUTE, Span, ceiling, minute_edges

_TIME = DateTime(timezone=True)
_TIMES = ARRAY(_TIME)
_NUMBERS = ARRAY(Integer)
_MEASURES = ("purchases", "units", "revenue", "refunds", "refunded", "late")


def sales(
    buckets: Sequence[Span], *, bot: bool | None, wanted_sketches: Collection[str], wants_orders: bool
) -> Statement:
    """Every bucket, empty ones as zero, with its `start` and `end`. Buckets are in order and do not overlap."""
    edges = minute_edges(edge for bucket in buckets for edge in (bucket.start, bucket.end))
    rows = readable(site_minutes, edges).subquery("rows")
    places = {edge: place for place, edge in enumerate(edges, start=1)}
    # A row and its bucket are found by the number of the edge before them: compared by times, each row would be held
    # against each bucket.
    number = func.width_bucket(rows.c.starts_at, cast(literal(edges, _TIMES), _TIMES), type_=Integer)
    part = select(*rows.c, number.label("place")).where(counted(rows, bot)).subquery("part")
    axis = (
        func.unnest(
            cast(literal([each.start for each in buckets], _TIMES), _TIMES),
            cast(literal([each.end for each in buckets], _TIMES), _TIMES),
            cast(literal([places[ceiling(each.start, MINUTE)] for each in buckets], _NUMBERS), _NUMBERS),
        )
        .table_valued(column("start", _TIME), column("end", _TIME), column("place", Integer), name="axis")
        .render_derived()
    )
    return (
        select(
            axis.c.start,
            axis.c.end,
            *sums(part, _MEASURES),
            *sketches(part, wanted_sketches),
            (_orders(axis, bot) if wants_orders else null()).label("orders"),
        )
        .join_from(axis, part, part.c.place == axis.c.place, isouter=True)
        .group_by(axis.c.start, axis.c.end)
        .order_by(axis.c.start)
    )


def _orders(axis: FromClause, bot: bool | None) -> ColumnElement[Any]:
    """Orders placed in a bucket. An order that has only refunds so far was not placed."""
    placed = (orders.c.ordered_at >= axis.c.start) & (orders.c.ordered_at < axis.c.end) & counted(orders, bot)
    return select(func.count()).select_from(orders).where(placed).scalar_subquery().correlate(axis)
