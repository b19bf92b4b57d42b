"""Root about conversions: clicks on products, and the purchases they led to."""

from datetime import timedelta
from typing import Annotated

import strawberry

from serving.errors import TooLarge
from serving.queries.conversions import CONVERTS_WITHIN, conversion_windows
from serving.schema.common import BotFilter, Range, Window, is_final
from serving.schema.context import Info
from serving.schema.products import Length
from serving.schema.scalars import Long
from serving.windows import Windows


@strawberry.type(
    description="Clicks on a product in a window, and what they led to: a click converts when its user buys the "
    "product within ten minutes, and is credited with the first such purchase. It is final when the watermark is ten "
    "minutes past its end. Windows without a click are left out."
)
class ConversionWindow(Window):
    product_id: strawberry.ID
    clicks: Long
    converted_clicks: Long = strawberry.field(description="Clicks that a purchase followed within ten minutes.")
    purchases: Long = strawberry.field(
        description="Different purchases (order lines) that these clicks are credited with. One that clicks of two "
        "windows led to counts in both."
    )
    rate: float = strawberry.field(description="`convertedClicks` by `clicks`: 0 to 1.")


async def conversions(
    info: Info,
    *,
    range: Range,
    window: Length = timedelta(minutes=5),
    products: list[strawberry.ID] | None = None,
    categories: Annotated[
        list[str] | None, strawberry.argument(description="Clicks that named one of these categories.")
    ] = None,
    bots: BotFilter = BotFilter.EXCLUDE,
) -> list[ConversionWindow]:
    """Windows by the time of the clicks; final ten minutes after their end, when the last purchase could have come."""
    settings, snapshot = info.context.services.settings, info.context.snapshot
    windows = Windows.checked(window, None)
    starts = windows.starts_in(range.span(), settings.max_points)
    if starts is None:
        return []
    statement = conversion_windows(starts, windows, products, categories, bot=bots.bot, limit=settings.max_rows + 1)
    rows = await snapshot.rows(statement)
    if len(rows) > settings.max_rows:
        raise TooLarge("range", f"the answer has more than {settings.max_rows} rows; name products or shorten it")
    as_of = await snapshot.as_of()
    return [
        ConversionWindow(
            window_start=row.window_start,
            window_end=row.window_start + window,
            is_final=is_final(row.window_start + window + CONVERTS_WITHIN, as_of),
            revision=row.late,
            late_events=row.late,
            product_id=strawberry.ID(row.product_id),
            clicks=row.clicks,
            converted_clicks=row.converted_clicks,
            purchases=row.purchases,
            rate=row.converted_clicks / row.clicks,
        )
        for row in rows
    ]
