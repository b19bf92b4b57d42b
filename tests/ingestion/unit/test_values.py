"""Single values: what is kept, and exactly as what."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.rejections import Reason
from ingestion import values
from ingestion.decode_avro import Cursor, read_map_of, read_string
from ingestion.decode_json import read_json
from ingestion.errors import EventRefusedError
from ingestion.events import Incoming
from ingestion.validate import Validator

pytestmark = pytest.mark.unit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stated", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00", 0),
        ("1970-01-01 00:00:00.001", 1),
        ("1970-01-01T01:00+01:00", 0),
        ("2026-03-01T12:00:00.123456789Z", 1_772_366_400_123),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("9999-12-31T23:59:59.999Z", values.MAX_TIMESTAMP_MS),
        ("2026-03-01", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-03-01x12:00:00Z", None),
        ("1772366400000", None),
        ("", None),
    ],
)
def test_times_are_read_as_iso_8601(stated: str, milliseconds: int | None) -> None:
    assert values.parse_iso_8601(stated) == milliseconds


@given(st.integers(0, values.MAX_TIMESTAMP_MS), st.integers(-14 * 60, 14 * 60))
def test_any_zone_gives_the_same_instant(at: int, offset_minutes: int) -> None:
    moment = EPOCH + timedelta(milliseconds=at)
    stated = (moment.replace(tzinfo=None) + timedelta(minutes=offset_minutes)) if 1e8 < at < 2.5e14 else None
    if stated is not None:
        sign = "-" if offset_minutes < 0 else "+"
        zone = f"{sign}{abs(offset_minutes) // 60:02}:{abs(offset_minutes) % 60:02}"
        assert values.parse_iso_8601(stated.isoformat(timespec="milliseconds") + zone) == at
    assert values.parse_iso_8601(values.iso_8601(at)) == at


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_not(text: str) -> None:
    assert isinstance(values.parse_iso_8601(text), int | None)


@given(st.integers(0, 10**18 - 1))
def test_an_amount_is_exact_however_it_is_written(unscaled: int) -> None:
    amount = Decimal(unscaled).scaleb(-4)
    for written in (f"{amount:f}".encode(), f'"{amount:f}"'.encode(), f'"{amount:E}"'.encode()):
        (event,) = read_json(b'{"amount":' + written + b"}", 1, 1000).events
        assert isinstance(event, Incoming)
        assert values.amount(event.amount) == unscaled


@given(st.decimals(allow_nan=True, allow_infinity=True))
def test_an_amount_is_kept_exactly_or_refused(amount: Decimal) -> None:
    try:
        unscaled = values.amount(amount)
    except EventRefusedError as refused:
        reason = refused.reason
    else:
        assert 0 <= unscaled < 10**18
        assert Decimal(unscaled) == amount * 10**4
        return
    assert reason is Reason.INVALID_AMOUNT


def test_a_uuid_is_lower_cased_and_any_other_id_is_left_alone() -> None:
    assert values.checked_id("x", "2F1E9A6C-8F0E-4F0B-9D5A-0C1A52C8C1DE") == "2f1e9a6c-8f0e-4f0b-9d5a-0c1a52c8c1de"
    assert values.checked_id("x", "Evt_ÄB") == "Evt_ÄB"
    assert values.checked_id("x", "2F1E9A6C-8F0E-4F0B-9D5A-0C1A52C8C1DX") == "2F1E9A6C-8F0E-4F0B-9D5A-0C1A52C8C1DX"


@pytest.mark.parametrize("text", ["'; DROP TABLE x", "%_\\", "${jndi:ldap://x}", "{{7*7}}", "=cmd()", "http://[::1]/"])
def test_text_that_looks_like_code_is_kept_as_it_is(text: str) -> None:
    assert values.text("category", text) == text
    assert values.checked_id("user_id", text) == text


def test_properties_keep_numbers_and_booleans_as_their_json_text() -> None:
    (event,) = read_json(
        b'{"properties":{"a":"x","b":1.10,"c":true,"d":null,"e":-7,"f":1e400,"g":12345678901234567890.5}}', 1, 1000
    ).events
    assert isinstance(event, Incoming)
    assert event.properties is not None
    assert properties_of(event.properties) == {
        "a": "x", "b": "1.10", "c": "true", "e": "-7", "f": "1e400", "g": "12345678901234567890.5",
    }  # fmt: skip


def properties_of(entries: dict[str, Any]) -> dict[str, Any]:
    """What the map of properties says once it is read again."""
    assert values.PROPERTIES_CHECK.encode is not None
    cursor = Cursor(values.PROPERTIES_CHECK.encode(entries))
    found = read_map_of(read_string, cursor)
    assert cursor.position == cursor.end
    return found


NAMES = st.text(max_size=6) | st.sampled_from(["n" * 128, "n" * 129, "a\0"])
PROPERTY = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=12)
    | st.sampled_from(["x" * 8192, "x" * 8193, "é" * 3000, "\0", 1.5, []])
)  # fmt: skip


@given(st.dictionaries(NAMES, PROPERTY, max_size=66))
@example({"one": 1, "yes": True, "text": "1"})
def test_properties_are_encoded_as_they_are_told_or_refused_for_the_same_reason(entries: dict[str, Any]) -> None:
    def outcome(read: Callable[[dict[str, Any]], dict[str, str]]) -> Any:
        try:
            return read(entries)
        except EventRefusedError as refused:
            return refused.reason, refused.pointer

    assert outcome(properties_of) == outcome(values.properties)


CHECKS = {
    "an id": values.id_check("user_id"),
    "a text": values.text_check("category"),
    "a required text": values.required_text_check("payment_method"),
    "a symbol": values.symbol_check("kind", frozenset({"purchase", "refund"})),
}
ANY_TEXT = (
    st.text(max_size=130) | st.uuids().map(lambda id: str(id).upper()) | st.sampled_from(["", "\x7f", "a\n", "x" * 129])
)


@pytest.mark.parametrize("name", CHECKS)
@given(value=st.none() | ANY_TEXT)
def test_a_value_is_passed_over_only_if_its_check_would_leave_it_as_it_is(name: str, value: str | None) -> None:
    check = CHECKS[name]
    if eval(check.fine.format("value"), {"value": value}):
        assert check.settle(value) == value


def test_the_shops_currency_is_filled_in(purchase: dict[str, Any], validator: Validator, now_ms: int) -> None:
    (absent,) = read_json(msgspec.json.encode(purchase), 1, 1000).events
    (stated,) = read_json(msgspec.json.encode({**purchase, "currency": "USD"}), 1, 1000).events
    assert isinstance(absent, Incoming)
    assert isinstance(stated, Incoming)
    assert validator.check(absent, now_ms, imported=False) == validator.check(stated, now_ms, imported=False)
