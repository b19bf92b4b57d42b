"""Root about carts: what was put into them and not bought."""

from datetime import timedelta
from typing import Annotated, Any

import strawberry

from serving.queries import ResultRow, folded
from serving.queries.carts import cart_abandonment as cart_abandonment_sql
from serving.schema.common import BotFilter, Bots, Range, is_final, page_size
from serving.schema.comparison import CompareWith
from serving.schema.context import Info
from serving.schema.history import AsOfEpoch, rows_then, told_as_of
from serving.schema.scalars import Long


@strawberry.interface(description="Additions to carts, each of one product by one user, by what became of them.")
class Additions:
    additions: Long = strawberry.field(description="Events `add_to_cart` that name a product.")
    bought: Long = strawberry.field(
        description="Those whose user bought the product in time: `CartAbandonment.within`."
    )
    abandoned: Long = strawberry.field(description="Those not bought in time, by event time up to the watermark.")
    open: Long = strawberry.field(description="Those not bought whose time is not over yet.")
    rate: float | None = strawberry.field(
        description="`abandoned` by `bought` and `abandoned` together: 0 to 1; null where nothing is decided yet."
    )


@strawberry.type(description="A product left in carts.")
class AbandonedProduct(Additions):
    product_id: strawberry.ID = strawberry.field(description="Which product.")


@strawberry.type(description="What was put into carts in an earlier period, and what became of it.")
class EarlierAdditions(Additions):
    pass


@strawberry.type(description="What was put into carts in a range, and what became of it.")
class CartAbandonment(Additions):
    within: timedelta = strawberry.field(
        description="What is not bought within it is abandoned. A setting of the shop (`cart_minutes`)."
    )
    minutes: int = strawberry.field(description="`within` in minutes.", deprecation_reason="Use `within`.")
    is_final: bool = strawberry.field(description="Whether nothing is open, and nothing on time can come any more.")
    products: list[AbandonedProduct] = strawberry.field(
        description="Those with the most abandoned additions, most first; ties go by product id."
    )
    previous: EarlierAdditions | None = strawberry.field(
        description="The same of the earlier period; null without `compareWith`."
    )


async def cart_abandonment(
    info: Info,
    range: Range,
    *,
    bots: Bots = BotFilter.EXCLUDE,
    first: Annotated[int, strawberry.argument(description="Most products wanted.")] = 10,
    compare_with: CompareWith = None,
    as_of: AsOfEpoch = None,
) -> CartAbandonment:
    """Additions by their own time; decided once the watermark is the shop's minutes past them."""
    span, size = range.span(), page_size("first", first, info)
    within = timedelta(minutes=info.context.services.shop.cart_minutes)
    told = await told_as_of(info, as_of)
    earlier = compare_with.span(span) if compare_with is not None else None
    statement = cart_abandonment_sql(span, earlier, within, told.watermark, bot=bots.bot, first=size)
    rows = list(await rows_then(info, told, statement, folded.additions([span, earlier or span], within)))
    previous = EarlierAdditions(**_additions(rows.pop(0))) if earlier is not None else None
    whole, *products = rows
    return CartAbandonment(
        **_additions(whole),
        within=within,
        minutes=info.context.services.shop.cart_minutes,
        is_final=is_final(span.end + within, told.as_of),
        products=[AbandonedProduct(product_id=strawberry.ID(row.product_id), **_additions(row)) for row in products],
        previous=previous,
    )


def _additions(row: ResultRow) -> dict[str, Any]:
    decided = row.bought + row.abandoned
    counts = {name: row._mapping[name] for name in ("additions", "bought", "abandoned", "open")}
    return {**counts, "rate": row.abandoned / decided if decided else None}
