"""The strict decoder: the bad-input matrix for Avro, byte by byte, and mutated events in bulk."""

import io
from typing import Any

import fastavro
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.rejections import Reason
from ingestion.decode_avro import Cursor, MalformedAvroError, make_decoder, read_int, read_map_of, read_string
from ingestion.decompress import Limits
from ingestion.encode import make_encoder, varint
from ingestion.errors import BodyUnreadableError, EventRefusedError, RequestRefusedError
from ingestion.events import Batch, Incoming
from ingestion.framing import AvroReader
from ingestion.validate import Validator
from schemas_avro import RegisteredSchema, load_registry
from schemas_avro.golden import sample_bytes

pytestmark = pytest.mark.unit

REGISTRY = load_registry()
CLICK = REGISTRY.latest("clickstream")
BUY = REGISTRY.latest("transactions")
NOW_MS = 1_772_366_400_000
LIMITS = Limits(1 << 20, 200)
READER = AvroReader(REGISTRY)

CLICK_BYTES = make_encoder(CLICK)(
    "evt_1", "user_1", "s-1", "p-1", None, "view", NOW_MS, None, None, "agent", None, {"a": "1"}
)
BUY_BYTES = make_encoder(BUY)(
    "txn_1", "user_1", "s-1", "p-1", "shoes", 599000, 2, NOW_MS, "card", None, "USD", "purchase"
)


def read(body: bytes, max_events: int = 100, max_event_bytes: int = 1 << 18, limits: Limits = LIMITS) -> Batch:
    return READER.read(body, max_events, max_event_bytes, limits)


def single_object(schema: RegisteredSchema, framed: bytes) -> bytes:
    return b"\xc3\x01" + schema.crc64.to_bytes(8, "little") + framed[5:]


def container(codec: str = "null", schema: RegisteredSchema = CLICK, count: int = 3) -> bytes:
    cursor = Cursor(CLICK_BYTES, 5)
    record = make_decoder(CLICK)(cursor)
    out = io.BytesIO()
    fastavro.writer(out, schema.parsed, [record] * count, codec=codec)
    return out.getvalue()


def click_with(action: bytes | None = None, **parts: bytes) -> bytes:
    """A v1 clickstream event whose fields are given as raw bytes."""
    fields = {
        "event_id": b"\x02e", "user_id": b"\x02u", "session_id": b"\x02s", "product_id": b"\0", "category": b"\0",
        "action": b"\x02" if action is None else action, "timestamp": varint(NOW_MS),
        "page_url": b"\0", "referrer": b"\0",
    } | parts  # fmt: skip
    return b"\0\0\0\0\x01" + b"".join(fields.values())


def with_amount(unscaled: bytes) -> bytes:
    assert (599000).to_bytes(3, "big") in BUY_BYTES
    return BUY_BYTES.replace(b"\x06" + (599000).to_bytes(3, "big"), varint(len(unscaled)) + unscaled)


MALFORMED = {
    "an empty datum": b"\0\0\0\0\x01",
    "a header of one byte": b"\0",
    "a header of four bytes": b"\0\0\0\0",
    "bytes left over": CLICK_BYTES + b"\x07",
    "union index -1": click_with(product_id=b"\x01\x02p"),
    "union index 7": click_with(product_id=b"\x0e"),
    "enum index -1": click_with(action=b"\x01"),
    "enum index 9": click_with(action=b"\x12"),
    "an integer of twelve bytes": click_with(timestamp=b"\xff" * 11 + b"\x01"),
    "an integer of ten bytes and more than 64 bits": click_with(timestamp=b"\xff" * 9 + b"\x7f"),
    "an integer that does not end": click_with(referrer=b"\x80"),
    "a length of 2^40": click_with(event_id=varint(2**40)),
    "a length of 2^31": click_with(event_id=varint(2**31)),
    "a length of -5": click_with(event_id=varint(-5)),
    "invalid UTF-8": click_with(event_id=b"\x02\xff"),
    "a surrogate in UTF-8": click_with(event_id=b"\x06\xed\xa0\x80"),
    "cut short": CLICK_BYTES[:-3],
    "an unknown framing": b"\x01" + CLICK_BYTES[1:],
    "JSON": b'{"event_id":"e"}',
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_avro_is_refused_as_a_whole(case: str) -> None:
    with pytest.raises(BodyUnreadableError) as caught:
        read(MALFORMED[case])
    assert caught.value.reason is Reason.MALFORMED_AVRO
    assert caught.value.detail


def test_the_message_names_event_and_byte() -> None:
    with pytest.raises(BodyUnreadableError, match=r"Event 1: At byte \d+: enum symbol 9 of 9\."):
        read(click_with() + click_with(action=b"\x12"))


def test_an_int_of_40_bits_is_refused() -> None:
    with pytest.raises(MalformedAvroError, match=r"more than (5 bytes|32 bits)"):
        read_int(Cursor(varint(2**40)))


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31)])
def test_the_largest_ints_are_read(value: int) -> None:
    assert read_int(Cursor(varint(value))) == value


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_one_more_than_the_largest_int_is_refused(value: int) -> None:
    with pytest.raises(MalformedAvroError):
        read_int(Cursor(varint(value)))


