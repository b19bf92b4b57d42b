"""Segment's e-commerce events: the table of the specification, and money that adds up to the last ten-thousandth."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.adapters.segment_commerce import Visit, commerce
from ingestion.errors import EventRefusedError
from ingestion.values import amount as ten_thousandths
from tests.ingestion.door import KEY, Door, now_ms

pytestmark = pytest.mark.unit

SHOE = {"product_id": "p-1", "sku": "SKU-1", "category": "shoes", "name": "Shoe", "price": 59.9, "quantity": 2}
HAT = {"product_id": "p-2", "category": "hats", "price": "10.05"}

WITHOUT_PRODUCT = (
    "Promotion Viewed", "Viewed Promotion", "Checkout Step Viewed", "Viewed Checkout Step", "Checkout Step Completed",
    "Completed Checkout Step", "Payment Info Entered", "Order Updated", "Updated Order", "Order Cancelled",
    "Coupon Entered", "Coupon Applied", "Coupon Denied", "Coupon Removed", "Product List Filtered", "Cart Shared",
)  # fmt: skip
ABOUT_A_PRODUCT = (
    "Product Added to Wishlist", "Product Removed from Wishlist", "Product Shared", "Product Reviewed",
)  # fmt: skip
ACTIONS = {
    "Product Viewed": "view", "Viewed Product": "view", "Product Clicked": "click", "Clicked Product": "click",
    "Product Added": "add_to_cart", "Added Product": "add_to_cart", "Wishlist Product Added to Cart": "add_to_cart",
    "Product Removed": "remove_from_cart", "Removed Product": "remove_from_cart",
    "Product List Viewed": "view", "Viewed Product Category": "view", "Cart Viewed": "view",
    "Products Searched": "search", "Checkout Started": "checkout_start", "Started Order": "checkout_start",
    "Promotion Clicked": "click", "Clicked Promotion": "click",
    "product viewed": "view", " PRODUCT VIEWED ": "view",
    **dict.fromkeys((*WITHOUT_PRODUCT, *ABOUT_A_PRODUCT), "other"),
}  # fmt: skip


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def send(door: Door, name: str, properties: Any) -> dict[str, Any]:
    """The answer to a tracked event."""
    event = {"event": name, "messageId": "m-1", "userId": "u", "anonymousId": "a", "timestamp": now_ms()}
    answer = door.send("POST", "/v1/track", {"writeKey": KEY, **event, "properties": properties})
    assert answer.status == 200
    told: dict[str, Any] = json.loads(answer.body)
    return told


@pytest.mark.parametrize(("name", "action"), ACTIONS.items())
def test_an_event_is_an_action_and_keeps_its_name(door: Door, name: str, action: str) -> None:
    assert send(door, name, {"coupon": "SPRING"}) == {"success": True}
    (found,) = door.records("clickstream")
    assert found["action"] == action
    assert found["properties"] == {"event": name, "event_type": "track", "coupon": "SPRING"}
    assert door.records("transactions") == []


@pytest.mark.parametrize("name", ["Product Viewed", "Product Added", "Product Reviewed"])
def test_product_and_category_have_fields_of_their_own(door: Door, name: str) -> None:
    send(door, name, {**SHOE, "currency": "USD", "value": 119.8})
    (found,) = door.records("clickstream")
    assert (found["product_id"], found["category"]) == ("p-1", "shoes")
    assert found["properties"] == {
        "event": name, "event_type": "track", "sku": "SKU-1", "name": "Shoe", "price": "59.9", "quantity": "2",
        "currency": "USD", "value": "119.8",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("product", "product_id"),
    [({"product_id": 17}, "17"), ({"sku": "S"}, "S"), ({"productId": "c"}, "c"), ({"product_id": "", "sku": "S"}, "S")],
)
def test_a_product_is_known_by_its_id_or_its_sku(door: Door, product: dict[str, Any], product_id: str) -> None:
    send(door, "Product Viewed", product)
    assert door.records("clickstream")[0]["product_id"] == product_id


def test_a_search_has_its_query(door: Door) -> None:
    send(door, "Products Searched", {"query": "blue hotpants"})
    (found,) = door.records("clickstream")
    assert (found["action"], found["search_query"]) == ("search", "blue hotpants")
    assert "query" not in found["properties"]


def test_a_list_is_about_a_product_if_it_has_one(door: Door) -> None:
    send(door, "Checkout Started", {"order_id": "o", "products": [SHOE]})
    send(door, "Cart Viewed", {"products": [SHOE, HAT]})
    send(door, "Product List Viewed", {"category": "Deals", "products": [SHOE, HAT]})
    send(door, "Cart Viewed", {"category": "Deals", "products": [{"sku": "S"}]})
    checkout, cart, deals, single = door.records("clickstream")
    assert (single["product_id"], single["category"]) == ("S", "Deals")
    assert (checkout["action"], checkout["product_id"], checkout["category"]) == ("checkout_start", "p-1", "shoes")
    assert (cart["product_id"], cart["category"]) == (None, None)
    assert (deals["product_id"], deals["category"]) == (None, "Deals")
    assert cart["properties"]["products.1.product_id"] == "p-2"


def test_an_unknown_event_is_not_judged(door: Door) -> None:
    properties = {"product_id": {"odd": 1}, "category": ["a"], "query": 7, "products": [3, {"a": None}]}
    assert send(door, "Filter Applied", properties) == {"success": True}
    (found,) = door.records("clickstream")
    assert (found["product_id"], found["category"], found["search_query"]) == (None, None, None)
    assert found["properties"] == {
        "event": "Filter Applied", "event_type": "track", "product_id.odd": "1", "category.0": "a", "query": "7",
        "products.0": "3",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Order Completed", "purchase"), ("Completed Order", "purchase"), ("Order Refunded", "refund")],
)
def test_an_order_is_a_transaction_per_product_and_an_event_that_keeps_the_rest(
    door: Door, name: str, kind: str
) -> None:
    order = {
        "order_id": 50314, "affiliation": "Store", "total": 143.1, "revenue": 129.85, "shipping": 3, "tax": 10.25,
        "coupon": "HALF", "currency": "usd", "payment_method": "card", "products": [SHOE, HAT],
    }  # fmt: skip
    assert send(door, name, order) == {"success": True}
    (event,) = door.records("clickstream")
    assert (event["event_id"], event["action"], event["product_id"]) == ("m-1", "other", None)
    assert event["properties"]["shipping"] == "3"
    assert event["properties"]["products.1.price"] == "10.05"
    shoes, hat = door.records("transactions")
    assert shoes.pop("timestamp") == hat.pop("timestamp") == event["timestamp"]
    common = {
        "user_id": "u", "session_id": "a", "payment_method": "card", "order_id": "50314", "currency": "USD",
        "kind": kind,
    }  # fmt: skip
    assert shoes == {
        "transaction_id": "m-1:0", "product_id": "p-1", "category": "shoes", "amount": Decimal("119.8000"),
        "quantity": 2, **common,
    }  # fmt: skip
    assert hat == {
        "transaction_id": "m-1:1", "product_id": "p-2", "category": "hats", "amount": Decimal("10.0500"),
        "quantity": 1, **common,
    }  # fmt: skip
    assert {key for topic, key, _, _ in door.broker.sent} == {b"u"}


def test_what_an_order_does_not_say_is_unknown(door: Door) -> None:
    send(door, "Order Completed", {"products": [{"sku": 7, "price": 1}]})
    (line,) = door.records("transactions")
    assert (line["product_id"], line["category"], line["payment_method"]) == ("7", "unknown", "unknown")
    assert (line["order_id"], line["currency"], line["quantity"]) == (None, "USD", 1)


def test_a_refund_without_products_is_kept_as_an_event(door: Door) -> None:
    assert send(door, "Order Refunded", {"order_id": "o-1", "total": 10}) == {"success": True}
    assert door.records("transactions") == []
    assert door.records("clickstream")[0]["properties"]["order_id"] == "o-1"


@pytest.mark.parametrize(
    ("properties", "reason", "pointer"),
    [
        ({}, "missing_field", "/properties/products"),
        ({"products": []}, "missing_field", "/properties/products"),
        ({"products": {}}, "wrong_type", "/properties/products"),
        ({"products": [SHOE, 3]}, "wrong_type", "/properties/products/1"),
        ({"products": [SHOE, {**HAT, "price": None}]}, "missing_field", "/properties/products/1/price"),
        ({"products": [SHOE, {**HAT, "price": "$5"}]}, "invalid_amount", "/properties/products/1/price"),
        ({"products": [SHOE, {**HAT, "price": "1_000"}]}, "invalid_amount", "/properties/products/1/price"),
        ({"products": [SHOE, {**HAT, "price": "1e999"}]}, "invalid_amount", "/properties/products/1/price"),
        ({"products": [SHOE, {**HAT, "price": True}]}, "invalid_amount", "/properties/products/1/price"),
        ({"products": [SHOE, {**HAT, "price": -1}]}, "invalid_amount", "/properties/products/1/price"),
        ({"products": [SHOE, {**HAT, "price": "0.00005"}]}, "invalid_amount", "/properties/products/1/price"),
        ({"products": [SHOE, {**HAT, "price": 10**14}]}, "invalid_amount", "/properties/products/1/price"),
        ({"products": [SHOE, {**HAT, "quantity": 0}]}, "invalid_quantity", "/properties/products/1/quantity"),
        ({"products": [SHOE, {**HAT, "quantity": 1.5}]}, "invalid_quantity", "/properties/products/1/quantity"),
        ({"products": [SHOE, {**HAT, "quantity": 10**7}]}, "invalid_quantity", "/properties/products/1/quantity"),
        ({"products": [SHOE, {**HAT, "product_id": None}]}, "missing_field", "/properties/products/1/product_id"),
        ({"products": [SHOE, {**HAT, "product_id": []}]}, "wrong_type", "/properties/products/1/product_id"),
        ({"products": [SHOE, {**HAT, "category": "c" * 300}]}, "invalid_text", "/properties/products/1/category"),
        ({"products": [SHOE], "currency": "EUR"}, "currency_not_accepted", "/properties/currency"),
        ({"products": [SHOE], "order_id": "o" * 200}, "invalid_id", "/properties/order_id"),
        ({"products": [SHOE], "payment_method": "x" * 65}, "invalid_text", "/properties/payment_method"),
        ({"products": [SHOE], "discount": 120}, "invalid_amount", "/properties/discount"),
        ({"products": [SHOE], "discount": -1}, "invalid_amount", "/properties/discount"),
        ({"products": [SHOE], "discount": "10%"}, "invalid_amount", "/properties/discount"),
    ],
)
def test_an_order_is_refused_as_a_whole(door: Door, properties: Any, reason: str, pointer: str) -> None:
    told = send(door, "Order Completed", properties)
    assert [(v["event_id"], v["error"]["code"], v["error"]["pointer"]) for v in told["rejected"]] == [
        ("m-1", reason, pointer)
    ]
    assert [topic for topic, *_ in door.broker.sent] == ["rejected"]


def test_a_request_may_not_have_more_lines_than_events(door: Door) -> None:
    order = {"event": "Order Completed", "userId": "u", "properties": {"products": [{"sku": 1, "price": 1}] * 10_000}}
    answer = door.send("POST", "/v1/track", {"writeKey": KEY, **order})
    assert (answer.status, json.loads(answer.body)["code"]) == (413, "too_many_events")
    assert door.broker.sent == []


@pytest.mark.parametrize(
    ("stated", "amount"),
    [
        (17.990000000000002, "17.99"), (0.1 + 0.2, "0.3"), ("59.90", "59.9"), (5, "5"), (" 5.5 ", "5.5"),
        ("1e2", "100"), (1e-5 * 100, "0.001"), (99999999999999, "99999999999999"), (0, "0"),
    ],
)  # fmt: skip
def test_a_price_is_what_it_says_without_the_noise_of_floats(door: Door, stated: Any, amount: str) -> None:
    assert send(door, "Order Completed", {"products": [{"product_id": "p", "price": stated}]}) == {"success": True}
    assert door.records("transactions")[0]["amount"] == Decimal(amount)


@pytest.mark.parametrize(
    ("order", "amounts"),
    [
        ({"discount": 10}, ["110.57", "9.28"]),  # 129.85 - 10, in proportion
        ({"discount": "0"}, ["119.8", "10.05"]),
        ({"discount": None}, ["119.8", "10.05"]),
        ({"discount": 10, "subtotal": 129.85}, ["119.8", "10.05"]),  # the prices are after the discount already
        ({"discount": 10, "revenue": "129.85"}, ["119.8", "10.05"]),
        ({"discount": 10, "subtotal": 119.85}, ["110.57", "9.28"]),
        ({"discount": 10, "subtotal": "nonsense"}, ["110.57", "9.28"]),
        ({"discount": 129.85}, ["0", "0"]),
    ],
)
def test_a_discount_of_the_order_is_spread_over_its_lines(
    door: Door, order: dict[str, Any], amounts: list[str]
) -> None:
    send(door, "Order Completed", {**order, "products": [SHOE, HAT]})
    assert [line["amount"] for line in door.records("transactions")] == [Decimal(amount) for amount in amounts]


VISIT = Visit("m", "u", "s", 0, None, None, None, {})
cents = st.integers(0, 10**9).map(lambda n: Decimal(n).scaleb(-2))
fine = st.integers(0, 10**9).map(lambda n: Decimal(n).scaleb(-4))


@given(st.lists(st.tuples(st.one_of(cents, fine), st.integers(1, 1000)), min_size=1, max_size=30), st.integers(0, 100))
def test_the_lines_of_an_order_add_up_to_what_was_paid(lines: list[tuple[Decimal, int]], percent: int) -> None:
    products = [{"product_id": "p", "price": str(price), "quantity": n} for price, n in lines]
    total = sum((price * n for price, n in lines), Decimal(0))
    discount = (total * percent / 100).quantize(Decimal("0.01"), "ROUND_DOWN")
    _, *parts = commerce("Order Completed", {"products": products, "discount": str(discount)}, VISIT, "")
    amounts = [part.amount or Decimal(0) for part in parts]
    assert sum(amounts) == total - discount
    for amount, (price, n) in zip(amounts, lines, strict=True):
        assert 0 <= amount <= price * n
        ten_thousandths(amount)  # exact in the schema's unit
        if total:
            assert abs(amount - price * n * (1 - discount / total)) <= Decimal("0.01")


names = st.sampled_from(["products", "price", "quantity", "product_id", "discount", "subtotal", "currency", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
)


@given(
    st.dictionaries(names, values, max_size=6),
    st.sampled_from(["Order Completed", "Order Refunded", "Cart Viewed", "Product Viewed", "Anything"]),
)
def test_any_properties_are_mapped_or_refused_with_a_place(properties: dict[str, Any], name: str) -> None:
    try:
        parts = commerce(name, properties, VISIT, "/properties")
    except EventRefusedError as error:
        refused = error
    else:
        assert parts
        return
    assert refused.pointer.startswith("/properties/")
