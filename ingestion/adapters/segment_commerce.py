"""Segment's e-commerce events (specification v2, v1 names too) as our clickstream events and transactions.

Names are compared without regard to case. Every event becomes one clickstream event that keeps its name and, as
properties, whatever has no field of its own. `Order Completed` becomes, besides, one transaction per product;
`Order Refunded` too, as refunds, if it lists products (a full refund need not, and then nobody here knows what it was).

An order's `discount` is part of no product's price. It is spread over the lines in proportion to their value, to the
cent, so that the lines add up to what was paid; unless `subtotal` or `revenue`, which are after discounts, equals the
sum of the lines as they are: then the prices are after the discount already.

Source: Segment's `spec/ecommerce/v2`.
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Any, Final

import msgspec

from contracts.rejections import Reason
from ingestion.adapters import loose
from ingestion.errors import EventRefusedError
from ingestion.events import Incoming

ACTIONS: Final[dict[str, str]] = {
    "product viewed": "view",
    "viewed product": "view",
    "product list viewed": "view",
    "viewed product category": "view",
    "viewed product list": "view",
    "cart viewed": "view",
    "viewed cart": "view",
    "product clicked": "click",
    "clicked product": "click",
    "promotion clicked": "click",
    "clicked promotion": "click",
    "product added": "add_to_cart",
    "added product": "add_to_cart",
    "wishlist product added to cart": "add_to_cart",
    "product removed": "remove_from_cart",
    "removed product": "remove_from_cart",
    "checkout started": "checkout_start",
    "started order": "checkout_start",
    "products searched": "search",
    "searched products": "search",
}
"""Action by event name in lower case; every other name is `other`."""

ORDERS: Final[dict[str, str]] = {
    "order completed": "purchase",
    "completed order": "purchase",
    "order refunded": "refund",
    "refunded order": "refund",
}
"""Kind of the transactions by event name in lower case."""

UNKNOWN: Final = "unknown"
"""Category and payment method where the event has none: transactions need both, the specification neither."""

_PRODUCT_ID: Final = ("product_id", "productId", "sku")
_EXACT: Final = Context(prec=80)
_CENT: Final = Decimal("0.01")
_FINEST: Final = Decimal("0.0001")


class Visit(msgspec.Struct):
    """What an event says besides its name and properties."""

    event_id: str
    user_id: str
    session_id: str
    timestamp: int
    page_url: str | None
    referrer: str | None
    user_agent: str | None
    named: dict[str, str | None]
    """Properties of ours: names with the values there are."""


def commerce(name: str, properties: dict[str, Any], visit: Visit, at: str) -> tuple[Incoming, ...]:
    """The events that a tracked event is: first a clickstream event, then the lines of an order.

    `at` is the JSON Pointer of the properties. Raises EventRefusedError.
    """
    known = name.strip().lower()
    kind = ORDERS.get(known)
    products = properties.get("products")
    if products is not None and not isinstance(products, list):
        raise EventRefusedError(Reason.WRONG_TYPE, f"{at}/products", "Not an array.")
    if kind is None:
        return (_click(ACTIONS.get(known, "other"), properties, products or (), visit, at),)
    if not products and kind == "purchase":
        raise EventRefusedError(
            Reason.MISSING_FIELD, f"{at}/products", "An order without products has no lines to count."
        )
    return (_click("other", properties, (), visit, at), *order_lines(kind, properties, products or (), visit, at))


def plain(
    action: str,
    visit: Visit,
    *properties: Mapping[str, Any],
    product_id: str | None = None,
    category: str | None = None,
    query: str | None = None,
) -> Incoming:
    """A clickstream event of a visit, with the client's properties flattened."""
    return Incoming(
        type="clickstream",
        event_id=visit.event_id,
        user_id=visit.user_id,
        session_id=visit.session_id,
        product_id=product_id,
        category=category,
        action=action,
        timestamp=visit.timestamp,
        page_url=visit.page_url,
        referrer=visit.referrer,
        user_agent=visit.user_agent,
        search_query=query,
        properties=loose.properties(visit.named, *properties),
    )


def commerce_pointer(part: int, ours: str, at: str) -> str | None:
    """Where the value of a field came from: `ours` is a pointer of part `part` of `commerce`; None if not from here."""
    if part == 0:
        return {"/product_id": f"{at}/product_id", "/category": f"{at}/category", "/search_query": f"{at}/query"}.get(
            ours
        )
    line = f"{at}/products/{part - 1}"
    return {
        "/product_id": f"{line}/product_id",
        "/category": f"{line}/category",
        "/amount": f"{line}/price",
        "/quantity": f"{line}/quantity",
        "/payment_method": f"{at}/payment_method",
        "/order_id": f"{at}/order_id",
        "/currency": f"{at}/currency",
    }.get(ours)


