"""Roots about money: revenue by category in windows, sales by hour or day."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo

import strawberry

from contracts.rollups import DAY, HOUR
from serving.errors import TooLarge
from serving.queries import ResultRow, by_name, logged
from serving.queries.sales import sales as sales_sql
from serving.queries.window_json import REVENUE_WINDOW, SALES_BUCKET
from serving.queries.windows import revenue_windows
from serving.schema.common import CURRENCY, BotFilter, Bots, Range, Window, average, check_kept, is_final, users_in
from serving.schema.comparison import PREVIOUS_WINDOW, Columns, CompareWith, row_before
from serving.schema.context import Info, selected_below
from serving.schema.history import AsOfEpoch, told_as_of
from serving.schema.narrowing import Categories, Products
from serving.schema.products import Length
from serving.schema.scalars import Long
from serving.schema.written import windows_as_written
from serving.snapshot import EpochRow
from serving.windows import MINUTE, Span, Windows
from serving.zones import checked_zone, days_in, hours_in


@strawberry.type(description="A category's revenue in a window. Windows without purchase or refund are left out.")
class RevenueWindow(Window):
    category: str = strawberry.field(description="Empty where the transactions named none.")
    count: Long = strawberry.field(description="Purchases: order lines bought.")
    units: Long = strawberry.field(description="Pieces bought.")
    total: Decimal = strawberry.field(description="Money of the purchases; refunds are not taken off.")
    average: Decimal | None = strawberry.field(
        description="`total` by `count`, to four places; null where there is no purchase."
    )
    refunds: Long = strawberry.field(description="Order lines refunded.")
    refunded: Decimal = strawberry.field(description="Money of the refunds, positive.")
    currency: str = strawberry.field(description=CURRENCY)
    previous: "RevenueWindow | None" = strawberry.field(description=PREVIOUS_WINDOW.format("category"))


@strawberry.type(
    description="Sales of an hour or a day in a time zone; the days of clock changes have 23 and 25 hours."
)
class SalesBucket(Window):
    revenue: Decimal = strawberry.field(description="Money of the purchases; refunds are not taken off.")
    purchases: Long = strawberry.field(description="Order lines bought.")
    units: Long = strawberry.field(description="Pieces bought.")
    orders: Long | None = strawberry.field(
        description="Distinct orders placed in it: an order is placed with its first line, and a line that names no "
        "order is an order by itself. Null with `products` or `categories`: an order's lines are of several."
    )
    unique_customers: Long | None = strawberry.field(
        description="Distinct users who bought: exact up to 4,096, above that with a standard error of 1.6 %. Never "
        "null."
    )
    average_purchase: Decimal | None = strawberry.field(
        description="`revenue` by `purchases`, to four places; null where there is no purchase."
    )
    refunds: Long = strawberry.field(description="Order lines refunded.")
    refunded: Decimal = strawberry.field(description="Money of the refunds, positive.")
    currency: str = strawberry.field(description=CURRENCY)
    previous: "SalesBucket | None" = strawberry.field(
        description="What it is compared with: a day by the calendar, an hour by the zone's clock; with RANGE_BEFORE, "
        "the bucket in the same place of the range before. Null without `compareWith`, and where the zone left that "
        "day out."
    )


@strawberry.enum(description="Length of a sales bucket.")
class Grain(Enum):
    HOUR = strawberry.enum_value("hour", description="Hours of the zone's clock.")
    DAY = strawberry.enum_value("day", description="Days of the zone's calendar.")


async def revenue(
    info: Info,
    range: Range,
    window: Length = timedelta(minutes=5),
    *,
    compare_with: CompareWith = None,
    products: Products = None,
    categories: Categories = None,
    bots: Bots = BotFilter.EXCLUDE,
    as_of: AsOfEpoch = None,
) -> list[RevenueWindow]:
    """Rolls category minutes up to windows."""
    settings, snapshot = info.context.services.settings, info.context.snapshot
    windows = Windows.checked(window, None)
    starts = windows.starts_in(range.span(), settings.max_points)
    if starts is None:
        return []
    earlier = compare_with.windows(starts, windows) if compare_with is not None else None
    most, told = settings.max_rows + 1, await told_as_of(info, as_of)
    currency = info.context.services.shop.currency
    if told.past:
        which = logged.Of(bots.bot, products, categories)
        rows = await info.context.logged(
            logged.revenue_windows(starts, windows, which, earlier=earlier, epoch=told.epoch, limit=most)
        )
    else:
        check_kept(windows.edges(starts) + (windows.edges(earlier) if earlier is not None else []), told.as_of)
        ask = partial(revenue_windows, starts, windows, products, categories, earlier=earlier, bot=bots.bot, limit=most)
        written = await windows_as_written(
            info, ask, REVENUE_WINDOW, RevenueWindow, length=window, watermark=told.watermark
        )
        if written is not None:
            return written
        rows = await snapshot.rows(*ask())
    if len(rows) > settings.max_rows:
        raise TooLarge("range", f"the answer has more than {settings.max_rows} rows; name categories or shorten it")
    return [_revenue_window(row, row_before(row), window, told.as_of, currency) for row in by_name(rows)]


def _revenue_window(
    told: Columns, before: Columns | None, length: timedelta, as_of: EpochRow | None, currency: str
) -> RevenueWindow:
    end = told["window_start"] + length
    return RevenueWindow(
        window_start=told["window_start"],
        window_end=end,
        is_final=is_final(end, as_of),
        revision=told["late"],
        late_events=told["late"],
        category=told["category"],
        count=told["purchases"],
        units=told["units"],
        total=told["revenue"],
        average=average(told["revenue"], told["purchases"]),
        refunds=told["refunds"],
        refunded=told["refunded"],
        currency=currency,
        previous=_revenue_window(before, None, length, as_of, currency) if before is not None else None,
    )


async def sales(
    info: Info,
    range: Range,
    grain: Annotated[Grain, strawberry.argument(description="Hours or days.")],
    *,
    time_zone: Annotated[
        str | None,
        strawberry.argument(description="IANA name such as `Europe/Berlin`; without it, the shop's own zone."),
    ] = None,
    compare_with: CompareWith = None,
    products: Products = None,
    categories: Categories = None,
    bots: Bots = BotFilter.EXCLUDE,
    as_of: AsOfEpoch = None,
) -> list[SalesBucket]:
    """Rolls minutes up to the hours or days of a zone."""
    settings, snapshot, shop = info.context.services.settings, info.context.snapshot, info.context.services.shop
    span, zone = range.span(), ZoneInfo(checked_zone(time_zone or shop.time_zone))
    points = span.length // (HOUR if grain is Grain.HOUR else DAY)
    if points > settings.max_points:
        raise TooLarge("range", f"it has about {points} {grain.value}s, the limit is {settings.max_points}")
    customers = bool(selected_below(info, ["uniqueCustomers"]))
    if customers and span.length > settings.max_sketch_minutes * MINUTE:
        raise TooLarge("range", f"`uniqueCustomers` is counted over at most {settings.max_sketch_minutes} minutes")
    buckets = hours_in(span, zone) if grain is Grain.HOUR else days_in(span, zone)
    if not buckets:
        return []
    earlier: list[Span | None] = [None] * len(buckets)
    if compare_with is not None:
        earlier = compare_with.hours(buckets, zone) if grain is Grain.HOUR else compare_with.days(buckets, zone)
    everything = sorted({*buckets, *(bucket for bucket in earlier if bucket is not None)}, key=_in_order)
    sketches = {"buyers"} if customers else set[str]()
    orders = products is None and categories is None and bool(selected_below(info, ["orders"]))
    told = await told_as_of(info, as_of)
    if told.past:
        which = logged.Of(bots.bot, products, categories)
        rows = await info.context.logged(
            logged.sales(everything, which, epoch=told.epoch, wanted_sketches=sketches, wants_orders=orders)
        )
    else:
        check_kept((edge for bucket in everything for edge in (bucket.start, bucket.end)), told.as_of)
        ask = partial(
            sales_sql,
            everything,
            bot=bots.bot,
            products=products,
            categories=categories,
            wanted_sketches=sketches,
            wants_orders=orders,
        )
        if compare_with is None:
            written = await windows_as_written(info, ask, SALES_BUCKET, SalesBucket, watermark=told.watermark)
            if written is not None:
                return written
        rows = await snapshot.rows(*ask())
    currency = shop.currency
    buyers = await users_in(rows, "buyers") if customers else [None] * len(rows)
    found = {Span(row.start, row.end): (row, count) for row, count in zip(rows, buyers, strict=True)}
    return [
        _bucket(*found[bucket], told.as_of, currency, _bucket(*found[then], told.as_of, currency) if then else None)
        for bucket, then in zip(buckets, earlier, strict=True)
    ]


def _in_order(bucket: Span) -> tuple[datetime, datetime]:
    return bucket.start, bucket.end


def _bucket(
    row: ResultRow, customers: int | None, as_of: EpochRow | None, currency: str, previous: SalesBucket | None = None
) -> SalesBucket:
    return SalesBucket(
        window_start=row.start,
        window_end=row.end,
        is_final=is_final(row.end, as_of),
        revision=row.late,
        late_events=row.late,
        revenue=row.revenue,
        purchases=row.purchases,
        units=row.units,
        orders=row.orders,
        unique_customers=Long(customers) if customers is not None else None,
        average_purchase=average(row.revenue, row.purchases),
        refunds=row.refunds,
        refunded=row.refunded,
        currency=currency,
        previous=previous,
    )
