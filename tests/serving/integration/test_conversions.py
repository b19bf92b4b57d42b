"""Conversions against clicks and purchases paired afresh from the events."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.serving.events import Event
from tests.serving.integration.conftest import NOW, Server
from tests.serving.shop import Shop, write

pytestmark = pytest.mark.integration

QUERY = """query ($range: TimeRange!, $window: Duration!, $products: [ID!], $bots: BotFilter!) {
  conversions(range: $range, window: $window, products: $products, bots: $bots) {
    windowStart windowEnd isFinal revision lateEvents productId clicks convertedClicks purchases rate } }"""
WITHIN = timedelta(minutes=10)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rows(server: Server, start: datetime, end: datetime, **asked: Any) -> list[dict[str, Any]]:
    span = {"from": start.isoformat(), "to": end.isoformat()}
    found: list[dict[str, Any]] = server.data(QUERY, **{"range": span, "window": "PT5M", "bots": "EXCLUDE", **asked})[
        "conversions"
    ]
    return found


def purchase_after(click: Event, events: Sequence[Event]) -> Event | None:
    """The first purchase of the click's product by its user within ten minutes."""
    bought = [
        one
        for one in events
        if one.action == "purchase"
        and (one.user, one.product) == (click.user, click.product)
        and timedelta(0) <= one.at - click.at <= WITHIN
    ]
    return min(bought, key=lambda one: (one.at, one.id), default=None)


@pytest.mark.parametrize(("window", "bots"), [(5, "EXCLUDE"), (5, "INCLUDE"), (5, "ONLY"), (60, "EXCLUDE")])
def test_conversions_are_those_of_clicks_and_purchases(server: Server, shop: Shop, window: int, bots: str) -> None:
    start, end = NOW.replace(hour=9, minute=0, second=0), NOW.replace(hour=12, minute=0, second=0)
    groups: dict[tuple[datetime, str], list[Event]] = defaultdict(list)
    for event in shop.events:
        wanted = start <= event.at < end and bots in {"INCLUDE", "ONLY" if event.bot else "EXCLUDE"}
        if event.action == "click" and event.product and wanted:
            at = event.minute - timedelta(minutes=event.minute.minute % window)
            groups[at, event.product].append(event)
    found = rows(server, start, end, window=f"PT{window}M", bots=bots)
    assert [(row["windowStart"], row["productId"]) for row in found] == sorted(
        (at.isoformat().replace("+00:00", "Z"), product) for at, product in groups
    )
    watermark = shop.watermark
    assert watermark is not None
    for row in found:
        at = datetime.fromisoformat(row["windowStart"])
        clicks = groups[at, row["productId"]]
        led_to = [purchase_after(click, shop.events) for click in clicks]
        different = {one for one in led_to if one is not None}
        assert row["clicks"] == len(clicks)
        assert row["convertedClicks"] == sum(one is not None for one in led_to)
        assert row["purchases"] == len(different)
        assert row["rate"] == pytest.approx(row["convertedClicks"] / row["clicks"])
        late = sum(one.late for one in clicks) + sum(one.late for one in different)
        assert row["lateEvents"] == row["revision"] == late
        assert row["isFinal"] == (at + timedelta(minutes=window) + WITHIN <= watermark)
    assert any(row["purchases"] for row in found)
    assert window != 60 or any(row["lateEvents"] for row in found)


def test_conversions_of_named_products(server: Server) -> None:
    start, end = NOW - timedelta(hours=3), NOW
    everything = rows(server, start, end)
    tents = rows(server, start, end, products=["p-tent"])
    assert tents == [row for row in everything if row["productId"] == "p-tent"] != []
    assert rows(server, start, end, products=[]) == []


def test_clicks_and_purchases_at_the_edges(empty_server: Server) -> None:
    def event(name: str, seconds: float, action: str, product: str = "p", user: str = "u", **more: Any) -> Event:
        return Event(NOON + timedelta(seconds=seconds), name, user, f"s-{user}", action, product, "c", **more)

    events = [
        event("exact", 0, "click"),
        event("early", 0.001, "click"),
        event("again", 299, "click"),
        event("next window", 300, "click"),
        event("sale", 600, "purchase"),
        event("later sale", 601, "purchase", late=True),
        event("after", 602, "click"),
        event("other product", 0, "click", "q"),
        event("other user", 0, "click", "p", "v"),
        event("too late", 0, "click", "r"),
        event("too late sale", 600.001, "purchase", "r"),
        event("before", 1, "click", "t"),
        event("same instant", 1, "purchase", "t", late=True),
        event("view", 0, "view"),
    ]
    asyncio.run(write(empty_server.database_url, empty_server.schema, Shop(events=events, committed_at=NOON)))
    found = {
        (row["windowStart"], row["productId"]): (
            row["clicks"],
            row["convertedClicks"],
            row["purchases"],
            row["lateEvents"],
            row["isFinal"],
        )
        for row in rows(empty_server, NOON, NOON + timedelta(minutes=15))
    }
    assert found == {
        ("2026-03-01T12:00:00Z", "p"): (4, 3, 1, 0, False),
        ("2026-03-01T12:00:00Z", "q"): (1, 0, 0, 0, False),
        ("2026-03-01T12:00:00Z", "r"): (1, 0, 0, 0, False),
        ("2026-03-01T12:00:00Z", "t"): (1, 1, 1, 1, False),
        ("2026-03-01T12:05:00Z", "p"): (1, 1, 1, 0, False),
        ("2026-03-01T12:10:00Z", "p"): (1, 0, 0, 0, False),
    }
