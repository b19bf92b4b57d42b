"""The shop just now: the last hour by minute, and the day so far."""

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import DateTime, FromClause, Subquery, func, or_, select, true

from contracts.projections import sessions, site_minutes
from contracts.rollup_reads import GIVEN, days_fit, given, readable
from serving.queries import Asked, Statement
from serving.queries.measures import counted, duration, given_moment, sketches, sums
from serving.windows import MINUTE, Span, minute_edges

_MEASURES = ("events", "views", "purchases", "revenue")


def realtime(
    newest_minute: datetime,
    minutes: int,
    today: datetime,
    earlier: Span | None,
    *,
    wanted_sketches: Collection[str],
    wants_carts: bool,
    bot: bool | None,
) -> Asked:
    """The newest `minutes` minutes, oldest first, empty ones as zero.

    Each row has also the day's totals, those of the `earlier` span of whole minutes where one is wanted, and where
    carts are wanted, of the sessions that started in those minutes, how many put something into a cart and how many of
    these bought nothing. For carts all sessions of these minutes are read, for the rest only sums.

    Sketches come as arrays, with a null where a minute has none.
    """
    spans = {"today": Span(today, newest_minute + MINUTE)} | ({"before": earlier} if earlier else {})
    edges = minute_edges(edge for span in spans.values() for edge in (span.start, span.end))
    values = given(edges) | {
        "oldest_minute": newest_minute - (minutes - 1) * MINUTE,
        "newest_minute": newest_minute,
        "minutes_end": newest_minute + MINUTE,
    }
    for name, span in spans.items():
        values |= {f"{name}_starts": span.start, f"{name}_ends": span.end}
    statement = _statement(tuple(spans), frozenset(wanted_sketches), bot, wants_carts=wants_carts, days=days_fit(edges))
    return Asked(statement, values)


@cache
def _statement(
    spans: tuple[str, ...], wanted_sketches: frozenset[str], bot: bool | None, *, wants_carts: bool, days: bool
) -> Statement:
    once = [_bought(spans, bot, days=days), *([_carts(bot)] if wants_carts else [])]
    oldest, newest = given_moment("oldest_minute"), given_moment("newest_minute")
    axis = (
        func.generate_series(oldest, newest, duration(timedelta(minutes=1)), type_=DateTime(timezone=True))
        .table_valued("minute", name="axis")
        .render_derived()
    )
    totals = [column for each in once for column in each.c]
    beside: FromClause = axis
    for each in once:
        beside = beside.join(each, true())
    return (
        select(
            axis.c.minute,
            *sums(site_minutes, _MEASURES),
            *totals,
            *sketches(site_minutes, sorted(wanted_sketches)),
        )
        .select_from(
            beside.outerjoin(site_minutes, (site_minutes.c.minute == axis.c.minute) & counted(site_minutes, bot))
        )
        .group_by(axis.c.minute, *totals)
        .order_by(axis.c.minute)
    )


def _carts(bot: bool | None) -> Subquery:
    """One row: sessions of the minutes that put something into a cart, and those of them that bought nothing."""
    filled = sessions.c.adds > 0
    return (
        select(
            func.count().filter(filled).label("carts"),
            func.count().filter(filled & (sessions.c.purchases == 0)).label("carts_left"),
        )
        .where(
            sessions.c.started_at >= given_moment("oldest_minute"),
            sessions.c.started_at < given_moment("minutes_end"),
            counted(sessions, bot),
        )
        .subquery("carts")
    )


def _bought(spans: tuple[str, ...], bot: bool | None, *, days: bool) -> Subquery:
    """One row: revenue and purchases of each span, under its name."""
    told = readable(site_minutes, GIVEN, days=days).subquery("bought")
    within = {
        name: (told.c.starts_at >= given_moment(f"{name}_starts")) & (told.c.starts_at < given_moment(f"{name}_ends"))
        for name in spans
    }
    sums_of_each = [
        func.coalesce(func.sum(told.c[measure]).filter(there), 0).cast(told.c[measure].type).label(f"{measure}_{name}")
        for name, there in within.items()
        for measure in ("revenue", "purchases")
    ]
    return select(*sums_of_each).where(counted(told, bot), or_(*within.values())).subquery("days")
