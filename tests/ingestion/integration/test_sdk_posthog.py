"""PostHog's Python SDK, unmodified, in both of its protocols, before a real gateway and a real broker."""

from typing import Any

import pytest
from posthog import Posthog

pytestmark = pytest.mark.integration

KEY = "mr_" + "k" * 32


def captured(gateway: Any, key: str = KEY, **options: Any) -> list[Any]:
    """Send some events; the errors that the SDK reports."""
    errors: list[Any] = []
    address = str(gateway.client.base_url).rstrip("/")
    client = Posthog(
        key, host=address, on_error=lambda error, _: errors.append(error), max_retries=0, disable_geoip=False, **options
    )
    client.capture("$pageview", distinct_id="user_1", properties={"$current_url": "https://shop.example/"})
    client.capture("Signed Up", distinct_id="user_1", properties={"plan": "pro", "$session_id": "s-1"})
    client.set(distinct_id="user_1", properties={"plan": "pro"})
    order = {"order_id": "o-1", "products": [{"product_id": "p-1", "price": 59.9, "quantity": 2}]}
    client.capture("Order Completed", distinct_id="user_1", properties=order)
    client.capture("Order Completed", distinct_id="user_1", properties={"order_id": "o-2"})
    client.shutdown()
    return errors


@pytest.mark.parametrize(
    "options",
    [{}, {"gzip": True}, {"capture_mode": "v1"}, {"capture_mode": "v1", "capture_compression": "gzip"}],
    ids=["v0", "v0 gzip", "v1", "v1 gzip"],
)
def test_python(gateway: Any, options: dict[str, Any]) -> None:
    errors = captured(gateway, **options)
    events = {record["properties"]["event"]: record for record, _, _ in gateway.records("clickstream")}
    assert {name: event["action"] for name, event in events.items()} == {
        "$pageview": "page_view", "Signed Up": "other", "$set": "other", "Order Completed": "other",
    }  # fmt: skip
    assert events["$pageview"]["page_url"] == "https://shop.example/"
    assert (events["Signed Up"]["session_id"], events["Signed Up"]["properties"]["plan"]) == ("s-1", "pro")
    assert {event["user_id"] for event in events.values()} == {"user_1"}
    assert {event["user_agent"] for event in events.values()} == {None}
    ((line, _, _),) = gateway.records("transactions")
    assert (line["order_id"], str(line["amount"])) == ("o-1", "119.8000")
    ((kept, _, _),) = gateway.records("rejected")
    assert (kept["reason"], kept["pointer"]) == ("missing_field", "/properties/products")
    if "capture_mode" in options:
        (error,) = errors
        ((dropped, details),) = error.drops
        assert dropped == kept["event_id"]
        assert details.startswith("missing_field /properties/products")
    else:
        assert errors == []


@pytest.mark.parametrize("options", [{}, {"capture_mode": "v1"}], ids=["v0", "v1"])
def test_python_is_told_of_a_wrong_key(gateway: Any, options: dict[str, Any]) -> None:
    errors = captured(gateway, "wrong-secret", **options)
    assert {error.status for error in errors} == {401}
    assert "write key" in str(errors[0])
    assert gateway.records("rejected") == []
    assert "wrong-secret" not in (gateway.home / "gateway.log").read_text()
