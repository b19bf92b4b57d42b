"""Sales by hour or day: the buckets are given, so that a zone's own rules hold for every single one."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, DateTime, FromClause, Integer, cast, column, func, literal, null, select
from sqlalchemy.dialects.postgresql import ARRAY

from contracts.projections import category_minutes, orders, product_minutes, site_minutes
from contracts.rollup_reads import readable
from serving.queries import Statement
from serving.queries.compared import within
from serving.queries.measures import counted, sketches, sums
from serving.windows import MINUTE, Span, ceiling, minute_edges

_TIME = DateTime(timezone=True)
_TIMES = ARRAY(_TIME)
_NUMBERS = ARRAY(Integer)
_MEASURES = ("purchases", "units", "revenue", "refunds", "refunded", "late")


def sales(
    buckets: Sequence[Span],
    *,
    bot: bool | None,
    products: Sequence[str] | None = None,
    categories: Sequence[str] | None = None,
    wanted_sketches: Collection[str],
    wants_orders: bool,
) -> Statement:
    """Every bucket, empty ones as zero, with its `start` and `end`, in order of these. They may overlap.

    Orders are known of all products together only.
    """
    named = {"product_id": products, "category": categories}
    minutes = product_minutes if products is not None else category_minutes if categories is not None else site_minutes
    edges = minute_edges(edge for bucket in buckets for edge in (bucket.start, bucket.end))
    rows = readable(minutes, edges).subquery("rows")
    places = {edge: place for place, edge in enumerate(edges, start=1)}
    # A row and its buckets are found by the number of the edge before them: compared by times, each row would be held
    # against each bucket.
    number = func.width_bucket(rows.c.starts_at, cast(literal(edges, _TIMES), _TIMES), type_=Integer)
    conditions = [rows.c[key].in_(values) for key, values in named.items() if values is not None]
    part = (
        select(*rows.c, number.label("place"))
        .where(counted(rows, bot), _in_stretches(rows.c.starts_at, buckets), *conditions)
        .subquery("part")
    )
    parts = [
        (bucket, place)
        for bucket in buckets
        for place in range(places[ceiling(bucket.start, MINUTE)], places[ceiling(bucket.end, MINUTE)])
    ]
    axis = (
        func.unnest(
            cast(literal([bucket.start for bucket, _ in parts], _TIMES), _TIMES),
            cast(literal([bucket.end for bucket, _ in parts], _TIMES), _TIMES),
            cast(literal([place for _, place in parts], _NUMBERS), _NUMBERS),
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
        .order_by(axis.c.start, axis.c.end)
    )


def _in_stretches(time: ColumnElement[Any], buckets: Sequence[Span]) -> ColumnElement[bool]:
    """That a row is of one of the stretches that the buckets make: what lies between two of those is not read."""
    stretches: list[Span] = []
    for bucket in sorted(buckets, key=lambda bucket: bucket.start):
        if stretches and bucket.start <= stretches[-1].end:
            stretches[-1] = Span(stretches[-1].start, max(stretches[-1].end, bucket.end))
        else:
            stretches.append(bucket)
    return within(time, stretches)


def _orders(axis: FromClause, bot: bool | None) -> ColumnElement[Any]:
    """Orders placed in a bucket. An order that has only refunds so far was not placed."""
    placed = (orders.c.ordered_at >= axis.c.start) & (orders.c.ordered_at < axis.c.end) & counted(orders, bot)
    return select(func.count()).select_from(orders).where(placed).scalar_subquery().correlate(axis)
