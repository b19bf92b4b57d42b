"""Root about what is viewed together: customers who viewed this also viewed."""

from typing import Annotated

import strawberry

from contracts.rollups import pair_hours, roll_ups
from serving.errors import TooLarge
from serving.queries import folded
from serving.queries.also_viewed import Asked
from serving.queries.also_viewed import also_viewed as also_viewed_sql
from serving.schema.common import Range, page_size
from serving.schema.comparison import CompareWith
from serving.schema.context import Info
from serving.schema.history import AsOfEpoch, rows_then, told_as_of
from serving.schema.scalars import Long

_PREVIOUS = "The same in the earlier period; null without `compareWith`{}."


@strawberry.type(description="A product that was viewed in the same sessions.")
class ViewedTogether:
    product_id: strawberry.ID = strawberry.field(description="The other product.")
    sessions: Long = strawberry.field(description="Sessions in which both were viewed.")
    share: float = strawberry.field(description="`sessions` by all sessions that viewed the product asked for: 0 to 1.")
    previous: "ViewedTogether | None" = strawberry.field(
        description=_PREVIOUS.format(", and where no session viewed both")
    )


@strawberry.type(description="Sessions of an earlier period.")
class EarlierViews:
    sessions: Long = strawberry.field(description="Those that viewed the product.")


@strawberry.type(
    description="What customers who viewed a product also viewed, by sessions and within their first 50 events. "
    "Sessions of bots are left out."
)
class AlsoViewed:
    product_id: strawberry.ID = strawberry.field(description="The product asked for.")
    sessions: Long = strawberry.field(description="Sessions that viewed the product.")
    products: list[ViewedTogether] = strawberry.field(
        description="The others, most sessions first; ties go by product id."
    )
    previous: EarlierViews | None = strawberry.field(description=_PREVIOUS.format(""))


async def also_viewed(
    info: Info,
    product_id: Annotated[strawberry.ID, strawberry.argument(description="The product that was viewed.")],
    range: Range,
    *,
    first: Annotated[int, strawberry.argument(description="Most other products wanted.")] = 10,
    compare_with: CompareWith = None,
    as_of: AsOfEpoch = None,
) -> AlsoViewed:
    """Reads hours that are summed up, and the paths of sessions that began in others."""
    limit, span = info.context.services.settings.max_path_sessions, range.span()
    earlier = compare_with.span(span) if compare_with is not None else None
    asked = Asked(product_id, span, page_size("first", first, info), earlier)
    folds = folded.sessions([span, earlier or span], info.context.services.session_gap)
    told = await told_as_of(info, as_of)
    scope, itself, *others = await rows_then(
        info, told, also_viewed_sql(asked, limit), folds, empty=(roll_ups, pair_hours)
    )
    for counted, which in ((scope.sessions, "it"), (scope.before, "the period it is compared with")):
        if counted is not None and counted > limit:
            raise TooLarge(
                "range",
                f"more than {limit} sessions of {which} are in no hour that is summed up yet; let it end earlier",
            )
    viewed, before = itself.sessions, itself.before
    return AlsoViewed(
        product_id=product_id,
        sessions=Long(viewed),
        products=[_together(row.product_id, (row.sessions, viewed), (row.before, before)) for row in others],
        previous=EarlierViews(sessions=Long(before)) if earlier is not None else None,
    )


def _together(product_id: str, now: tuple[int, int], before: tuple[int | None, int] | None) -> ViewedTogether:
    """Each period is its sessions, and all that viewed the product asked for."""
    sessions, viewed = now
    then = (before[0], before[1]) if before is not None and before[0] is not None else None
    return ViewedTogether(
        product_id=strawberry.ID(product_id),
        sessions=Long(sessions),
        share=sessions / viewed,
        previous=_together(product_id, then, None) if then is not None else None,
    )
