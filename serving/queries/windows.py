"""Windows over the minute tables and what they are summed up to: productMetrics and revenue."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Integer, Table, func, literal, select

from contracts.projections import category_minutes, product_minutes
from contracts.rollup_reads import fixed, readable
from contracts.rollups import HOUR
from serving.queries import Statement
from serving.queries.compared import beside, within
from serving.queries.measures import bucket, counted, duration, sketches, sums
from serving.windows import Span, Windows

_NO_MEASURE = frozenset({"minute", "starts_at", "bot", "last_epoch"})


def product_windows(
    starts: Span,
    windows: Windows,
    products: Sequence[str] | None,
    categories: Sequence[str] | None,
    *,
    earlier: Span | None = None,
    bot: bool | None,
    wanted_sketches: Collection[str],
    limit: int,
) -> Statement:
    """Measures of each product and category in each window that starts in `starts`, `beside` those of `earlier`."""
    spans = [starts] if earlier is None else [earlier, starts]
    named = {"product_id": products, "category": categories}
    part = _windowed(product_minutes, spans, windows, named, bot).subquery("part")
    keys = [part.c.window_start, part.c.product_id, part.c.category]
    rows = (
        select(*keys, *sums(part), *sketches(part, wanted_sketches))
        .where(within(part.c.window_start, spans))
        .group_by(*keys)
    )
    return beside(rows, [key.name for key in keys], starts, earlier, limit)


def revenue_windows(
    starts: Span,
    windows: Windows,
    categories: Sequence[str] | None,
    *,
    earlier: Span | None = None,
    bot: bool | None,
    limit: int,
) -> Statement:
    """Purchases and refunds of each category in each window, `beside` those of `earlier`; nothing without either."""
    spans = [starts] if earlier is None else [earlier, starts]
    part = _windowed(category_minutes, spans, windows, {"category": categories}, bot).subquery("part")
    keys = [part.c.window_start, part.c.category]
    measured = ("purchases", "units", "revenue", "refunds", "refunded", "late")
    rows = (
        select(*keys, *sums(part, measured))
        .where(within(part.c.window_start, spans))
        .group_by(*keys)
        .having((func.sum(part.c.purchases) > 0) | (func.sum(part.c.refunds) > 0))
    )
    return beside(rows, [key.name for key in keys], starts, earlier, limit)


def _windowed(
    minutes: Table, spans: Sequence[Span], windows: Windows, named: dict[str, Sequence[str] | None], bot: bool | None
) -> Statement:
    """Each row once for every window it belongs to, under `window_start`; `named` are the keys and what they may be.

    Rows are read of the windows that start in one of the spans.

    The slide divides the window, so a row of the slide-long bucket `b` belongs to the windows starting at
    `b`, `b - slide`, … `b - (overlap - 1) × slide`. No hour lies within a shorter slide, so there minutes are read.
    """
    source: FromClause = minutes
    if windows.slide < HOUR:
        time: ColumnElement[Any] = minutes.c.minute
    else:
        edges = fixed(sorted({edge for span in spans for edge in windows.edges(span)}))
        source = readable(minutes, edges).subquery("rows")
        time = source.c.starts_at
    whole = [Span(span.start, span.end - windows.slide + windows.length) for span in spans]
    conditions = [within(time, whole), counted(source, bot)]
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
