"""Root about conversions: clicks on products, and the purchases they led to."""

from datetime import timedelta

import strawberry

from serving.errors import TooLarge
from serving.queries import by_name, logged
from serving.queries.conversions import CONVERTS_WITHIN, conversion_windows
from serving.schema.common import BotFilter, Bots, Range, Window, is_final
from serving.schema.comparison import PREVIOUS_WINDOW, Columns, CompareWith, row_before
from serving.schema.context import Info
from serving.schema.history import AsOfEpoch, told_as_of
from serving.schema.narrowing import Categories, Products
from serving.schema.products import Length
from serving.schema.scalars import Long
from serving.snapshot import EpochRow
from serving.windows import Windows


@strawberry.type(
    description="Clicks on a product in a window, and what they led to: a click converts when its user buys the "
    "product within ten minutes, and is credited with the first such purchase. It is final when the watermark is ten "
    "minutes past its end. Windows without a click are left out."
)
class ConversionWindow(Window):
    product_id: strawberry.ID = strawberry.field(description="Which product.")
    clicks: Long = strawberry.field(description="Clicks that named it.")
    converted_clicks: Long = strawberry.field(description="Clicks that a purchase followed within ten minutes.")
    purchases: Long = strawberry.field(
        description="Different purchases (order lines) that these clicks are credited with. One that clicks of two "
        "windows led to counts in both."
    )
    rate: float = strawberry.field(description="`convertedClicks` by `clicks`: 0 to 1.")
    previous: "ConversionWindow | None" = strawberry.field(description=PREVIOUS_WINDOW.format("product"))


async def conversions(
    info: Info,
    *,
    range: Range,
    window: Length = timedelta(minutes=5),
    products: Products = None,
    categories: Categories = None,
    compare_with: CompareWith = None,
    bots: Bots = BotFilter.EXCLUDE,
    as_of: AsOfEpoch = None,
) -> list[ConversionWindow]:
    """Windows by the time of the clicks; final ten minutes after their end, when the last purchase could have come."""
    settings, snapshot = info.context.services.settings, info.context.snapshot
    windows = Windows.checked(window, None)
    starts = windows.starts_in(range.span(), settings.max_points)
    if starts is None:
        return []
    earlier = compare_with.windows(starts, windows) if compare_with is not None else None
    most, told = settings.max_rows + 1, await told_as_of(info, as_of)
    if told.past:
        which, epoch = logged.Of(bots.bot, products, categories), told.epoch
        rows = await info.context.logged(
            logged.conversion_windows(
                starts, windows, which, earlier=earlier, within=CONVERTS_WITHIN, epoch=epoch, limit=most
            )
        )
    else:
        rows = await snapshot.rows(
            *conversion_windows(starts, windows, products, categories, earlier=earlier, bot=bots.bot, limit=most)
        )
    if len(rows) > settings.max_rows:
        raise TooLarge("range", f"the answer has more than {settings.max_rows} rows; name products or shorten it")
    return [_window(row, row_before(row), window, told.as_of) for row in by_name(rows)]


def _window(told: Columns, before: Columns | None, length: timedelta, as_of: EpochRow | None) -> ConversionWindow:
    end = told["window_start"] + length
    return ConversionWindow(
        window_start=told["window_start"],
        window_end=end,
        is_final=is_final(end + CONVERTS_WITHIN, as_of),
        revision=told["late"],
        late_events=told["late"],
        product_id=strawberry.ID(told["product_id"]),
        clicks=told["clicks"],
        converted_clicks=told["converted_clicks"],
        purchases=told["purchases"],
        rate=told["converted_clicks"] / told["clicks"],
        previous=_window(before, None, length, as_of) if before is not None else None,
    )
