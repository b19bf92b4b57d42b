"""Clicks that led to a purchase, per product in windows of the clicks' time."""

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Final

from sqlalchemy import func, select

from contracts.projections import conversions
from serving.queries import KEPT_STATEMENTS, Asked, Statement
from serving.queries.compared import asked_windows, beside, in_asked
from serving.queries.measures import bucket, counted, is_one_of, lists_given
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
) -> Asked:
    """Clicks on each product in each window, those that converted, and the different purchases they led to; `beside`
    those of `earlier`.

    `late` counts late clicks and late purchases among these: adding a late purchase takes at most one other late one
    out of the sum, so it never falls.
    """
    named = lists_given(products=products, categories=categories)
    statement = _statement(windows.length, frozenset(named), earlier is not None, bot)
    return Asked(statement, asked_windows(starts, earlier, limit) | named)


@lru_cache(KEPT_STATEMENTS)
def _statement(length: timedelta, named: frozenset[str], compares: bool, bot: bool | None) -> Statement:
    click, purchase = conversions.alias("click"), conversions.alias("purchase")
    part = (
        select(
            bucket(click.c.happened_at, length).label("window_start"),
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
            in_asked(click.c.happened_at, compares=compares),
            counted(click, bot),
        )
    )
    if "products" in named:
        part = part.where(is_one_of(click.c.product_id, "products"))
    if "categories" in named:
        part = part.where(is_one_of(click.c.category, "categories"))
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
    return beside(rows, [key.name for key in keys], compares=compares)
