"""The bad-input table for Avro, byte by byte, each value between two sound ones; and what is unusual but legal."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import pytest

from ingestion.encode import varint
from processing.avro.maps import FEW, MAX_MAP_ENTRIES
from schemas_avro import load_registry
from tests.processing.avro_oracles import MALFORMED, UNKNOWN, by_gateway, decoded, faulty

pytestmark = pytest.mark.unit

REGISTRY: Final = load_registry()
NOW_MS: Final = 1_772_366_400_000
ENTRY: Final = b"\x02a\x021"
MAXIMUM: Final = 2**63 - 1


def click(**parts: bytes) -> bytes:
    """A clickstream value, version 2, whose fields are given as raw bytes."""
    fields = {
        "event_id": b"\x02e", "user_id": b"\x02u", "session_id": b"\x02s", "product_id": b"\x02\x02p",
        "category": b"\0", "action": b"\x02", "timestamp": varint(NOW_MS), "page_url": b"\0", "referrer": b"\0",
        "user_agent": b"\0", "search_query": b"\0", "properties": b"\x04\x02k\x02v\x02l\x02w\0", "more": b"",
    }  # fmt: skip
    assert parts.keys() <= fields.keys()
    return b"\0\0\0\0\4" + b"".join((fields | parts).values())


def sale(**parts: bytes) -> bytes:
    fields = {
        "transaction_id": b"\x02t", "user_id": b"\x02u", "session_id": b"\x02s", "product_id": b"\x02p",
        "category": b"\x02c", "amount": b"\x04\x01\0", "quantity": b"\x02", "timestamp": varint(NOW_MS),
        "payment_method": b"\x02m", "order_id": b"\0", "currency": b"\x06USD", "kind": b"\0",
    }  # fmt: skip
    assert parts.keys() <= fields.keys()
    return b"\0\0\0\0\5" + b"".join((fields | parts).values())


def refused(**parts: bytes) -> bytes:
    texts = ("rejection_id", "received_at", "source", "reason", "pointer", "detail", "content_type")
    fields = {
        **dict.fromkeys(texts, b"\0"), "schema_id": b"\x02\x02", "event_id": b"\0", "traceparent": b"\0",
        "raw": b"\x02\xff", "truncated": b"\1",
    }  # fmt: skip
    assert parts.keys() <= fields.keys()
    return b"\0\0\0\0\2" + b"".join((fields | parts).values())


def amount(unscaled: bytes) -> bytes:
    return sale(amount=varint(len(unscaled)) + unscaled)


def entries(count: int) -> bytes:
    return b"".join(b"\x0a%05d\x021" % number for number in range(count))


SUBJECTS: Final[dict[str, Callable[..., bytes]]] = {"clickstream": click, "transactions": sale, "rejected": refused}

UNKNOWN_SCHEMAS: Final[dict[str, bytes | None]] = {
    "null": None,
    "no bytes": b"",
    "a header of one byte": b"\0",
    "a header of four bytes": b"\0\0\0\0",
    "a magic byte of 1": b"\1" + click()[1:],
    "id 0": b"\0\0\0\0\0" + click()[5:],
    "id 99": b"\0\0\0\0\x63" + click()[5:],
    "id -1": b"\0\xff\xff\xff\xff" + click()[5:],
    "id 2^24 + 4": b"\0\1\0\0\4" + click()[5:],
    "an id of another subject": sale(),
    "JSON": b'{"event_id":"e"}',
}

MALFORMED_VALUES: Final = {
    "an empty datum": click()[:5],
    "bytes left over": click(more=b"\x07"),
    "cut short": click()[:-3],
    "union index -1": click(product_id=b"\1\x02p"),
    "union index 2": click(product_id=b"\x04\x02p"),
    "union index 7": click(product_id=b"\x0e"),
    "union index of 2^63 - 1": click(product_id=varint(MAXIMUM)),
    "enum index -1": click(action=b"\1"),
    "enum index 9": click(action=b"\x12"),
    "an enum index of six bytes": click(action=b"\x80" * 5 + b"\0"),
    "a boolean of 7": refused(truncated=b"\7"),
    "a boolean of 255": refused(truncated=b"\xff"),
    "an int of 2^31": sale(quantity=varint(2**31)),
    "an int of -2^31 - 1": sale(quantity=varint(-(2**31) - 1)),
    "an int of 2^40": sale(quantity=varint(2**40)),
    "an int of six bytes": sale(quantity=b"\x82" + b"\x80" * 4 + b"\0"),
    "a nullable int of 2^31": refused(schema_id=b"\x02" + varint(2**31)),
    "an integer of eleven bytes": click(timestamp=b"\x80" * 10 + b"\0"),
    "an integer of twelve bytes": click(timestamp=b"\xff" * 11 + b"\1"),
    "an integer of ten bytes and 65 bits": click(timestamp=b"\xff" * 9 + b"\2"),
    "an integer of ten bytes and 70 bits": click(timestamp=b"\xff" * 9 + b"\x7f"),
    "an integer that does not end": click(properties=b"\x80"),
    "a length of 2^63 - 1": click(event_id=varint(MAXIMUM)),
    "a length of -2^63": click(event_id=varint(-(2**63))),
    "a length of 2^40": click(event_id=varint(2**40)),
    "a length of 2^31": click(event_id=varint(2**31)),
    "a length of -5": click(event_id=varint(-5)),
    "a length of one too many": refused(raw=b"\x06\xff"),
    "a length into the next value": refused(raw=b"\x20\xff"),
    "invalid UTF-8": click(event_id=b"\x02\xff"),
    "UTF-8 cut short": click(event_id=b"\x04\xe6\x97"),
    "UTF-8 that is too long": click(event_id=b"\x04\xc0\xaf"),
    "UTF-8 above U+10FFFF": click(event_id=b"\x08\xf4\x90\x80\x80"),
    "a surrogate in UTF-8": click(event_id=b"\x06\xed\xa0\x80"),
    "invalid UTF-8 in a nullable": click(referrer=b"\x02\x02\xff"),
    "a character over two fields": click(event_id=b"\x02\xc3", user_id=b"\x02\xbc"),
    "invalid UTF-8 in a key": click(properties=b"\x02\x02\xff\x021\0"),
    "invalid UTF-8 in a map's value": click(properties=b"\x02\x02a\x02\xff\0"),
    "a character over key and value": click(properties=b"\x02\x02\xc3\x02\xbc\0"),
    "a decimal of no bytes": amount(b""),
    "a decimal of 19 digits": amount((10**18).to_bytes(8, "big")),
    "a negative decimal of 19 digits": amount((-(10**18)).to_bytes(8, "big", signed=True)),
    "a decimal of 2^64": amount((2**64).to_bytes(9, "big")),
    "a decimal of -2^64 + 1": amount((1 - 2**64).to_bytes(9, "big", signed=True)),
    "a decimal of 17 sign bytes": amount(bytes(17)),
    "a decimal of 100 bytes": amount(b"\x7f" * 100),
    "a map without its end": click(properties=b"\x02" + ENTRY),
    "a map of fewer entries": click(properties=b"\x04" + ENTRY + b"\0"),
    "a map of 2^40 entries": click(properties=varint(2**40)),
    "a map of 2^63 - 1 entries": click(properties=varint(MAXIMUM) + ENTRY),
    "a map of -2^63 entries": click(properties=varint(-(2**63)) + b"\0"),
    "a key of one byte too many": click(properties=b"\x02\x04a"),
    "a map's value of one byte too many": click(properties=b"\x02\x02a\x041"),
    "a map with a negative length": click(properties=b"\x02\x01a\x021\0"),
    "a key's length of eleven bytes": click(properties=b"\1\x1c\x82" + b"\x80" * 9 + b"\0a\x021\0"),
    "a key's length of 65 bits": click(properties=b"\1\x1a" + b"\x82" + b"\x80" * 8 + b"\2a\x021\0"),
    "a block of another size": click(properties=b"\1\x0a" + ENTRY + b"\0"),
    "a block of no size": click(properties=b"\1\0" + ENTRY + b"\0"),
    "a second block that is cut short": click(properties=b"\x02" + ENTRY + b"\x02\x02b"),
    "too many entries": click(properties=varint(MAX_MAP_ENTRIES + 1) + entries(MAX_MAP_ENTRIES + 1) + b"\0"),
    "too many entries in all": click(properties=(varint(MAX_MAP_ENTRIES) + ENTRY * MAX_MAP_ENTRIES) * 2 + b"\0"),
}

LEGAL: Final[dict[str, tuple[bytes, str, Any]]] = {
    "the largest long": (click(timestamp=varint(MAXIMUM)), "timestamp", MAXIMUM),
    "the smallest long": (click(timestamp=varint(-(2**63))), "timestamp", -(2**63)),
    "a long of ten bytes for a small value": (click(timestamp=b"\x82" + b"\x80" * 8 + b"\0"), "timestamp", 1),
    "the largest int": (sale(quantity=varint(2**31 - 1)), "quantity", 2**31 - 1),
    "the smallest int": (sale(quantity=varint(-(2**31))), "quantity", -(2**31)),
    "an int of five bytes for a small value": (sale(quantity=b"\x84\x80\x80\x80\0"), "quantity", 2),
    "a union index of ten bytes": (click(referrer=b"\x82" + b"\x80" * 8 + b"\0\x02r"), "referrer", "r"),
    "the last enum symbol": (click(action=b"\x10"), "action", "other"),
    "NUL in a text": (click(category=b"\x02\x06a\0b"), "category", "a\0b"),
    "the last character": (click(category=b"\x02\x08\xf4\x8f\xbf\xbf"), "category", "\U0010ffff"),
    "the largest decimal": (amount((10**18 - 1).to_bytes(8, "big")), "amount", Decimal("99999999999999.9999")),
    "the smallest decimal": (
        amount((1 - 10**18).to_bytes(8, "big", signed=True)), "amount", Decimal("-99999999999999.9999"),
    ),
    "a decimal of one sign byte": (amount(b"\xff"), "amount", Decimal("-0.0001")),
    "a decimal of 16 bytes": (amount(bytes(14) + b"\1\0"), "amount", Decimal("0.0256")),
    "a negative decimal of 16 bytes": (amount(b"\xff" * 15 + b"\0"), "amount", Decimal("-0.0256")),
    "a decimal of nine bytes": (amount(b"\0" * 2 + b"\x7f" * 7), "amount", Decimal(int("7f" * 7, 16)).scaleb(-4)),
    "an empty map": (click(properties=b"\0"), "properties", {}),
    "a map of an empty key and value": (click(properties=b"\x02\0\0\0"), "properties", {"": ""}),
    "a map of one block": (click(properties=b"\x02" + ENTRY + b"\0"), "properties", {"a": "1"}),
    "a count of two bytes": (click(properties=b"\x82\0" + ENTRY + b"\0"), "properties", {"a": "1"}),
    "a map with a negative count": (click(properties=b"\1\x08" + ENTRY + b"\0"), "properties", {"a": "1"}),
    "a key's length of ten bytes": (
        click(properties=b"\1\x1a\x82" + b"\x80" * 8 + b"\0a\x021\0"), "properties", {"a": "1"},
    ),
    "a map of two blocks": (
        click(properties=b"\x02" + ENTRY + b"\1\x08\x02b\x022\0"), "properties", {"a": "1", "b": "2"},
    ),
    "a repeated key": (click(properties=b"\x04" + ENTRY + b"\x02a\x022\0"), "properties", {"a": "2"}),
    "a key repeated in another block": (
        click(properties=b"\x02" + ENTRY + b"\x02\x02a\x022\0"), "properties", {"a": "2"},
    ),
    "a key repeated among others": (
        click(properties=b"\x06" + ENTRY + b"\x02b\x022" + b"\x02a\x023\0"), "properties", {"a": "3", "b": "2"},
    ),
    "as many blocks as entries": (
        click(properties=b"".join(b"\x02\x06%03d\x021" % n for n in range(300)) + b"\0"),
        "properties", {f"{n:03}": "1" for n in range(300)},
    ),
    "as many entries as there may be": (
        click(properties=varint(MAX_MAP_ENTRIES) + entries(MAX_MAP_ENTRIES) + b"\0"),
        "properties", {f"{n:05}": "1" for n in range(MAX_MAP_ENTRIES)},
    ),
}  # fmt: skip


def subject_of(value: bytes) -> str:
    schema = REGISTRY.by_id(value[4])
    assert schema is not None
    return schema.subject


def among_sound_ones(value: bytes | None, subject: str, company: int) -> dict[str, Any]:
    """The value's row; it stands between so many sound values, which must stay sound."""
    sound = SUBJECTS[subject]()
    found = decoded(REGISTRY, subject, [*[sound] * company, value, *[sound] * company])
    row = found.pop(company)
    assert found == [by_gateway(REGISTRY, subject, sound) | {"fault": None}] * (2 * company)
    return row


