"""How the database writes the rows of revenue, productMetrics and sales."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Interval, Text, bindparam, func, select

from serving.queries import Statement
from serving.queries.compared import BEFORE
from serving.queries.json import (
    COUNTS,
    Read,
    Selection,
    Writers,
    an_object,
    constant,
    decimal,
    field,
    flag,
    mean,
    or_null,
    second,
    text,
    whole,
)
from serving.queries.measures import given_moment


class WindowJson(NamedTuple):
    """Which fields of windows are to be written, and the parameters that this takes."""

    chosen: Selection
    values: dict[str, Any]

    @classmethod
    def of(cls, chosen: Selection, length: timedelta | None, watermark: datetime | None, currency: str) -> "WindowJson":
        """Of windows of this length, where they have one; the rest is the same in all of them."""
        return cls(chosen, {"length": length, "watermark": watermark, "currency": currency})


def written(rows: Statement, keys: Sequence[str], chosen: Selection, writers: Writers, *, compares: bool) -> Statement:
    """The JSON of each of the rows that `beside` gives, in their order."""
    told = rows.subquery("told")

    def now(name: str) -> ColumnElement[Any]:
        return told.c[name]

    def before(name: str) -> ColumnElement[Any]:
        return told.c[BEFORE + name]

    json = an_object(chosen, writers, now, before if compares else None)
    return select(json.label("json")).order_by(*(told.c[key] for key in keys))


def _end(read: Read) -> ColumnElement[datetime]:
    return read("window_start") + bindparam("length", type_=Interval)


_WINDOW: Final[Writers] = {
    "windowStart": field(second, "window_start"),
    "windowEnd": lambda read: second(_end(read)),
    "isFinal": lambda read: flag(func.coalesce(_end(read) <= given_moment("watermark"), False)),
    "revision": field(whole, "late"),
    "lateEvents": field(whole, "late"),
    "currency": lambda _: text(bindparam("currency", type_=Text)),
    "category": field(text, "category"),
    "units": field(whole, "units"),
    "refunds": field(whole, "refunds"),
    "refunded": field(decimal, "refunded"),
}
REVENUE_WINDOW: Final[Writers] = {
    **_WINDOW,
    "__typename": lambda _: constant("RevenueWindow"),
    "count": field(whole, "purchases"),
    "total": field(decimal, "revenue"),
    "average": lambda read: mean(read("revenue"), read("purchases")),
}
SALES_BUCKET: Final[Writers] = {
    "__typename": lambda _: constant("SalesBucket"),
    "windowStart": field(second, "start"),
    "windowEnd": field(second, "end"),
    "isFinal": lambda read: flag(func.coalesce(read("end") <= given_moment("watermark"), False)),
    **{name: _WINDOW[name] for name in ("revision", "lateEvents", "currency", "units", "refunds", "refunded")},
    "revenue": field(decimal, "revenue"),
    "purchases": field(whole, "purchases"),
    "orders": lambda read: or_null(whole(read("orders"))),
    "averagePurchase": lambda read: mean(read("revenue"), read("purchases")),
}
"""All fields but the customers, whom Python counts."""
PRODUCT_WINDOW: Final[Writers] = {
    **_WINDOW,
    **COUNTS,
    "__typename": lambda _: constant("ProductWindow"),
    "productId": field(text, "product_id"),
    "revenue": field(decimal, "revenue"),
}
"""All fields but the users, whom Python counts."""
