"""What each view of the page must say after a run: numbers that the public API is asked for in the same moment."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from playwright.async_api import Page, expect

from tests.e2e.millrace import Millrace

_Shown = Mapping[str, Sequence[str | re.Pattern[str]]]
"""By selector the texts of all that it finds, in order."""

ZONE = "Europe/Berlin"
"""Of the browser, see `tests.browser`."""
_RANGE = "query($range: TimeRange!) "


def _overview(data: dict[str, Any]) -> _Shown:
    realtime, records = data["realtime"], data["books"]["totals"]["records"]
    return {
        "#tile-purchasesToday": [f"{realtime['purchasesToday']:,}"],
        "#tile-activeUsers": [f"{realtime['activeUsers']:,}"],
        "#panel-books .note": [f"{records:,} records"],
    }


def _sales(data: dict[str, Any]) -> _Shown:
    rows = data["sales"]
    own = [f"{row['orders']:,}" for row in reversed(rows)]
    return {
        "#tile-orders": [f"{sum(row['orders'] for row in rows):,}"],
        "#tile-units": [f"{sum(row['units'] for row in rows):,}"],
        "#sales-table tbody td:nth-child(5)": own,
    }


def _products(data: dict[str, Any]) -> _Shown:
    return {"#products tbody td.lead": [f"{row['views']:,}" for row in data["topProducts"]]}


def _funnel(data: dict[str, Any]) -> _Shown:
    (whole,) = data["funnel"]["segments"]
    return {"#funnel .bar-text b": [f"{step['sessions']:,}" for step in whole["steps"]]}


def _journeys(data: dict[str, Any]) -> _Shown:
    found = data["journeys"]
    return {
        "#journey-steps tbody td:nth-child(2)": [f"{node['visits']:,}" for node in found["nodes"]],
        "#journey-ways tbody td:nth-child(3)": [f"{way['count']:,}" for way in found["transitions"]],
    }


def _sessions(data: dict[str, Any]) -> _Shown:
    return {"#sessions .effort": [re.compile(rf"^{node['events']:,} events? ") for node in data["sessions"]["nodes"]]}


def _users(data: dict[str, Any]) -> _Shown:
    return {"#users tbody td:nth-child(5)": [f"{node['events']:,}" for node in data["users"]["nodes"]]}


def _report(data: dict[str, Any]) -> _Shown:
    totals = data["report"]["totals"]
    return {"#tile-orders": [f"{totals['orders']:,}"], "#tile-sessions": [f"{totals['sessions']:,}"]}


def _alerts(data: dict[str, Any]) -> _Shown:
    titles = [alert["title"] for alert in data["alerts"]]
    return {"#panel-alerts .note": [f"{len(titles):,} open"], "#alerts h3": titles}


def _quality(data: dict[str, Any]) -> _Shown:
    reasons: dict[str, int] = {}
    for row in data["rejections"]["byReason"]:
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + row["count"]
    quarantined = [row["count"] for row in data["rejections"]["quarantineByReason"]]
    late, events = data["lateness"]["late"], data["lateness"]["events"]
    return {
        "#reasons .bar-value": [f"{count:,}" for count in sorted([*reasons.values(), *quarantined], reverse=True)],
        "#panel-lateness .note": [re.compile(f"^{late:,} of {events:,} late")],
        "#panel-books .note": [f"{data['books']['totals']['records']:,} records since the beginning"],
    }


NUMBERS: dict[str, tuple[str, str, Callable[[dict[str, Any]], _Shown]]] = {
    "overview": (
        "",
        "query($zone: String) { realtime(bots: INCLUDE, timeZone: $zone) { purchasesToday activeUsers }"
        " books { totals { records } } }",
        _overview,
    ),
    "sales": (
        "grain=hour",
        "query($range: TimeRange!, $zone: String)"
        " { sales(range: $range, grain: HOUR, timeZone: $zone, bots: INCLUDE) { orders units } }",
        _sales,
    ),
    "products": (
        "by=VIEWS",
        _RANGE + "{ topProducts(range: $range, by: VIEWS, first: 25, bots: INCLUDE) { views } }",
        _products,
    ),
    "funnel": ("", _RANGE + "{ funnel(range: $range, bots: INCLUDE) { segments { steps { sessions } } } }", _funnel),
    "journeys": (
        "",
        _RANGE + "{ journeys(range: $range, first: 12, bots: INCLUDE) { nodes { visits } transitions { count } } }",
        _journeys,
    ),
    "sessions": ("", _RANGE + "{ sessions(range: $range, first: 25, bots: INCLUDE) { nodes { events } } }", _sessions),
    "users": (
        "",
        _RANGE + "{ users(lastSeen: $range, orderBy: REVENUE, first: 20, bots: INCLUDE) { nodes { events } } }",
        _users,
    ),
    "report": ("", "{ report { totals { orders sessions } } }", _report),
    "alerts": ("", "{ alerts { title } }", _alerts),
    "quality": (
        "",
        _RANGE + "{ rejections(range: $range) { byReason { reason count } quarantineByReason { count } }"
        " lateness(range: $range) { late events } books { totals { records } } }",
        _quality,
    ),
}
"""By view what its address says besides the choices of all views, what the API is asked, and what must be read then."""


async def compare(page: Page, millrace: Millrace, view: str, range_: dict[str, str]) -> None:
    """Hold the open view against the API. What changes between the two looks is looked at again."""
    _, document, shown_of = NUMBERS[view]
    variables = {"range": range_, "zone": ZONE}

    async def look() -> None:
        asked = await asyncio.to_thread(millrace.ask, document, variables)
        shown = shown_of(asked)
        assert any(shown.values()), view
        for selector, texts in shown.items():
            await expect(page.locator(selector)).to_have_text(texts, timeout=5_000)

    for _ in range(3):
        with suppress(AssertionError):
            await look()
            return
    await look()
