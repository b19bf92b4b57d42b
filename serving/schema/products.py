"""Roots about products: their windows, and the best of a range."""

from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Annotated, Any

import strawberry

from serving.errors import InvalidArgument, TooLarge
from serving.queries import ResultRow, by_name, logged
from serving.queries.compared import BEFORE
from serving.queries.top_products import top_products as top_products_sql
from serving.queries.window_json import PRODUCT_WINDOW
from serving.queries.windows import product_windows
from serving.schema.common import BotFilter, Bots, Range, Window, check_kept, is_final, page_size, users_in
from serving.schema.comparison import PREVIOUS_WINDOW, Columns, CompareWith, row_before
from serving.schema.context import Info, selected_below
from serving.schema.counts import ProductMeasures
from serving.schema.history import AsOfEpoch, told_as_of
from serving.schema.narrowing import Categories, Products
from serving.schema.scalars import Long
from serving.schema.written import windows_as_written
from serving.snapshot import EpochRow
from serving.windows import Span, Windows, minute_edges

_SKETCH_OF = {"uniqueUsers": "users", "uniqueBuyers": "buyers"}

Length = Annotated[
    timedelta,
    strawberry.argument(
        description="Length of a window: any multiple of a minute. Windows align to 1970-01-01T00:00Z: those of P1D "
        "are days in UTC; the days of a time zone are in `sales`."
    ),
]
Slide = Annotated[
    timedelta | None,
    strawberry.argument(
        description="A window starts every so often: a multiple of a minute that divides the window. Without it "
        "windows tumble: each starts where the last one ends."
    ),
]


@strawberry.type(description="A product in a window. Windows in which nothing happened are left out.")
class ProductWindow(Window, ProductMeasures):
    product_id: strawberry.ID = strawberry.field(description="Which product.")
    category: str = strawberry.field(description="Empty where the events named none.")
    unique_users: Long | None = strawberry.field(
        description="Distinct users: exact up to 4,096, above that with a standard error of 1.6 %. Never null."
    )
    unique_buyers: Long | None = strawberry.field(description="Distinct users who bought; as exact. Never null.")
    previous: "ProductWindow | None" = strawberry.field(description=PREVIOUS_WINDOW.format("product and category"))


@strawberry.type(description="A product's sums over a range, and its place.")
class RankedProduct(ProductMeasures):
    rank: int = strawberry.field(description="1 is the best.")
    product_id: strawberry.ID = strawberry.field(description="Which product.")
    categories: list[str] = strawberry.field(description="Categories its events named.")
    previous: "RankedProduct | None" = strawberry.field(
        description="Its sums and its rank in the earlier period; null without `compareWith`, and where it had none of "
        "the measure then."
    )


@strawberry.enum(description="What products are ranked by.")
class ProductMeasure(Enum):
    VIEWS = strawberry.enum_value("views", description="Page views and product views.")
    CLICKS = strawberry.enum_value("clicks", description="Clicks.")
    ADDS = strawberry.enum_value("adds", description="Additions to a cart.")
    PURCHASES = strawberry.enum_value("purchases", description="Order lines bought.")
    UNITS = strawberry.enum_value("units", description="Pieces bought.")
    REVENUE = strawberry.enum_value("revenue", description="Money of the purchases.")


async def product_metrics(
    info: Info,
    *,
    range: Range,
    window: Length = timedelta(minutes=1),
    slide: Slide = None,
    compare_with: CompareWith = None,
    products: Products = None,
    categories: Categories = None,
    bots: Bots = BotFilter.EXCLUDE,
    limit: Annotated[
        int | None,
        strawberry.argument(description="Most rows wanted. Without it, an answer over the maximum is an error."),
    ] = None,
    as_of: AsOfEpoch = None,
) -> list[ProductWindow]:
    """Rolls minute rows up to windows."""
    settings, snapshot = info.context.services.settings, info.context.snapshot
    windows = Windows.checked(window, slide)
    starts = windows.starts_in(range.span(), settings.max_points)
    if limit is not None and not 0 <= limit <= settings.max_rows:
        raise InvalidArgument("limit", f"must be from 0 to {settings.max_rows}")
    if starts is None:
        return []
    earlier = compare_with.windows(starts, windows) if compare_with is not None else None
    wanted = {_SKETCH_OF[name] for name in selected_below(info, _SKETCH_OF)}
    most = settings.max_rows + 1 if limit is None else limit
    told = await told_as_of(info, as_of)
    currency = info.context.services.shop.currency
    if told.past:
        which, epoch = logged.Of(bots.bot, products, categories), told.epoch
        rows = await info.context.logged(
            logged.product_windows(
                starts, windows, which, earlier=earlier, epoch=epoch, wanted_sketches=wanted, limit=most
            )
        )
    else:
        check_kept(windows.edges(starts) + (windows.edges(earlier) if earlier is not None else []), told.as_of)
        ask = partial(
            product_windows,
            starts,
            windows,
            products,
            categories,
            earlier=earlier,
            bot=bots.bot,
            wanted_sketches=wanted,
            limit=most,
        )
        written = await windows_as_written(
            info, ask, PRODUCT_WINDOW, ProductWindow, length=window, watermark=told.watermark
        )
        if written is not None:
            return written
        rows = await snapshot.rows(*ask())
    if len(rows) > settings.max_rows:
        raise TooLarge(
            "range",
            f"the answer has more than {settings.max_rows} rows; name products, shorten the range or set `limit`",
        )
    sides = ("",) if earlier is None else ("", BEFORE)
    counts = {side + name: await users_in(rows, side + name) for side in sides for name in wanted}
    everything = [
        row | {name: users[index] for name, users in counts.items()} for index, row in enumerate(by_name(rows))
    ]
    return [_product_window(row, row_before(row), window, told.as_of, currency) for row in everything]


