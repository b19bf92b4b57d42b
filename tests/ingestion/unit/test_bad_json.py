"""The bad-input matrix for JSON: what is wrong, which reason, which pointer, and what becomes of its neighbours."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rejections import Reason
from ingestion.decode_json import read_json, read_ndjson
from ingestion.errors import BodyUnreadableError, EventRefusedError, RequestRefusedError
from ingestion.events import Batch, Event, Incoming
from ingestion.validate import Validator

pytestmark = pytest.mark.unit

MAX_EVENTS = 100
MAX_EVENT_BYTES = 4096
DAY_MS = 86_400_000


def read(body: bytes) -> Batch:
    return read_json(body, MAX_EVENTS, MAX_EVENT_BYTES)


def lines(body: bytes) -> Batch:
    return read_ndjson(body, MAX_EVENTS, MAX_EVENT_BYTES)


def verdict(event: Event, validator: Validator, now_ms: int) -> EventRefusedError | None:
    if isinstance(event, EventRefusedError):
        return event
    assert isinstance(event, Incoming)
    try:
        validator.check(event, now_ms, imported=False)
    except EventRefusedError as refused:
        return refused
    return None


UNREADABLE = {
    "an empty body": b"",
    "no JSON at all": b"event",
    "an open array": b'[{"event_id":"e"}',
    "one element of an array malformed": b'[{"event_id":"e"},{"event_id" "f"}]',
    "text after the value": b'{"event_id":"e"} x',
    "two objects in a row": b"{} {}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "the literal NaN": b'{"amount":NaN}',
    "a half surrogate": b'{"event_id":"\\ud800"}',
    "invalid UTF-8": b'{"event_id":"\xff"}',
    "a bare control character": b'{"event_id":"\x00"}',
    "nesting 100,000 deep": b'{"properties":' + b"[" * 100_000,
    "nesting 2,000 deep": b'{"properties":' + b"[" * 2000,
    "an array nested 100,000 deep": b"[" * 100_000,
    "a leading zero": b'{"quantity":01}',
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_an_unreadable_body_is_refused_as_a_whole(case: str) -> None:
    with pytest.raises(BodyUnreadableError) as caught:
        read_json(UNREADABLE[case], MAX_EVENTS, 1 << 20)
    assert caught.value.reason is Reason.MALFORMED_JSON
    assert caught.value.detail


@pytest.mark.parametrize("body", [b"[]", b"[ ]"])
def test_an_empty_batch_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRefusedError, match="empty_batch"):
        read(body)


@pytest.mark.parametrize("body", [b"", b"\n\n", b"  \r\n"])
def test_ndjson_without_an_event_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRefusedError, match="empty_batch"):
        lines(body)


@pytest.mark.parametrize("events", [MAX_EVENTS - 1, MAX_EVENTS, MAX_EVENTS + 1])
def test_the_number_of_events_is_limited(events: int) -> None:
    array, stream = b"[" + b",".join([b"{}"] * events) + b"]", b"{}\n" * events
    for reader, body in ((read, array), (lines, stream)):
        if events <= MAX_EVENTS:
            assert len(reader(body).events) == events
        else:
            with pytest.raises(RequestRefusedError, match="too_many_events"):
                reader(body)


def test_millions_of_tiny_elements_are_refused_before_they_are_made() -> None:
    for reader, body in ((read, b"[" + b"1," * 1_000_000 + b"1]"), (lines, b"\n" * 1_000_000)):
        with pytest.raises(RequestRefusedError, match="too_many_events"):
            reader(body)


@pytest.mark.parametrize("size", [MAX_EVENT_BYTES, MAX_EVENT_BYTES + 1])
def test_an_event_that_is_too_large_is_refused_alone(size: int) -> None:
    padded = b'{"event_id":"%s"}' % (b"e" * (size - 15))
    assert len(padded) == size
    for batch in (read(b"[{}," + padded + b"]"), lines(b"{}\n" + padded)):
        assert isinstance(batch.events[0], Incoming)
        refused = batch.events[1]
        assert isinstance(refused, EventRefusedError) == (size > MAX_EVENT_BYTES)
        if isinstance(refused, EventRefusedError):
            assert refused.reason is Reason.EVENT_TOO_LARGE
            assert batch.raw(1) == padded


def test_a_bad_line_is_refused_alone_and_kept_as_it_was() -> None:
    batch = lines(b'{"event_id":"a"}\r\n\n{"event_id":\n{"event_id":"c"}\n')
    first, second, third = batch.events
    assert isinstance(first, Incoming)
    assert isinstance(third, Incoming)
    assert isinstance(second, EventRefusedError)
    assert second.reason is Reason.MALFORMED_JSON
    assert batch.raw(1) == b'{"event_id":'


def test_an_element_with_invalid_utf8_is_refused_alone() -> None:
    batch = read(b'[{"event_id":"a"}, {"event_id":"\xff"}]')
    assert isinstance(batch.events[0], Incoming)
    assert isinstance(batch.events[1], EventRefusedError)
    assert batch.events[1].reason is Reason.MALFORMED_JSON


def test_a_repeated_key_counts_with_its_last_value() -> None:
    (event,) = read(b'{"event_id":"a","event_id":"b"}').events
    assert isinstance(event, Incoming)
    assert event.event_id == "b"


CLICK_CASES: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "no id field": ({"event_id": None}, Reason.UNKNOWN_TYPE, ""),
    "two id fields": ({"transaction_id": "t"}, Reason.UNKNOWN_TYPE, ""),
    "an unknown type": ({"type": "order"}, Reason.UNKNOWN_TYPE, "/type"),
    "the wrong type": ({"type": "transaction"}, Reason.MISSING_FIELD, "/transaction_id"),
    "no user": ({"user_id": None}, Reason.MISSING_FIELD, "/user_id"),
    "no session": ({"session_id": None}, Reason.MISSING_FIELD, "/session_id"),
    "no action": ({"action": None}, Reason.MISSING_FIELD, "/action"),
    "no time": ({"timestamp": None}, Reason.MISSING_FIELD, "/timestamp"),
    "a number for a text": ({"user_id": 7}, Reason.WRONG_TYPE, "/user_id"),
    "a boolean for a time": ({"timestamp": True}, Reason.WRONG_TYPE, "/timestamp"),
    "a fraction for a time": ({"timestamp": 1.5}, Reason.WRONG_TYPE, "/timestamp"),
    "a list for properties": ({"properties": []}, Reason.WRONG_TYPE, "/properties"),
    "an unknown field": ({"colour": "red"}, Reason.UNKNOWN_FIELD, "/colour"),
    "an unknown field to be escaped": ({"a/b~c": "red"}, Reason.UNKNOWN_FIELD, "/a~1b~0c"),
    "a field of the other subject": ({"amount": "1.00"}, Reason.UNKNOWN_FIELD, "/amount"),
    "an empty id": ({"event_id": ""}, Reason.INVALID_ID, "/event_id"),
    "an id of 129 characters": ({"event_id": "e" * 129}, Reason.INVALID_ID, "/event_id"),
    "an id with a line break": ({"user_id": "a\nb"}, Reason.INVALID_ID, "/user_id"),
    "an id with a NUL": ({"session_id": "a\0b"}, Reason.INVALID_ID, "/session_id"),
    "an empty optional id": ({"product_id": ""}, Reason.INVALID_ID, "/product_id"),
    "a text with a NUL": ({"page_url": "a\0b"}, Reason.INVALID_TEXT, "/page_url"),
    "a text too long": ({"category": "c" * 257}, Reason.INVALID_TEXT, "/category"),
    "an unknown action": ({"action": "hover"}, Reason.INVALID_ENUM, "/action"),
    "an action in capitals": ({"action": "VIEW"}, Reason.INVALID_ENUM, "/action"),
    "a time that is none": ({"timestamp": "yesterday"}, Reason.INVALID_TIMESTAMP, "/timestamp"),
    "a date alone": ({"timestamp": "2026-03-01"}, Reason.INVALID_TIMESTAMP, "/timestamp"),
    "the year 10000": ({"timestamp": 253_402_300_800_000}, Reason.INVALID_TIMESTAMP, "/timestamp"),
    "2^63": ({"timestamp": 2**63}, Reason.INVALID_TIMESTAMP, "/timestamp"),
    "before 1970": ({"timestamp": -1}, Reason.INVALID_TIMESTAMP, "/timestamp"),
    "65 properties": ({"properties": {str(n): "x" for n in range(65)}}, Reason.TOO_MANY_PROPERTIES, "/properties"),
    "a nested property": ({"properties": {"a/b": {}}}, Reason.WRONG_TYPE, "/properties/a~1b"),
    "a property with a NUL": ({"properties": {"a": "\0"}}, Reason.INVALID_TEXT, "/properties/a"),
}
PURCHASE_CASES: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "no product": ({"product_id": None}, Reason.MISSING_FIELD, "/product_id"),
    "no category": ({"category": None}, Reason.MISSING_FIELD, "/category"),
    "no amount": ({"amount": None}, Reason.MISSING_FIELD, "/amount"),
    "no quantity": ({"quantity": None}, Reason.MISSING_FIELD, "/quantity"),
    "no payment method": ({"payment_method": None}, Reason.MISSING_FIELD, "/payment_method"),
    "a field of the other subject": ({"page_url": "x"}, Reason.UNKNOWN_FIELD, "/page_url"),
    "a negative amount": ({"amount": "-0.01"}, Reason.INVALID_AMOUNT, "/amount"),
    "an amount of 15 digits": ({"amount": "100000000000000"}, Reason.INVALID_AMOUNT, "/amount"),
    "an amount with five decimals": ({"amount": "0.00001"}, Reason.INVALID_AMOUNT, "/amount"),
    "an amount with seventy decimals": ({"amount": "0." + "0" * 69 + "1"}, Reason.INVALID_AMOUNT, "/amount"),
    "an amount NaN": ({"amount": "NaN"}, Reason.INVALID_AMOUNT, "/amount"),
    "an amount Infinity": ({"amount": "-Infinity"}, Reason.INVALID_AMOUNT, "/amount"),
    "an amount 1e400": ({"amount": msgspec.Raw(b"1e400")}, Reason.INVALID_AMOUNT, "/amount"),
    "an amount 1e-400000": ({"amount": "1e-400000"}, Reason.INVALID_AMOUNT, "/amount"),
    "an amount that is no number": ({"amount": "12,50"}, Reason.INVALID_AMOUNT, "/amount"),
    "an amount that is a boolean": ({"amount": True}, Reason.WRONG_TYPE, "/amount"),
    "no units": ({"quantity": 0}, Reason.INVALID_QUANTITY, "/quantity"),
    "negative units": ({"quantity": -1}, Reason.INVALID_QUANTITY, "/quantity"),
    "too many units": ({"quantity": 1_000_001}, Reason.INVALID_QUANTITY, "/quantity"),
    "2^40 units": ({"quantity": 2**40}, Reason.INVALID_QUANTITY, "/quantity"),
    "half a unit": ({"quantity": 0.5}, Reason.WRONG_TYPE, "/quantity"),
    "units as text": ({"quantity": "1"}, Reason.WRONG_TYPE, "/quantity"),
    "another currency": ({"currency": "EUR"}, Reason.CURRENCY_NOT_ACCEPTED, "/currency"),
    "an unknown kind": ({"kind": "gift"}, Reason.INVALID_ENUM, "/kind"),
    "a number of 5,000 digits": ({"quantity": msgspec.Raw(b"9" * 5000)}, Reason.WRONG_TYPE, ""),
}


def check_case(event: dict[str, Any], reason: Reason, pointer: str, validator: Validator, now_ms: int) -> None:
    body = msgspec.json.encode(event)
    good = msgspec.json.encode({"event_id": "good"})
    for batch, index in (
        (read_json(body, 100, 1 << 18), 0),
        (read_json(b"[" + good + b"," + body + b"]", 100, 1 << 18), 1),
        (read_ndjson(good + b"\n" + body, 100, 1 << 18), 1),
    ):
        refused = verdict(batch.events[index], validator, now_ms)
        assert refused is not None
        assert (refused.reason, refused.pointer) == (reason, pointer)
        assert refused.detail
        assert batch.raw(index) == body


@pytest.mark.parametrize("case", CLICK_CASES)
def test_a_bad_clickstream_event_gets_its_reason_and_pointer(
    case: str, click: dict[str, Any], validator: Validator, now_ms: int
) -> None:
    change, reason, pointer = CLICK_CASES[case]
    check_case({**click, **change}, reason, pointer, validator, now_ms)


@pytest.mark.parametrize("case", PURCHASE_CASES)
def test_a_bad_transaction_gets_its_reason_and_pointer(
    case: str, purchase: dict[str, Any], validator: Validator, now_ms: int
) -> None:
    change, reason, pointer = PURCHASE_CASES[case]
    check_case({**purchase, **change}, reason, pointer, validator, now_ms)


@pytest.mark.parametrize("value", [b"7", b'"x"', b"null", b"[]", b"true"])
def test_an_element_that_is_no_object_is_refused_alone(value: bytes, validator: Validator, now_ms: int) -> None:
    refused = verdict(read(b"[{}," + value + b"]").events[1], validator, now_ms)
    assert refused is not None
    assert refused.reason is Reason.WRONG_TYPE


TIMES = {
    "exactly at the tolerance": (300_000, False, None),
    "just beyond the tolerance": (300_001, False, Reason.TIMESTAMP_IN_FUTURE),
    "beyond the tolerance, imported": (300_001, True, Reason.TIMESTAMP_IN_FUTURE),
    "exactly at the greatest age": (-7 * DAY_MS, False, None),
    "just older": (-7 * DAY_MS - 1, False, Reason.TIMESTAMP_TOO_OLD),
    "just older, imported": (-7 * DAY_MS - 1, True, None),
}


@pytest.mark.parametrize("case", TIMES)
def test_time_is_bounded_on_both_sides_and_import_lifts_the_past(
    case: str, click: dict[str, Any], validator: Validator, now_ms: int
) -> None:
    offset_ms, imported, reason = TIMES[case]
    event = Incoming(**{**click, "timestamp": now_ms + offset_ms})
    if reason is None:
        assert validator.check(event, now_ms, imported=imported).event_id == "evt_1"
    else:
        with pytest.raises(EventRefusedError) as caught:
            validator.check(event, now_ms, imported=imported)
        assert caught.value.reason is reason
        assert caught.value.event_id == "evt_1"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELD = st.sampled_from([*Incoming.__struct_fields__, "colour"])


@given(st.lists(st.dictionaries(FIELD, JSON, max_size=6), min_size=1, max_size=4))
def test_typed_decoding_and_diagnosis_agree_on_any_json(events: list[dict[str, Any]]) -> None:
    """Whatever the values, every event is either typed or refused for a named reason; nothing else is raised."""
    body = b"[" + b",".join(msgspec.json.encode(event) for event in events) + b"]"
    for event in read_json(body, 100, 1 << 18).events:
        if isinstance(event, EventRefusedError):
            assert event.pointer or event.detail.startswith("Integer value out of range")


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for reader in (read, lines):
        with suppress(RequestRefusedError):
            assert reader(body).events
