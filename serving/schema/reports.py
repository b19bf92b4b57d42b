"""Roots about daily reports: what a day was like, and the segments of its people."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import strawberry

from serving.cursors import REPORT_DAYS, Key
from serving.queries import ResultRow
from serving.queries.paging import Page
from serving.queries.reports import report_days as report_days_sql
from serving.queries.reports import report_of
from serving.schema.common import CURRENCY, page_size
from serving.schema.connections import After, Before, Connection, First, Last, Which, connection
from serving.schema.context import Info
from serving.schema.funnel import USUAL, FunnelAction
from serving.schema.scalars import Long

Figures = Mapping[str, Any]

_ACTIONS = dict(zip(("viewed", "added", "checkout", "purchased"), USUAL, strict=True))
Day = Annotated[
    str | None,
    strawberry.argument(description="As `2026-03-01`, in the shop's time zone. Without it the newest there is."),
]


@strawberry.enum(description="Whether somebody who came bought something.")
class ShopperKind(Enum):
    BUYERS = strawberry.enum_value("buyers", description="Who bought something on the day.")
    WINDOW_SHOPPERS = strawberry.enum_value("window_shoppers", description="Who came and bought nothing on it.")


@strawberry.enum(description="Groups of customers by how lately, how often and for how much they bought.")
class CustomerKind(Enum):
    CHAMPIONS = strawberry.enum_value(
        "champions", description="Bought lately and often, and among the top fifth by money."
    )
    LOYAL = strawberry.enum_value("loyal", description="Bought lately and often.")
    RETURNING = strawberry.enum_value("returning", description="Bought lately, and more than once.")
    NEW = strawberry.enum_value("new", description="Bought lately, for the first time.")
    SLIPPING = strawberry.enum_value("slipping", description="Has not bought for a while.")
    LOST = strawberry.enum_value("lost", description="Has not bought for long.")


@strawberry.type(description="People who came on the day, by whether they bought on it.")
class Shoppers:
    kind: ShopperKind = strawberry.field(description="Whether they bought.")
    users: Long = strawberry.field(description="Different people: exact up to 4,096, above that ± 1.6 %.")
    sessions: Long = strawberry.field(description="Sessions that began on the day.")
    views: Long = strawberry.field(description="Page views and product views in them.")
    session_time: timedelta = strawberry.field(description="In sessions, all together.")
    minutes: float = strawberry.field(description="`sessionTime` in minutes.", deprecation_reason="Use `sessionTime`.")
    revenue: Decimal = strawberry.field(description="Money of their purchases; refunds are not taken off.")
    currency: str = strawberry.field(description=CURRENCY)


@strawberry.type(description="Everyone who has bought by the end of the day, in one of the groups.")
class Customers:
    kind: CustomerKind = strawberry.field(description="Which group.")
    users: Long = strawberry.field(description="People in it.")
    orders: Long = strawberry.field(description="Orders that they ever placed, by the end of the day.")
    revenue: Decimal = strawberry.field(description="Money of their orders, refunds taken off.")
    currency: str = strawberry.field(description=CURRENCY)


@strawberry.type(description="The people of a day. Bots are left out.")
class Segments:
    day: str = strawberry.field(description="As `2026-03-01`, in the shop's time zone.")
    is_final: bool = strawberry.field(description="Whether nothing on time can change it any more.")
    currency: str = strawberry.field(description=CURRENCY)
    shoppers: list[Shoppers] = strawberry.field(description="Who came, by whether they bought.")
    customers: list[Customers] = strawberry.field(
        description="The bounds are settings: `MILLRACE_REPORT_RECENT_DAYS`, `LAPSED_DAYS`, `OFTEN_ORDERS`."
    )


@strawberry.type(description="Sums of a day, or of a part of one.")
class ReportTotals:
    events: Long = strawberry.field(description="Events of any kind.")
    views: Long = strawberry.field(description="Page views and product views.")
    users: Long = strawberry.field(description="Different people: exact up to 4,096, above that ± 1.6 %.")
    buyers: Long = strawberry.field(description="Different people who bought; as exact.")
    sessions: Long = strawberry.field(description="Sessions that began in it.")
    orders: Long = strawberry.field(description="Distinct orders placed.")
    units: Long = strawberry.field(description="Pieces bought.")
    revenue: Decimal = strawberry.field(description="Money of the purchases; refunds are not taken off.")
    refunded: Decimal = strawberry.field(description="Money of the refunds, positive.")
    currency: str = strawberry.field(description=CURRENCY)


@strawberry.type(description="A step of the funnel of sessions.")
class ReportStep:
    action: FunnelAction = strawberry.field(description="What reaches the step.")
    step: str = strawberry.field(
        description="`viewed`, `added`, `checkout` or `purchased`.", deprecation_reason="Use `action`."
    )
    sessions: Long = strawberry.field(description="Sessions that got as far.")


@strawberry.type(description="One of the five most viewed products.")
class ReportProduct:
    product_id: strawberry.ID = strawberry.field(description="Which product.")
    category: str = strawberry.field(description="The one it was viewed in most; empty where no event named one.")
    views: Long = strawberry.field(description="Page views and product views that named it.")
    units: Long = strawberry.field(description="Pieces bought.")
    revenue: Decimal = strawberry.field(description="Money of its purchases; refunds are not taken off.")
    currency: str = strawberry.field(description=CURRENCY)


@strawberry.type(description="What was put into carts, and what had become of it when the report was made.")
class ReportCarts:
    additions: Long = strawberry.field(description="Events `add_to_cart` that name a product.")
    bought: Long = strawberry.field(description="Those whose user bought the product in time.")
    abandoned: Long = strawberry.field(description="Those not bought in time.")


@strawberry.type(description="Whether the numbers of the day can be trusted.")
class ReportQuality:
    rejected: Long = strawberry.field(description="Events the gateway refused.")
    quarantined: Long = strawberry.field(description="Records in the log that do not decode to an event.")
    duplicates: Long = strawberry.field(description="Records whose event had been applied before.")
    conflicts: Long = strawberry.field(description="Those with another payload than the first.")
    late: Long = strawberry.field(description="Events that came after the watermark had passed them; they are counted.")
    residue: Long = strawberry.field(description="Records not accounted for, of all time. 0: the books close.")
    verifications: Long = strawberry.field(description="Comparisons of the tables with the event log that were made.")
    mismatches: Long = strawberry.field(description="Rows that verifications found to differ from the event log.")


@strawberry.type(description="What a day was like. It is made every hour while the day can change, and kept.")
class Report:
    day: str = strawberry.field(description="As `2026-03-01`.")
    time_zone: str = strawberry.field(description="IANA name of the zone that the day is of.")
    since: datetime = strawberry.field(description="The day's midnight.")
    until: datetime = strawberry.field(description="The day's end, or how far its events are known.")
    epoch: Long = strawberry.field(description="The commit that it was made of.")
    made_at: datetime = strawberry.field(description="When it was made.")
    is_final: bool = strawberry.field(description="Whether nothing on time can change it any more.")
    currency: str = strawberry.field(description=CURRENCY)
    totals: ReportTotals = strawberry.field(description="Sums of the day.")
    week_before: ReportTotals = strawberry.field(description="The same stretch of the same weekday a week before.")
    funnel: list[ReportStep] = strawberry.field(description="Sessions of the day by how far they got.")
    top_products: list[ReportProduct] = strawberry.field(description="The five most viewed, most first.")
    segments: Segments = strawberry.field(description="The people of the day in groups.")
    carts: ReportCarts = strawberry.field(description="What was put into carts.")
    oddities: Long = strawberry.field(description="Windows that a detector flagged.")
    quality: ReportQuality = strawberry.field(description="Whether the numbers can be trusted.")


@strawberry.type(description="A day that has a report.")
class ReportDay:
    day: str = strawberry.field(description="As `2026-03-01`, in the shop's time zone.")
    is_final: bool = strawberry.field(description="Whether nothing on time can change it any more.")


async def report(info: Info, day: Day = None) -> Report | None:
    """Reads what was kept; null where there is no report of the day."""
    rows = await info.context.snapshot.rows(report_of(day))
    return _report(rows[0].figures, rows[0].made_at) if rows else None


async def segments(info: Info, day: Day = None) -> Segments | None:
    """The same of the segments alone."""
    rows = await info.context.snapshot.rows(report_of(day))
    return _segments(rows[0].figures) if rows else None


async def report_days(
    info: Info, first: Annotated[int, strawberry.argument(description="Most days wanted.")] = 31
) -> list[ReportDay]:
    """Days that have a report, the newest first."""
    rows = await info.context.snapshot.rows(report_days_sql(Page(page_size("first", first, info))))
    return [_report_day(row) for row in rows]


async def report_days_connection(
    info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
) -> Connection[ReportDay]:
    """Days that have a report, the newest first."""
    which = Which(first, after, last, before)
    return await connection(
        info, REPORT_DAYS, which, report_days_sql, key=lambda row: Key(row.day, ()), node=_report_day
    )


def _report_day(row: ResultRow) -> ReportDay:
    return ReportDay(day=row.day, is_final=row.is_final)


def _report(figures: Figures, made_at: datetime) -> Report:
    same = {name: figures[name] for name in ("day", "time_zone", "epoch", "is_final", "currency", "oddities")}
    currency = figures["currency"]
    return Report(
        **same,
        since=datetime.fromisoformat(figures["since"]),
        until=datetime.fromisoformat(figures["until"]),
        made_at=made_at,
        totals=ReportTotals(**_with_money(figures["totals"], currency)),
        week_before=ReportTotals(**_with_money(figures["week_before"], currency)),
        funnel=[ReportStep(action=_ACTIONS[each["step"]], **each) for each in figures["funnel"]],
        top_products=[ReportProduct(**_with_money(each, currency)) for each in figures["top_products"]],
        segments=_segments(figures),
        carts=ReportCarts(**figures["carts"]),
        quality=ReportQuality(**figures["quality"]),
    )


def _segments(figures: Figures) -> Segments:
    currency = figures["currency"]
    return Segments(
        day=figures["day"],
        is_final=figures["is_final"],
        currency=currency,
        shoppers=[_shoppers(each, currency) for each in figures["shoppers"]],
        customers=[
            Customers(kind=CustomerKind(each["group"]), **_of_group(each, currency)) for each in figures["customers"]
        ],
    )


def _shoppers(figures: Figures, currency: str) -> Shoppers:
    kind, time = ShopperKind(figures["group"]), timedelta(minutes=figures["minutes"])
    return Shoppers(kind=kind, session_time=time, **_of_group(figures, currency))


def _of_group(figures: Figures, currency: str) -> dict[str, Any]:
    return {name: value for name, value in _with_money(figures, currency).items() if name != "group"}


def _with_money(figures: Figures, currency: str) -> dict[str, Any]:
    money = ("revenue", "refunded")
    told = {name: Decimal(value) if name in money else value for name, value in figures.items()}
    return told | {"currency": currency}