def _click(action: str, properties: dict[str, Any], products: Sequence[Any], visit: Visit, at: str) -> Incoming:
    """A clickstream event; of a list with a single product it is about that product."""
    product, place = properties, at
    if len(products) == 1 and isinstance(products[0], dict) and not any(name in properties for name in _PRODUCT_ID):
        product, place = {"category": properties.get("category"), **products[0]}, f"{at}/products/0"
    if action == "other":  # not ours to judge: what is no text there is a property like any other
        product = {name: value for name, value in product.items() if type(value) in (str, int)}
    product_id = _product_id(product, place)
    category = loose.text(product.get("category"), f"{place}/category")
    query = loose.text(properties.get("query"), f"{at}/query") if action == "search" else None
    placed = {"product_id": product_id, "category": category, "query": query}
    rest = {name: value for name, value in properties.items() if placed.get(name) is None}
    return plain(action, visit, rest, product_id=product_id, category=category, query=query)


def order_lines(
    kind: str, properties: Mapping[str, Any], products: Sequence[Any], visit: Visit, at: str
) -> tuple[Incoming, ...]:
    """The transactions of an order: `kind` is purchase or refund, `properties` are the order's.

    Raises EventRefusedError.
    """
    order_id = loose.text(properties.get("order_id"), f"{at}/order_id")
    currency = loose.text(properties.get("currency"), f"{at}/currency")
    payment_method = loose.text(properties.get("payment_method"), f"{at}/payment_method")
    lines = [_line(product, f"{at}/products/{n}") for n, product in enumerate(products)]
    amounts = _after_discount([amount for _, _, amount, _ in lines], properties, at)
    return tuple(
        Incoming(
            type="transaction",
            transaction_id=f"{visit.event_id}:{n}",
            user_id=visit.user_id,
            session_id=visit.session_id,
            product_id=product_id,
            category=category or UNKNOWN,
            timestamp=visit.timestamp,
            amount=amount,
            quantity=quantity,
            payment_method=payment_method or UNKNOWN,
            order_id=order_id,
            currency=currency and currency.upper(),
            kind=kind,
        )
        for n, ((product_id, category, _, quantity), amount) in enumerate(zip(lines, amounts, strict=True))
    )


def _line(product: Any, at: str) -> tuple[str | None, str | None, Decimal, int]:
    """Product id, category, price of the whole line, quantity."""
    entry = loose.members(product, at)
    quantity = loose.whole(entry.get("quantity", 1), f"{at}/quantity")
    if quantity < 1:
        raise EventRefusedError(Reason.INVALID_QUANTITY, f"{at}/quantity", "Less than 1.")
    price = loose.money(entry.get("price"), f"{at}/price")
    if price < 0:
        raise EventRefusedError(Reason.INVALID_AMOUNT, f"{at}/price", "Negative.")
    category = loose.text(entry.get("category"), f"{at}/category")
    return _product_id(entry, at), category, _EXACT.multiply(price, quantity), quantity


def _product_id(product: Mapping[str, Any], at: str) -> str | None:
    return loose.first_text({f"{at}/{name}": product.get(name) for name in _PRODUCT_ID})


def _after_discount(amounts: list[Decimal], properties: Mapping[str, Any], at: str) -> list[Decimal]:
    """The lines less their shares of the order's discount. Raises EventRefusedError if it is more than they cost."""
    stated = properties.get("discount")
    if stated is None or stated == "":
        return amounts
    discount = loose.money(stated, f"{at}/discount")
    with localcontext(_EXACT):
        total = sum(amounts, Decimal(0))
        if discount == 0 or any(loose.decimal(properties.get(name)) == total for name in ("subtotal", "revenue")):
            return amounts
        if not 0 <= discount <= total:
            detail = "Not between 0 and what the products cost."
            raise EventRefusedError(Reason.INVALID_AMOUNT, f"{at}/discount", detail)
        exact = all(amount == amount.quantize(_CENT) for amount in (*amounts, discount))
        unit = _CENT if exact else _FINEST
        taken = seen = Decimal(0)
        reduced = []
        for amount in amounts:  # shares of the running sum: each is within a unit of exact, together they are exact
            seen += amount
            share = (seen * discount / total).quantize(unit, ROUND_HALF_EVEN) - taken
            taken += share
            reduced.append(amount - share)
    return reduced
