"""What was put into carts, and what became of it: bought in time, abandoned, or open still."""

from datetime import datetime, timedelta

from sqlalchemy import Boolean, func, literal, select, true, tuple_, union_all

from contracts.projections import carts
from serving.queries import Statement
from serving.queries.measures import counted, moment
from serving.windows import Span


def cart_abandonment(
    span: Span, earlier: Span | None, within: timedelta, watermark: datetime | None, *, bot: bool | None, first: int
) -> Statement:
    """A row of all products, `product_id` null; then of those with the most abandoned additions, ties by id.

    With an `earlier` span its row of all products comes first, `before` true.
    """
    now = _fates(span, within, watermark, bot=bot, first=first, before=False)
    if earlier is None:
        return now
    then = _fates(earlier, within, watermark, bot=bot, first=0, before=True)
    both = union_all(then.subquery("then").select(), now.subquery("now").select()).subquery("both").c
    order = (both.before.desc(), both.product_id.is_not(None), both.abandoned.desc(), both.product_id)
    return select(*both).order_by(*order)


def _fates(
    span: Span, within: timedelta, watermark: datetime | None, *, bot: bool | None, first: int, before: bool
) -> Statement:
    waited = carts.c.purchased_at.is_(None)
    over = carts.c.happened_at < moment(watermark - within) if watermark is not None else ~true()
    abandoned = func.count().filter(waited & over)
    of_all = func.grouping(carts.c.product_id) == 1
    return (
        select(
            carts.c.product_id,
            func.count().label("additions"),
            func.count(carts.c.purchase_id).label("bought"),
            abandoned.label("abandoned"),
            func.count().filter(waited & ~over).label("open"),
            literal(before, Boolean).label("before"),
        )
        .where(
            ~carts.c.is_purchase,
            carts.c.happened_at >= moment(span.start),
            carts.c.happened_at < moment(span.end),
            counted(carts, bot),
        )
        .group_by(func.grouping_sets(tuple_(carts.c.product_id), tuple_()))
        .having(of_all | (abandoned > 0))
        .order_by(of_all.desc(), abandoned.desc(), carts.c.product_id)
        .limit(first + 1)
    )
