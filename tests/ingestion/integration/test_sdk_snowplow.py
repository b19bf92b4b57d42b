"""Snowplow's Python tracker, unmodified, and the pixel in a browser, before a real gateway and a real broker."""

import time
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from snowplow_tracker.emitters import Emitter
from snowplow_tracker.events.page_ping import PagePing
from snowplow_tracker.events.page_view import PageView
from snowplow_tracker.events.self_describing import SelfDescribing
from snowplow_tracker.events.structured_event import StructuredEvent
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker

from tests import browser
from tests.ingestion.site import site

pytestmark = pytest.mark.integration

KEY = "mr_" + "k" * 32
OWN = "iglu:com.snowplowanalytics.snowplow"


def tracked(gateway: Any, method: str, key: str = KEY, *, encode_base64: bool = True) -> tuple[list[Any], list[Any]]:
    """What the tracker says was sent, and what was not."""
    sent: list[Any] = []
    failed: list[Any] = []
    address = urlsplit(str(gateway.client.base_url))
    emitter = Emitter(
        str(address.hostname),
        protocol="http",
        port=address.port,
        method="get" if method == "get" else "post",
        on_success=sent.extend,
        on_failure=lambda _, events: failed.extend(events),
    )
    subject = Subject().set_user_id("user_1").set_domain_session_id("s-1").set_platform("web").set_useragent("Firefox")
    tracker = Tracker("ns", emitter, subject=subject, app_id=key, encode_base64=encode_base64)
    page = SelfDescribingJson(f"{OWN}/web_page/jsonschema/1-0-0", {"id": "page-1"})
    tracker.track(PageView("https://shop.example/a", page_title="Füße", referrer="https://s.example", context=[page]))
    tracker.track(PagePing("https://shop.example/a", max_y=900))
    tracker.track(StructuredEvent(category="shop", action="zoom", value=1.5))
    click = SelfDescribingJson(f"{OWN}/link_click/jsonschema/1-0-1", {"targetUrl": "https://shop.example/b"})
    tracker.track(SelfDescribing(click))
    product = {"id": "p-1", "category": "shoes", "price": 59.9, "quantity": 2, "currency": "USD"}
    ecommerce = "iglu:com.snowplowanalytics.snowplow.ecommerce"
    tracker.track(
        SelfDescribing(
            SelfDescribingJson(f"{ecommerce}/snowplow_ecommerce_action/jsonschema/1-0-2", {"type": "transaction"}),
            context=[
                SelfDescribingJson(f"{ecommerce}/transaction/jsonschema/1-0-0", {"transaction_id": "o-1"}),
                SelfDescribingJson(f"{ecommerce}/product/jsonschema/1-0-0", product),
            ],
        )
    )
    tracker.flush()
    emitter.retry_timer.cancel()
    return sent, failed


@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize("encode_base64", [True, False])
def test_python(gateway: Any, method: str, encode_base64: bool) -> None:
    sent, failed = tracked(gateway, method, encode_base64=encode_base64)
    assert (len(sent), failed) == (5, [])
    assert gateway.records("rejected") == []
    events = {
        (r["properties"]["event_type"], r["properties"].get("event")): r for r, _, _ in gateway.records("clickstream")
    }
    assert {name: event["action"] for name, event in events.items()} == {
        ("page_view", None): "page_view", ("page_ping", None): "scroll", ("struct", "zoom"): "other",
        ("unstruct", "link_click"): "click", ("unstruct", "transaction"): "other",
    }  # fmt: skip
    for event in events.values():
        assert (event["user_id"], event["session_id"], event["user_agent"]) == ("user_1", "s-1", "Firefox")
    page = events["page_view", None]
    assert (page["page_url"], page["referrer"]) == ("https://shop.example/a", "https://s.example")
    assert (page["properties"]["page_title"], page["properties"]["web_page.id"]) == ("Füße", "page-1")
    ((line, _, _),) = gateway.records("transactions")
    assert (str(line["amount"]), line["order_id"], line["quantity"]) == ("119.8000", "o-1", 2)


def test_python_is_told_of_a_wrong_key_and_gives_up(gateway: Any) -> None:
    sent, failed = tracked(gateway, "post", key="wrong-secret")
    assert (sent, len(failed)) == ([], 5)
    assert gateway.records("rejected") == []
    assert "wrong-secret" not in (gateway.home / "gateway.log").read_text()


@browser.needs_chromium
async def test_a_picture_in_a_page_without_script_is_a_page_view(gateway: Any, tmp_path: Path) -> None:
    said = {"writeKey": KEY, "url": "https://shop.example/a?b=c&d", "title": "Shop"}
    address = escape(f"{str(gateway.client.base_url).rstrip('/')}/v1/pixel.gif?{urlencode(said)}")
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><link rel="icon" href="data:,"><h1>Shop</h1><img alt="" src="{address}">')
    with site({"/": page}) as origin:
        async with browser.chromium() as chrome, browser.tab(chrome, origin, ready="h1") as tab:
            deadline = time.monotonic() + 20
            while not (found := gateway.records("clickstream")):
                assert time.monotonic() < deadline, gateway.records("rejected")
                await tab.page.wait_for_timeout(100)
            assert await tab.page.evaluate("document.images[0].naturalWidth") == 1
    ((event, _, headers),) = found
    assert (event["action"], event["page_url"]) == ("page_view", said["url"])
    assert event["properties"]["title"] == "Shop"
    assert "Chrome" in event["user_agent"]
    assert event["user_id"].startswith("anon-")
    assert headers["client_ip"] == b"127.0.0.0"
    assert KEY not in gateway.client.get("/metrics").text
    assert KEY not in (gateway.home / "gateway.log").read_text()
