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
from ingestion.encode import make_encoder, millis, varint
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
