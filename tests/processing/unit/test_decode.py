"""Records to columns: golden samples of every version come out as they are, and headers come through."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from contracts.topics import REJECTED
from processing.decode import EVENT_FIELDS, Decoder
from processing.judge import REJECTED_FIELDS
from schemas_avro import RegisteredSchema
from schemas_avro.golden import sample_records
from tests.processing.builders import (
    REGISTRY,
    START_MS,
    Record,
    at,
    batch_of,
    click,
    framed,
    headers,
    record,
    records_table,
    rejection,
    sale,
)

pytestmark = pytest.mark.unit

DECODER = Decoder(REGISTRY)
END_OF_TIME_MS = 253_402_300_799_000


def golden(schema: RegisteredSchema) -> list[Record]:
    """Every golden sample under its own version's bytes; the broker's clock stands at the year 9999."""
    return [
        Record(schema.subject, framed(sample, schema.version), offset, log_ms=END_OF_TIME_MS)
        for offset, sample in enumerate(sample_records(schema))
    ]


@pytest.mark.parametrize(
    "schema",
    [schema for schema in REGISTRY.schemas if schema.subject != REJECTED.name],
    ids=lambda schema: f"{schema.subject}-v{schema.version}",
)
def test_golden_samples_of_every_version_decode_to_their_values(schema: RegisteredSchema) -> None:
    reader = REGISTRY.latest(schema.subject).definition["fields"]
    defaults = {field["name"]: field["default"] for field in reader if "default" in field}
    records = golden(schema)
    rows = DECODER.decode(records_table(records)).events.to_pylist()
    batch = batch_of(records)
    for sample, row in zip(sample_records(schema), rows, strict=True):
        whole = defaults | sample
        wanted = {("event_id" if name == "transaction_id" else name): whole[name] for name in whole}
        properties = None if row["properties"] is None else dict(row["properties"])
        found = row | {"properties": properties, "timestamp": at(row["at_ms"])}
        assert {name: found[name] for name in wanted} == wanted
        assert all(found[name] is None for name in set(EVENT_FIELDS) - set(wanted))
        assert found["fault"] is None
        accepted = wanted.get("currency", "USD") == "USD" and wanted.get("quantity", 1) <= 1_000_000
        assert (row["offset"] in batch.events["offset"].to_pylist()) == accepted


def test_golden_rejections_decode_to_their_values() -> None:
    schema = REGISTRY.latest(REJECTED.name)
    batch = batch_of(golden(schema))
    for sample, row in zip(sample_records(schema), batch.rejected.to_pylist(), strict=True):
        assert {name: row[name] for name in REJECTED_FIELDS} == {name: sample[name] for name in REJECTED_FIELDS}


def test_records_of_all_topics_and_versions_in_one_batch_keep_their_places_and_values() -> None:
    events = [click("a"), sale("b", quantity=3), rejection("r"), click("c", page_url="/c"), sale("d"), click("e")]
    versions = (1, 2, 1, 2, 1, 1)
    records = [
        replace(record(event), value=framed(event, version), offset=place, partition=place % 2, log_ms=START_MS + place)
        for place, (event, version) in enumerate(zip(events, versions, strict=True))
    ]
    decoded = DECODER.decode(records_table(records))
    found = {row["offset"]: row for row in [*decoded.events.to_pylist(), *decoded.rejected.to_pylist()]}
    assert {offset: (row["topic"], row["partition"], row["value"]) for offset, row in found.items()} == {
        each.offset: (each.topic, each.partition, each.value) for each in records
    }
    assert [found[place].get("event_id") for place in range(6)] == ["a", "b", None, "c", "d", "e"]
    assert (found[1]["quantity"], found[3]["page_url"], found[2]["rejection_id"]) == (3, "/c", "r")


def test_a_batch_of_one_topic_has_the_columns_of_all() -> None:
    schemas = {
        part: DECODER.decode(records_table([record(event)])).events.schema
        for part, event in (("clicks", click()), ("sales", sale()), ("rejections", rejection()))
    }
    assert schemas["clicks"].names == schemas["sales"].names == schemas["rejections"].names
    assert schemas["clicks"].types == schemas["sales"].types == schemas["rejections"].types
    assert not any(pa.types.is_null(type_) for type_ in schemas["clicks"].types)


ODD_HEADERS: list[tuple[list[tuple[str, bytes | None]], tuple[int | None, str, bool, str | None]]] = [
    ([*headers(START_MS + 5)], (START_MS + 5, "demo", False, None)),
    ([*headers(START_MS, imported=True)], (START_MS, "demo", True, None)),
    ([("client_ip", b"203.0.113.0"), *headers()], (START_MS, "demo", False, "203.0.113.0")),
    ([("import", b"0"), ("other", b"\xff")], (None, "", False, None)),
    ([], (None, "", False, None)),
    ([("received_at", b"yesterday")], (None, "", False, None)),
    ([("received_at", b"9" * 30)], (None, "", False, None)),
    ([("received_at", str(2**63 - 1).encode())], (None, "", False, None)),
    ([("received_at", str(-(2**63)).encode())], (None, "", False, None)),
    ([("received_at", b"-1")], (None, "", False, None)),
    ([("received_at", b"")], (None, "", False, None)),
    ([("received_at", b"\xff1")], (None, "", False, None)),
    ([("source", b"\xff\xfe")], (None, "", False, None)),
    ([("source", b"a\0b"), ("client_ip", b"\0::1")], (None, "ab", False, "::1")),
    ([("client_ip", b"\xff")], (None, "", False, None)),
    ([("client_ip", None), ("source", None), ("import", None)], (None, "", False, None)),
    ([("source", b"first"), ("source", b"second"), ("import", b"1"), ("import", b"0")], (None, "first", True, None)),
]


def test_headers_come_through_and_odd_ones_stop_nothing() -> None:
    records = [record(click(), headers=given, offset=place) for place, (given, _) in enumerate(ODD_HEADERS)]
    batch = batch_of(records)
    assert batch.quarantined.num_rows == 0
    rows: list[dict[str, Any]] = batch.events.sort_by("offset").to_pylist()
    found = [(row["received_at"], row["source"], row["imported"], row["client_ip"]) for row in rows]
    assert found == [wanted for _, wanted in ODD_HEADERS]


def test_a_batch_without_records_of_a_topic_or_with_chunks_is_like_any_other() -> None:
    table = pa.concat_tables(records_table([record(click(f"e{n}"), offset=n)]) for n in range(3))
    assert DECODER.decode(table).events["event_id"].to_pylist() == ["e0", "e1", "e2"]
    nothing = DECODER.decode(table.slice(0, 0))
    assert (nothing.events.num_rows, nothing.rejected.num_rows) == (0, 0)
