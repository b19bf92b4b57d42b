"""Columns of a batch of Kafka values: what fastavro and the gateway's decoder read of each value alone."""

from random import Random
from typing import Final

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.avro import columns
from processing.avro.columns import BLOCK_ROWS, ColumnDecoder
from processing.avro.cursors import Cursors
from processing.avro.maps import FEW
from schemas_avro import RegisteredSchema, load_registry
from schemas_avro.golden import sample_bytes, sample_datums
from tests.processing.avro_oracles import (
    UNKNOWN,
    by_fastavro,
    by_gateway,
    damaged,
    decoded,
    differences,
    faulty,
    framed,
    rows,
    values,
)
from tests.processing.builders import click, rejection, sale
from tests.processing.builders import framed as framed_latest

pytestmark = pytest.mark.unit

REGISTRY: Final = load_registry()
SUBJECTS: Final = REGISTRY.subjects
PROPERTY: Final = settings(max_examples=30, deadline=None)
CLICK: Final = REGISTRY.latest("clickstream")

CROWD: Final = [framed(CLICK, click(properties={f"k{n}": f"{row}" for n in range(12)})) for row in range(FEW)]
"""Among so many larger maps, smaller ones are not read one by one."""
BATCHES: Final = pytest.mark.parametrize(
    ("subject", "crowd"), [("clickstream", []), ("clickstream", CROWD), ("transactions", []), ("rejected", [])]
)


def golden(schema: RegisteredSchema) -> list[bytes]:
    datums = sample_datums(schema)
    assert b"".join(datums) in sample_bytes(schema)
    return [b"\0" + schema.id.to_bytes(4, "big") + datum for datum in datums]


def samples(subject: str) -> list[bytes]:
    """Golden records of every version, and for clickstream more maps."""
    found = [value for schema in REGISTRY.versions(subject) for value in golden(schema)]
    maps = [{"a": "1", "b": "2"}, {"é": "ü" * 40}, {f"key{n}": "v" for n in range(9)}, {"x" * 70: "y" * 200}]
    return found + [framed(CLICK, click(properties=entries)) for entries in maps if subject == CLICK.subject]


@pytest.mark.parametrize("schema", REGISTRY.schemas, ids=lambda schema: f"{schema.subject}-v{schema.version}")
def test_golden_bytes_of_every_version_become_columns_of_the_latest(schema: RegisteredSchema) -> None:
    wanted = [by_fastavro(REGISTRY, schema.subject, value) for value in golden(schema)]
    assert decoded(REGISTRY, schema.subject, golden(schema)) == wanted


def test_the_columns_have_the_types_of_the_latest_version() -> None:
    text, at = pa.string(), pa.timestamp("ms", "UTC")
    types = {field["name"]: text for field in CLICK.definition["fields"]}
    types |= {"timestamp": at, "properties": pa.map_(text, text), "fault": text}
    assert ColumnDecoder(REGISTRY, "clickstream").schema == pa.schema(list(types.items()))
    sales = ColumnDecoder(REGISTRY, "transactions").schema
    assert [sales.field(name).type for name in ("amount", "quantity", "timestamp", "kind")] == [
        pa.decimal128(18, 4), pa.int32(), at, text,
    ]  # fmt: skip
    refused = ColumnDecoder(REGISTRY, "rejected").schema
    assert [refused.field(name).type for name in ("schema_id", "raw", "truncated")] == [
        pa.int32(), pa.binary(), pa.bool_(),
    ]  # fmt: skip
    assert refused.names == [*(field["name"] for field in REGISTRY.latest("rejected").definition["fields"]), "fault"]


@BATCHES
@PROPERTY
@given(data=st.data())
def test_a_batch_of_all_versions_is_what_fastavro_reads_of_each(
    data: st.DataObject, subject: str, crowd: list[bytes]
) -> None:
    batch = data.draw(st.lists(values(REGISTRY, subject), min_size=1, max_size=12))
    wanted = [by_fastavro(REGISTRY, subject, value) for value in batch]
    assert decoded(REGISTRY, subject, [*batch, *crowd])[: len(batch)] == wanted


@BATCHES
@PROPERTY
@given(data=st.data())
def test_damaged_values_are_judged_as_the_gateway_would_and_harm_no_other(
    data: st.DataObject, subject: str, crowd: list[bytes]
) -> None:
    dice = data.draw(st.randoms(use_true_random=False))
    whole = st.sampled_from(samples(subject))
    batch = data.draw(st.lists(whole | whole.map(lambda value: damaged(value, dice)), min_size=1, max_size=20))
    wanted = [by_gateway(REGISTRY, subject, value) for value in batch]
    assert differences(decoded(REGISTRY, subject, [*batch, *crowd])[: len(batch)], wanted) == []


@pytest.mark.parametrize("subject", SUBJECTS)
def test_twenty_thousand_values_damaged_or_not_in_random_order(subject: str) -> None:
    dice = Random(20_260_301)
    whole = samples(subject)
    batch = [damaged(value, dice) if dice.random() < 0.6 else value for value in dice.choices(whole, k=20_000)]
    assert len(batch) > BLOCK_ROWS
    wanted = [by_gateway(REGISTRY, subject, value) for value in batch]
    assert {row["fault"] is None for row in wanted[-1000:]} == {True, False}
    assert differences(decoded(REGISTRY, subject, batch), wanted) == []


