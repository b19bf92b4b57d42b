"""A seeded run with duplicates, late, out-of-order and invalid events, with parts killed in the middle of it.

Every number that GraphQL gives equals the oracle over what the client sent and was told, to the cent; the books close.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from loadtest.facts import Measures
from loadtest.oracle import Session
from tests.e2e.millrace import TEST_PRODUCT, TEST_USER, iso
from tests.e2e.seeded_run import Run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

COUNTS = ("views", "clicks", "searches", "adds", "removes", "checkouts", "purchases", "units", "refunds")
COUNT_FIELDS = " ".join(COUNTS)


def test_the_books_close_and_agree_with_what_the_client_was_told(run: Run) -> None:
    books, told = run.books, run.oracle.books
    assert told is not None
    assert books["close"] is True, books
    assert books["residue"] == 0
    totals = {name: value - run.before.get(name, 0) for name, value in books["totals"].items()}
    assert told.undecided == frozenset()
    assert totals["applied"] == told.applied
    assert totals["quarantined"] == 0
    # An attempt that got no answer may have left one record more: a duplicate, never an event counted twice.
    assert told.duplicates <= totals["duplicates"] <= told.duplicates + told.unanswered
    assert totals["conflicts"] >= told.conflicts > 0
    assert told.rejected <= totals["rejected"] <= told.rejected + told.unanswered
    assert totals["late"] > 0


def test_minutes_of_every_product(run: Run) -> None:
    rows = run.millrace.ask(
        'query($range: TimeRange!) { productMetrics(range: $range, window: "PT1M", bots: INCLUDE) {'
        f" windowStart productId category {COUNT_FIELDS} revenue refunded currency uniqueUsers uniqueBuyers }} }}",
        {"range": run.range},
    )["productMetrics"]
    served = {
        (_at(row["windowStart"]), row["productId"], row["category"]): _measures(row)
        for row in rows
        if row["productId"] != TEST_PRODUCT
    }
    expected = {key: _expected(measures) for key, measures in run.oracle.product_minutes.items()}
    assert served == expected
    assert len(served) > 500


def test_sliding_ten_minute_windows_of_the_busiest_products(run: Run) -> None:
    busiest = [product for product, _ in run.oracle.top_products("views", run.start, run.end, 3)]
    rows = run.millrace.ask(
        'query($range: TimeRange!, $products: [ID!]) { productMetrics(range: $range, window: "PT10M", slide: "PT1M",'
        f" bots: INCLUDE, products: $products) {{ windowStart productId category {COUNT_FIELDS} revenue refunded"
        " currency uniqueUsers uniqueBuyers } }",
        {"range": run.range, "products": busiest},
    )["productMetrics"]
    windows = run.oracle.windows(
        lambda fact: (fact.product_id, fact.category or "") if fact.product_id in busiest else None,
        timedelta(minutes=10),
        timedelta(minutes=1),
    )
    expected = {key: _expected(measures) for key, measures in windows.items() if run.start <= _time(key[0]) < run.end}
    served = {(_at(row["windowStart"]), row["productId"], row["category"]): _measures(row) for row in rows}
    assert served == expected
    assert expected


def test_revenue_of_every_category_in_five_minute_windows(run: Run) -> None:
    rows = run.millrace.ask(
        "query($range: TimeRange!) { revenue(range: $range, bots: INCLUDE)"
        " { windowStart category count total average } }",
        {"range": run.range},
    )["revenue"]
    served = {
        (_at(row["windowStart"]), row["category"]): (row["count"], Decimal(row["total"]), Decimal(row["average"]))
        for row in rows
        if row["count"]
    }
    expected = {
        key: (window.count, window.total, window.average.quantize(Decimal("0.0001")))
        for key, window in run.oracle.revenue().items()
    }
    assert served == expected
    assert expected


@pytest.mark.parametrize("by", ["views", "clicks", "adds", "purchases", "units", "revenue"])
def test_top_products(run: Run, by: str) -> None:
    rows = run.millrace.ask(
        f"query($range: TimeRange!) {{ topProducts(range: $range, by: {by.upper()}, first: 10, bots: INCLUDE)"
        f" {{ productId {by} }} }}",
        {"range": run.range},
    )["topProducts"]
    served = [(row["productId"], Decimal(row[by])) for row in rows]
    expected = run.oracle.top_products(by, run.start, run.end, 10)
    assert served == [(product, Decimal(value)) for product, value in expected]


@pytest.mark.parametrize(("grain", "zone"), [("HOUR", "UTC"), ("HOUR", "Asia/Kolkata"), ("DAY", "Europe/Berlin")])
def test_sales(run: Run, grain: str, zone: str) -> None:
    start, end = _whole_days(run, zone)
    rows = run.millrace.ask(
        "query($range: TimeRange!, $grain: Grain!, $zone: String) {"
        " sales(range: $range, grain: $grain, timeZone: $zone, bots: INCLUDE)"
        " { windowStart revenue purchases units uniqueCustomers refunded } }",
        {"range": {"from": iso(start), "to": iso(end)}, "grain": grain, "zone": zone},
    )["sales"]
    served = {
        _at(row["windowStart"]): (
            Decimal(row["revenue"]),
            *(row[name] for name in ("purchases", "units", "uniqueCustomers")),
            Decimal(row["refunded"]),
        )
        for row in rows
        if row["purchases"] or Decimal(row["refunded"])
    }
    expected = {
        begin: (measures.revenue, measures.purchases, measures.units, len(measures.buyers), measures.refunded)
        for begin, measures in run.oracle.sales("hour" if grain == "HOUR" else "day", zone).items()
        if measures.purchases or measures.refunded
    }
    assert served == expected
    assert expected


def test_every_session_with_its_path(run: Run) -> None:
    answer = run.millrace.ask("{ asOf { watermark } }")
    watermark = _at(answer["asOf"]["watermark"])
    rows = [
        row
        for row in _all_sessions(run)
        if not row["userId"].startswith(TEST_USER) and _at(row["startedAt"]) >= run.start
    ]
    served = {(row["sessionId"], _at(row["startedAt"])): _session_row(row) for row in rows}
    expected = {key: _session_expected(session, watermark) for key, session in run.oracle.sessions.items()}
    assert served.keys() == expected.keys()
    for key, row in served.items():
        assert row == expected[key], key


def test_rejections_by_reason(run: Run) -> None:
    told = run.oracle.books
    assert told is not None
    now = datetime.now(UTC)
    rows = run.millrace.ask(
        "query($range: TimeRange!) { rejections(range: $range) { rejected byReason { reason count }"
        " samples(first: 5) { reason pointer detail raw } } }",
        {"range": {"from": iso(now - timedelta(hours=1)), "to": iso(now + timedelta(hours=1))}},
    )["rejections"]
    served = {row["reason"]: row["count"] for row in rows["byReason"]}
    assert served.keys() >= told.reasons.keys()
    for reason, count in told.reasons.items():
        assert reason is not None
        assert count <= served[reason]
    assert sum(told.reasons.values()) > 20
    assert all(sample["detail"] for sample in rows["samples"])


def test_realtime_is_the_day_so_far(run: Run) -> None:
    answer = run.millrace.ask("{ realtime(bots: INCLUDE) { asOf { committedAt } revenueToday purchasesToday } }")[
        "realtime"
    ]
    now = _at(answer["asOf"]["committedAt"])
    today = run.oracle.between(now.replace(hour=0, minute=0, second=0, microsecond=0), now + timedelta(minutes=6))
    assert Decimal(answer["revenueToday"]) == today.revenue
    assert answer["purchasesToday"] == today.purchases


def _all_sessions(run: Run) -> Iterable[dict[str, Any]]:
    after: str | None = None
    while True:
        page = run.millrace.ask(
            "query($after: String) { sessions(first: 100, after: $after, bots: INCLUDE)"
            " { nodes { sessionId startedAt endedAt userId status events entryPage exitPage bounced durationSeconds"
            f" revenue {COUNT_FIELDS.replace(' refunds', '')}"
            " path { at action productId page eventId } } pageInfo { hasNextPage endCursor } } }",
            {"after": after},
        )["sessions"]
        yield from page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


def _session_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "startedAt": _at(row["startedAt"]),
        "endedAt": _at(row["endedAt"]),
        "revenue": Decimal(row["revenue"]),
        "path": [
            (_at(step["at"]), step["action"], step["eventId"], step["productId"], step["page"]) for step in row["path"]
        ],
    }


def _session_expected(session: Session, watermark: datetime) -> dict[str, Any]:
    measures = session.measures
    return {
        "sessionId": session.session_id,
        "startedAt": session.started_at,
        "endedAt": session.ended_at,
        "userId": session.user_id,
        "status": "COMPLETED" if session.completed(watermark) else "ACTIVE",
        "events": measures.events,
        **{name: getattr(measures, name) for name in COUNTS if name != "refunds"},
        "revenue": measures.revenue,
        "entryPage": session.entry_page,
        "exitPage": session.exit_page,
        "bounced": session.bounced,
        "durationSeconds": session.duration.total_seconds(),
        "path": [
            (_from_ms(at), action, event_id, product, page) for at, action, event_id, product, page in session.path
        ],
    }


def _measures(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in COUNTS},
        "revenue": Decimal(row["revenue"]),
        "refunded": Decimal(row["refunded"]),
        "users": row["uniqueUsers"],
        "buyers": row["uniqueBuyers"],
    }


def _expected(measures: Measures) -> dict[str, Any]:
    return {
        **{name: getattr(measures, name) for name in COUNTS},
        "revenue": measures.revenue,
        "refunded": measures.refunded,
        "users": len(measures.users),
        "buyers": len(measures.buyers),
    }


def _whole_days(run: Run, zone: str) -> tuple[datetime, datetime]:
    first = run.start.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0)
    last = (run.end.astimezone(ZoneInfo(zone)) + timedelta(days=1)).replace(hour=0, minute=0)
    return first.astimezone(UTC), last.astimezone(UTC)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _time(value: datetime | str) -> datetime:
    assert isinstance(value, datetime)
    return value


def _from_ms(at_ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
