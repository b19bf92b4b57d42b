"""Cart abandonment against additions and purchases paired afresh from the events."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.serving.events import Event
from tests.serving.integration.conftest import NOW, Server
from tests.serving.shop import LATENESS, Shop, write

pytestmark = pytest.mark.integration

COUNTS = "additions bought abandoned open rate"
QUERY = f"""query ($range: TimeRange!, $bots: BotFilter!, $first: Int!) {{
  cartAbandonment(range: $range, bots: $bots, first: $first) {{
    within minutes isFinal {COUNTS} products {{ productId {COUNTS} }} }} }}"""
WITHIN = timedelta(minutes=60)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def asked(server: Server, start: datetime, end: datetime, bots: str = "EXCLUDE", first: int = 10) -> dict[str, Any]:
    span = {"from": start.isoformat(), "to": end.isoformat()}
    found: dict[str, Any] = server.data(QUERY, range=span, bots=bots, first=first)["cartAbandonment"]
    return found


def fate(addition: Event, events: Sequence[Event], watermark: datetime) -> str:
    """What became of an addition to a cart."""
    bought = any(
        one.action == "purchase"
        and (one.user, one.product) == (addition.user, addition.product)
        and timedelta(0) <= one.at - addition.at <= WITHIN
        for one in events
    )
    return "bought" if bought else "abandoned" if addition.at + WITHIN < watermark else "open"


def told(fates: Counter[str]) -> dict[str, Any]:
    decided = fates["bought"] + fates["abandoned"]
    counts = {name: fates[name] for name in ("bought", "abandoned", "open")}
    rate = pytest.approx(fates["abandoned"] / decided) if decided else None
    return {"additions": fates.total(), **counts, "rate": rate}


@pytest.mark.parametrize("bots", ["EXCLUDE", "INCLUDE", "ONLY"])
def test_what_was_put_into_carts_and_what_became_of_it(server: Server, shop: Shop, bots: str) -> None:
    assert shop.watermark is not None
    start, end = NOW.replace(hour=9, minute=10, second=0), NOW.replace(hour=12, minute=20, second=0)
    fates: dict[str, Counter[str]] = {}
    for event in shop.events:
        wanted = start <= event.at < end and bots in {"INCLUDE", "ONLY" if event.bot else "EXCLUDE"}
        if event.action == "add_to_cart" and event.product and wanted:
            fates.setdefault(event.product, Counter())[fate(event, shop.events, shop.watermark)] += 1
    found = asked(server, start, end, bots)
    products = found.pop("products")
    everything = sum(fates.values(), Counter())
    assert found == {"within": "PT1H", "minutes": 60, "isFinal": False, **told(everything)}
    left = sorted((of for of in fates if fates[of]["abandoned"]), key=lambda of: (-fates[of]["abandoned"], of))
    assert products == [{"productId": product, **told(fates[product])} for product in left]
    assert bots == "ONLY" or (everything["bought"] and everything["abandoned"] and everything["open"] and len(left) > 1)
    assert asked(server, start, end, bots, first=1)["products"] == products[:1]
    assert asked(server, start, end, bots, first=0) == {**found, "products": []}
    assert asked(server, start, NOW - WITHIN - LATENESS * 2, bots)["isFinal"]


@pytest.mark.parametrize("how", ["RANGE_BEFORE", "DAY_BEFORE"])
def test_what_was_before_is_what_the_same_question_tells_of_then(server: Server, how: str) -> None:
    query = f"""query ($now: TimeRange!, $then: TimeRange!) {{
      now: cartAbandonment(range: $now, compareWith: {how}) {{
        {COUNTS} previous {{ {COUNTS} }} products {{ productId {COUNTS} }} }}
      plain: cartAbandonment(range: $now) {{ {COUNTS} previous {{ {COUNTS} }} products {{ productId {COUNTS} }} }}
      then: cartAbandonment(range: $then) {{ {COUNTS} }} }}"""
    start, hours = NOW.replace(hour=10, minute=0, second=0), timedelta(hours=2)
    back = hours if how == "RANGE_BEFORE" else timedelta(days=1)
    now, then = ({"from": at.isoformat(), "to": (at + hours).isoformat()} for at in (start, start - back))
    found = server.data(query, now=now, then=then)
    assert found["now"]["previous"] == found["then"]
    assert found["now"] | {"previous": None} == found["plain"]
    assert found["now"]["products"]
    assert (found["then"]["additions"] > 0) is (how == "RANGE_BEFORE")


def test_additions_at_the_edges(empty_server: Server) -> None:
    def event(name: str, seconds: float, action: str, product: str = "p", user: str = "u") -> Event:
        return Event(NOON + timedelta(seconds=seconds), name, user, f"s-{user}", action, product, "c")

    assert asked(empty_server, NOON, NOON + WITHIN) == {
        **told(Counter()),
        "within": "PT1H",
        "minutes": 60,
        "isFinal": False,
        "products": [],
    }
    events = [
        event("at once", 0, "add_to_cart"),
        event("an hour later", 3600, "purchase"),
        event("too late", 0, "add_to_cart", "q"),
        event("over an hour later", 3600.001, "purchase", "q"),
        event("another user's", 0, "add_to_cart", "p", "v"),
        event("just over", 299.999, "add_to_cart", "x"),
        event("just not over", 300, "add_to_cart", "y"),
        event("in between", 300, "add_to_cart", "r"),
        event("before", 599, "purchase", "r"),
        event("after it", 600, "add_to_cart", "r"),
        event("the clock", 3600 + 300 + 300, "page_view", "r", "w"),  # and so much lateness is allowed
    ]
    asyncio.run(write(empty_server.database_url, empty_server.schema, Shop(events=events, committed_at=NOON)))
    found = asked(empty_server, NOON, NOON + timedelta(minutes=15))
    assert {row["productId"]: (row["bought"], row["abandoned"], row["open"]) for row in found["products"]} == {
        "p": (1, 1, 0),
        "q": (0, 1, 0),
        "x": (0, 1, 0),
    }
    assert (found["additions"], found["bought"], found["abandoned"], found["open"]) == (7, 2, 3, 2)
    assert not found["isFinal"]