def test_boolean_7_is_refused() -> None:
    rejected = REGISTRY.latest("rejected")
    good = make_encoder(rejected)("r", 0, "s", "x", "", "", "t", None, None, None, b"", True)
    with pytest.raises(MalformedAvroError, match="a boolean of 7"):
        make_decoder(rejected)(Cursor(good[:-1] + b"\x07", 5))


ENTRIES = b"\x02a\x021"


@pytest.mark.parametrize(
    ("coded", "wanted"),
    [
        (b"\x02" + ENTRIES + b"\0", {"a": "1"}),
        (b"\x01\x08" + ENTRIES + b"\0", {"a": "1"}),  # count -1, then the block's size
        (b"\x02" + ENTRIES + b"\x02\x02b\x022\0", {"a": "1", "b": "2"}),
        (b"\x04" + ENTRIES + b"\x02a\x022\0", {"a": "2"}),  # a repeated key: the last one counts
    ],
    ids=["one block", "a negative count", "two blocks", "a repeated key"],
)
def test_legal_map_codings_are_read(coded: bytes, wanted: dict[str, str]) -> None:
    assert read_map_of(read_string, Cursor(coded)) == wanted


@pytest.mark.parametrize(
    "coded", [b"\x01\x0a" + ENTRIES + b"\0", varint(2**40), varint(-(2**62)) + b"\0", b"\x02" + ENTRIES]
)
def test_illegal_map_codings_are_refused(coded: bytes) -> None:
    with pytest.raises(MalformedAvroError):
        read_map_of(read_string, Cursor(coded))


def test_each_framing_is_told_from_its_first_bytes() -> None:
    for body in (CLICK_BYTES, single_object(CLICK, CLICK_BYTES), container(count=1)):
        batch = read(body)
        (event,) = batch.events
        assert isinstance(event, Incoming)
        assert event.event_id == "evt_1"
        assert batch.schema_ids == [CLICK.id]


def test_frames_of_different_subjects_and_versions_follow_one_another() -> None:
    batch = read(CLICK_BYTES + BUY_BYTES + click_with())
    assert [event.type for event in batch.events if isinstance(event, Incoming)] == [
        "clickstream", "transaction", "clickstream",
    ]  # fmt: skip
    assert batch.schema_ids == [CLICK.id, BUY.id, 1]
    assert batch.raw(1) == BUY_BYTES
    assert len(read(single_object(CLICK, CLICK_BYTES) * 3).events) == 3


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_container_codecs_are_read(codec: str) -> None:
    assert len(read(container(codec)).events) == 3


def test_a_zstandard_container_is_read() -> None:
    sync = bytes(16)
    header = varint(2) + b"".join(
        varint(len(part)) + part for part in (b"avro.schema", CLICK.text.encode(), b"avro.codec", b"zstandard")
    )
    block = zstandard.ZstdCompressor().compress(CLICK_BYTES[5:] * 2)
    assert len(read(b"Obj\x01" + header + b"\0" + sync + varint(2) + varint(len(block)) + block + sync).events) == 2


def test_the_golden_files_of_every_version_are_read() -> None:
    for schema in REGISTRY.schemas:
        if schema.subject != "rejected":
            assert len(read(sample_bytes(schema)).events) == 4


@pytest.mark.parametrize(
    "body",
    [
        b"\0\0\0\0\x63" + CLICK_BYTES[5:],
        b"\0\xff\xff\xff\xff" + CLICK_BYTES[5:],
        b"\xc3\x01" + bytes(8) + CLICK_BYTES[5:],
        b"\0" + REGISTRY.latest("rejected").id.to_bytes(4, "big") + CLICK_BYTES[5:],
        sample_bytes(REGISTRY.latest("rejected")),
        container().replace(b'"event_id"', b'"event_ix"'),
        container().replace(b'"fields"', b'"fieldz"'),
        b"Obj\x01\x02\x16avro.schema" + varint(40_000) + b"[" * 40_000 + b"\0" + bytes(16),
    ],
    ids=["id 99", "id 2^32-1", "fingerprint 0", "no event", "a file of no event", "other field", "no schema", "nested"],
)
def test_a_schema_that_is_not_registered_for_events_is_refused(body: bytes) -> None:
    with pytest.raises(BodyUnreadableError) as caught:
        read(body)
    assert caught.value.reason is Reason.UNKNOWN_SCHEMA


@pytest.mark.parametrize(
    "body",
    [
        container()[:-1],
        container()[:-16] + bytes(16),
        container().replace(b"null", b"zzzz"),
        container("deflate").replace(b"\x0edeflate", b"\x0esnappy"),
        b"Obj\x01",
    ],
    ids=["cut short", "wrong sync marker", "unknown codec", "snappy", "no header"],
)
def test_a_broken_container_is_refused(body: bytes) -> None:
    with pytest.raises(BodyUnreadableError) as caught:
        read(body)
    assert caught.value.reason in (Reason.MALFORMED_AVRO, Reason.UNKNOWN_SCHEMA)


