"""The shop just now: the last hour by minute, and the day so far."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import DateTime, func, select

from contracts.tables import site_minutes
from serving.queries import Statement
from serving.queries.measures import duration, moment, total
from serving.windows import MINUTE

_MEASURES = ("events", "views", "adds", "purchases", "revenue")


def realtime(newest_minute: datetime, minutes: int, today: datetime, sketches: Collection[str]) -> Statement:
    """The newest `minutes` minutes, oldest first, empty ones as zero, each row also with the day's totals.

    `sketches` names the sketches to fetch; null where a minute has none.
    """
    day = (
        select(
            total(site_minutes.c.revenue).label("revenue_today"),
            total(site_minutes.c.purchases).label("purchases_today"),
        )
        .where(site_minutes.c.minute >= moment(today), site_minutes.c.minute < moment(newest_minute + MINUTE))
        .subquery("day")
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
            *(func.coalesce(site_minutes.c[name], 0).label(name) for name in _MEASURES),
            day.c.revenue_today,
            day.c.purchases_today,
            *(site_minutes.c[name] for name in sketches),
        )
        .join_from(axis, day, day.c.purchases_today >= 0)
        .outerjoin(site_minutes, site_minutes.c.minute == axis.c.minute)
        .order_by(axis.c.minute)
    )
