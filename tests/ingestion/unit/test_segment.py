"""Segment's tracking API: what its events become, whose key counts, what its SDKs read in the answers."""

import base64
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ingestion.values import iso_8601
from tests.ingestion.door import KEY, WRITE_ONLY_KEY, Door, now_ms

pytestmark = pytest.mark.unit

LATER_MS = 3_600_000


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def track(**changes: Any) -> dict[str, Any]:
    event = {
        "type": "track",
        "event": "Signed Up",
        "messageId": "m-1",
        "userId": "user_1",
        "anonymousId": "anon_1",
        "timestamp": now_ms(),
        "context": {
            "userAgent": "Firefox",
            "page": {"url": "https://shop.example/a?b", "referrer": "https://search.example/"},
            "campaign": {"name": "spring", "source": "mail", "medium": "email", "term": "t", "content": "c"},
        },
        "properties": {"plan": "pro", "seats": 3, "price": 9.99, "trial": True, "none": None, "deep": {"a": [1, "b"]}},
    }
    return {**event, **changes}


def one(door: Door, event: dict[str, Any], path: str = "/v1/track", **headers: str) -> dict[str, Any]:
    """The clickstream event that an event becomes."""
    answer = door.send("POST", path, {"writeKey": KEY, **event}, **headers)
    assert (answer.status, answer.body) == (200, b'{"success":true}')
    return door.records("clickstream")[-1]


def refused(door: Door, event: Any) -> tuple[str, str]:
    """Reason and pointer of an event that is refused; it is kept as it was sent."""
    before = len(door.records("clickstream")) + len(door.records("transactions"))
    answer = door.send("POST", "/v1/batch", {"writeKey": KEY, "batch": [event]})
    assert answer.status == 200
    (verdict,) = json.loads(answer.body)["rejected"]
    kept = door.records("rejected")[-1]
    assert json.loads(kept["raw"]) == event
    assert kept["content_type"] == "application/json; protocol=segment"
    assert (kept["reason"], kept["pointer"]) == (verdict["error"]["code"], verdict["error"]["pointer"])
    assert before == len(door.records("clickstream")) + len(door.records("transactions"))
    return kept["reason"], kept["pointer"]


def test_a_tracked_event_keeps_everything_it_says(door: Door) -> None:
    event = track()
    found = one(door, event)
    assert found.pop("timestamp").timestamp() * 1000 == pytest.approx(event["timestamp"])
    assert found == {
        "event_id": "m-1",
        "user_id": "user_1",
        "session_id": "anon_1",
        "product_id": None,
        "category": None,
        "action": "other",
        "page_url": "https://shop.example/a?b",
        "referrer": "https://search.example/",
        "user_agent": "Firefox",
        "search_query": None,
        "properties": {
            "event": "Signed Up", "event_type": "track", "utm_campaign": "spring", "utm_source": "mail",
            "utm_medium": "email", "utm_term": "t", "utm_content": "c",
            "plan": "pro", "seats": "3", "price": "9.99", "trial": "true", "deep.a.0": "1", "deep.a.1": "b",
        },
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["page", "screen"])
@pytest.mark.parametrize("path", ["/v1/{}", "/v1/{:.1}", "/v1/batch"])
def test_pages_and_screens_are_page_views(door: Door, kind: str, path: str) -> None:
    event = track(type=kind, name="Home", context={}, properties={"url": "https://shop.example/", "title": "Shop"})
    if path.endswith("batch"):
        assert door.send("POST", "/v1/batch", {"writeKey": KEY, "batch": [event]}).status == 200
    else:
        event.pop("type")  # the path says it
        one(door, event, path.format(kind))
    (found,) = door.records("clickstream")
    assert found["action"] == "page_view"
    assert found["page_url"] == "https://shop.example/"
    assert found["properties"] == {"event": "Home", "event_type": kind, "title": "Shop"}


@pytest.mark.parametrize("path", ["/v1/{}", "/v1/{:.1}"])
@pytest.mark.parametrize(
    ("kind", "says", "properties"),
    [
        ("identify", {"traits": {"plan": "pro", "a": {"b": "c"}}}, {"traits.plan": "pro", "traits.a.b": "c"}),
        ("group", {"groupId": 17, "traits": {"name": "ACME"}}, {"group_id": "17", "traits.name": "ACME"}),
        ("alias", {"previousId": "anon_0"}, {"previous_id": "anon_0"}),
    ],
)  # fmt: skip
def test_what_is_said_about_a_visitor_is_kept(
    door: Door, path: str, kind: str, says: dict[str, Any], properties: dict[str, str]
) -> None:
    found = one(door, {"messageId": "m", "userId": "u", **says}, path.format(kind))
    assert found["action"] == "other"
    assert found["properties"] == {"event_type": kind, **properties}


