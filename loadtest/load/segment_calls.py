"""A shop's events as the SDKs of Segment's tracking API send them, and what the gateway has to make of that.

Written from docs/gateway.md and Segment's e-commerce specification, not from the gateway's code.
"""

from collections.abc import Mapping
from typing import Any, Final

_TRACKED: Final = {
    "view": "Product Viewed",
    "click": "Product Clicked",
    "add_to_cart": "Product Added",
    "remove_from_cart": "Product Removed",
    "checkout_start": "Checkout Started",
    "search": "Products Searched",
    "scroll": "Product Scrolled",
}
"""The last one is in no specification: a shop's own event, which is kept as `other`."""


def as_call(event: Mapping[str, Any], time: str) -> dict[str, Any]:
    """A clickstream event as one element of `/v1/batch`, in the order: messageId, timestamp, then the session."""
    page = event["action"] == "page_view"
    named = {"product_id": "product_id", "category": "category", "search_query": "query"}
    properties = {theirs: event[ours] for ours, theirs in named.items() if event.get(ours) is not None}
    page_context = {"url": event.get("page_url"), "referrer": event.get("referrer")}
    return {
        "type": "page" if page else "track",
        "messageId": event["event_id"],
        "timestamp": time,
        "userId": event["user_id"],
        **({} if page else {"event": _TRACKED[event["action"]]}),
        "properties": {**event.get("properties", {}), **properties},
        "context": {
            "library": {"name": "millrace-load", "version": "1"},
            "sessionId": event["session_id"],
            "page": {name: value for name, value in page_context.items() if value is not None},
            "userAgent": event.get("user_agent"),
        },
    }


def as_taken(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event that the gateway makes of `as_call`: pages name no category, and unknown names are `other`."""
    if event["action"] == "page_view":
        return {name: value for name, value in event.items() if name not in {"category", "product_id"}}
    return {**event, "action": "other"} if event["action"] == "scroll" else dict(event)
