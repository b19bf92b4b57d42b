"""CloudEvents: three content modes, one event; what data leave out; whose fault is where."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.ingestion.door import KEY, Door, now_ms

pytestmark = pytest.mark.unit

CLICK = {"user_id": "u", "session_id": "s", "action": "view", "product_id": "p"}
LINE = {
    "user_id": "u", "session_id": "s", "product_id": "p", "category": "c", "amount": "59.90", "quantity": 1,
    "payment_method": "card",
}  # fmt: skip
UUID = "2F1E9A6C-8F0E-4F0B-9D5A-0C1A52C8C1DE"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def event(**changes: Any) -> dict[str, Any]:
    made = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "millrace.clickstream", "data": timed(CLICK)}
    return {name: value for name, value in {**made, **changes}.items() if value is not ...}


def timed(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "timestamp": now_ms()}


def send(door: Door, body: Any, content_type: str = "application/cloudevents+json", **headers: str) -> Any:
    headers = {"authorization": f"Bearer {KEY}", "content_type": content_type, **headers}
    return door.send("POST", "/cloudevents", body, **headers)


def test_the_three_modes_bring_the_same_event(door: Door) -> None:
    whole = event()
    head = {f"ce_{name}": value for name, value in whole.items() if name != "data"}
    encoded = {**event(data=...), "data_base64": base64.b64encode(json.dumps(whole["data"]).encode()).decode()}
    for answer in (
        send(door, whole),
        send(door, whole, "Application/CloudEvents+JSON; charset=UTF-8"),
        send(door, encoded),
        send(door, [whole], "application/cloudevents-batch+json"),
        send(door, whole["data"], "application/json", **head),
        send(door, whole["data"], "", **head),
        send(door, whole["data"], "application/vnd.shop+json", **head),
    ):
        assert answer.status == 200
        assert json.loads(answer.body)["results"] == [{"index": 0, "event_id": "/shop#7", "status": "accepted"}]
    first, *others = door.records("clickstream")
    assert len(others) == 6
    assert all(other == first for other in others)
    assert (first["event_id"], first["action"], first["product_id"]) == ("/shop#7", "view", "p")


def test_a_transaction_is_told_by_its_type(door: Door) -> None:
    assert send(door, event(type="millrace.transaction", data=timed(LINE))).status == 200
    (line,) = door.records("transactions")
    assert (line["transaction_id"], str(line["amount"])) == ("/shop#7", "59.9000")


@pytest.mark.parametrize(
    ("own", "source", "data", "event_id"),
    [
        ("7", "/shop", {}, "/shop#7"),
        ("7", "https://other.example", {}, "https://other.example#7"),
        (UUID, "/shop", {}, UUID.lower()),
        ("7", "/shop", {"event_id": "mine"}, "mine"),
        ("i" * 100, "/" + "s" * 28, {}, None),  # together longer than an id may be
    ],
)
def test_source_and_id_name_an_event(
    door: Door, own: str, source: str, data: dict[str, Any], event_id: str | None
) -> None:
    for _ in range(2):
        answer = send(door, event(id=own, source=source, data=timed({**CLICK, **data})))
        assert answer.status == 200, answer.body
    first, second = door.records("clickstream")
    assert first["event_id"] == second["event_id"]
    if event_id is None:
        assert first["event_id"].startswith("sha256:")
    else:
        assert first["event_id"] == event_id


def test_time_is_taken_where_the_data_have_none(door: Door) -> None:
    send(door, event(time="2001-02-03T04:05:06+01:00", data=CLICK), authorization=f"Bearer {KEY}")
    kept = door.records("rejected")[-1]
    assert (kept["reason"], kept["pointer"]) == ("timestamp_too_old", "/time")
    answer = door.send(
        "POST",
        "/cloudevents?import=true",
        event(time="2001-02-03T04:05:06+01:00", data=CLICK),
        authorization=f"Bearer {KEY}",
        content_type="application/cloudevents+json",
    )
    assert answer.status == 200
    assert door.records("clickstream")[0]["timestamp"].isoformat() == "2001-02-03T03:05:06+00:00"
    send(door, event(time="2001-02-03T04:05:06Z"))
    assert door.records("clickstream")[1]["timestamp"].year > 2001


def test_a_binary_event_is_decoded_from_its_headers_and_kept_whole(door: Door) -> None:
    head = {
        "ce_specversion": "1.0", "ce_type": "millrace.clickstream", "ce_source": "/caf%C3%A9%20%22x%22",
        "ce_id": '"a\\"b%25"', "ce_partitionkey": "k", "content_type": "application/json", "ce_datacontenttype": "x/y",
    }  # fmt: skip
    assert send(door, timed(CLICK), **head).status == 200
    assert door.records("clickstream")[0]["event_id"] == '/café "x"#a"b%'
    assert send(door, {**CLICK, "timestamp": 0, "action": "view"}, **head).status == 422
    assert send(door, b"no JSON", **head).status == 422
    bad, unreadable = door.records("rejected")
    assert json.loads(bad["raw"]) == {
        "specversion": "1.0", "type": "millrace.clickstream", "source": '/café "x"', "id": 'a"b%', "partitionkey": "k",
        "datacontenttype": "application/json", "data": {**CLICK, "timestamp": 0, "action": "view"},
    }  # fmt: skip
    assert (bad["content_type"], bad["pointer"]) == ("application/cloudevents+json", "/data/timestamp")
    assert base64.b64decode(json.loads(unreadable["raw"])["data_base64"]) == b"no JSON"
    assert (unreadable["reason"], unreadable["pointer"]) == ("malformed_json", "/data")


def test_a_batch_may_be_empty_and_a_bad_event_is_refused_alone(door: Door) -> None:
    answer = send(door, [], "application/cloudevents-batch+json")
    assert (answer.status, json.loads(answer.body)["results"]) == (200, [])
    answer = send(door, [event(), event(id=None), 3, event(id="8")], "application/cloudevents-batch+json")
    assert answer.status == 207
    assert [v["status"] for v in json.loads(answer.body)["results"]] == ["accepted", "rejected", "rejected", "accepted"]
    assert len(door.records("clickstream")) == len(door.records("rejected")) == 2


@pytest.mark.parametrize(
    ("changes", "reason", "pointer"),
    [
        ({"id": ...}, "missing_field", "/id"),
        ({"id": ""}, "missing_field", "/id"),
        ({"id": 7}, "wrong_type", "/id"),
        ({"id": "i" * 129}, "invalid_id", "/id"),
        ({"id": "a\ufffd"}, "invalid_text", "/id"),
        ({"source": ...}, "missing_field", "/source"),
        ({"type": ...}, "missing_field", "/type"),
        ({"type": "com.example.other"}, "unknown_type", "/type"),
        ({"specversion": "0.3"}, "invalid_enum", "/specversion"),
        ({"specversion": ...}, "missing_field", "/specversion"),
        ({"time": "yesterday"}, "invalid_timestamp", "/time"),
        ({"time": 7}, "wrong_type", "/time"),
        ({"datacontenttype": "application/xml"}, "wrong_type", "/datacontenttype"),
        ({"data": ...}, "missing_field", "/data"),
        ({"data": None}, "missing_field", "/data"),
        ({"data_base64": "e30="}, "missing_field", "/data"),
        ({"data": ..., "data_base64": "!"}, "wrong_type", "/data_base64"),
        ({"data": ..., "data_base64": 7}, "wrong_type", "/data_base64"),
        ({"data": ..., "data_base64": "e30"}, "wrong_type", "/data_base64"),
        ({"data": "{}"}, "wrong_type", "/data"),
        ({"data": {**CLICK, "sku": 1}}, "unknown_field", "/data/sku"),
        ({"data": {**CLICK, "type": "transaction"}}, "unknown_type", "/data/type"),
        ({"data": {**CLICK, "user_id": 7}}, "wrong_type", "/data/user_id"),
        ({"data": CLICK}, "missing_field", "/time"),
        ({"data": {**CLICK, "timestamp": 0}}, "timestamp_too_old", "/data/timestamp"),
        ({"type": "millrace.transaction"}, "unknown_field", "/data/action"),
    ],
)
def test_why_an_event_is_refused(door: Door, changes: dict[str, Any], reason: str, pointer: str) -> None:
    sent = event(**changes)
    answer = send(door, sent)
    (verdict,) = json.loads(answer.body)["results"]
    assert answer.status == 422
    assert (verdict["error"]["code"], verdict["error"]["pointer"]) == (reason, pointer)
    (kept,) = door.records("rejected")
    assert json.loads(kept["raw"]) == sent


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("application/cloudevents+json", b"[]", 400, "malformed_body"),
        ("application/cloudevents+json", b"{", 400, "malformed_body"),
        ("application/cloudevents-batch+json", b"{}", 400, "malformed_body"),
        ("application/cloudevents+avro", b"", 415, "unsupported_media_type"),
        ("application/cloudevents-batch+avro", b"", 415, "unsupported_media_type"),
        ("application/cloudevents", b"", 415, "unsupported_media_type"),
        ("text/plain", b"", 415, "unsupported_media_type"),
    ],
)
def test_whole_request_errors(door: Door, content_type: str, body: bytes, status: int, code: str) -> None:
    answer = send(door, body, content_type)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)


def test_a_webhook_asks_first_and_brings_its_token_in_the_address(door: Door) -> None:
    answer = door.send("OPTIONS", "/cloudevents", webhook_request_origin="eventgrid.example")
    told = dict(answer.headers)
    assert answer.status == 204
    assert (told["webhook-allowed-origin"], told["webhook-allowed-rate"]) == ("eventgrid.example", "*")
    assert "webhook-allowed-origin" not in dict(door.send("OPTIONS", "/cloudevents").headers)
    for token, status in ((KEY, 200), ("wrong", 401), ("", 401)):
        target = f"/cloudevents?access_token={token}"
        assert door.send("POST", target, event(), content_type="application/cloudevents+json").status == status
    assert door.send("POST", "/cloudevents", event(), content_type="application/cloudevents+json").status == 401