@pytest.mark.parametrize(
    ("says", "user", "session"),
    [
        ({"userId": "u", "anonymousId": "a"}, "u", "a"),
        ({"userId": None, "anonymousId": "a"}, "a", "a"),
        ({"userId": "", "anonymousId": "a"}, "a", "a"),
        ({"userId": 42, "anonymousId": None}, "42", "42"),
        ({"userId": "u", "anonymousId": "a", "context": {"sessionId": "S-1"}}, "u", "S-1"),
        ({"userId": "u", "anonymousId": "a", "context": {"sessionId": 1662393792}}, "u", "a.1662393792"),
        ({"userId": "u", "anonymousId": None, "context": {"sessionId": "1662393792"}}, "u", "u.1662393792"),
    ],
)
def test_who_it_was_and_in_which_session(door: Door, says: dict[str, Any], user: str, session: str) -> None:
    found = one(door, track(**says))
    assert (found["user_id"], found["session_id"]) == (user, session)


@pytest.mark.parametrize(
    ("stated", "sent", "ahead"),
    [
        ({"timestamp": 0}, None, 0),
        ({"timestamp": 0}, 1000, 0),  # on its way for a second, or a clock a second off: nobody can tell
        ({"timestamp": LATER_MS}, LATER_MS, 0),
        ({"timestamp": LATER_MS - 2500}, LATER_MS, -2500),
        ({"originalTimestamp": -LATER_MS, "timestamp": 5}, -LATER_MS + 100, -100),
        ({}, None, 0),
        ({}, LATER_MS, 0),
        ({"timestamp": None}, LATER_MS, 0),
    ],
)
def test_a_wrong_clock_is_corrected_by_when_it_says_it_sent(
    door: Door, stated: dict[str, Any], sent: int | None, ahead: int
) -> None:
    now = now_ms()
    event = {name: value for name, value in track().items() if name != "timestamp"}
    event |= {name: None if value is None else _iso(now + value) for name, value in stated.items()}
    envelope: dict[str, Any] = {"writeKey": KEY, "batch": [event]}
    if sent is not None:
        envelope["sentAt"] = _iso(now + sent)
    assert door.send("POST", "/v1/b", envelope).body == b'{"success":true}'
    (found,) = door.records("clickstream")
    assert found["timestamp"].timestamp() * 1000 - now == pytest.approx(ahead, abs=1500 if sent is None else 100)


def _iso(at_ms: int) -> str:
    return iso_8601(at_ms)


def test_the_tolerance_is_a_setting(tmp_path: Path) -> None:
    door = Door(tmp_path, clock_tolerance_seconds=0)
    now = now_ms()
    one(door, track(timestamp=now - 4000, sentAt=_iso(now - 3000)))
    at = door.records("clickstream")[0]["timestamp"].timestamp() * 1000
    assert at - now == pytest.approx(-1000, abs=200)


def test_an_event_without_an_id_gets_one_that_a_repetition_gets_too(door: Door) -> None:
    event = track(messageId=None)
    first = one(door, {**event, "sentAt": _iso(now_ms())})["event_id"]
    assert one(door, {**event, "sentAt": _iso(now_ms() + 900)})["event_id"] == first
    assert one(door, {**event, "timestamp": event["timestamp"] + 1})["event_id"] != first
    without_time = {name: value for name, value in event.items() if name != "timestamp"}
    assert len({one(door, without_time)["event_id"] for _ in range(3)}) == 3


def test_the_context_of_a_batch_holds_for_its_events(door: Door) -> None:
    batch = [track(messageId="m-1", context={"locale": "de"}), track(messageId="m-2", context={"userAgent": "own"})]
    context = {"userAgent": "common", "page": {"url": "https://shop.example/"}}
    door.send("POST", "/v1/batch", {"writeKey": KEY, "batch": batch, "context": context})
    found = door.records("clickstream")
    assert [(event["user_agent"], event["page_url"]) for event in found] == [
        ("common", "https://shop.example/"), ("own", "https://shop.example/"),
    ]  # fmt: skip