def _product_window(
    told: Columns, before: Columns | None, length: timedelta, as_of: EpochRow | None, currency: str
) -> ProductWindow:
    """`users` and `buyers` are numbers here; where they were not asked for, they are not there."""
    end: datetime = told["window_start"] + length
    return ProductWindow(
        window_start=told["window_start"],
        window_end=end,
        is_final=is_final(end, as_of),
        revision=told["late"],
        late_events=told["late"],
        product_id=strawberry.ID(told["product_id"]),
        category=told["category"],
        unique_users=told.get("users"),
        unique_buyers=told.get("buyers"),
        **measures(told),
        currency=currency,
        previous=_product_window(before, None, length, as_of, currency) if before is not None else None,
    )


async def top_products(
    info: Info,
    *,
    range: Range,
    by: Annotated[ProductMeasure, strawberry.argument(description="What is largest first.")],
    first: Annotated[int, strawberry.argument(description="Most products wanted.")] = 10,
    compare_with: CompareWith = None,
    products: Products = None,
    categories: Categories = None,
    bots: Bots = BotFilter.EXCLUDE,
    as_of: AsOfEpoch = None,
) -> list[RankedProduct]:
    """Sums per product, the largest first."""
    span, size, snapshot = range.span(), page_size("first", first, info), info.context.snapshot
    edges = minute_edges((span.start, span.end))
    if len(edges) < 2:
        return []  # no minute begins in it
    # From the edges and not from the range, so that there are as many minutes.
    now = Span(*edges)
    then = compare_with.span(now) if compare_with is not None else None
    told = await told_as_of(info, as_of)
    if told.past:
        which = logged.Of(bots.bot, products, categories)
        rows = await info.context.logged(
            logged.top_products(now, then, which, epoch=told.epoch, measure=str(by.value), first=size)
        )
    else:
        earlier = [then.start, then.end] if then is not None else []
        check_kept([*edges, *earlier], told.as_of)
        rows = await snapshot.rows(
            *top_products_sql(
                edges,
                earlier,
                measure=str(by.value),
                wanted=frozenset(selected_below(info, (*_MEASURES, "categories"))),
                first=size,
                bot=bots.bot,
                products=products,
                categories=categories,
            )
        )
    currency = info.context.services.shop.currency
    return [
        _ranked(row, "", currency, _ranked(row, BEFORE, currency) if then is not None and row.before_rank else None)
        for row in rows
    ]


def _ranked(row: ResultRow, prefix: str, currency: str, previous: RankedProduct | None = None) -> RankedProduct:
    """What was not asked for is not there."""
    told = row._mapping
    sums: dict[str, Any] = {name: told.get(f"{prefix}{name}") for name in _MEASURES}
    return RankedProduct(
        rank=told[f"{prefix}rank"],
        product_id=strawberry.ID(row.product_id),
        categories=sorted(told.get(f"{prefix}categories") or ()),
        **sums,
        currency=currency,
        previous=previous,
    )


_MEASURES = (
    "views",
    "clicks",
    "searches",
    "adds",
    "removes",
    "checkouts",
    "purchases",
    "units",
    "revenue",
    "refunds",
    "refunded",
)


def measures(told: Columns) -> dict[str, Any]:
    """The fields of `ProductMeasures` that a row has, by name."""
    return {name: told[name] for name in _MEASURES}
