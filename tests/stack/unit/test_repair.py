"""Rejected events made whole: what can be sent again, under which id, and what is still wrong."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.settings import ShopSettings
from ingestion.encode import make_encoder
from schemas_avro import load_registry
from stack.errors import NotReplayableError
from stack.patch import parse_rule
from stack.rejected import Rejection
from stack.repair import Repaired, Repairer

pytestmark = pytest.mark.unit

REGISTRY = load_registry()
NOW_MS = time.time_ns() // 1_000_000
ID = "0b0e7a52-3f0f-4bb1-9d3f-6a3f1f1f0000"
CLICK = {"event_id": "e", "user_id": "u", "session_id": "s", "action": "view", "timestamp": NOW_MS}
SALE = {
    "transaction_id": "t", "user_id": "u", "session_id": "s", "product_id": "p", "category": "c", "amount": 1.10,
    "quantity": 1, "payment_method": "card", "timestamp": NOW_MS,
}  # fmt: skip


def rejection(event: Any, **change: Any) -> Rejection:
    raw = event if isinstance(event, bytes) else json.dumps(event).encode()
    told: dict[str, Any] = {
        "rejection_id": ID, "received_at": datetime.fromtimestamp(NOW_MS / 1000, UTC), "source": "shop",
        "reason": "invalid_enum", "pointer": "", "detail": "", "content_type": "application/json", "event_id": None,
        "raw": raw, "truncated": False,
    }  # fmt: skip
    return Rejection(**told | change)


def repair(event: Any, rule: str | None = None, **change: Any) -> Repaired:
    repairer = Repairer(REGISTRY, ShopSettings(), parse_rule(rule) if rule else None)
    return repairer.repair(rejection(event, **change))


def sent(event: Any, rule: str | None = None, **change: Any) -> Any:
    (content,) = repair(event, rule, **change).contents
    return json.loads(content)


def still_wrong(event: Any, rule: str | None = None, **change: Any) -> str:
    with pytest.raises(NotReplayableError) as error:
        repair(event, rule, **change)
    return str(error.value)


def test_an_event_is_sent_as_it_was_but_for_the_rule() -> None:
    assert sent({**CLICK, "action": "hover"}, '.action = "other"') == {**CLICK, "action": "other"}
    assert sent({**CLICK, "tier": 1}, "del(.tier)") == CLICK
    assert sent({**SALE, "amount": "12,50"}, '.amount = "12.50"') == {**SALE, "amount": "12.50"}


def test_numbers_keep_their_digits() -> None:
    (content,) = repair(json.dumps(SALE).encode().replace(b"1.1", b"19.90")).contents
    assert b'"amount":19.90' in content


def test_an_event_keeps_its_id_and_one_without_gets_the_same_one_each_time() -> None:
    assert repair(CLICK).event_id == "e"
    anonymous = {**CLICK, "event_id": ""}
    assert repair(anonymous).event_id == repair(anonymous).event_id == f"rejected-{ID}"
    assert sent(anonymous)["event_id"] == f"rejected-{ID}"
    assert sent({**SALE, "transaction_id": None})["transaction_id"] == f"rejected-{ID}"
    assert "event_id" not in sent({**SALE, "transaction_id": None})
    assert sent({**SALE, "transaction_id": None, "type": "transaction"})["transaction_id"] == f"rejected-{ID}"


def test_history_is_not_too_old() -> None:
    assert sent({**CLICK, "timestamp": 1})["timestamp"] == 1


def test_the_rule_knows_the_rejection() -> None:
    changed = sent({**CLICK, "timestamp": "soon"}, ".timestamp = $received_at | .properties.why = $reason")
    assert changed["timestamp"] == NOW_MS
    assert changed["properties"] == {"why": "invalid_enum"}


@pytest.mark.parametrize(
    ("event", "rule", "why"),
    [
        ({**CLICK, "action": "hover"}, None, "still invalid_enum /action"),
        ({**CLICK, "x": 1, "user_id": ""}, "del(.x)", "still invalid_id /user_id"),
        ({**CLICK, "timestamp": NOW_MS + 10**9}, None, "still timestamp_in_future /timestamp"),
        ({**SALE, "currency": "EUR"}, None, "still currency_not_accepted /currency"),
        ({**CLICK, "user_id": 5}, ".user_id |= trim", "no text"),
        (CLICK, ".user_id", "no object"),
        (CLICK, "del(.user_id)", "still missing_field /user_id"),
        (b"{", None, "not JSON"),
        (b"\xff", None, "not JSON"),
        (b"[{}]", None, "not one JSON object"),
        (b'{"event_id":"\\ud800"}', None, "not JSON"),
    ],
)
def test_what_cannot_be_accepted_is_told_and_not_sent(event: Any, rule: str | None, why: str) -> None:
    assert why in still_wrong(event, rule)


def test_a_cut_event_and_one_of_which_too_little_is_kept_are_not_sent() -> None:
    assert "only its first" in still_wrong(CLICK, truncated=True)
    assert "protocol=pixel" in still_wrong(CLICK, content_type="application/json; protocol=pixel")
    assert "text/plain" in still_wrong(CLICK, content_type="text/plain")


SEGMENT, POSTHOG, SNOWPLOW = (f"application/json; protocol={name}" for name in ("segment", "posthog", "snowplow"))
CLOUDEVENTS = "application/cloudevents+json"
TRACK = {"type": "track", "event": "Product Viewed", "userId": "u", "messageId": "m", "properties": {"product_id": "p"}}
CAPTURE = {"event": "$pageview", "distinct_id": "u", "uuid": "m", "properties": {"$current_url": "https://shop/"}}
PAGE_VIEW = {"e": "pv", "p": "srv", "uid": "u", "eid": "m", "url": "https://shop/", "tv": "py-1"}
ENVELOPE = {"specversion": "1.0", "id": "m", "source": "/s", "type": "millrace.clickstream", "data": {
    "user_id": "u", "session_id": "s", "action": "view"}, "time": "2026-03-01T12:00:00Z"}  # fmt: skip


@pytest.mark.parametrize(
    ("event", "user", "id_field", "media_type"),
    [
        (TRACK, "userId", "messageId", SEGMENT),
        (CAPTURE, "distinct_id", "uuid", POSTHOG),
        (PAGE_VIEW, "uid", "eid", SNOWPLOW),
    ],
)
def test_events_of_other_protocols_are_repaired_in_their_own_words(
    event: dict[str, Any], user: str, id_field: str, media_type: str
) -> None:
    broken = {**event, user: "u\n"}
    assert "invalid_id" in still_wrong(broken, content_type=media_type)
    told = sent(broken, f".{user} |= trim", content_type=media_type)
    assert (told["event_id"], told["user_id"]) == ("m", "u")
    assert told["timestamp"] == NOW_MS  # it had none of its own: that of its receipt
    nameless = {name: event[name] for name in event if name != id_field}
    assert sent(nameless, content_type=media_type)["event_id"] == f"rejected-{ID}"


def test_cloudevents_are_repaired_and_keep_their_identity() -> None:
    broken = {**ENVELOPE, "data": {**ENVELOPE["data"], "action": "hover"}}  # type: ignore[dict-item] # a dict by its making
    assert "invalid_enum" in still_wrong(broken, content_type=CLOUDEVENTS)
    assert sent(broken, '.data.action = "view"', content_type=CLOUDEVENTS) == sent(ENVELOPE, content_type=CLOUDEVENTS)


def test_an_order_of_several_lines_is_several_events_under_one_rejection() -> None:
    lines = [{"product_id": f"p{n}", "category": "c", "price": "1.50", "quantity": n} for n in (1, 2)]
    order = {**TRACK, "event": "Order Completed", "properties": {"order_id": "o", "products": [*lines, {"price": "x"}]}}
    assert "still " in still_wrong(order, content_type=SEGMENT)
    order["properties"] = {"order_id": "o", "products": lines}
    found = [json.loads(content) for content in repair(order, content_type=SEGMENT).contents]
    assert {told["product_id"] for told in found if "transaction_id" in told} == {"p1", "p2"}
    assert len({told.get("transaction_id") or told["event_id"] for told in found}) == len(found)


def test_a_visitor_known_by_address_alone_is_not_guessed() -> None:
    assert "its visitor" in still_wrong({**PAGE_VIEW, "p": "web", "uid": ""}, content_type=SNOWPLOW)


ENCODERS = {(s.subject, s.version): make_encoder(s) for s in REGISTRY.schemas}


def avro(subject: str, version: int, user_id: str = "", amount: int = 11_000) -> bytes:
    """An event in Confluent framing, whose user id is not valid."""
    if subject == "clickstream":
        more: list[Any] = [None, None, {"k": "v"}] if version == 2 else []
        return ENCODERS[subject, version]("e", user_id, "s", None, None, "view", NOW_MS, None, None, *more)
    more = [None, "USD", "purchase"] if version == 2 else []
    return ENCODERS[subject, version]("t", user_id, "s", "p", "c", amount, 1, NOW_MS, "card", *more)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("subject", ["clickstream", "transactions"])
@pytest.mark.parametrize("framing", ["confluent", "single object", "bare"])
def test_avro_events_of_every_framing_and_version_are_repaired(framing: str, subject: str, version: int) -> None:
    (schema,) = [s for s in REGISTRY.versions(subject) if s.version == version]
    framed = avro(subject, version)
    frame = {"confluent": framed[:5], "single object": b"\xc3\x01" + schema.crc64.to_bytes(8, "little"), "bare": b""}
    raw = frame[framing] + framed[5:]
    assert "still invalid_id /user_id" in still_wrong(raw, content_type="application/avro")
    event = sent(raw, '.user_id = "u"', content_type="application/avro")
    assert event["user_id"] == "u"
    assert event["timestamp"] == NOW_MS
    if subject == "transactions":
        assert event["amount"] == 1.1


def test_a_datum_under_the_name_of_another_schema_is_not_guessed() -> None:
    raw = avro("clickstream", 2)[:5] + avro("transactions", 2)[5:]
    assert "not one Avro event" in still_wrong(raw, content_type="application/avro")


@pytest.mark.parametrize(
    "raw",
    [b"", b"\0", b"\0\0\0\0\x63abc", avro("clickstream", 2)[:-1], avro("clickstream", 2) + b"x"],
    ids=["empty", "one byte", "unknown schema", "truncated", "a byte too many"],
)
def test_bytes_that_are_not_one_avro_event_are_told(raw: bytes) -> None:
    assert "not one Avro event" in still_wrong(raw, content_type="application/avro")