def test_user_agent_comes_from_the_head_only_where_a_browser_sent_it(door: Door) -> None:
    event = track(context={})
    assert one(door, event, "/v1/t", user_agent="Firefox")["user_agent"] == "Firefox"
    assert one(door, event, "/v1/track", user_agent="analytics-python/2")["user_agent"] is None
    assert one(door, track(), "/v1/t", user_agent="Chrome")["user_agent"] == "Firefox"
    assert len(one(door, event, "/v1/t", user_agent="x" * 4000)["user_agent"]) == 1024
    for path, agent in (("/v1/b", "Firefox"), ("/v1/batch", None)):
        door.send("POST", path, {"writeKey": KEY, "batch": [event]}, user_agent="Firefox")
        assert door.records("clickstream")[-1]["user_agent"] == agent


def test_the_key_may_stand_in_head_or_body_and_the_head_counts(door: Door) -> None:
    basic = f"Basic {base64.b64encode(f'{KEY}:'.encode()).decode()}"
    bare = f"Basic {base64.b64encode(KEY.encode()).decode()}"
    cases: list[tuple[dict[str, str], dict[str, Any], int]] = [
        ({}, {"writeKey": KEY}, 200), ({"authorization": basic}, {}, 200), ({"authorization": bare}, {}, 200),
        ({"authorization": f"Bearer {KEY}"}, {"writeKey": "other"}, 200),
        ({"authorization": "Bearer other"}, {"writeKey": KEY}, 401),
        ({}, {}, 401), ({}, {"writeKey": ""}, 401), ({}, {"writeKey": KEY + "x"}, 401), ({}, {"writeKey": [KEY]}, 401),
        ({}, {"writeKey": None}, 401),
    ]  # fmt: skip
    for headers, body, status in cases:
        for path, event in (("/v1/track", track()), ("/v1/batch", {"batch": [track()]})):
            answer = door.send("POST", path, {**body, **event}, **headers)
            assert answer.status == status, (headers, body)
            if status == 401:
                challenge = dict(answer.headers)["www-authenticate"]
                assert "Basic" not in challenge, "a browser would ask the visitor for a password"
    assert len(door.records("clickstream")) == 8
    assert door.records("rejected") == []


def test_history_needs_a_key_with_the_scope(door: Door) -> None:
    old = track(timestamp="2001-02-03T04:05:06Z")
    assert door.send("POST", "/v1/track?import=true", {"writeKey": WRITE_ONLY_KEY, **old}).status == 403
    assert door.send("POST", "/v1/track?import=true", {"writeKey": KEY, **old}).status == 200
    assert door.records("clickstream")[0]["timestamp"].year == 2001
    assert refused(door, old) == ("timestamp_too_old", "/timestamp")


def test_a_bad_event_is_refused_by_itself(door: Door) -> None:
    batch = [track(messageId="m-1"), track(messageId="m-2", userId={"a": 1}), 7, track(messageId="m-4")]
    answer = door.send("POST", "/v1/batch", {"batch": batch}, authorization=f"Bearer {KEY}")
    assert answer.status == 200
    told = json.loads(answer.body)
    assert told["success"] is True
    assert [(verdict["index"], verdict["event_id"]) for verdict in told["rejected"]] == [(1, "m-2"), (2, None)]
    assert [event["event_id"] for event in door.records("clickstream")] == ["m-1", "m-4"]
    kept = door.records("rejected")
    assert [(k["reason"], k["pointer"], k["event_id"], json.loads(k["raw"])) for k in kept] == [
        ("wrong_type", "/userId", "m-2", batch[1]), ("wrong_type", "", None, 7),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason", "pointer"),
    [
        ({"userId": None, "anonymousId": None}, "missing_field", "/userId"),
        ({"userId": "u" * 129}, "invalid_id", "/userId"),
        ({"userId": True}, "wrong_type", "/userId"),
        ({"messageId": "a\u0000b"}, "invalid_id", "/messageId"),
        ({"messageId": {}}, "wrong_type", "/messageId"),
        ({"type": "hover"}, "unknown_type", "/type"),
        ({"type": None}, "unknown_type", "/type"),
        ({"type": ["track"]}, "unknown_type", "/type"),
        ({"event": None}, "missing_field", "/event"),
        ({"event": {}}, "wrong_type", "/event"),
        ({"timestamp": "yesterday"}, "invalid_timestamp", "/timestamp"),
        ({"timestamp": "2999-01-01T00:00:00Z"}, "timestamp_in_future", "/timestamp"),
        ({"timestamp": {}}, "invalid_timestamp", "/timestamp"),
        ({"context": []}, "wrong_type", "/context"),
        ({"context": {"page": "x"}}, "wrong_type", "/context/page"),
        ({"context": {"page": {"url": "x" * 9000}}}, "invalid_text", "/context/page/url"),
        ({"context": {"userAgent": "x" * 2000}}, "invalid_text", "/context/userAgent"),
        ({"context": {"campaign": {"name": []}}}, "wrong_type", "/context/campaign/name"),
        ({"properties": [1]}, "wrong_type", "/properties"),
        ({"properties": {"a": "\u0000"}}, "invalid_text", "/properties/a"),
        ({"padding": "x" * 300_000}, "event_too_large", ""),
    ],
)
def test_why_an_event_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str, pointer: str) -> None:
    door = Door(tmp_path, max_rejected_bytes=1024 * 1024)
    assert refused(door, track(**changes)) == (reason, pointer)


