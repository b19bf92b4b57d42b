"""What was once written stays readable: every version's bytes under every other version."""

from typing import Any

import pytest

from schemas_avro import RegisteredSchema, load_registry
from schemas_avro.golden import GOLDEN, encode_samples, read_container, sample_bytes, sample_records

pytestmark = pytest.mark.unit

SCHEMAS = load_registry().schemas
PAIRS = [(writer, reader) for writer in SCHEMAS for reader in SCHEMAS if writer.subject == reader.subject]


def name(schema: RegisteredSchema) -> str:
    return f"{schema.subject}-v{schema.version}"


@pytest.mark.parametrize("schema", SCHEMAS, ids=name)
def test_the_samples_encode_to_exactly_the_golden_bytes(schema: RegisteredSchema) -> None:
    assert encode_samples(schema) == sample_bytes(schema)


@pytest.mark.parametrize(("writer", "reader"), PAIRS, ids=name)
def test_every_version_reads_the_bytes_of_every_version(writer: RegisteredSchema, reader: RegisteredSchema) -> None:
    defaults = {f["name"]: f["default"] for f in reader.definition["fields"] if "default" in f}
    wanted: list[dict[str, Any]] = [
        {f["name"]: {**defaults, **record}[f["name"]] for f in reader.definition["fields"]}
        for record in sample_records(writer)
    ]
    assert read_container(sample_bytes(writer), reader) == wanted


def test_there_are_samples_for_every_version_and_no_orphans() -> None:
    files = {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file()}
    assert files == {f"{s.subject}/v{s.version}.{end}" for s in SCHEMAS for end in ("json", "avro")}


def test_the_samples_cover_the_edges() -> None:
    registry = load_registry()
    browsing = sample_records(registry.latest("clickstream"))
    buying = sample_records(registry.latest("transactions"))
    assert {r["timestamp"].year for r in browsing} >= {1970, 9999}
    assert {str(r["amount"]) for r in buying} >= {"0.0000", "0.0001", "99999999999999.9999"}
    assert any(r["product_id"] is None for r in browsing)
    assert any("" in r["properties"] for r in browsing)
    assert any(not r["category"].isascii() for r in buying)
