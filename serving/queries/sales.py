"""Sales by hour or day: the buckets are given, so that a zone's own rules hold for every single one."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, DateTime, FromClause, Integer, bindparam, cast, column, func, null, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from contracts.projections import category_minutes, orders, product_minutes, site_minutes
from contracts.rollup_reads import GIVEN, days_fit, given, readable
from serving.queries import KEPT_STATEMENTS, Asked, Statement
from serving.queries.json import Selection
from serving.queries.measures import counted, given_moment, is_one_of, lists_given, sketches, sums
from serving.queries.window_json import SALES_BUCKET, WindowJson, written
from serving.windows import MINUTE, Span, ceiling, joined, minute_edges

_TIME: Final = DateTime(timezone=True)
_TIMES: Final = ARRAY(_TIME)
_NUMBERS: Final = ARRAY(Integer)
_MEASURES: Final = ("purchases", "units", "revenue", "refunds", "refunded", "late")
_KEYS: Final = {"products": "product_id", "categories": "category"}
"""What rows may be asked for by name, and the column that has it."""


def sales(
    buckets: Sequence[Span],
    *,
    bot: bool | None,
    products: Sequence[str] | None = None,
    categories: Sequence[str] | None = None,
    wanted_sketches: Collection[str],
    wants_orders: bool,
    json: WindowJson | None = None,
) -> Asked:
    """Every bucket, empty ones as zero, with its `start` and `end`, in order of these. They may overlap.

    Orders are known of all products together only. With `json`, that of each bucket under this name, and nothing else.
    """
    chosen, given_too = json or (None, {})
    named = lists_given(products=products, categories=categories)
    edges = minute_edges(edge for bucket in buckets for edge in (bucket.start, bucket.end))
    places = {edge: place for place, edge in enumerate(edges, start=1)}
    parts = [
        (bucket, place)
        for bucket in buckets
        for place in range(places[ceiling(bucket.start, MINUTE)], places[ceiling(bucket.end, MINUTE)])
    ]
    values: dict[str, Any] = given(edges) | named | given_too
    values["part_starts"] = [bucket.start for bucket, _ in parts]
    values["part_ends"] = [bucket.end for bucket, _ in parts]
    values["part_places"] = [place for _, place in parts]
    stretches = joined(buckets)
    for number, stretch in enumerate(stretches):
        values |= {f"from_{number}": stretch.start, f"to_{number}": stretch.end}
    statement = _statement(
        tuple(named),
        bot,
        frozenset(wanted_sketches),
        wants_orders=wants_orders,
        days=days_fit(edges),
        stretches=len(stretches),
        chosen=chosen,
    )
    return Asked(statement, values)


@lru_cache(KEPT_STATEMENTS)
def _statement(
    named: tuple[str, ...],
    bot: bool | None,
    wanted_sketches: frozenset[str],
    *,
    wants_orders: bool,
    days: bool,
    stretches: int,
    chosen: Selection | None,
) -> Statement:
    minutes = product_minutes if "products" in named else category_minutes if named else site_minutes
    rows = readable(minutes, GIVEN, days=days).subquery("rows")
    # A row and its buckets are found by the number of the edge before them: compared by times, each row would be held
    # against each bucket.
    number = func.width_bucket(rows.c.starts_at, GIVEN.every, type_=Integer)
    read = or_(*(
        (rows.c.starts_at >= given_moment(f"from_{number}")) & (rows.c.starts_at < given_moment(f"to_{number}"))
        for number in range(stretches)
    ))  # fmt: skip
    conditions = [is_one_of(rows.c[_KEYS[name]], name) for name in named]
    part = select(*rows.c, number.label("place")).where(counted(rows, bot), read, *conditions).subquery("part")
    axis = (
        func.unnest(
            cast(bindparam("part_starts", type_=_TIMES), _TIMES),
            cast(bindparam("part_ends", type_=_TIMES), _TIMES),
            cast(bindparam("part_places", type_=_NUMBERS), _NUMBERS),
        )
        .table_valued(column("start", _TIME), column("end", _TIME), column("place", Integer), name="axis")
        .render_derived()
    )
    told = (
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
    return told if chosen is None else written(told, ("start", "end"), chosen, SALES_BUCKET, compares=False)


def _orders(axis: FromClause, bot: bool | None) -> ColumnElement[Any]:
    """Orders placed in a bucket. An order that has only refunds so far was not placed."""
    placed = (orders.c.ordered_at >= axis.c.start) & (orders.c.ordered_at < axis.c.end) & counted(orders, bot)
    return select(func.count()).select_from(orders).where(placed).scalar_subquery().correlate(axis)