def test_properties_are_as_many_as_there_is_room_for(door: Door) -> None:
    many = {f"p{n}": n for n in range(100)} | {"x" * 200: 1, "event": "mine", "long": "y" * 9000}
    deep: Any = 1
    for _ in range(30):
        deep = {"d": deep}
    found = one(door, track(context={}, properties={"event": "mine", "deep": deep, **many}))["properties"]
    assert len(found) == 64
    assert found["properties.event"] == "mine"
    assert found["event"] == "Signed Up"
    assert found["p0"] == "0"
    assert not any(name.startswith("deep") for name in found)
    assert int(found["properties_left_out"]) == 1 + 103 + 1 - 1 - 61
    assert len(one(door, track(properties={"long": "y" * 9000}))["properties"]["long"]) == 8192


def test_what_is_kept_of_a_refused_event_does_not_tell_the_key(door: Door) -> None:
    door.send("POST", "/v1/track", {"writeKey": KEY, **track(userId=None, anonymousId=None), "type": "track"})
    door.send("POST", "/v1/t", b'{"writeKey":"%s"}' % KEY.encode())
    door.send("POST", "/v1/t", b'{"writeKey":"%s",' % KEY.encode(), authorization=f"Bearer {KEY}")
    kept = [event["raw"] for event in door.records("rejected")]
    assert len(kept) == 3
    assert all(KEY.encode() not in raw and b"[write key]" in raw for raw in kept)
    assert json.loads(kept[1]) == {"type": "track", "writeKey": "[write key]"}, "the path had said its type"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/track", b"{", 400, "malformed_body"),
        ("/v1/track", b"[]", 400, "malformed_body"),
        ("/v1/track", b"\xff", 400, "malformed_body"),
        ("/v1/batch", b'{"batch":{}}', 400, "malformed_body"),
        ("/v1/batch", b'{"batch":[{]}', 400, "malformed_body"),
        ("/v1/batch", b'{"batch":[]}', 400, "empty_batch"),
        ("/v1/batch", b"{}", 400, "empty_batch"),
        ("/v1/batch", b'{"batch":[' + b"1," * 10_000 + b"1]}", 413, "too_many_events"),
    ],
)
def test_errors_have_what_the_sdks_read(door: Door, path: str, body: bytes, status: int, code: str) -> None:
    answer = door.send("POST", path, body, authorization=f"Bearer {KEY}")
    told = json.loads(answer.body)
    assert (answer.status, told["code"], told["status"]) == (status, code, status)
    assert told["message"] == told["detail"]
    assert dict(answer.headers)["access-control-allow-origin"] == "*"
    assert len(door.records("rejected")) == (code == "malformed_body")


def test_a_million_events_are_refused_before_they_are_made(door: Door) -> None:
    body = b'{"batch":[' + b"1," * 1_000_001 + b"1]}"
    tracemalloc.start()
    assert door.send("POST", "/v1/batch", body, authorization=f"Bearer {KEY}").status == 413
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * len(body)


