"""Snowplow's e-commerce plugin: one self-describing event, told by its type; everything else is in its entities.

Source: snowplow/documentation, `events/ootb-data/ecommerce-events`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from contracts.rejections import Reason
from ingestion.adapters import loose
from ingestion.adapters.segment_commerce import Visit, order_lines, plain
from ingestion.errors import EventRefusedError
from ingestion.events import Incoming

ACTIONS: Final = {
    "product_view": "view", "list_view": "view", "list_click": "click", "promo_click": "click",
    "add_to_cart": "add_to_cart", "remove_from_cart": "remove_from_cart",
}  # fmt: skip
"""Action by type; of checkout_step the first is checkout_start, every other type is `other`."""

_AT: Final = "/co"
_NOWHERE: Final = ""


def ecommerce(
    data: Mapping[str, Any], entities: Mapping[str, Sequence[dict[str, Any]]], visit: Visit
) -> tuple[Incoming, ...]:
    """The events of an e-commerce action. Raises EventRefusedError."""
    kind = loose.text(data.get("type"), "/ue_pr")
    visit.named["event"] = kind
    products = entities.get("product", ())
    product = products[0] if len(products) == 1 else {}
    step = (entities.get("checkout_step") or [{}])[0].get("step")
    action = "checkout_start" if kind == "checkout_step" and str(step) == "1" else ACTIONS.get(kind or "", "other")
    rest = {name: found[0] if len(found) == 1 else found for name, found in entities.items()}
    event = plain(
        action,
        visit,
        {name: value for name, value in data.items() if name != "type"},
        rest,
        product_id=loose.text(product.get("id"), _AT),
        category=loose.text(product.get("category"), _AT),
    )
    try:
        if kind == "transaction":
            return (event, *_purchase(entities, products, visit))
        if kind == "refund" and products:
            return (event, *_refund(entities, products, visit))
    except EventRefusedError as refused:  # the entities are one text: its inside is told in words
        refused.detail = f"{refused.pointer.removeprefix('/')}: {refused.detail}".removeprefix(": ")
        refused.pointer = _AT
        raise
    return (event,)


def _purchase(
    entities: Mapping[str, Sequence[dict[str, Any]]], products: Sequence[dict[str, Any]], visit: Visit
) -> tuple[Incoming, ...]:
    if not products:
        raise EventRefusedError(Reason.MISSING_FIELD, _NOWHERE, "A transaction without products has no lines to count.")
    order = (entities.get("transaction") or [{}])[0]
    properties = {
        "order_id": order.get("transaction_id"),
        "payment_method": order.get("payment_method"),
        "currency": order.get("currency"),
        "discount": order.get("discount_amount"),
        "revenue": order.get("revenue"),
    }
    return order_lines("purchase", properties, [_product(product) for product in products], visit, _NOWHERE)


def _refund(
    entities: Mapping[str, Sequence[dict[str, Any]]], products: Sequence[dict[str, Any]], visit: Visit
) -> tuple[Incoming, ...]:
    """The lines add up to what was paid back, if that is less than what the products cost."""
    order = (entities.get("refund") or [{}])[0]
    properties = {"order_id": order.get("transaction_id"), "currency": order.get("currency")}
    lines = order_lines("refund", properties, [_product(product) for product in products], visit, _NOWHERE)
    paid_back = loose.decimal(order.get("refund_amount"))
    total = sum((line.amount for line in lines if line.amount is not None), Decimal(0))
    if paid_back is None or not 0 <= paid_back < total:
        return lines
    properties["discount"] = str(total - paid_back)
    return order_lines("refund", properties, [_product(product) for product in products], visit, _NOWHERE)


def _product(entity: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "product_id": entity.get("id"),
        "category": entity.get("category"),
        "price": entity.get("price"),
        "quantity": entity.get("quantity"),
    }
    return {name: value for name, value in found.items() if value is not None}
