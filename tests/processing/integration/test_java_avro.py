"""Avro by its reference implementation: what Java reads of the golden bytes, what it writes, and how it frames that.

The Java is that of the Spark which runs here anyway.
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any, Final

import pytest
from pyspark.sql import SparkSession

from ingestion.decompress import Limits
from ingestion.events import Incoming
from ingestion.framing import AvroReader
from schemas_avro import RegisteredSchema, load_registry
from schemas_avro.golden import read_container, sample_bytes, sample_datums

pytestmark = pytest.mark.integration

REGISTRY: Final = load_registry()
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
PAIRS: Final = [
    pair for subject in REGISTRY.subjects for pair in product(REGISTRY.versions(subject), repeat=2)
]  # fmt: skip
MESSAGE: Final = """{"type": "record", "namespace": "org.apache.avro", "name": "TestMessage", "doc": "leaves no trace",
 "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": "string"},
            {"name": "tags", "type": {"type": "array", "items": "string"}}]}"""
"""The schema that the Avro project tests its single objects with."""


class Java:
    """Avro's Java library."""

    def __init__(self, jvm: Any) -> None:
        self._avro = jvm.org.apache.avro

    def schema(self, text: str) -> Any:
        return self._avro.Schema.Parser().parse(text)

    def fingerprint(self, text: str) -> int:
        signed: int = self._avro.SchemaNormalization.parsingFingerprint64(self.schema(text))
        return signed % 2**64

    def container(self, content: bytes, reader: Any) -> list[Any]:
        """The records of a file, as the reader's schema has them."""
        datum_reader = self._avro.generic.GenericDatumReader(None, reader)
        file = self._avro.file.DataFileReader(self._avro.file.SeekableByteArrayInput(content), datum_reader)
        return [*iter_of(file)]

    def read(self, datum: bytes, schema: Any) -> Any:
        decoder = self._avro.io.DecoderFactory.get().binaryDecoder(datum, None)
        record = self._avro.generic.GenericDatumReader(schema).read(None, decoder)
        assert decoder.isEnd()
        return record

    def single_object(self, record: Any) -> bytes:
        """A record in the single-object encoding."""
        encoder = self._avro.message.BinaryMessageEncoder(self._avro.generic.GenericData.get(), record.getSchema())
        return bytes(encoder.encode(record).array())


def iter_of(file: Any) -> Any:
    while file.hasNext():
        yield file.next()


@pytest.fixture(scope="module")
def java(spark: SparkSession) -> Java:
    return Java(spark._jvm)


def as_python(avro_type: Any, value: Any) -> Any:
    """A value of a Java record, as fastavro would give it."""
    if isinstance(avro_type, list):
        return None if value is None else as_python(next(each for each in avro_type if each != "null"), value)
    kind, logical = avro_type, None
    if isinstance(avro_type, dict):
        kind, logical = avro_type["type"], avro_type.get("logicalType")
    if logical == "decimal":
        return Decimal(int.from_bytes(value.array(), "big", signed=True)).scaleb(-avro_type["scale"])
    if logical == "timestamp-millis":
        return EPOCH + timedelta(milliseconds=value)
    if kind == "map":
        return {str(key): as_python(avro_type["values"], value[key]) for key in value}
    if kind == "bytes":
        return bytes(value.array())
    return str(value) if kind in ("string", "enum") or isinstance(kind, dict) else value


def fields(record: Any, schema: RegisteredSchema) -> dict[str, Any]:
    return {field["name"]: as_python(field["type"], record.get(field["name"])) for field in schema.definition["fields"]}


@pytest.mark.parametrize(
    ("writer", "reader"),
    PAIRS,
    ids=[f"{writer.subject} v{writer.version} as v{reader.version}" for writer, reader in PAIRS],
)
def test_java_reads_the_golden_bytes_of_every_version_as_every_version(
    java: Java, writer: RegisteredSchema, reader: RegisteredSchema
) -> None:
    content = sample_bytes(writer)
    read = java.container(content, java.schema(reader.text))
    assert [fields(record, reader) for record in read] == read_container(content, reader)
    assert read


@pytest.mark.parametrize("schema", REGISTRY.schemas, ids=lambda schema: f"{schema.subject} v{schema.version}")
def test_java_frames_a_record_as_the_gateway_takes_it_and_has_the_registrys_fingerprint(
    java: Java, schema: RegisteredSchema
) -> None:
    assert java.fingerprint(schema.text) == schema.crc64
    header = b"\xc3\x01" + schema.crc64.to_bytes(8, "little")
    for datum in sample_datums(schema):
        record = java.read(datum, java.schema(schema.text))
        framed = java.single_object(record)
        assert framed[:10] == header
        assert fields(java.read(framed[10:], java.schema(schema.text)), schema) == fields(record, schema)
        if schema.subject == "rejected":
            continue  # nobody sends these
        (event,) = AvroReader(REGISTRY).read(framed, 1, 1 << 18, Limits(1 << 20, 100)).events
        (other,) = (
            AvroReader(REGISTRY)
            .read(b"\x00" + schema.id.to_bytes(4, "big") + datum, 1, 1 << 18, Limits(1 << 20, 100))
            .events
        )
        assert isinstance(event, Incoming)
        assert event == other


def test_the_single_object_of_the_avro_project_is_framed_alike(java: Java) -> None:
    schema = java.schema(MESSAGE)
    datum = b"\x54\x08Bill\x04\x12dog_lover\x12cat_hater\x00"
    assert json.loads(java.read(datum, schema).toString()) == {
        "id": 42, "name": "Bill", "tags": ["dog_lover", "cat_hater"],
    }  # fmt: skip
    ours = RegisteredSchema(1, "any", 1, json.dumps(json.loads(MESSAGE))).crc64
    assert java.single_object(java.read(datum, schema)) == b"\xc3\x01" + ours.to_bytes(8, "little") + datum
