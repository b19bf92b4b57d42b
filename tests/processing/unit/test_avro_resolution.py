"""Any registered version as columns of the latest, by the specification's rules; what is refused at construction."""

import json
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.avro.columns import ColumnDecoder
from processing.avro.maps import FEW
from schemas_avro import RegisteredSchema, Registry
from tests.processing.avro_oracles import (
    MALFORMED,
    by_fastavro,
    by_gateway,
    damaged,
    decoded,
    differences,
    faulty,
    framed,
    values,
)

pytestmark = pytest.mark.unit

MILLIS: Final = {"type": "long", "logicalType": "timestamp-millis"}
MAP: Final = {"type": "map", "values": "string"}


def field(name: str, avro_type: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": avro_type} | more


def registry(*versions: list[dict[str, Any]]) -> Registry:
    """A subject `things` with these versions, oldest first, each given by its fields."""
    texts = [json.dumps({"type": "record", "name": "Thing", "fields": fields}) for fields in versions]
    return Registry([RegisteredSchema(10 + n, "things", n, text) for n, text in enumerate(texts, 1)])


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "Letter", "symbols": symbols, **more}


def every_type() -> list[dict[str, Any]]:
    """Each supported type, bare, nullable, and nullable with null as the second branch."""
    kinds: dict[str, Any] = {
        "text": "string", "raw": "bytes", "flag": {"type": "boolean"}, "small": "int", "large": "long", "at": MILLIS,
        "money": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4},
        "digit": {"type": "bytes", "logicalType": "decimal", "precision": 1}, "more": MAP,
    }  # fmt: skip
    fields = [field(f"letter_{n}", {**enum("a", "b", "c"), "name": f"Letter{n}"}) for n in range(3)]
    fields[1]["type"], fields[2]["type"] = ["null", fields[1]["type"]], [fields[2]["type"], "null"]
    for name, kind in kinds.items():
        fields += [field(name, kind), field(f"{name}_1", ["null", kind]), field(f"{name}_2", [kind, "null"])]
    return fields


EVERY_TYPE: Final = registry(every_type())


@settings(max_examples=30, deadline=None)
@given(st.lists(values(EVERY_TYPE, "things"), min_size=1, max_size=5), st.sampled_from((1, FEW)))
def test_every_type_and_its_nullables_are_what_fastavro_reads(batch: list[bytes], times: int) -> None:
    wanted = [by_fastavro(EVERY_TYPE, "things", value) for value in batch]
    assert decoded(EVERY_TYPE, "things", batch * times) == wanted * times


