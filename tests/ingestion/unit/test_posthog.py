"""PostHog's capture protocols: wrappings, what events become, what the SDKs are told."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from ingestion.values import iso_8601
from tests.ingestion.door import KEY, WRITE_ONLY_KEY, Door, now_ms

pytestmark = pytest.mark.unit

V1 = "/i/v1/analytics/events"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def event(**changes: Any) -> dict[str, Any]:
    said = {
        "event": "Signed Up",
        "uuid": "2f1e9a6c-8f0e-4f0b-9d5a-0c1a52c8c1de",
        "distinct_id": "u",
        "timestamp": iso_8601(now_ms()),
        "properties": {"plan": "pro", "deep": {"a": [1.5]}, "$lib": "web", "$current_url": "https://shop.example/a"},
    }
    return {name: value for name, value in {**said, **changes}.items() if value is not ...}


def batch(*events: Any, **more: Any) -> dict[str, Any]:
    return {"api_key": KEY, "batch": list(events), **more}


def one(door: Door, body: Any, path: str = "/batch/", **headers: str) -> dict[str, Any]:
    """The clickstream event that a body becomes."""
    answer = door.send("POST", path, body, **headers)
    assert (answer.status, json.loads(answer.body)) == (200, {"status": "Ok"})
    assert door.records("rejected") == []
    return door.records("clickstream")[-1]


def test_an_event_keeps_everything_it_says(door: Door) -> None:
    properties = {
        "plan": "pro", "deep": {"a": [1.5]}, "$lib": "web", "$current_url": "https://shop.example/a",
        "$referrer": "https://search.example/", "$session_id": "s", "$raw_user_agent": "Firefox", "token": KEY,
        "$ip": "203.0.113.7", "utm_source": "mail", "event": "mine",
    }  # fmt: skip
    found = one(door, batch(event(properties=properties, **{"$set": {"email": "a@b.c"}})))
    found.pop("timestamp")
    assert found == {
        "event_id": event()["uuid"], "user_id": "u", "session_id": "s", "product_id": None, "category": None,
        "action": "other", "page_url": "https://shop.example/a", "referrer": "https://search.example/",
        "user_agent": "Firefox", "search_query": None,
        "properties": {
            "event": "Signed Up", "plan": "pro", "deep.a.0": "1.5", "$lib": "web", "utm_source": "mail",
            "properties.event": "mine", "$set.email": "a@b.c",
        },
    }  # fmt: skip
    assert all(KEY.encode() not in value for _, _, value, _ in door.broker.sent)


@pytest.mark.parametrize("path", ["/batch", "/batch/", "/e", "/e/", "/i/v0/e", "/i/v0/e/"])
def test_a_body_may_be_wrapped_in_many_ways(door: Door, path: str) -> None:
    single = {"api_key": KEY, **event()}
    text = json.dumps(single).encode()
    coded = base64.b64encode(text)
    bodies = [
        (single, {}, ""), ({"token": KEY, **event()}, {}, ""), ({"$token": KEY, **event()}, {}, ""),
        ([single], {}, ""), (batch(event()), {}, ""), ({"token": KEY, "batch": [event()]}, {}, ""),
        (event(properties={"token": KEY}), {}, ""), (batch(event(properties={"token": KEY}), api_key=None), {}, ""),
        (gzip.compress(text), {"content_type": "text/plain"}, "?compression=gzip-js&ver=1"),
        (gzip.compress(text), {"content_encoding": "gzip"}, ""),
        (b"data=" + quote(coded).encode(), {"content_type": FORM}, "?compression=base64"),
        (b"ip=1&data=" + coded, {"content_type": FORM}, ""),
        (b"data=" + quote(text).encode(), {"content_type": FORM}, ""),
        (b"data=" + coded.rstrip(b"="), {"content_type": "text/plain"}, ""),
        (coded, {"content_type": "text/plain"}, "?compression=base64"),
    ]  # fmt: skip
    for body, headers, query in bodies:
        one(door, body, path + query, **headers)
    assert door.send("GET", f"{path}?{urlencode({'data': coded})}").status == 200
    first, *others = door.records("clickstream")
    assert len(others) == len(bodies)
    assert {found["event_id"] for found in (first, *others)} == {event()["uuid"]}
    assert all(KEY.encode() not in value for _, _, value, _ in door.broker.sent)


@pytest.mark.parametrize(
    ("changes", "action", "expected"),
    [
        ({"event": "$pageview"}, "page_view", {}), ({"event": "$screen"}, "page_view", {}),
        ({"event": "$pageleave"}, "other", {}), ({"event": "$identify"}, "other", {}),
        ({"event": "$autocapture", "properties": {"$event_type": "click"}}, "click", {}),
        ({"event": "$autocapture", "properties": {"$event_type": "change"}}, "other", {}),
        ({"event": "Product Viewed", "properties": {"product_id": "p", "category": "c"}}, "view",
         {"product_id": "p", "category": "c"}),
        ({"event": "Products Searched", "properties": {"query": "shoes"}}, "search", {"search_query": "shoes"}),
    ],
)  # fmt: skip
def test_an_event_is_an_action(door: Door, changes: Any, action: str, expected: dict[str, str]) -> None:
    found = one(door, batch(event(**changes)))
    assert found["action"] == action
    assert found["properties"]["event"] == changes["event"]
    assert expected.items() <= found.items()


def test_an_order_has_lines(door: Door) -> None:
    products = [{"product_id": "p", "price": 59.9, "quantity": 2, "category": "shoes"}]
    one(door, batch(event(event="Order Completed", properties={"order_id": "o", "products": products})))
    (line,) = door.records("transactions")
    assert (line["transaction_id"], str(line["amount"])) == (f"{event()['uuid']}:0", "119.8000")


@pytest.mark.parametrize(
    ("changes", "user", "session"),
    [
        ({"distinct_id": 17}, "17", "17"), ({"distinct_id": ..., "$distinct_id": "d"}, "d", "d"),
        ({"distinct_id": ..., "properties": {"distinct_id": "p"}}, "p", "p"),
        ({"distinct_id": {"a": 1}}, '{"a":1}', '{"a":1}'), ({"distinct_id": True}, "true", "true"),
        ({"session_id": "s1"}, "u", "s1"), ({"properties": {"$session_id": "s2"}}, "u", "s2"),
    ],
)  # fmt: skip
def test_who_it_was(door: Door, changes: dict[str, Any], user: str, session: str) -> None:
    found = one(door, batch(event(**changes)))
    assert (found["user_id"], found["session_id"]) == (user, session)


@pytest.mark.parametrize(
    ("stated", "sent", "ahead"),
    [(0, None, 0), (0, 1000, 0), (3_600_000, 3_600_500, -500), (-7000, 0, -7000), (None, 3_600_000, 0)],
)
def test_when_it_was(door: Door, stated: int | None, sent: int | None, ahead: int) -> None:
    now = now_ms()
    said = event(timestamp=None if stated is None else iso_8601(now + stated))
    in_body = batch(said) if sent is None else batch(said, sent_at=iso_8601(now + sent))
    in_query = "" if sent is None else f"?_={now + sent}"
    for body, query in ((in_body, ""), ({"api_key": KEY, **said}, in_query)):
        found = one(door, body, f"/e/{query}")
        assert found["timestamp"].timestamp() * 1000 - now == pytest.approx(ahead, abs=300)
    ago = one(door, batch(event(timestamp=..., offset=60_000)))
    assert ago["timestamp"].timestamp() * 1000 - now == pytest.approx(-60_000, abs=300)


def test_user_agent_comes_from_the_head_where_the_browsers_sdk_sent_it(door: Door) -> None:
    assert one(door, batch(event()), user_agent="Firefox")["user_agent"] == "Firefox"
    server = event(properties={"$lib": "posthog-python"})
    assert one(door, batch(server), user_agent="posthog-python/7")["user_agent"] is None


@pytest.mark.parametrize(
    ("changes", "reason", "pointer"),
    [
        ({"event": ...}, "missing_field", "/event"), ({"event": ""}, "missing_field", "/event"),
        ({"event": ["x"]}, "wrong_type", "/event"), ({"distinct_id": ...}, "missing_field", "/distinct_id"),
        ({"distinct_id": "d" * 129}, "invalid_id", "/distinct_id"), ({"uuid": {}}, "wrong_type", "/uuid"),
        ({"uuid": "u" * 129}, "invalid_id", "/uuid"), ({"timestamp": "soon"}, "invalid_timestamp", "/timestamp"),
        ({"timestamp": "2001-01-01T00:00:00Z"}, "timestamp_too_old", "/timestamp"),
        ({"properties": [1]}, "wrong_type", "/properties"),
        ({"properties": {"$current_url": "x" * 9000}}, "invalid_text", "/properties/$current_url"),
        ({"event": "Order Completed"}, "missing_field", "/properties/products"),
    ],
)  # fmt: skip
def test_why_an_event_is_refused(door: Door, changes: dict[str, Any], reason: str, pointer: str) -> None:
    bad = event(**changes)
    answer = door.send("POST", "/batch/", batch(bad, event(uuid="good")))
    assert (answer.status, json.loads(answer.body)) == (200, {"status": "Ok"})
    (kept,) = door.records("rejected")
    assert (kept["reason"], kept["pointer"]) == (reason, pointer)
    assert json.loads(kept["raw"]) == bad
    assert kept["content_type"] == "application/json; protocol=posthog"
    assert [found["event_id"] for found in door.records("clickstream")] == ["good"]


def test_version_1_has_a_result_per_event(door: Door) -> None:
    bad = event(uuid="bad", distinct_id=...)
    body = {"created_at": iso_8601(now_ms()), "batch": [event(uuid="good"), bad]}
    answer = door.send("POST", V1, body, authorization=f"Bearer {KEY}")
    assert (answer.status, json.loads(answer.body)) == (200, {"results": {
        "good": {"result": "ok"},
        "bad": {"result": "drop", "details": "missing_field /distinct_id: distinct_id is required."},
    }})  # fmt: skip
    assert len(door.records("rejected")) == 1
    assert door.send("POST", V1, body).status == 401


def test_a_migration_needs_a_key_with_the_scope(door: Door) -> None:
    old = event(timestamp="2001-02-03T04:05:06Z")
    migration = {"batch": [old], "historical_migration": True}
    assert door.send("POST", "/batch/", {"api_key": WRITE_ONLY_KEY, **migration}).status == 403
    assert door.broker.sent == []
    assert one(door, {"api_key": KEY, **migration})["timestamp"].year == 2001
    assert door.broker.sent[0][3]["import"] == b"1"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "malformed_body"), (b"7", {}, 400, "malformed_body"), (b"", {}, 400, "malformed_body"),
        (b"[]", {}, 400, "empty_batch"), (b'{"batch":[]}', {}, 400, "empty_batch"),
        (b'{"batch":7}', {}, 400, "malformed_body"), (b"data=%%%", {}, 400, "malformed_body"),
        (b"data=\xff", {}, 400, "malformed_body"), (b"data=a", {}, 400, "malformed_body"),
        (b"&" * 1000, {"content_type": FORM}, 400, "malformed_body"),
        (b"\x1f\x8bnot", {}, 400, "bad_compression"), (gzip.compress(bytes(64 << 20)), {}, 413, "body_too_large"),
        (b"[" + b"1," * 10_000 + b"1]", {}, 413, "too_many_events"),
        (b"{}", {"content_type": "application/xml"}, 415, "unsupported_media_type"),
    ],
)  # fmt: skip
def test_whole_request_errors(door: Door, body: bytes, headers: dict[str, str], status: int, code: str) -> None:
    answer = door.send("POST", "/batch/", body, authorization=f"Bearer {KEY}", **headers)
    told = json.loads(answer.body)
    assert (answer.status, told["code"]) == (status, code)
    assert told["detail"]
    assert len(door.records("rejected")) == (code == "malformed_body")


@pytest.mark.parametrize("body", [event(), [event()], {"batch": [event()]}, {"api_key": "wrong", "batch": [event()]}])
def test_without_a_valid_key_nothing_is_taken(door: Door, body: Any) -> None:
    answer = door.send("POST", "/e/", body, origin="https://shop.example")
    assert answer.status == 401
    assert dict(answer.headers)["access-control-allow-origin"] == "https://shop.example"
    assert dict(answer.headers)["access-control-allow-credentials"] == "true"
    assert door.broker.sent == []
