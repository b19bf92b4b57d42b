"""Grace mode: which faults are mended and how, which never are, and that nothing gets lost or unsafe by it."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rejections import Reason
from ingestion.decode_json import read_ndjson
from ingestion.errors import EventRefusedError
from ingestion.events import Incoming
from ingestion.grace import Grace, Mended
from ingestion.validate import Rules, Validator
from schemas_avro import load_registry

pytestmark = pytest.mark.unit

NOW_MS = 1_772_366_400_000
DAY_MS = 86_400_000
LATEST = load_registry().latest("clickstream")
VALIDATOR = Validator(Rules("USD", 300_000, 7 * DAY_MS), load_registry())
CLICK = {"event_id": "e", "user_id": "u", "session_id": "s", "action": "view", "timestamp": NOW_MS}
SALE = {
    "transaction_id": "t", "user_id": "u", "session_id": "s", "product_id": "p", "category": "c", "amount": 1,
    "quantity": 1, "payment_method": "card", "timestamp": NOW_MS,
}  # fmt: skip


def sent(body: bytes, *, imported: bool = False, with_raw: bool = True) -> Mended | Reason | None:
    """What becomes of an event under grace: mended, refused for a reason, or None if nothing is wrong with it."""
    event: Any = read_ndjson(body, 10, 1 << 20).events[0]
    try:
        if isinstance(event, EventRefusedError):
            raise event
        VALIDATOR.check(event, NOW_MS, imported=imported)
    except EventRefusedError as refused:
        raw = (lambda: body) if with_raw else None
        return Grace(VALIDATOR).mend(event, refused, raw, NOW_MS, imported=imported) or refused.reason
    return None


def mended(**change: Any) -> dict[str, Any]:
    """The stored fields of a click with this change, which has to be mended."""
    return decoded(sent(json.dumps({**CLICK, **change}).encode()))


def decoded(outcome: object) -> dict[str, Any]:
    assert isinstance(outcome, Mended), outcome
    stored: Any = fastavro.schemaless_reader(io.BytesIO(outcome.record.value[5:]), LATEST.parsed, None)
    assert isinstance(stored, dict)
    return stored


def test_an_event_without_a_fault_is_left_alone() -> None:
    assert sent(json.dumps(CLICK).encode()) is None


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("gold", "gold"),
        (7, "7"),
        (True, "true"),
        ([1, "a"], '[1, "a"]'),
        ({"a": {"b": 1}}, '{"a": {"b": 1}}'),
        ("é", "é"),
    ],
)
def test_an_unknown_field_becomes_a_property(value: Any, kept: str) -> None:
    stored = mended(tier=value, properties={"k": "v"})
    assert stored["properties"] == {"k": "v", "tier": kept, "_millrace_fault": "unknown_field:/tier"}


def test_numbers_keep_their_digits_and_null_is_absent() -> None:
    body = b'{"a":1.10,"b":null,"properties":{"c":2.50},' + json.dumps(CLICK).encode()[1:]
    stored = decoded(sent(body))
    assert stored["properties"] == {"a": "1.10", "c": "2.50", "_millrace_fault": "unknown_field:/a unknown_field:/b"}


def test_a_field_of_transactions_becomes_a_property() -> None:
    stored = mended(amount=59.90, order_id="o")
    assert stored["properties"] == {
        "amount": "59.9", "order_id": "o", "_millrace_fault": "unknown_field:/amount unknown_field:/order_id",
    }  # fmt: skip


def test_an_unknown_action_becomes_other_and_is_kept() -> None:
    stored = mended(action="wishlist")
    assert stored["action"] == "other"
    assert stored["properties"] == {"_millrace_action": "wishlist", "_millrace_fault": "invalid_enum:/action"}


@pytest.mark.parametrize(
    ("field", "limit"), [("page_url", 8192), ("referrer", 8192), ("user_agent", 1024), ("search_query", 1024)]
)
def test_a_text_that_is_too_long_is_cut_to_its_limit(field: str, limit: int) -> None:
    stored = mended(**{field: "é" * (limit + 1)})
    assert stored[field] == "é" * limit
    assert stored["properties"] == {"_millrace_fault": f"invalid_text:/{field}"}


def test_properties_that_are_nested_or_too_long_become_texts_within_the_limit() -> None:
    stored = mended(properties={"list": [1.50, None], "long": "x" * 8193, "fine": 1.25})
    assert stored["properties"] == {
        "list": "[1.5, null]", "long": "x" * 8192, "fine": "1.25",
        "_millrace_fault": "wrong_type:/properties/list invalid_text:/properties/long",
    }  # fmt: skip


def test_an_old_event_is_accepted_with_its_own_time() -> None:
    stored = mended(timestamp=NOW_MS - 400 * DAY_MS)
    assert int(stored["timestamp"].timestamp() * 1000) == NOW_MS - 400 * DAY_MS
    assert stored["properties"] == {"_millrace_fault": "timestamp_too_old:/timestamp"}


def test_several_faults_are_all_mended_and_all_named() -> None:
    outcome = sent(json.dumps({**CLICK, "action": "hover", "x": 1, "timestamp": 1, "user_agent": "a" * 2000}).encode())
    assert isinstance(outcome, Mended)
    assert outcome.reasons == {"invalid_enum", "unknown_field", "timestamp_too_old", "invalid_text"}
    mark = decoded(outcome)["properties"]["_millrace_fault"]
    assert sorted(mark.split()) == [
        "invalid_enum:/action", "invalid_text:/user_agent", "timestamp_too_old:/timestamp", "unknown_field:/x",
    ]  # fmt: skip


def test_a_mark_stays_short_however_many_faults_there_are() -> None:
    stored = mended(**{f"field_number_{n}": n for n in range(60)})
    assert len(stored["properties"]) == 61
    assert len(stored["properties"]["_millrace_fault"]) <= 1026
    assert stored["properties"]["_millrace_fault"].endswith(" …")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_id": ""}, Reason.INVALID_ID),
        ({"user_id": None}, Reason.MISSING_FIELD),
        ({"user_id": "a\nb", "x": 1}, Reason.UNKNOWN_FIELD),
        ({"timestamp": NOW_MS + 300_001}, Reason.TIMESTAMP_IN_FUTURE),
        ({"timestamp": -1}, Reason.INVALID_TIMESTAMP),
        ({"timestamp": "soon"}, Reason.INVALID_TIMESTAMP),
        ({"action": None}, Reason.MISSING_FIELD),
        ({"action": 1}, Reason.WRONG_TYPE),
        ({"category": "c" * 257}, Reason.INVALID_TEXT),
        ({"page_url": "a\0"}, Reason.INVALID_TEXT),
        ({"page_url": "\0" + "a" * 9000, "action": "x"}, Reason.INVALID_ENUM),
        ({"page_url": "\0" + "a" * 9000}, Reason.INVALID_TEXT),
        ({"properties": {"k": "\0"}}, Reason.INVALID_TEXT),
        ({"properties": {"k" * 129: "v"}}, Reason.INVALID_TEXT),
        ({"properties": {"x" * 129: [1]}}, Reason.WRONG_TYPE),
        ({"x" * 129: 1}, Reason.UNKNOWN_FIELD),
        ({"x": "\0"}, Reason.UNKNOWN_FIELD),
        ({"x": 1, "properties": {"x": 2}}, Reason.UNKNOWN_FIELD),
        ({"amount": 1, "properties": {"amount": 2}}, Reason.UNKNOWN_FIELD),
        ({"x": 1, "properties": {str(n): n for n in range(63)}}, Reason.UNKNOWN_FIELD),
        ({"action": "x", "properties": {str(n): n for n in range(63)}}, Reason.INVALID_ENUM),
        ({"properties": {str(n): n for n in range(65)}}, Reason.TOO_MANY_PROPERTIES),
        ({"properties": [1]}, Reason.WRONG_TYPE),
        ({"type": "click", "x": 1}, Reason.UNKNOWN_FIELD),
        ({"transaction_id": "t"}, Reason.UNKNOWN_TYPE),
    ],
    ids=lambda told: str(told)[:40],
)  # fmt: skip
def test_what_is_not_lenient_is_refused_for_its_own_reason(change: dict[str, Any], reason: Reason) -> None:
    assert sent(json.dumps({**CLICK, **change}).encode()) is reason


@pytest.mark.parametrize(
    "change", [{"x": 1}, {"timestamp": 1}, {"kind": "gift"}, {"currency": "EUR"}, {"payment_method": "x" * 65},
               {"amount": -1}, {"page_url": "/"}],
)  # fmt: skip
def test_a_transaction_is_never_mended(change: dict[str, Any]) -> None:
    for body in ({**SALE, **change}, {**SALE, **change, "type": "transaction"}):
        assert isinstance(sent(json.dumps(body).encode()), Reason)


def test_without_the_bytes_only_what_the_decoded_event_shows_is_mended() -> None:
    assert sent(json.dumps({**CLICK, "x": 1}).encode(), with_raw=False) is Reason.UNKNOWN_FIELD
    assert isinstance(sent(json.dumps({**CLICK, "action": "x"}).encode(), with_raw=False), Mended)


ODD = st.sampled_from(["\0", "x" * 9000, "e", "1", NOW_MS, "2026-03-01T12:00:00Z"])
JSON_VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
NAMES = st.sampled_from([*Incoming.__struct_fields__, "x", "é", "_millrace_fault"]) | st.text(max_size=6)


@given(st.dictionaries(NAMES, JSON_VALUES, max_size=5), st.booleans())
def test_whatever_is_mended_is_stored_safely_and_says_so(change: dict[str, Any], imported: bool) -> None:
    outcome = sent(json.dumps({**CLICK, **change}).encode(), imported=imported)
    if isinstance(outcome, Mended):
        stored = decoded(outcome)
        assert outcome.record.topic == "clickstream"
        assert stored["properties"]["_millrace_fault"]
        assert len(stored["properties"]) <= 64
        texts = [v for v in stored.values() if isinstance(v, str)]
        texts += [text for pair in stored["properties"].items() for text in pair]
        assert not any("\0" in text or len(text) > 8192 for text in texts)
