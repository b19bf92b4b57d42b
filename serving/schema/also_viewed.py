"""Root about what is viewed together: customers who viewed this also viewed."""

from typing import Annotated

import strawberry

from serving.errors import TooLarge
from serving.queries.also_viewed import Asked
from serving.queries.also_viewed import also_viewed as also_viewed_sql
from serving.schema.common import Range, page_size
from serving.schema.context import Info
from serving.schema.scalars import Long


@strawberry.type(description="A product that was viewed in the same sessions.")
class ViewedTogether:
    product_id: strawberry.ID
    sessions: Long = strawberry.field(description="Sessions in which both were viewed.")
    share: float = strawberry.field(description="`sessions` by all sessions that viewed the product asked for: 0 to 1.")


@strawberry.type(
    description="What customers who viewed a product also viewed, by sessions and within their first 50 events. "
    "Sessions of bots are left out."
)
class AlsoViewed:
    product_id: strawberry.ID
    sessions: Long = strawberry.field(description="Sessions that viewed the product.")
    products: list[ViewedTogether] = strawberry.field(
        description="The others, most sessions first; ties go by product id."
    )


async def also_viewed(
    info: Info,
    product_id: strawberry.ID,
    range: Range,
    first: Annotated[int, strawberry.argument(description="Most other products wanted.")] = 10,
) -> AlsoViewed:
    """Reads hours that are summed up, and the paths of sessions that began in others."""
    limit = info.context.services.settings.max_path_sessions
    asked = Asked(product_id, range.span(), page_size("first", first, info))
    scope, *rows = await info.context.snapshot.rows(also_viewed_sql(asked, limit))
    if scope.sessions > limit:
        raise TooLarge(
            "range", f"more than {limit} sessions of it are in no hour that is summed up yet; let it end earlier"
        )
    viewed = rows.pop(0).sessions if rows else 0
    return AlsoViewed(
        product_id=product_id,
        sessions=Long(viewed),
        products=[
            ViewedTogether(product_id=strawberry.ID(row.product_id), sessions=row.sessions, share=row.sessions / viewed)
            for row in rows
        ],
    )
