"""The shop just now: the last hour by minute, and the day so far."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import DateTime, func, select

from contracts.projections import sessions, site_minutes
from contracts.rollup_reads import readable
from serving.queries import Statement
from serving.queries.measures import counted, duration, moment, sketches, sums, total
from serving.windows import MINUTE, minute_edges

_MEASURES = ("events", "views", "purchases", "revenue")


def realtime(
    newest_minute: datetime, minutes: int, today: datetime, wanted_sketches: Collection[str], bot: bool | None
) -> Statement:
    """The newest `minutes` minutes, oldest first, empty ones as zero.

    Each row has also the day's totals, and of the sessions that started in those minutes: how many put something into
    a cart, and how many of these bought nothing.

    Sketches come as arrays, with a null where a minute has none.
    """
    so_far = readable(site_minutes, minute_edges((today, newest_minute + MINUTE))).subquery("so_far")
    day = (
        select(total(so_far.c.revenue).label("revenue_today"), total(so_far.c.purchases).label("purchases_today"))
        .where(counted(so_far, bot))
        .subquery("day")
    )
    bought_nothing = (sessions.c.adds > 0) & (sessions.c.purchases == 0)
    carts = (
        select(
            func.count().filter(sessions.c.adds > 0).label("carts"),
            func.count().filter(bought_nothing).label("carts_left"),
        )
        .where(
            sessions.c.started_at >= moment(newest_minute - (minutes - 1) * MINUTE),
            sessions.c.started_at < moment(newest_minute + MINUTE),
            counted(sessions, bot),
        )
        .subquery("carts")
    )
    axis = (
        func.generate_series(
            moment(newest_minute - (minutes - 1) * MINUTE),
            moment(newest_minute),
            duration(timedelta(minutes=1)),
            type_=DateTime(timezone=True),
        )
        .table_valued("minute", name="axis")
        .render_derived()
    )
    return (
        select(
            axis.c.minute,
            *sums(site_minutes, _MEASURES),
            day.c.revenue_today,
            day.c.purchases_today,
            carts.c.carts,
            carts.c.carts_left,
            *sketches(site_minutes, wanted_sketches),
        )
        .join_from(axis, day, day.c.purchases_today >= 0)
        .join(carts, carts.c.carts >= 0)
        .outerjoin(site_minutes, (site_minutes.c.minute == axis.c.minute) & counted(site_minutes, bot))
        .group_by(axis.c.minute, day.c.revenue_today, day.c.purchases_today, carts.c.carts, carts.c.carts_left)
        .order_by(axis.c.minute)
    )