COMPANY: Final = pytest.mark.parametrize("company", [0, 1, FEW])


@COMPANY
@pytest.mark.parametrize("case", UNKNOWN_SCHEMAS)
def test_a_value_without_a_schema_of_the_subject_is_of_an_unknown_one(case: str, company: int) -> None:
    row = among_sound_ones(UNKNOWN_SCHEMAS[case], "clickstream", company)
    assert row == faulty(REGISTRY, "clickstream", UNKNOWN)


@COMPANY
@pytest.mark.parametrize("case", MALFORMED_VALUES)
def test_bad_bytes_are_a_fault_of_their_value_alone(case: str, company: int) -> None:
    value = MALFORMED_VALUES[case]
    subject = subject_of(value)
    row = among_sound_ones(value, subject, company)
    assert row == faulty(REGISTRY, subject, MALFORMED) == by_gateway(REGISTRY, subject, value)


@COMPANY
@pytest.mark.parametrize("case", LEGAL)
def test_unusual_but_legal_bytes_are_read(case: str, company: int) -> None:
    value, field, wanted = LEGAL[case]
    subject = subject_of(value)
    row = among_sound_ones(value, subject, company)
    assert row["fault"] is None
    assert row[field] == wanted
    assert row == by_gateway(REGISTRY, subject, value)


BARE: Final = MALFORMED_VALUES | {case: value for case, (value, _, _) in LEGAL.items()}


@pytest.mark.parametrize(
    "case", [case for case, value in BARE.items() if len(value) < 1_000 or case == "too many entries"]
)
def test_many_of_a_kind_are_judged_as_one_is(case: str) -> None:
    """What is rare is read value by value; in numbers it is not, or a claimed size would be paid for all the same."""
    value = BARE[case]
    subject = subject_of(value)
    assert decoded(REGISTRY, subject, [value] * FEW) == [by_gateway(REGISTRY, subject, value)] * FEW


@pytest.mark.parametrize("subject", SUBJECTS)
def test_all_of_them_in_one_batch(subject: str) -> None:
    batch = [value for value in BARE.values() if subject_of(value) == subject] * 3 + [SUBJECTS[subject]()] * FEW
    assert decoded(REGISTRY, subject, batch) == [by_gateway(REGISTRY, subject, value) for value in batch]
