"""The simulated shop: one seed, one stream; a funnel that holds; rates and rhythm as asked."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson
import pytest
from fastavro.validation import validate
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.catalogue import CATEGORIES
from loadtest.rhythm import DAY_MS, PEAK, busyness
from loadtest.shop import MixNotReachableError, Shop
from schemas_avro import load_registry
from tests.examples import examples

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(11)


def _bytes(seed: int, share: float | None = None) -> bytes:
    return orjson.dumps([e.stamped(0) for e in Shop(seed, transactions_share=share).events(40, seconds=30)])


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert _bytes(3) == _bytes(3)


def test_the_mix_and_the_seed_change_the_events() -> None:
    assert len({_bytes(3), _bytes(4), _bytes(3, 0.2)}) == 3


def test_times_are_relative_to_the_start() -> None:
    event = next(Shop(5).events(40))
    assert event.stamped(1_000_000)["timestamp"] == 1_000_000 + event.at_ms


def test_events_come_in_time_order_from_zero_to_the_end_with_unique_ids(shop: Shop) -> None:
    events = list(shop.events(60, seconds=20))
    times = [event.at_ms for event in events]
    assert times == sorted(times)
    assert 0 <= times[0] < 500
    assert 19_500 < times[-1] < 20_000
    ids = [event.body.get("event_id") or event.body["transaction_id"] for event in events]
    assert len(set(ids)) == len(ids)


def test_the_rate_is_the_one_asked_for() -> None:
    events = list(Shop(1).events(100, seconds=60))  # a shop of its own: what others took from one differs by test
    assert len(events) == pytest.approx(100 * 60, rel=0.15)


def test_a_warm_start_sells_within_the_first_seconds(shop: Shop) -> None:
    assert any(e.body["type"] == "transaction" for e in shop.events(60, seconds=10))


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_an_asked_mix_is_reached(share: float) -> None:
    events = list(Shop(2, transactions_share=share).events(80, seconds=180))
    sales = sum(event.body["type"] == "transaction" for event in events)
    assert sales / len(events) == pytest.approx(share, rel=0.2)


def test_a_mix_out_of_reach_says_what_is_within() -> None:
    with pytest.raises(MixNotReachableError, match=r"out of reach: \d"):
        Shop(2, transactions_share=0.9)


def test_nothing_is_added_unseen_checked_out_empty_or_bought_without_checkout(shop: Shop) -> None:
    for _ in range(2_000):
        seen, cart = set(), Counter[str]()
        checked_out = False
        for event in shop.visit():
            action = event.body.get("action", event.body.get("kind", "purchase"))
            product = str(event.body.get("product_id"))
            if action == "view":
                seen.add(product)
            elif action == "add_to_cart":
                assert product in seen
                cart[product] += 1
            elif action == "remove_from_cart":
                cart[product] -= 1
                assert cart[product] >= 0
            elif action == "checkout_start":
                assert cart.total() > 0
                checked_out = True
            elif action == "purchase":
                assert checked_out
                cart[product] -= 1
                assert cart[product] >= 0


def test_fewer_visits_reach_each_next_step(shop: Shop) -> None:
    steps = ("view", "add_to_cart", "checkout_start", "purchase")
    reached = Counter[str]()
    for _ in range(3_000):
        reached.update({e.body.get("action", e.body.get("kind", "purchase")) for e in shop.visit()})
    counts = [reached[step] for step in steps]
    assert counts == sorted(counts, reverse=True)
    assert 0.02 < counts[-1] / counts[0] < 0.15


def test_bots_say_so_view_much_and_buy_nothing(shop: Shop) -> None:
    crawls = [
        visit for visit in (list(shop.visit()) for _ in range(3_000)) if visit[0].body["properties"]["device"] == "bot"
    ]
    assert 5 < len(crawls) < 80
    assert all(len(crawl) >= 20 and {e.body["action"] for e in crawl} == {"view"} for crawl in crawls)


def test_some_visitors_return(shop: Shop) -> None:
    sessions: dict[str, set[str]] = {}
    for event in shop.events(100, seconds=120):
        sessions.setdefault(event.body["user_id"], set()).add(event.body["session_id"])
    assert sum(len(visits) > 1 for visits in sessions.values()) > 50


def test_prices_are_within_their_category(shop: Shop) -> None:
    for product in shop.catalogue.products:
        low, high, _ = CATEGORIES[product.category]
        assert low <= product.price < high + 1
        assert product.price == product.price.quantize(Decimal("0.01"))


def test_a_few_products_take_most_views(shop: Shop) -> None:
    views = Counter(e.body["product_id"] for e in islice(shop.events(50), 10_000) if e.body.get("action") == "view")
    best = sum(count for _, count in views.most_common(40))
    assert best > 0.3 * views.total()


def _as_avro(body: dict[str, Any]) -> dict[str, Any]:
    record = {**body, "timestamp": datetime.fromtimestamp(body["timestamp"] / 1000, UTC)}
    if "amount" in record:
        record["amount"] = Decimal(record["amount"])
    record.pop("type")
    return record


@settings(max_examples=examples(2), deadline=None)
@given(st.integers(0, 2**32))
def test_every_event_fits_the_newest_schema(seed: int) -> None:
    subjects = {"clickstream": "clickstream", "transaction": "transactions"}
    for event in islice(Shop(seed, transactions_share=0.1).events(50), 300):
        schema = load_registry().latest(subjects[event.body["type"]]).parsed
        defaults = {field["name"]: field["default"] for field in schema["fields"] if "default" in field}
        record = _as_avro(event.stamped(1_700_000_000_000))
        assert record.keys() <= {field["name"] for field in schema["fields"]}
        validate({**defaults, **record}, schema)


def test_the_rhythm_averages_to_one_and_never_passes_its_peak() -> None:
    minutes = [busyness(minute * 60_000) for minute in range(1440)]
    assert sum(minutes) / len(minutes) == pytest.approx(1)
    assert 0 < min(minutes) < 0.5
    assert 1.7 < max(minutes) <= PEAK


def test_the_evening_is_busier_than_the_early_morning() -> None:
    def sent_from(hour: int) -> int:
        return sum(1 for _ in Shop(1).events(60, seconds=30, rhythm_from_ms=20_000 * DAY_MS + hour * 3_600_000))

    assert sent_from(20) > 2 * sent_from(5)
