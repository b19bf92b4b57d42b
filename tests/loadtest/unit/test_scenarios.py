"""Scenarios: what goes wrong does so in its time, and outside of it the shop is as it was."""

from collections import Counter
from copy import deepcopy
from decimal import Decimal
from functools import cache

import pytest

from loadtest.scenarios import DROP, SCENARIOS, Span, play
from loadtest.shop import Shop
from loadtest.visits import ShopEvent

pytestmark = pytest.mark.unit

SPAN = Span(120_000, 240_000)


@cache
def _new_shop() -> Shop:
    return Shop(5, transactions_share=0.2)


def _shop() -> Shop:
    """As new: what it does next follows from what it did before."""
    return deepcopy(_new_shop())


@cache
def _calm() -> list[ShopEvent]:
    return list(_shop().events(20, seconds=400))


@cache
def _played(name: str) -> list[ShopEvent]:
    return _play(name)


def _play(name: str) -> list[ShopEvent]:
    shop = _shop()
    return list(play(name, shop.events(20, seconds=400), SPAN, shop, 1))


def _in(events: list[ShopEvent]) -> list[ShopEvent]:
    return [event for event in events if SPAN.covers(event)]


def _purchases(events: list[ShopEvent]) -> list[ShopEvent]:
    return [event for event in events if event.body["type"] == "transaction" and event.body.get("kind") != "refund"]


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_it_is_seeded_in_order_of_time_and_leaves_the_rest_alone(name: str) -> None:
    played = _played(name)
    assert [event.at_ms for event in played] == sorted(event.at_ms for event in played)
    assert [event.body for event in played] == [event.body for event in _play(name)]
    outside = [event for event in played if not SPAN.covers(event)]
    assert [event.body for event in outside] == [event.body for event in _calm() if not SPAN.covers(event)]
    assert _in(played) != _in(_calm())
    ids = Counter(event.body.get("event_id") or event.body["transaction_id"] for event in played)
    assert max(ids.values()) == 1


def test_in_an_outage_nobody_gets_through() -> None:
    assert _in(_played("outage")) == []


def test_a_flash_sale_is_looked_at_and_not_bought() -> None:
    of_it = [event for event in _played("flash-sale") if event.body.get("product_id") == DROP.product_id]
    views = [event for event in of_it if event.body.get("action") == "view"]
    assert 180 < len(views) < 300  # two a second
    assert _purchases(of_it) == []
    assert len({event.body["user_id"] for event in views}) > 100


def test_a_bot_wave_is_mostly_bots() -> None:
    bots = Counter(event.body["user_id"].startswith("bot-") for event in _in(_played("bot-wave")))
    assert bots[True] > bots[False]


def test_with_a_broken_checkout_checkouts_begin_and_nothing_is_bought() -> None:
    inside = _in(_played("checkout-broken"))
    assert _purchases(inside) == []
    assert _purchases(_in(_calm()))
    assert any(event.body.get("action") == "checkout_start" for event in inside)


def test_with_a_price_error_one_thing_is_sold_for_a_hundredth_and_much_more_of_it() -> None:
    best = _shop().catalogue.best_seller
    sold = [event for event in _purchases(_in(_played("price-error"))) if event.body["product_id"] == best.product_id]
    usual = [event for event in _purchases(_in(_calm())) if event.body["product_id"] == best.product_id]
    assert len(sold) > 3 * len(usual)
    each = {Decimal(event.body["amount"]) / event.body["quantity"] for event in sold}
    assert each == {(best.price / 100).quantize(Decimal("0.01"))}
