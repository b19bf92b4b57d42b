"""Clicks that led to a purchase, per product in windows of the clicks' time."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select

from contracts.projections import conversions
from serving.queries import Statement
from serving.queries.compared import beside, within
from serving.queries.measures import bucket, counted
from serving.windows import Span, Windows

CONVERTS_WITHIN: Final = timedelta(minutes=10)
"""Longest time from a click to the purchase that it may have led to."""


def conversion_windows(
    starts: Span,
    windows: Windows,
    products: Sequence[str] | None,
    categories: Sequence[str] | None,
    *,
    earlier: Span | None = None,
    bot: bool | None,
    limit: int,
) -> Statement:
    """Clicks on each product in each window, those that converted, and the different purchases they led to; `beside`
    those of `earlier`.

    `late` counts late clicks and late purchases among these: adding a late purchase takes at most one other late one
    out of the sum, so it never falls.
    """
    click, purchase = conversions.alias("click"), conversions.alias("purchase")
    part = (
        select(
            bucket(click.c.happened_at, windows.length).label("window_start"),
            click.c.product_id,
            click.c.purchase_id,
            click.c.late,
            purchase.c.late.label("purchase_late"),
        )
        .join_from(
            click,
            purchase,
            (purchase.c.user_id == click.c.user_id)
            & (purchase.c.product_id == click.c.product_id)
            & (purchase.c.happened_at == click.c.purchased_at)
            & (purchase.c.event_id == click.c.purchase_id)
            & purchase.c.is_purchase,
            isouter=True,
        )
        .where(
            ~click.c.is_purchase,
            within(click.c.happened_at, [starts] if earlier is None else [earlier, starts]),
            counted(click, bot),
        )
    )
    if products is not None:
        part = part.where(click.c.product_id.in_(products))
    if categories is not None:
        part = part.where(click.c.category.in_(categories))
    found = part.subquery("part")
    purchases = func.count(found.c.purchase_id.distinct())
    keys = [found.c.window_start, found.c.product_id]
    rows = select(
        *keys,
        func.count().label("clicks"),
        func.count(found.c.purchase_id).label("converted_clicks"),
        purchases.label("purchases"),
        (func.count().filter(found.c.late) + purchases.filter(found.c.purchase_late)).label("late"),
    ).group_by(*keys)
    return beside(rows, [key.name for key in keys], starts, earlier, limit)
