"""The specialised encoders write the bytes of the general one, and the strict decoder reads them back."""

import io
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestion.decode_avro import Cursor, make_decoder
from ingestion.encode import Check, Remembered, make_encoder, millis, varint
from schemas_avro import RegisteredSchema, load_registry

pytestmark = pytest.mark.unit

SCHEMAS = load_registry().schemas
ENCODERS = {schema.id: make_encoder(schema) for schema in SCHEMAS}
DECODERS = {schema.id: make_decoder(schema) for schema in SCHEMAS}

INT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1) | st.integers(1_500_000_000_000, 2_500_000_000_000)
TEXT = st.text(max_size=20) | st.sampled_from(["é" * 4095, "x" * 4096])


def values(avro_type: Any) -> st.SearchStrategy[Any]:
    if isinstance(avro_type, list):
        return st.one_of([values(branch) for branch in avro_type])
    kind = avro_type if isinstance(avro_type, str) else avro_type["type"]
    if kind == "bytes" and not isinstance(avro_type, str):
        return st.integers(-(10**18) + 1, 10**18 - 1)
    if kind == "enum":
        return st.sampled_from(avro_type["symbols"])
    if kind == "map":
        return st.dictionaries(TEXT, TEXT, max_size=70)
    plain: Mapping[str, st.SearchStrategy[Any]] = {
        "null": st.none(), "string": TEXT, "bytes": st.binary(max_size=40),
        "boolean": st.booleans(), "int": INT, "long": LONG,
    }  # fmt: skip
    return plain[kind]


def records(schema: RegisteredSchema) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({field["name"]: values(field["type"]) for field in schema.definition["fields"]})


def in_order(schema: RegisteredSchema, record: dict[str, Any]) -> list[Any]:
    return [record[field["name"]] for field in schema.definition["fields"]]


def as_decimals(schema: RegisteredSchema, record: dict[str, Any]) -> dict[str, Any]:
    names = {f["name"] for f in schema.definition["fields"] if "decimal" in str(f["type"])}
    return {name: Decimal(value).scaleb(-4) if name in names else value for name, value in record.items()}


ANY_RECORD = st.sampled_from(SCHEMAS).flatmap(lambda schema: st.tuples(st.just(schema), records(schema)))


@given(ANY_RECORD)
def test_the_bytes_are_the_ones_fastavro_writes_behind_the_confluent_prefix(
    drawn: tuple[RegisteredSchema, dict[str, Any]],
) -> None:
    schema, record = drawn
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, as_decimals(schema, record))
    assert ENCODERS[schema.id](*in_order(schema, record)) == b"\0" + schema.id.to_bytes(4, "big") + out.getvalue()


@given(ANY_RECORD)
def test_the_strict_decoder_reads_back_what_the_encoder_wrote(drawn: tuple[RegisteredSchema, dict[str, Any]]) -> None:
    schema, record = drawn
    cursor = Cursor(ENCODERS[schema.id](*in_order(schema, record)), 5)
    assert DECODERS[schema.id](cursor) == as_decimals(schema, record)
    assert cursor.position == cursor.end


@given(LONG)
@example(2**63 - 1)
@example(-(2**63))
@example(63)
@example(64)
def test_integers_are_zigzag_varints(value: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", value)
    assert varint(value) == out.getvalue()


@pytest.mark.parametrize("bits", range(63))
def test_the_loopless_coding_of_times_equals_the_general_one_at_every_power_of_two(bits: int) -> None:
    for value in (2**bits - 1, 2**bits, 2**bits + 1, -(2**bits), -(2**bits) - 1):
        assert millis(value) == varint(value)


def test_a_type_without_an_encoder_is_an_error_at_start() -> None:
    schema = RegisteredSchema(9, "any", 1, '{"type":"record","name":"R","fields":[{"name":"x","type":"double"}]}')
    with pytest.raises(TypeError, match="x: no encoder for the Avro type 'double'"):
        make_encoder(schema)


def settle(value: Any) -> Any:
    """Stands for any check: texts are stripped, none may be empty, numbers are at least 0."""
    if value is None or value in ("", "refused") or (isinstance(value, int) and value < 0):
        raise ValueError(value)
    return value.strip() if isinstance(value, str) else value


CLICK = next(schema for schema in SCHEMAS if (schema.subject, schema.version) == ("clickstream", 2))
SYMBOLS = CLICK.definition["fields"][5]["type"]["symbols"]
CHECKED = make_encoder(
    CLICK,
    {
        "event_id": Check(settle),
        "user_id": Check(settle, "{0} is not None and {0} == 'fine'"),
        "session_id": Check(settle, repeats=True),
        "product_id": Check(settle),
        "category": Check(settle, repeats=True),
        "action": Check(settle, repeats=True),
        "timestamp": Check(settle),
        "properties": Check(settle, encode=lambda value: b"\0" if value == {} else b"\xff"),
    },
)
CHECKED_TEXT = st.sampled_from(["", "fine", " fine", "a", "é" * 300, "refused"])


@given(
    st.tuples(
        CHECKED_TEXT, CHECKED_TEXT, CHECKED_TEXT | st.none(), st.none() | CHECKED_TEXT, st.none() | CHECKED_TEXT,
        st.sampled_from([*SYMBOLS, "refused"]), st.integers(-1, 2**41), st.none(), st.none(), st.none(), TEXT,
        st.just({}),
    )
)  # fmt: skip
def test_a_checked_field_is_encoded_as_its_check_gives_it_back(drawn: tuple[Any, ...]) -> None:
    optional = (3, 4, 7, 8, 9)
    try:
        wanted = [
            value if place > 6 or (value is None and place in optional) else settle(value)
            for place, value in enumerate(drawn)
        ]
    except ValueError:
        for _ in range(2):  # nor is what was refused remembered
            with pytest.raises(ValueError):  # noqa: PT011 - the check's own
                CHECKED(*drawn)
        return
    assert CHECKED(*drawn) == CHECKED(*drawn) == ENCODERS[CLICK.id](*wanted)


def test_few_and_short_values_are_remembered() -> None:
    made: list[int] = []
    known = Remembered(lambda value: made.append(value) or b"x" * value)  # type: ignore[func-returns-value] # for its effect
    assert (known[256], known[256]) == (b"x" * 256,) * 2
    assert (known[257], known[257]) == (b"x" * 257,) * 2
    assert made == [256, 257, 257]
    few = Remembered(lambda value: b"")
    for value in range(10_000):
        few[value]
    assert len(few) <= 4096