@settings(max_examples=30, deadline=None)
@given(
    st.lists(values(EVERY_TYPE, "things"), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
    st.sampled_from((1, FEW)),
)
def test_damage_to_any_type_is_seen_as_the_gateway_would(batch: list[bytes], dice: Random, times: int) -> None:
    harmed = [damaged(value, dice) for value in batch for _ in range(4)]
    wanted = [by_gateway(EVERY_TYPE, "things", value) for value in harmed]
    assert differences(decoded(EVERY_TYPE, "things", harmed * times), wanted * times) == []


def test_a_malformed_map_is_a_fault_even_if_its_bytes_would_fit_the_fields_after_it() -> None:
    things = registry([field("more", MAP), *(field(name, "int") for name in "abcd")])
    value = b"\0\0\0\0\x0b" + b"\x02" * 4
    assert decoded(things, "things", [value]) == [faulty(things, "things", MALFORMED)]


DEFAULTS: Final[list[tuple[Any, Any]]] = [
    ("string", "USD"),
    (["null", "string"], None),
    (["string", "null"], "x"),
    ("int", -3),
    ("long", 2**40),
    (["null", MILLIS], None),
    ("boolean", True),
    (enum("a", "b"), "b"),
    (MAP, {}),
    (MAP, {"k": "v", "l": "w"}),
    (["null", MAP], None),
    (["null", "bytes"], None),
    (["null", {"type": "bytes", "logicalType": "decimal", "precision": 4}], None),
]


@pytest.mark.parametrize(("avro_type", "default"), DEFAULTS, ids=map(str, range(len(DEFAULTS))))
def test_a_field_that_the_writer_lacks_has_the_readers_default(avro_type: Any, default: Any) -> None:
    both = registry([field("id", "string")], [field("new", avro_type, default=default), field("id", "string")])
    value = framed(both.versions("things")[0], {"id": "e"})
    assert decoded(both, "things", [value] * 2) == [{"new": default, "id": "e", "fault": None}] * 2


def test_a_field_that_the_reader_lacks_is_read_strictly_and_dropped() -> None:
    both = registry([field("old", "string", default=""), field("id", "string")], [field("id", "string")])
    good = framed(both.versions("things")[0], {"old": "o" * 70, "id": "e"})
    bad = good.replace(b"oooo", b"oo\xffo")
    sound = {"id": "e", "fault": None}
    assert decoded(both, "things", [good, bad, good]) == [sound, faulty(both, "things", MALFORMED), sound]


def test_fields_are_matched_by_name_or_alias_not_by_place() -> None:
    both = registry(
        [field("a", "string"), field("b", "int"), field("c", "string")],
        [field("c", "string"), field("z", "string", aliases=["y", "a"]), field("b", "int")],
    )
    old = framed(both.versions("things")[0], {"a": "1", "b": 2, "c": "3"})
    new = framed(both.versions("things")[1], {"z": "4", "b": 5, "c": "6"})
    assert decoded(both, "things", [old, new]) == [
        {"c": "3", "z": "1", "b": 2, "fault": None},
        {"c": "6", "z": "4", "b": 5, "fault": None},
    ]


@pytest.mark.parametrize("nullable", [False, True])
def test_a_symbol_that_the_reader_lacks_is_its_default_symbol(nullable: bool) -> None:
    old, new = enum("a", "new", "b", default="b"), enum("b", "a", default="a")
    both = registry(*([field("letter", ["null", one] if nullable else one)] for one in (old, new)))
    batch = [framed(both.versions("things")[0], {"letter": symbol}) for symbol in ("a", "new", "b")]
    assert [row["letter"] for row in decoded(both, "things", batch)] == ["a", "a", "b"]
    assert decoded(both, "things", batch) == [by_fastavro(both, "things", value) for value in batch]


def test_a_symbol_that_the_reader_lacks_is_a_fault_where_there_is_no_default() -> None:
    both = registry([field("letter", enum("a", "b"))], [field("letter", enum("b"))])
    batch = [framed(both.versions("things")[0], {"letter": symbol}) for symbol in ("a", "b", "a")]
    assert [row["fault"] for row in decoded(both, "things", batch)] == [MALFORMED, None, MALFORMED]


def test_an_older_reader_is_not_asked_for() -> None:
    """The latest version is the one with the highest number, whatever its id."""
    fields = [[field("id", "string")], [field("id", "string"), field("n", "int", default=1)]]
    texts = [json.dumps({"type": "record", "name": "Thing", "fields": one}) for one in fields]
    both = Registry([RegisteredSchema(20, "things", 1, texts[0]), RegisteredSchema(3, "things", 2, texts[1])])
    batch = [framed(schema, {"id": "e", "n": 7}) for schema in both.versions("things")]
    assert [row["n"] for row in decoded(both, "things", batch)] == [1, 7]


UNSUPPORTED: Final[list[Any]] = [
    "float",
    "double",
    "null",
    {"type": "array", "items": "string"},
    {"type": "fixed", "name": "Four", "size": 4},
    {"type": "record", "name": "Inner", "fields": []},
    {"type": "map", "values": "bytes"},
    {"type": "map", "values": ["null", "string"]},
    {"type": "string", "logicalType": "uuid"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "int", "logicalType": "date"},
    {"type": "bytes", "logicalType": "decimal", "precision": 19, "scale": 4},
    ["null"],
    ["string"],
    ["string", "int"],
    ["null", "string", "int"],
    ["null", ["null", "string"]],
]


@pytest.mark.parametrize("avro_type", UNSUPPORTED, ids=json.dumps)
def test_other_types_are_refused_at_construction(avro_type: Any) -> None:
    with pytest.raises(TypeError, match="no column for the Avro type"):
        ColumnDecoder(registry([field("odd", avro_type)]), "things")


def test_a_type_by_its_name_is_refused_at_construction() -> None:
    with pytest.raises(TypeError, match="no column for the Avro type 'Letter'"):
        ColumnDecoder(registry([field("one", enum("a")), field("other", "Letter")]), "things")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("int", "long"),
        ("string", "bytes"),
        ("string", ["null", "string"]),
        (["null", "string"], "string"),
        ("long", MILLIS),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 4},
        ),
    ],
)
def test_versions_that_differ_in_a_type_are_refused_at_construction(written: Any, read: Any) -> None:
    with pytest.raises(TypeError, match="read as"):
        ColumnDecoder(registry([field("odd", written)], [field("odd", read)]), "things")


def test_a_new_field_without_a_default_is_refused_at_construction() -> None:
    with pytest.raises(TypeError, match="lacks new, which has no default"):
        ColumnDecoder(registry([field("id", "string")], [field("id", "string"), field("new", "string")]), "things")


def test_a_default_of_bytes_is_refused_at_construction() -> None:
    with pytest.raises(TypeError, match="default of bytes: new"):
        ColumnDecoder(
            registry([field("id", "string")], [field("id", "string"), field("new", "bytes", default="\xff")]), "things"
        )
