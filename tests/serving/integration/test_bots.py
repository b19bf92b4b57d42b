"""Bots are out of every answer unless asked for, and what is asked for adds up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.serving.events import Event, by_bot, islands
from tests.serving.integration.conftest import NOW, Server
from tests.serving.shop import Shop

pytestmark = pytest.mark.integration

START = NOW.replace(hour=8, minute=0, second=0)
RANGE = {"from": START.isoformat(), "to": NOW.replace(second=0).isoformat()}
KEPT: dict[str, Callable[[bool], bool]] = {
    "EXCLUDE": lambda bot: not bot,
    "INCLUDE": lambda _: True,
    "ONLY": lambda bot: bot,
}
MINUTES = """query ($range: TimeRange!, $bots: BotFilter!) {
  productMetrics(range: $range, window: "PT30M", slide: "PT10M", bots: $bots) { views uniqueUsers lateEvents }
  revenue(range: $range, window: "PT1H", bots: $bots) { total refunded }
  topProducts(range: $range, by: VIEWS, first: 100, bots: $bots) { views revenue }
  sales(range: $range, grain: HOUR, bots: $bots) { revenue purchases uniqueCustomers lateEvents }
  realtime(bots: $bots) { activeUsers purchasesToday eventsPerSecond series { views } } }"""


def of(events: list[Event], bots: str) -> list[Event]:
    return [event for event in events if KEPT[bots](event.bot)]


def total(rows: list[dict[str, Any]], field: str) -> Decimal:
    return sum((Decimal(row[field]) for row in rows), Decimal(0))


@pytest.mark.parametrize("bots", ["EXCLUDE", "INCLUDE", "ONLY"])
def test_minutes_count_whom_they_are_asked_to(server: Server, shop: Shop, bots: str) -> None:
    found = server.data(MINUTES, range=RANGE, bots=bots)
    end = NOW.replace(second=0)
    seen = [event for event in of(shop.events, bots) if START <= event.at < end]
    views = sum(event.action in {"view", "page_view"} for event in seen if event.product)
    revenue = sum((event.amount for event in seen if event.action == "purchase"), Decimal(0))
    assert total(found["topProducts"], "views") == views > 0
    assert total(found["topProducts"], "revenue") == total(found["sales"][:4], "revenue") + _last_hour(seen) == revenue
    assert total(found["revenue"], "total") >= revenue
    assert total(found["productMetrics"], "views") > views  # sliding: each minute is in three windows
    hour = [event for event in seen if event.at < START + timedelta(hours=1)]
    first = found["sales"][0]
    assert first["uniqueCustomers"] == len({event.user for event in hour if event.action == "purchase"})
    assert first["lateEvents"] == sum(event.late for event in hour)
    recent = [event for event in of(shop.events, bots) if event.at >= end - timedelta(minutes=4)]
    assert found["realtime"]["activeUsers"] == len({event.user for event in recent})
    assert len(found["realtime"]["series"]) == 60
    today = [event for event in of(shop.events, bots) if event.at >= datetime(2026, 3, 1, tzinfo=UTC)]
    assert found["realtime"]["purchasesToday"] == sum(event.action == "purchase" for event in today)


def _last_hour(seen: list[Event]) -> Decimal:
    """Sales of the hour that has begun: its bucket is whole, the range is not."""
    last = [event for event in seen if event.at >= START + timedelta(hours=4) and event.action == "purchase"]
    return sum((event.amount for event in last), Decimal(0))


def test_windows_of_people_and_of_bots_add_up_to_those_of_both(server: Server) -> None:
    answers = {bots: server.data(MINUTES, range=RANGE, bots=bots) for bots in KEPT}
    for root, fields in (("productMetrics", ["views", "lateEvents"]), ("revenue", ["total", "refunded"])):
        for field in fields:
            people, both, only = (total(answers[bots][root], field) for bots in KEPT)
            assert people + only == both
            assert people > 0


@pytest.mark.parametrize("bots", ["EXCLUDE", "INCLUDE", "ONLY"])
def test_a_session_with_one_event_of_a_bot_is_a_bots(server: Server, shop: Shop, bots: str) -> None:
    query = """query ($range: TimeRange!, $bots: BotFilter!) {
      sessions(range: $range, first: 200, bots: $bots) { nodes { sessionId } } }"""
    since = NOW - timedelta(minutes=50)
    nodes = server.data(query, range={"from": since.isoformat(), "to": NOW.isoformat()}, bots=bots)["sessions"]["nodes"]
    wanted = {one[0].session for one in islands(shop.events) if one[0].at >= since and KEPT[bots](by_bot(one))}
    assert {node["sessionId"] for node in nodes} == wanted != set()
    mixed = [one for one in islands(shop.events) if len({event.bot for event in one}) == 2]
    assert mixed, "a session with events of both kinds"


def test_bots_are_left_out_unless_they_are_asked_for(server: Server) -> None:
    everything = server.data(MINUTES, range=RANGE, bots="EXCLUDE")
    silent = MINUTES.replace(", bots: $bots", "").replace("(bots: $bots)", "").replace(", $bots: BotFilter!", "")
    assert server.data(silent, range=RANGE) == everything
