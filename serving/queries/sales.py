"""Sales by hour or day in a time zone, with the zone's own rules for every single bucket."""

from typing import Any, Literal

from sqlalchemy import ColumnElement, DateTime, Interval, Subquery, Text, func, literal, literal_column, null, select

from contracts.projections import orders, site_minutes
from serving.queries import Statement
from serving.queries.measures import counted, moment, sketches, sums
from serving.windows import Span

_LOCAL = DateTime(timezone=False)
_ZONED = DateTime(timezone=True)


def sales(
    span: Span,
    grain: Literal["hour", "day"],
    zone: str,
    *,
    bot: bool | None,
    wanted_sketches: set[str],
    wants_orders: bool,
    limit: int,
) -> Statement:
    """Every bucket that starts in the span, empty ones as zero, with its start and end.

    Days are walked in local time and turned into instants one by one, so a day is 23 or 25 hours long where the
    zone says so; hours are walked in absolute time, so the repeated hour of autumn is two buckets.
    """
    tz = literal(zone, Text)
    step = literal_column("interval '1 day'" if grain == "day" else "interval '1 hour'", Interval())
    unit = literal(grain, Text)
    first = func.date_trunc(unit, moment(span.start), tz, type_=_ZONED)
    if grain == "day":
        walk = (
            func.generate_series(
                func.timezone(tz, first, type_=_LOCAL),
                func.timezone(tz, moment(span.end), type_=_LOCAL),
                step,
                type_=_LOCAL,
            )
            .table_valued("at", name="walk")
            .render_derived()
        )
        axis = _axis(func.timezone(tz, walk.c.at), func.timezone(tz, walk.c.at + step))
    else:
        walk = (
            func.generate_series(first, moment(span.end), step, type_=_ZONED)
            .table_valued("at", name="walk")
            .render_derived()
        )
        axis = _axis(walk.c.at, walk.c.at + step)
    names = ("purchases", "units", "revenue", "refunds", "refunded", "late")
    return (
        select(
            axis.c.start,
            axis.c.end,
            *sums(site_minutes, names),
            *sketches(site_minutes, wanted_sketches),
            (_orders(axis, bot) if wants_orders else null()).label("orders"),
        )
        .join_from(
            axis,
            site_minutes,
            (site_minutes.c.minute >= axis.c.start) & (site_minutes.c.minute < axis.c.end) & counted(site_minutes, bot),
            isouter=True,
        )
        .where(axis.c.start >= moment(span.start), axis.c.start < moment(span.end))
        .group_by(axis.c.start, axis.c.end)
        .order_by(axis.c.start)
        .limit(limit)
    )


def _axis(start: ColumnElement[Any], end: ColumnElement[Any]) -> Subquery:
    return select(start.label("start"), end.label("end")).subquery("axis")


def _orders(axis: Subquery, bot: bool | None) -> ColumnElement[Any]:
    """Orders placed in a bucket. An order that has only refunds so far was not placed."""
    placed = (orders.c.ordered_at >= axis.c.start) & (orders.c.ordered_at < axis.c.end) & counted(orders, bot)
    return select(func.count()).select_from(orders).where(placed).scalar_subquery().correlate(axis)
