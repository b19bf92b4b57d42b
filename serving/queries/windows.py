"""Windows over the minute tables and what they are summed up to: productMetrics and revenue."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Integer, Interval, Table, func, literal, select, true

from contracts.projections import category_minutes, product_minutes
from contracts.rollup_reads import GIVEN, given, hours_of, readable, readable_windows
from contracts.rollups import DAY, HOUR, WINDOW_MINUTES
from serving.queries import KEPT_STATEMENTS, Asked, Statement
from serving.queries.compared import asked_windows, beside, in_asked
from serving.queries.json import Selection
from serving.queries.measures import bucket, counted, duration, is_one_of, lists_given, sketches, sums
from serving.queries.window_json import PRODUCT_WINDOW, REVENUE_WINDOW, WindowJson, written
from serving.windows import Span, Windows

_WINDOW: Final = timedelta(minutes=WINDOW_MINUTES)
_NO_MEASURE: Final = frozenset({"minute", "starts_at", "bot", "last_epoch"})
_MONEY: Final = ("purchases", "units", "revenue", "refunds", "refunded", "late")


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
    json: WindowJson | None = None,
) -> Asked:
    """Measures of each product and category in each window that starts in `starts`, `beside` those of `earlier`.

    With `json`, that of each row under this name, and nothing else.
    """
    named, (chosen, given_too) = lists_given(product_id=products, category=categories), json or (None, {})
    statement = _products(
        windows,
        frozenset(named),
        compares=earlier is not None,
        bot=bot,
        wanted_sketches=frozenset(wanted_sketches),
        chosen=chosen,
    )
    return Asked(statement, _values(starts, windows, earlier, limit) | named | given_too)


def revenue_windows(
    starts: Span,
    windows: Windows,
    products: Sequence[str] | None,
    categories: Sequence[str] | None,
    *,
    earlier: Span | None = None,
    bot: bool | None,
    limit: int,
    json: WindowJson | None = None,
) -> Asked:
    """Purchases and refunds of each category in each window, `beside` those of `earlier`; nothing without either.

    With `products`, only theirs.

    With `json`, that of each row under this name, and nothing else.
    """
    named, (chosen, given_too) = lists_given(product_id=products, category=categories), json or (None, {})
    statement = _revenue(windows, frozenset(named), compares=earlier is not None, bot=bot, chosen=chosen)
    values = _values(starts, windows, earlier, limit) | named | given_too
    if _of_windows(_minutes_of(named), windows):
        reach = windows.length - windows.slide
        values |= hours_of([(span.start, span.end + reach) for span in (starts, earlier) if span is not None])
    return Asked(statement, values)


@lru_cache(KEPT_STATEMENTS)
def _products(
    windows: Windows,
    named: frozenset[str],
    *,
    compares: bool,
    bot: bool | None,
    wanted_sketches: frozenset[str],
    chosen: Selection | None,
) -> Statement:
    rolled = _windowed(product_minutes, windows, ("product_id", "category"), named, compares=compares, bot=bot)
    part = rolled.subquery("part")
    asked = _is_asked(part, windows, compares=compares)
    keys = [part.c.window_start, part.c.product_id, part.c.category]
    rows = select(*keys, *sums(part), *sketches(part, wanted_sketches)).where(asked).group_by(*keys)
    names = [key.name for key in keys]
    told = beside(rows, names, compares=compares)
    return told if chosen is None else written(told, names, chosen, PRODUCT_WINDOW, compares=compares)


@lru_cache(KEPT_STATEMENTS)
def _revenue(
    windows: Windows, named: frozenset[str], *, compares: bool, bot: bool | None, chosen: Selection | None
) -> Statement:
    minutes = _minutes_of(named)
    narrowed = ("category",) if minutes is category_minutes else ("product_id", "category")
    part = _windowed(minutes, windows, narrowed, named, compares=compares, bot=bot).subquery("part")
    keys = [part.c.window_start, part.c.category]
    rows = (
        select(*keys, *sums(part, _MONEY))
        .where(_is_asked(part, windows, compares=compares))
        .group_by(*keys)
        .having((func.sum(part.c.purchases) > 0) | (func.sum(part.c.refunds) > 0))
    )
    names = [key.name for key in keys]
    told = beside(rows, names, compares=compares)
    return told if chosen is None else written(told, names, chosen, REVENUE_WINDOW, compares=compares)


def _minutes_of(named: Collection[str]) -> Table:
    """The minutes of categories, unless products are named, which these do not know."""
    return product_minutes if "product_id" in named else category_minutes


def _values(starts: Span, windows: Windows, earlier: Span | None, limit: int) -> dict[str, Any]:
    values = asked_windows(starts, earlier, limit)
    if windows.slide >= HOUR:
        spans = [starts] if earlier is None else [earlier, starts]
        values |= given(sorted({edge for span in spans for edge in windows.edges(span)}))
    return values


def _is_asked(part: FromClause, windows: Windows, *, compares: bool) -> ColumnElement[bool]:
    """That a row of `_windowed` is of a window that is asked for; where windows do not overlap, all are."""
    return in_asked(part.c.window_start, compares=compares) if windows.overlap > 1 else true()


def _of_windows(minutes: Table, windows: Windows) -> bool:
    """Whether they are summed up from windows of five minutes: of categories, which nobody reads by shorter ones."""
    return minutes is not product_minutes and windows.slide < HOUR and not windows.slide % _WINDOW


def _windowed(
    minutes: Table,
    windows: Windows,
    keys: Sequence[str],
    named: frozenset[str],
    *,
    compares: bool,
    bot: bool | None,
) -> Statement:
    """Each row once for every window it belongs to, under `window_start`; `named` are the keys that are given values.

    The slide divides the window, so a row of the slide-long bucket `b` belongs to the windows starting at
    `b`, `b - slide`, … `b - (overlap - 1) × slide`. No hour lies within a shorter slide, so there minutes are read, or
    what they were summed up to by five minutes.
    """
    if windows.slide >= HOUR:
        source: FromClause = readable(minutes, GIVEN, days=windows.slide >= DAY).subquery("rows")
    elif _of_windows(minutes, windows):
        source = readable_windows().subquery("rows")
    else:
        source = minutes
    time: ColumnElement[Any] = source.c.minute if source is minutes else source.c.starts_at
    conditions = [in_asked(time, compares=compares, reach=windows.length - windows.slide), counted(source, bot)]
    conditions += [is_one_of(source.c[key], key) for key in keys if key in named]
    told: list[ColumnElement[Any]] = [source.c[key] for key in keys]
    told += [column for column in source.c if column.name not in {*_NO_MEASURE, *keys}]
    newest = bucket(time, windows.slide)
    if windows.overlap == 1:
        return select(newest.label("window_start"), *told).where(*conditions)
    step = (
        func.generate_series(0, literal(windows.overlap - 1, Integer), type_=Integer)
        .table_valued("n", name="step")
        .render_derived()
    )
    back = duration(windows.slide).op("*", return_type=Interval())(step.c.n)
    window_start = (newest - back).label("window_start")
    return select(window_start, *told).join_from(source, step, literal(value=True)).where(*conditions)
