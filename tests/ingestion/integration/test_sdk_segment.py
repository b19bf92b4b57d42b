"""Segment's SDKs, unmodified, before a real gateway and a real broker: Python, Node, and the browser's on a page."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from segment.analytics.client import Client  # type: ignore[import-untyped]

from stack.settings import StackSettings
from tests import browser, npm
from tests.ingestion import sdk
from tests.ingestion.site import site

pytestmark = pytest.mark.integration

KEY = "mr_" + "k" * 32


def address(gateway: Any) -> str:
    return str(gateway.client.base_url).rstrip("/")


def wait_for(gateway: Any, topic: str, count: int) -> list[dict[str, Any]]:
    """The values in a topic once there are so many."""
    deadline = time.monotonic() + 20
    while len(found := gateway.records(topic)) < count:
        assert time.monotonic() < deadline, (len(found), gateway.records("rejected"), gateway.log()[-3:])
        time.sleep(0.2)
    return [record for record, _, _ in found]


@contextmanager
def segment(gateway: Any, key: str = KEY, **options: Any) -> Iterator[tuple[Client, list[Any]]]:
    """The Python SDK; the errors it reports."""
    errors: list[Any] = []
    client = Client(
        key, host=address(gateway), on_error=lambda error, _: errors.append(error), upload_interval=0.05, **options
    )
    try:
        yield client, errors
    finally:
        client.shutdown()


@pytest.mark.parametrize("gzip", [False, True])
def test_python(gateway: Any, gzip: bool) -> None:
    with segment(gateway, gzip=gzip) as (client, errors):
        context = {"userAgent": "Shop/1.0", "page": {"url": "https://shop.example/"}, "sessionId": "S-1"}
        client.identify("user_1", {"plan": "pro"})
        client.page("user_1", name="Home", properties={"url": "https://shop.example/"})
        client.track("user_1", "Product Viewed", {"product_id": "p-1", "category": "shoes"}, context)
        client.track(
            "user_1",
            "Order Completed",
            {"order_id": "o-1", "products": [{"product_id": "p-1", "price": 59.9, "quantity": 2}]},
            message_id="order",
        )
        client.flush()
    assert errors == []
    events = {record["properties"]["event_type"]: record for record in wait_for(gateway, "clickstream", 4)}
    assert {kind: event["action"] for kind, event in events.items()} == {
        "identify": "other", "page": "page_view", "track": "other",
    }  # fmt: skip
    viewed = next(r for r in wait_for(gateway, "clickstream", 4) if r["action"] == "view")
    assert (viewed["user_id"], viewed["session_id"], viewed["product_id"]) == ("user_1", "S-1", "p-1")
    assert (viewed["page_url"], viewed["user_agent"]) == ("https://shop.example/", "Shop/1.0")
    assert events["page"]["user_agent"] is None, "the SDK's own name is nobody's browser"
    (line,) = wait_for(gateway, "transactions", 1)
    assert (line["transaction_id"], str(line["amount"]), line["order_id"]) == ("order:0", "119.8000", "o-1")
    assert gateway.records("rejected") == []
    headers = gateway.records("clickstream")[0][2]
    assert headers["client_ip"] == b"127.0.0.0"


def test_python_is_told_of_a_wrong_key_and_gives_up(gateway: Any) -> None:
    with segment(gateway, key="wrong-secret", max_retries=3) as (client, errors):
        client.track("u", "Signed Up")
        client.flush()
    assert [(error.status, error.code) for error in errors] == [(401, "unauthenticated")]
    assert "write key" in errors[0].message
    assert gateway.records("rejected") == []
    assert "wrong-secret" not in (gateway.home / "gateway.log").read_text()


def test_python_waits_for_a_broker_that_is_away(
    make_gateway: Callable[..., Any], own_broker: Any, make_topics: Callable[[str, str], None]
) -> None:
    gateway = make_gateway(own_broker.bootstrap, "later-1-", RETRY_AFTER_SECONDS="1").start()
    with segment(gateway) as (client, errors):
        client.track("u", "Signed Up", message_id="kept")
        deadline = time.monotonic() + 20
        while 'route="/v1/batch",status="503"' not in gateway.client.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        own_broker.start()
        make_topics(own_broker.bootstrap, "later-1-")
        client.flush()
    assert errors == []
    assert [event["event_id"] for event in wait_for(gateway, "clickstream", 1)] == ["kept"]


def test_python_may_send_what_is_not_taken_and_goes_on(gateway: Any) -> None:
    with segment(gateway) as (client, errors):
        client.track("u" * 200, "Signed Up")
        client.track("u", "Order Completed", {"order_id": "o-1"})
        client.track("u", "Signed Up")
        client.flush()
    assert errors == []
    assert [event["user_id"] for event in wait_for(gateway, "clickstream", 1)] == ["u"]
    kept = [record for record, _, _ in gateway.records("rejected")]
    assert {(k["reason"], k["pointer"]) for k in kept} == {
        ("invalid_id", "/userId"), ("missing_field", "/properties/products"),
    }  # fmt: skip


@npm.needs_node
def test_node(gateway: Any, stack_settings: StackSettings) -> None:
    environment = {**os.environ, "NODE_PATH": str(sdk.node_modules(stack_settings.cache))}
    command = [npm.NODE or "node", str(sdk.FOLDER / "segment_node.cjs"), address(gateway), KEY]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(ran.stdout) == [], ran.stderr
    events = wait_for(gateway, "clickstream", 4)
    assert sorted((event["properties"]["event_type"], event["action"]) for event in events) == [
        ("identify", "other"), ("page", "page_view"), ("track", "add_to_cart"), ("track", "other"),
    ]  # fmt: skip
    added = next(event for event in events if event["action"] == "add_to_cart")
    assert (added["user_id"], added["session_id"]) == ("node_user", "node_anon")
    assert (added["product_id"], added["user_agent"]) == ("p-1", "Shop/1.0")
    lines = {record["transaction_id"]: str(record["amount"]) for record in wait_for(gateway, "transactions", 2)}
    assert lines == {"node-order:0": "114.8100", "node-order:1": "0.2900"}  # 120.10 less 5.00
    assert gateway.records("rejected") == []


@npm.needs_node
@browser.needs_chromium
@pytest.mark.parametrize("batching", ["", "yes"])
async def test_browser(gateway: Any, stack_settings: StackSettings, batching: str) -> None:
    """The page names the gateway once, as the SDK's CDN; the settings document says the rest."""
    query = urlencode({"key": KEY, "gateway": address(gateway), "batching": batching, "utm_source": "mail"})
    modules = sdk.node_modules(stack_settings.cache)
    files = {
        "/": sdk.FOLDER / "segment_page.html",
        "/standalone.js": modules / "@segment/analytics-next/dist/umd/standalone.js",
    }
    with site(files) as origin:
        async with browser.chromium() as chrome, browser.tab(chrome, f"{origin}/?{query}", ready="h1") as tab:
            deadline = time.monotonic() + 20
            while len(gateway.records("clickstream")) < 4:
                assert time.monotonic() < deadline, (tab.complaints, gateway.records("rejected"))
                await tab.page.wait_for_timeout(200)
    events = wait_for(gateway, "clickstream", 4)
    assert sorted((event["properties"]["event_type"], event["action"]) for event in events) == [
        ("identify", "other"), ("page", "page_view"), ("track", "other"), ("track", "view"),
    ]  # fmt: skip
    (visitor,) = {event["session_id"] for event in events}
    assert len(visitor) == 36, "the SDK's anonymous id"
    assert {event["user_id"] for event in events} == {"browser_user"}
    for event in events:
        assert event["page_url"].startswith(origin)
        assert "Chrome" in event["user_agent"]
        assert event["properties"]["utm_source"] == "mail"
    (line,) = wait_for(gateway, "transactions", 1)
    assert str(line["amount"]) == "119.8000"
    assert line["session_id"] == visitor
    assert gateway.records("rejected") == []
    seen = gateway.client.get("/metrics").text
    route = "/v1/b" if batching else "/v1/t"
    assert f'millrace_gateway_requests_total{{route="{route}",status="200"}}' in seen
    assert f'millrace_gateway_requests_total{{route="{route}",status="204"}}' in seen, "the browser asked first"
    assert KEY not in seen