@PROPERTY
@given(st.lists(st.binary(max_size=40).map(lambda datum: b"\0\0\0\0\4" + datum) | st.binary(max_size=9), min_size=1))
def test_random_bytes_are_judged_as_the_gateway_would(batch: list[bytes]) -> None:
    wanted = [by_gateway(REGISTRY, "clickstream", value) for value in batch]
    assert decoded(REGISTRY, "clickstream", [*batch, *CROWD])[: len(batch)] == wanted


@pytest.mark.parametrize(
    "event", [click(properties={"k": "v", "l": "w"}), sale(), rejection()], ids=["click", "sale", "rejection"]
)
def test_a_value_cut_anywhere_is_faulty_and_what_lies_before_and_after_is_not(event: dict[str, object]) -> None:
    value = framed_latest(event)
    subject = REGISTRY.by_id(int.from_bytes(value[1:5], "big")).subject  # type: ignore[union-attr]  # it is registered
    batch = [part for end in range(len(value)) for part in (value[:end], value)]
    assert decoded(REGISTRY, subject, batch) == [by_gateway(REGISTRY, subject, part) for part in batch]


BATCH: Final = [*samples("clickstream"), None, b"", b"\0", *CROWD, CROWD[0] + b"\0", *samples("clickstream")]
AS_ONE: Final = decoded(REGISTRY, "clickstream", BATCH)


def test_a_null_is_no_value_whatever_bytes_lie_under_it() -> None:
    _, offsets, content = pa.array(CROWD[:3], pa.binary()).buffers()
    hidden = pa.Array.from_buffers(pa.binary(), 3, [pa.py_buffer(b"\x05"), offsets, content])
    found = rows(ColumnDecoder(REGISTRY, "clickstream").decode(hidden))
    assert found[1] == faulty(REGISTRY, "clickstream", UNKNOWN)
    assert [found[0], found[2]] == decoded(REGISTRY, "clickstream", [CROWD[0], CROWD[2]])


@pytest.mark.parametrize("arrow", [pa.binary(), pa.large_binary()], ids=str)
def test_how_the_values_lie_in_arrays_does_not_show(arrow: pa.DataType) -> None:
    decoder = ColumnDecoder(REGISTRY, "clickstream")
    whole = pa.array(BATCH, arrow)
    assert rows(decoder.decode(whole)) == AS_ONE
    assert rows(decoder.decode(whole[5:-3])) == AS_ONE[5:-3]
    assert rows(decoder.decode(pa.chunked_array([whole]))) == AS_ONE
    assert rows(decoder.decode(pa.chunked_array([whole[:7], whole[7:7], whole[7:]]))) == AS_ONE


@pytest.mark.parametrize(
    ("limit", "size"), [("BLOCK_ROWS", 1), ("BLOCK_ROWS", 7), ("BLOCK_BYTES", 1), ("BLOCK_BYTES", 999)]
)
def test_how_values_are_put_into_blocks_does_not_show(monkeypatch: pytest.MonkeyPatch, limit: str, size: int) -> None:
    monkeypatch.setattr(columns, limit, size)
    table = ColumnDecoder(REGISTRY, "clickstream").decode(pa.array(BATCH, pa.binary()))
    assert rows(table) == AS_ONE
    assert table["fault"].num_chunks > len(BATCH) // 8


def test_order_and_company_do_not_show() -> None:
    order = list(range(len(BATCH)))
    Random(3).shuffle(order)
    assert decoded(REGISTRY, "clickstream", [BATCH[place] for place in order]) == [AS_ONE[place] for place in order]
    assert [decoded(REGISTRY, "clickstream", [value])[0] for value in BATCH] == AS_ONE


@pytest.mark.parametrize("subject", SUBJECTS)
def test_no_values_and_only_nulls_have_the_same_columns(subject: str) -> None:
    decoder = ColumnDecoder(REGISTRY, subject)
    for empty in (pa.array([], pa.binary()), pa.chunked_array([], pa.binary())):
        table = decoder.decode(empty)
        assert (table.num_rows, table.schema) == (0, decoder.schema)
    nulls = decoder.decode(pa.nulls(2, pa.binary()))
    assert nulls.schema == decoder.schema
    assert rows(nulls) == [faulty(REGISTRY, subject, UNKNOWN)] * 2


def test_what_was_read_stays_where_it_was_when_some_of_the_cursors_move_on() -> None:
    cursors = Cursors(pa.py_buffer(b"\x02a\x01\x02b\x01"), np.array([0, 3]), np.array([3, 6]))
    _, stop = cursors.spans()
    selected = cursors.select(np.array([1]))
    assert selected.varints().tolist() == [-1]
    cursors.rejoin(np.array([1]), selected)
    assert (stop.tolist(), cursors.position.tolist(), cursors.failed.tolist()) == ([2, 5], [2, 6], [False, False])


def test_an_unknown_subject_is_an_error() -> None:
    with pytest.raises(KeyError):
        ColumnDecoder(REGISTRY, "nothing")
