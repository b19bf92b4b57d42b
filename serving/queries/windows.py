"""Windows over the minute tables: productMetrics and revenue."""

from collections.abc import Collection, Sequence

from sqlalchemy import Integer, Table, func, literal, select

from contracts.projections import category_minutes, product_minutes
from serving.queries import Statement
from serving.queries.measures import bucket, counted, duration, moment, sketches, sums
from serving.windows import Span, Windows


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
    table = product_minutes
    keyed = _windowed(table, starts, windows, ["product_id", "category"]).where(counted(table, bot))
    if products is not None:
        keyed = keyed.where(table.c.product_id.in_(products))
    if categories is not None:
        keyed = keyed.where(table.c.category.in_(categories))
    part = keyed.subquery("part")
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
    table = category_minutes
    keyed = _windowed(table, starts, windows, ["category"]).where(counted(table, bot))
    if categories is not None:
        keyed = keyed.where(table.c.category.in_(categories))
    part = keyed.subquery("part")
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


def _windowed(table: Table, starts: Span, windows: Windows, keys: list[str]) -> Statement:
    """Each minute row once for every window it belongs to, under `window_start`.

    The slide divides the window, so a minute of the slide-long bucket `b` belongs to the windows starting at
    `b`, `b - slide`, … `b - (overlap - 1) × slide`.
    """
    values = [column for column in table.c if column.name not in {"minute", *keys, "bot", "last_epoch"}]
    newest = bucket(table.c.minute, windows.slide)
    if windows.overlap == 1:
        window_start = newest
        source = select(window_start.label("window_start"), *(table.c[key] for key in keys), *values)
    else:
        step = (
            func.generate_series(0, literal(windows.overlap - 1, Integer), type_=Integer)
            .table_valued("n", name="step")
            .render_derived()
        )
        window_start = newest - duration(windows.slide) * step.c.n
        source = select(window_start.label("window_start"), *(table.c[key] for key in keys), *values).join_from(
            table, step, literal(value=True)
        )
    return source.where(
        table.c.minute >= moment(starts.start),
        table.c.minute < moment(starts.end - windows.slide + windows.length),
    )
