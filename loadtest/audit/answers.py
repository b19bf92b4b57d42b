"""What GraphQL answers about the time of a run, held against the oracle: products, revenue, sales and rankings.

What it answers about visitors is compared in `loadtest.audit.visitor_answers`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from loadtest import behaviour
from loadtest.audit.checks import Check
from loadtest.audit.compared import Rows, compared, hours_of, instant, span
from loadtest.audit.visitor_answers import check_visitors
from loadtest.facts import Measures
from loadtest.graphql import GraphqlClient
from loadtest.oracle import MINUTE, Oracle

_COUNTS: Final = ("views", "clicks", "searches", "adds", "removes", "checkouts", "purchases", "units", "refunds")
_MINUTES_AT_ONCE: Final = 5


async def check_answers(
    graphql: GraphqlClient, oracle: Oracle, minutes: Sequence[datetime], users: Sequence[str], seed: int
) -> list[Check]:
    """Ask and compare.

    `oracle` knows all events of the hours that `minutes` lie in, and of those before what sessions, orders and `users`
    in these hours rest on. Raises GraphqlError.
    """
    start, end = hours_of(minutes)
    return [
        compared("products by the minute", await _products(graphql, minutes), _expected_products(oracle, minutes)),
        compared("revenue by category", await _revenue(graphql, start, end), _expected_revenue(oracle, start, end)),
        compared("sales by the hour", await _sales(graphql, start, end), _expected_sales(oracle, start, end)),
        *[await _top_products(graphql, oracle, by, start, end) for by in ("views", "purchases", "revenue")],
        *await check_visitors(graphql, oracle, minutes, users, seed),
    ]


async def _products(graphql: GraphqlClient, minutes: Sequence[datetime]) -> Rows:
    query = (
        'query($range: TimeRange!) { productMetrics(range: $range, window: "PT1M", bots: INCLUDE)'
        f" {{ windowStart productId category {' '.join(_COUNTS)} revenue refunded uniqueUsers uniqueBuyers }} }}"
    )
    wanted, found = sorted(set(minutes)), {}
    while wanted:
        start = wanted[0]
        end = start + _MINUTES_AT_ONCE * MINUTE
        rows = (await graphql.ask(query, span(start, end)))["productMetrics"]
        asked = {minute for minute in wanted if minute < end}
        for row in rows:
            if (minute := instant(row["windowStart"])) in asked:
                found[minute, row["productId"], row["category"]] = _measures(row)
        wanted = [minute for minute in wanted if minute >= end]
    return found


def _expected_products(oracle: Oracle, minutes: Sequence[datetime]) -> Rows:
    asked = set(minutes)
    return {key: _told(measures) for key, measures in oracle.product_minutes.items() if key[0] in asked}


async def _revenue(graphql: GraphqlClient, start: datetime, end: datetime) -> Rows:
    query = "query($range: TimeRange!) { revenue(range: $range, bots: INCLUDE) { windowStart category count total } }"
    rows = (await graphql.ask(query, span(start, end)))["revenue"]
    return {
        (instant(row["windowStart"]), row["category"]): (row["count"], Decimal(row["total"]))
        for row in rows
        if row["count"]
    }


def _expected_revenue(oracle: Oracle, start: datetime, end: datetime) -> Rows:
    known = oracle.revenue().items()
    return {key: (window.count, window.total) for key, window in known if _within(key[0], start, end)}


async def _sales(graphql: GraphqlClient, start: datetime, end: datetime) -> Rows:
    query = (
        'query($range: TimeRange!) { sales(range: $range, grain: HOUR, timeZone: "UTC", bots: INCLUDE)'
        " { windowStart revenue purchases units orders refunded uniqueCustomers } }"
    )
    rows = (await graphql.ask(query, span(start, end)))["sales"]
    return {
        instant(row["windowStart"]): {
            **{name: row[name] for name in ("purchases", "units", "orders")},
            **{name: Decimal(row[name]) for name in ("revenue", "refunded")},
            "buyers": row["uniqueCustomers"],
        }
        for row in rows
        if row["purchases"] or Decimal(row["refunded"])
    }


def _expected_sales(oracle: Oracle, start: datetime, end: datetime) -> Rows:
    placed = [at.replace(minute=0, second=0, microsecond=0) for at in behaviour.orders(oracle.facts).values()]
    return {
        hour: {
            **{name: getattr(measures, name) for name in ("purchases", "units", "revenue", "refunded")},
            "orders": placed.count(hour),
            "buyers": len(measures.buyers),
        }
        for hour, measures in oracle.sales("hour").items()
        if _within(hour, start, end) and (measures.purchases or measures.refunded)
    }


async def _top_products(graphql: GraphqlClient, oracle: Oracle, by: str, start: datetime, end: datetime) -> Check:
    query = (
        f"query($range: TimeRange!) {{ topProducts(range: $range, by: {by.upper()}, first: 10, bots: INCLUDE)"
        f" {{ rank productId {by} }} }}"
    )
    rows = (await graphql.ask(query, span(start, end)))["topProducts"]
    served = {row["rank"]: (row["productId"], Decimal(row[by])) for row in rows}
    ranked = oracle.top_products(by, start, end, 10)
    expected = {rank: (product, Decimal(value)) for rank, (product, value) in enumerate(ranked, 1)}
    return compared(f"top products by {by}", served, expected)


def _within(at: datetime | str, start: datetime, end: datetime) -> bool:
    return isinstance(at, datetime) and start <= at < end


def _measures(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _COUNTS},
        "revenue": Decimal(row["revenue"]),
        "refunded": Decimal(row["refunded"]),
        "users": row["uniqueUsers"],
        "buyers": row["uniqueBuyers"],
    }


def _told(measures: Measures) -> dict[str, Any]:
    return {
        **{name: getattr(measures, name) for name in (*_COUNTS, "revenue", "refunded")},
        "users": len(measures.users),
        "buyers": len(measures.buyers),
    }
