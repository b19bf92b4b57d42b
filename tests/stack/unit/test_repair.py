"""Rejected events made whole: what can be sent again, under which id, and what is still wrong."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.settings import ShopSettings
from ingestion.encode import make_encoder
from schemas_avro import load_registry
from stack.patch import parse_rule
from stack.rejected import Rejection
from stack.repair import NotReplayableError, Repaired, Repairer

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
    return json.loads(repair(event, rule, **change).content)


def still_wrong(event: Any, rule: str | None = None, **change: Any) -> str:
    with pytest.raises(NotReplayableError) as error:
        repair(event, rule, **change)
    return str(error.value)


def test_an_event_is_sent_as_it_was_but_for_the_rule() -> None:
    assert sent({**CLICK, "action": "hover"}, '.action = "other"') == {**CLICK, "action": "other"}
    assert sent({**CLICK, "tier": 1}, "del(.tier)") == CLICK
    assert sent({**SALE, "amount": "12,50"}, '.amount = "12.50"') == {**SALE, "amount": "12.50"}


def test_numbers_keep_their_digits() -> None:
    assert (
        b'"amount":19.90'
        in repair(json.dumps(SALE).encode().replace(b"1.1", b"19.90"), content_type="application/json").content
    )


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


def test_a_cut_event_and_one_of_another_protocol_are_not_sent() -> None:
    assert "only its first" in still_wrong(CLICK, truncated=True)
    assert "protocol=segment" in still_wrong(CLICK, content_type="application/json; protocol=segment")
    assert "text/plain" in still_wrong(CLICK, content_type="text/plain")


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