def test_an_empty_container_has_no_event() -> None:
    with pytest.raises(RequestRefusedError, match="empty_batch"):
        read(container(count=0))


def test_the_number_of_events_is_limited() -> None:
    assert len(read(CLICK_BYTES * 3, max_events=3).events) == 3
    for body in (CLICK_BYTES * 4, container(count=4), container(count=40)):
        with pytest.raises((RequestRefusedError, BodyUnreadableError)):
            read(body, max_events=3)


def test_a_container_that_inflates_beyond_the_limit_is_refused() -> None:
    with pytest.raises(RequestRefusedError, match="body_too_large"):
        read(container("deflate", count=90), limits=Limits(1000, 200))


def test_an_event_that_is_too_large_is_refused_alone() -> None:
    batch = read(CLICK_BYTES + click_with(), max_event_bytes=len(CLICK_BYTES) - 1)
    first, second = batch.events
    assert isinstance(first, EventRefusedError)
    assert first.reason is Reason.EVENT_TOO_LARGE
    assert isinstance(second, Incoming)


VALUES = {
    "NUL in a text": (click_with(category=b"\x02\x06a\0b"), Reason.INVALID_TEXT),
    "NUL in an id": (click_with(event_id=b"\x06a\0b"), Reason.INVALID_ID),
    "an empty id": (click_with(event_id=b"\0"), Reason.INVALID_ID),
    "timestamp 2^62": (click_with(timestamp=varint(2**62)), Reason.INVALID_TIMESTAMP),
    "timestamp -1": (click_with(timestamp=b"\x01"), Reason.INVALID_TIMESTAMP),
    "quantity -1": (BUY_BYTES.replace(varint(2) + varint(NOW_MS), b"\x01" + varint(NOW_MS)), Reason.INVALID_QUANTITY),
    "a decimal of 100 bytes": (with_amount(b"\x7f" * 100), Reason.INVALID_AMOUNT),
    "a decimal of 19 digits": (with_amount((10**18).to_bytes(8, "big")), Reason.INVALID_AMOUNT),
    "a negative decimal": (with_amount(b"\xff"), Reason.INVALID_AMOUNT),
}  # fmt: skip


@pytest.mark.parametrize("case", VALUES)
def test_a_value_out_of_range_is_the_events_own_verdict(case: str, validator: Validator) -> None:
    body, reason = VALUES[case]
    (event,) = read(body).events
    assert isinstance(event, Incoming)
    with pytest.raises(EventRefusedError) as caught:
        validator.check(event, NOW_MS, imported=False)
    assert caught.value.reason is reason


def mutated(body: bytes) -> st.SearchStrategy[bytes]:
    place = st.integers(0, len(body) - 1)
    flip = st.tuples(place, st.integers(1, 255)).map(
        lambda drawn: body[: drawn[0]] + bytes((body[drawn[0]] ^ drawn[1],)) + body[drawn[0] + 1 :]
    )
    insert = st.tuples(place, st.binary(min_size=1, max_size=4)).map(
        lambda drawn: body[: drawn[0]] + drawn[1] + body[drawn[0] :]
    )
    return flip | insert | place.map(lambda end: body[:end])


@settings(max_examples=1000)
@given(
    st.sampled_from([CLICK_BYTES, BUY_BYTES]).flatmap(mutated)
    | st.binary(max_size=60).map(lambda b: b"\0\0\0\0\x04" + b)
)
def test_whatever_is_accepted_is_read_the_same_by_fastavro(body: bytes) -> None:
    try:
        batch = read(body)
    except RequestRefusedError:
        return
    validator = _validator()
    for index, event in enumerate(batch.events):
        assert isinstance(event, Incoming)
        try:
            record = validator.check(event, NOW_MS, imported=True)
        except EventRefusedError:
            continue
        writer = REGISTRY.by_id(int.from_bytes(record.value[1:5], "big"))
        source = REGISTRY.by_id((batch.schema_ids or [0])[index] or 0)
        assert writer is not None
        assert source is not None
        written = _fast(record.value[5:], writer)
        sent = _fast(batch.raw(index)[5:], source)
        for name, value in sent.items():
            assert _same(written[name], value), name


def _same(written: Any, sent: Any) -> bool:
    return bool(written == sent or (isinstance(sent, str) and written == sent.lower()))


def _fast(body: bytes, schema: RegisteredSchema) -> dict[str, Any]:
    stream = io.BytesIO(body)
    record: dict[str, Any] = fastavro.schemaless_reader(stream, schema.parsed, None)  # type: ignore[assignment] # a record schema gives a dict
    assert stream.tell() == len(body)
    return record


def _validator() -> Validator:
    from ingestion.validate import Rules  # noqa: PLC0415 - Hypothesis forbids function-scoped fixtures here

    return Validator(Rules("USD", 300_000, 10**15), REGISTRY)