def test_an_unreadable_body_of_nobody_is_not_kept(door: Door) -> None:
    assert door.send("POST", "/v1/track", b"{").status == 400
    assert door.broker.sent == []


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("application/json; charset=utf-8", 200), ("text/plain", 200), ("", 200), ("application/xml", 415)],
)
def test_a_body_is_json_by_several_names(door: Door, content_type: str, status: int) -> None:
    answer = door.send("POST", "/v1/t", {"writeKey": KEY, **track()}, content_type=content_type)
    assert answer.status == status


def test_a_page_of_another_origin_may_send(door: Door) -> None:
    asked = {
        "origin": "https://shop.example",
        "access_control_request_method": "POST",
        "access_control_request_headers": "authorization,content-type,x-retry-count",
    }
    for path in ("/v1/t", "/v1/batch", "/v1/m", "/v1/projects/x/settings"):
        answer = door.send("OPTIONS", path, **asked)
        told = dict(answer.headers)
        assert (answer.status, answer.body) == (204, b"")
        assert told["access-control-allow-origin"] == "*"
        assert told["access-control-allow-headers"] == "authorization,content-type,x-retry-count"
        assert "access-control-allow-credentials" not in told
    assert "POST" in dict(door.send("OPTIONS", "/v1/t").headers)["access-control-allow-methods"]
    assert door.send("GET", "/v1/t").status == 405


def test_the_settings_send_the_sdk_back_here(tmp_path: Path) -> None:
    door = Door(tmp_path)
    answer = door.send("GET", f"/v1/projects/{KEY}/settings", host="events.example:8080")
    assert answer.status == 200
    told = json.loads(answer.body)
    segment = told["integrations"]["Segment.io"]
    assert list(told["integrations"]) == ["Segment.io"]
    assert (segment["apiKey"], segment["apiHost"], segment["protocol"]) == (KEY, "events.example:8080/v1", "http")
    assert told["metrics"]["sampleRate"] == 0
    assert dict(answer.headers)["access-control-allow-origin"] == "*"
    assert door.send("HEAD", f"/v1/projects/{KEY}/settings").status == 200
    bad = door.send("GET", f"/v1/projects/{KEY}x/settings")
    assert (bad.status, json.loads(bad.body)["code"]) == (401, "unauthenticated")
    odd = door.send("GET", f"/v1/projects/{KEY}/settings", host='"><script>')
    assert json.loads(odd.body)["integrations"]["Segment.io"]["apiHost"] == "127.0.0.1:7070/v1"
    public = Door(tmp_path, public_url="https://events.example/").send("GET", f"/v1/projects/{KEY}/settings")
    segment = json.loads(public.body)["integrations"]["Segment.io"]
    assert (segment["apiHost"], segment["protocol"]) == ("events.example/v1", "https")


def test_the_sdks_own_metrics_are_taken_and_not_kept(door: Door) -> None:
    answer = door.send("POST", "/v1/m", {"series": [{"type": "Counter"}]}, content_type="text/plain")
    assert (answer.status, answer.body) == (200, b'{"success":true}')
    assert door.send("POST", "/v1/m", b"x" * 70_000).status == 413
    assert door.broker.sent == []
    metrics = door.send("GET", "/metrics").body.decode()
    assert 'millrace_gateway_requests_total{route="/v1/m",status="200"} 1.0' in metrics
    assert KEY not in metrics


def test_a_key_in_an_address_or_a_body_is_not_logged(door: Door) -> None:
    with capture_logs() as logged:
        for target in (
            f"/v1/projects/{KEY}x/settings",
            f"/v1/projects/{KEY}/settings/x",
            f"/v1/pixel.gif?writeKey={KEY}x",
        ):
            assert door.send("GET", target).status in (401, 404)
        assert door.send("POST", "/v1/track", {"writeKey": f"{KEY}x"}).status == 401
    assert len(logged) == 4
    assert KEY not in str(logged)


def test_a_record_says_where_it_came_from_and_not_more(tmp_path: Path) -> None:
    for keep, said in (("truncated", b"203.0.113.0"), ("off", None)):
        door = Door(tmp_path, client_ip=keep)
        one(door, track(), x_forwarded_for="198.51.100.1")
        ((_, _, _, headers),) = door.broker.sent
        assert headers.get("client_ip") == said
    hashed = Door(tmp_path, client_ip="hashed")
    one(hashed, track())
    assert len(hashed.broker.sent[0][3]["client_ip"]) == 32
