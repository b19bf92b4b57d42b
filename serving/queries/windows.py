"""Windows over the minute tables and what they are summed up to: productMetrics and revenue."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Integer, Table, func, literal, select

from contracts.projections import category_minutes, product_minutes
from contracts.rollup_reads import readable
from contracts.rollups import HOUR
from serving.queries import Statement
from serving.queries.measures import bucket, counted, duration, moment, sketches, sums
from serving.windows import Span, Windows

_NO_MEASURE = frozenset({"minute", "starts_at", "bot", "last_epoch"})


def product_windows(
    starts: Span,
    windows: Windows,
    products: Sequence[str] | None,
    categories: Sequence[str] | None,
    *,
    bot: bool | None,
    wanted_sketches: Collection[str],
    limit: int,
) -> Statement:
    """Measures of each product and category in each window that starts in `starts`."""
    named = {"product_id": products, "category": categories}
    part = _windowed(product_minutes, starts, windows, named, bot).subquery("part")
    keys = [part.c.window_start, part.c.product_id, part.c.category]
    return (
        select(*keys, *sums(part), *sketches(part, wanted_sketches))
        .where(part.c.window_start >= moment(starts.start), part.c.window_start < moment(starts.end))
        .group_by(*keys)
        .order_by(*keys)
        .limit(limit)
    )


def revenue_windows(
    starts: Span, windows: Windows, categories: Sequence[str] | None, *, bot: bool | None, limit: int
) -> Statement:
    """Purchases and refunds of each category in each window; categories without either are left out."""
    part = _windowed(category_minutes, starts, windows, {"category": categories}, bot).subquery("part")
    keys = [part.c.window_start, part.c.category]
    measured = ("purchases", "units", "revenue", "refunds", "refunded", "late")
    return (
        select(*keys, *sums(part, measured))
        .where(part.c.window_start >= moment(starts.start), part.c.window_start < moment(starts.end))
        .group_by(*keys)
        .having((func.sum(part.c.purchases) > 0) | (func.sum(part.c.refunds) > 0))
        .order_by(*keys)
        .limit(limit)
    )


def _windowed(
    minutes: Table, starts: Span, windows: Windows, named: dict[str, Sequence[str] | None], bot: bool | None
) -> Statement:
    """Each row once for every window it belongs to, under `window_start`; `named` are the keys and what they may be.

    The slide divides the window, so a row of the slide-long bucket `b` belongs to the windows starting at
    `b`, `b - slide`, … `b - (overlap - 1) × slide`. No hour lies within a shorter slide, so there minutes are read.
    """
    source: FromClause = minutes
    conditions: list[ColumnElement[bool]] = []
    if windows.slide < HOUR:
        time: ColumnElement[Any] = minutes.c.minute
        conditions += [time >= moment(starts.start), time < moment(starts.end - windows.slide + windows.length)]
    else:
        source = readable(minutes, windows.edges(starts)).subquery("rows")
        time = source.c.starts_at
    conditions.append(counted(source, bot))
    conditions += [source.c[key].in_(values) for key, values in named.items() if values is not None]
    told: list[ColumnElement[Any]] = [source.c[key] for key in named]
    told += [column for column in source.c if column.name not in {*_NO_MEASURE, *named}]
    newest = bucket(time, windows.slide)
    if windows.overlap == 1:
        return select(newest.label("window_start"), *told).where(*conditions)
    step = (
        func.generate_series(0, literal(windows.overlap - 1, Integer), type_=Integer)
        .table_valued("n", name="step")
        .render_derived()
    )
    window_start = (newest - duration(windows.slide) * step.c.n).label("window_start")
    return select(window_start, *told).join_from(source, step, literal(value=True)).where(*conditions)
