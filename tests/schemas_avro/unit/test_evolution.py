"""The static check agrees with the specification, and with what fastavro does to real bytes."""

import copy
import io
from collections.abc import Callable
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas_avro import load_registry
from schemas_avro.evolution import check_full_transitive, check_readable

pytestmark = pytest.mark.unit

BASE: dict[str, Any] = {
    "type": "record",
    "name": "Thing",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "count", "type": "int"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["a", "b"]}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "tags", "type": {"type": "map", "values": "string"}, "default": {}},
        {"name": "lines", "type": {"type": "array", "items": {"type": "fixed", "name": "Mark", "size": 4}}},
    ],
}


def changed(change: Callable[[list[dict[str, Any]]], object]) -> dict[str, Any]:
    schema = copy.deepcopy(BASE)
    change(schema["fields"])
    return schema


def findings(newer: Any) -> list[str]:
    return [str(conflict) for conflict in check_full_transitive("thing", {1: BASE, 2: newer})]


INCOMPATIBLE = {
    "a field without default removed": (
        lambda f: f.pop(0),
        "thing v1 cannot read v2: id: the reader's field has no default and the writer has no such field",
    ),
    "a field without default added": (
        lambda f: f.append({"name": "extra", "type": "string"}),
        "thing v2 cannot read v1: extra: the reader's field has no default and the writer has no such field",
    ),
    "a field renamed without default": (lambda f: f[0].update(name="key"), "v2 cannot read v1: key: "),
    "a type changed": (lambda f: f[0].update(type="int"), "v2 cannot read v1: id: string cannot be read as int"),
    "a type widened, which is one way only": (
        lambda f: f[1].update(type="long"),
        "v1 cannot read v2: count: long cannot be read as int",
    ),
    "an enum symbol renamed": (
        lambda f: f[3]["type"].update(symbols=["a", "c"]),
        "v1 cannot read v2: kind: the reader's enum lacks c",
    ),
    "an enum symbol removed": (
        lambda f: f[3]["type"].update(symbols=["a"]),
        "v2 cannot read v1: kind: the reader's enum lacks b",
    ),
    "an enum symbol that only a default catches": (
        lambda f: f[3]["type"].update(symbols=["a"], default="a"),
        "v2 cannot read v1: kind: the reader's enum would turn b into its default",
    ),
    "an enum renamed": (lambda f: f[3]["type"].update(name="Sort"), "kind: named Kind by the writer, Sort by"),
    "an optional field made required": (
        lambda f: f[2].update(type="string"),
        "v2 cannot read v1: note: null cannot be read as string",
    ),
    "a union branch added": (
        lambda f: f[2].update(type=["null", "string", "int"]),
        "v1 cannot read v2: note: no branch of the reader's union reads int",
    ),
    "a decimal's scale changed": (
        lambda f: f[4]["type"].update(scale=2),
        "price: logical type decimal(18,4) cannot be read as decimal(18,2)",
    ),
    "millis turned into micros": (
        lambda f: f[5]["type"].update(logicalType="timestamp-micros"),
        "at: logical type timestamp-millis cannot be read as timestamp-micros",
    ),
    "map values changed": (lambda f: f[6]["type"].update(values="long"), "tags{}: string cannot be read as long"),
    "a fixed size changed": (
        lambda f: f[7]["type"]["items"].update(size=5),
        "lines[]: fixed size 4 cannot be read as 5",
    ),
}


@pytest.mark.parametrize("case", INCOMPATIBLE)
def test_an_incompatible_change_is_named_precisely(case: str) -> None:
    change, message = INCOMPATIBLE[case]
    found = findings(changed(change))
    assert any(message in finding for finding in found), found


COMPATIBLE: dict[str, Callable[[list[dict[str, Any]]], object]] = {
    "nothing": lambda f: None,
    "an optional field added": lambda f: f.append({"name": "x", "type": ["null", "string"], "default": None}),
    "an optional field removed": lambda f: f.pop(2),
    "fields reordered": lambda f: f.reverse(),
    "documentation added": lambda f: f[0].update(doc="Why."),
    "a string read as bytes": lambda f: f[0].update(type="bytes"),
    "union branches reordered": lambda f: f[2].update(type=["string", "null"], default=""),
}


@pytest.mark.parametrize("case", COMPATIBLE)
def test_a_compatible_change_has_no_findings(case: str) -> None:
    assert findings(changed(COMPATIBLE[case])) == []


def test_a_rename_is_readable_forwards_through_an_alias() -> None:
    renamed = changed(lambda f: f[0].update(name="key", aliases=["id"]))
    assert check_readable(renamed, BASE) == []
    assert [str(found) for found in check_readable(BASE, renamed)] == [
        "id: the reader's field has no default and the writer has no such field"
    ]


def test_recursive_types_end() -> None:
    tree = {"type": "record", "name": "Tree", "fields": [{"name": "below", "type": {"type": "array", "items": "Tree"}}]}
    assert check_readable(tree, copy.deepcopy(tree)) == []


def test_all_versions_of_all_subjects_are_fully_compatible() -> None:
    registry = load_registry()
    for subject in registry.subjects:
        versions = {schema.version: schema.definition for schema in registry.versions(subject)}
        assert check_full_transitive(subject, versions) == []


PLAIN = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])
TYPES = PLAIN | st.lists(PLAIN, min_size=1, max_size=3, unique=True)
VALUES = {
    "null": None, "boolean": True, "int": 7, "long": 2**40, "float": 1.5, "double": 0.25, "bytes": b"x", "string": "x",
}  # fmt: skip


@given(reader=TYPES, writer=TYPES)
def test_what_the_check_allows_fastavro_reads(reader: Any, writer: Any) -> None:
    def record(avro_type: Any) -> dict[str, Any]:
        return {"type": "record", "name": "R", "fields": [{"name": "v", "type": avro_type}]}

    allowed = check_readable(record(reader), record(writer)) == []
    readable = True
    for branch in writer if isinstance(writer, list) else [writer]:
        out = io.BytesIO()
        value = (branch, VALUES[branch]) if isinstance(writer, list) else VALUES[branch]
        fastavro.schemaless_writer(out, record(writer), {"v": value})
        out.seek(0)
        try:
            fastavro.schemaless_reader(out, record(writer), record(reader))
        except fastavro.read.SchemaResolutionError:
            readable = False
    assert allowed == readable
