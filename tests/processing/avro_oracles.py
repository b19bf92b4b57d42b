"""Two other decoders to hold `processing.avro.columns` to, records of any schema, and damaged ones.

A row is a plain dict: times in epoch milliseconds, money as Decimal, maps as dicts, and `fault` (None or a reason).
"""

import io
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final, TypeAlias

import fastavro
import pyarrow as pa
from hypothesis import strategies as st

from contracts.rejections import Reason
from ingestion.decode_avro import Cursor, MalformedAvroError, make_decoder
from processing.avro.columns import ColumnDecoder
from schemas_avro import RegisteredSchema, Registry

Row: TypeAlias = dict[str, Any]

UNKNOWN: Final = Reason.UNKNOWN_SCHEMA.value
MALFORMED: Final = Reason.MALFORMED_AVRO.value
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999
_FIRST_MS: Final = -62_135_596_800_000


def rows(table: pa.Table) -> list[Row]:
    """What the column decoder gives, as rows. The table must be valid Arrow, to the last text."""
    table.validate(full=True)
    maps = [field.name for field in table.schema if pa.types.is_map(field.type)]
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(index, field.name, table[field.name].cast(pa.int64()))
    found: list[Row] = table.to_pylist()
    for row in found:
        for name in maps:
            if row[name] is not None:
                pairs, row[name] = row[name], dict(row[name])
                assert len(pairs) == len(row[name]), "a key twice"
    return found


def decoded(registry: Registry, subject: str, values: Sequence[bytes | None]) -> list[Row]:
    """Values by the decoder under test."""
    return rows(ColumnDecoder(registry, subject).decode(pa.array(values, pa.binary())))


def faulty(registry: Registry, subject: str, fault: str) -> Row:
    """The row of a value with a fault."""
    return dict.fromkeys(field["name"] for field in registry.latest(subject).definition["fields"]) | {"fault": fault}


def framed(schema: RegisteredSchema, record: Any) -> bytes:
    """A record as a Kafka value."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, record)
    return b"\0" + schema.id.to_bytes(4, "big") + out.getvalue()


def by_fastavro(registry: Registry, subject: str, value: bytes) -> Row:
    """A sound value by fastavro, which resolves it to the subject's latest version."""
    writer = registry.by_id(int.from_bytes(value[1:5], "big"))
    assert writer is not None
    found: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), writer.parsed, registry.latest(subject).parsed)
    times = {name: (at - _EPOCH) // timedelta(milliseconds=1) for name, at in found.items() if isinstance(at, datetime)}
    return {**found, **times, "fault": None}


def by_gateway(registry: Registry, subject: str, value: bytes) -> Row:
    """Any value by the gateway's strict decoder and the defaults of the subject's latest version."""
    writer = registry.by_id(int.from_bytes(value[1:5], "big")) if len(value) >= 5 and value[0] == 0 else None
    if writer is None or writer.subject != subject:
        return faulty(registry, subject, UNKNOWN)
    cursor = Cursor(value, 5)
    try:
        found = make_decoder(writer)(cursor)
    except MalformedAvroError:
        return faulty(registry, subject, MALFORMED)
    fields = registry.latest(subject).definition["fields"]
    if cursor.position != len(value) or not all(_fits(found.get(field["name"]), field["type"]) for field in fields):
        return faulty(registry, subject, MALFORMED)
    return {f["name"]: found.get(f["name"], f.get("default")) for f in fields} | {"fault": None}


def _fits(value: Any, avro_type: Any) -> bool:
    """The one difference: a decimal wider than its precision decodes at the gateway and is refused by validation."""
    if not isinstance(value, Decimal):
        return True
    kind = next(branch for branch in avro_type if branch != "null") if isinstance(avro_type, list) else avro_type
    return value.is_finite() and abs(value.scaleb(kind.get("scale", 0))) < 10 ** kind["precision"]


_TEXTS: Final = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ("", "a", "shoes", "Ünïçödé 日本 🛒", "é" * 31 + "aa", "x" * 63, "x" * 64, "é" * 5_000, "\0", "\x7f")
    ),
)


def values_of(avro_type: Any) -> st.SearchStrategy[Any]:
    """Values of a type, as fastavro writes them."""
    if isinstance(avro_type, list):
        return st.one_of([values_of(branch) for branch in avro_type])
    attributes: dict[str, Any] = avro_type if isinstance(avro_type, dict) else {"type": avro_type}
    return _PLAIN[attributes.get("logicalType", attributes["type"])](attributes)


def _whole(first: int, last: int) -> st.SearchStrategy[int]:
    small = (-8193, -129, -128, -65, -64, -1, 0, 63, 64, 127, 128, 8191, 8192, 2**27, 1_772_366_400_000)
    return st.integers(first, last) | st.sampled_from([first, last, *(n for n in small if first <= n <= last)])


def _decimals(attributes: Any) -> st.SearchStrategy[Decimal]:
    limit, scale = 10 ** attributes["precision"] - 1, attributes.get("scale", 0)
    return _whole(-limit, limit).map(lambda unscaled: Decimal(unscaled).scaleb(-scale))


_PLAIN: Final[dict[str, Callable[[Any], st.SearchStrategy[Any]]]] = {
    "null": lambda _: st.none(),
    "boolean": lambda _: st.booleans(),
    "bytes": lambda _: st.binary(max_size=9),
    "string": lambda _: _TEXTS,
    "int": lambda _: _whole(-(2**31), 2**31 - 1),
    "long": lambda _: _whole(-(2**63), 2**63 - 1),
    "timestamp-millis": lambda _: _whole(_FIRST_MS, _LAST_MS),  # as far as datetime goes
    "decimal": _decimals,
    "enum": lambda attributes: st.sampled_from(attributes["symbols"]),
    "map": lambda _: st.dictionaries(_TEXTS, _TEXTS, max_size=5),
}


def values(registry: Registry, subject: str) -> st.SearchStrategy[bytes]:
    """Kafka values of any version of a subject."""

    def of(schema: RegisteredSchema) -> st.SearchStrategy[bytes]:
        fields = {field["name"]: values_of(field["type"]) for field in schema.definition["fields"]}
        return st.fixed_dictionaries(fields).map(lambda record: framed(schema, record))

    return st.one_of([of(schema) for schema in registry.versions(subject)])


_SPLINTERS: Final = (
    b"\0",
    b"\1",
    b"\2",
    b"\3",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xff" * 9 + b"\1",
)


def damaged(value: bytes, dice: Random) -> bytes:
    """The value with a byte flipped, inserted, deleted, or with its end cut off: once or twice."""
    for _ in range(dice.choice((1, 1, 2))):
        at = dice.randrange(len(value) + 1)
        rest = value[at:]
        value = value[:at] + dice.choice(
            (
                bytes((rest[0] ^ 1 << dice.randrange(8),)) + rest[1:] if rest else b"\0",
                dice.choice(_SPLINTERS) + rest[1:],
                dice.choice(_SPLINTERS) + rest,
                rest[1:],
                rest[dice.randrange(9) :],
                b"",
            )
        )
    return value


def differences(found: Iterable[Row], wanted: Iterable[Row]) -> list[tuple[int, Row, Row]]:
    """Number and both sides of the rows that are not the same; few, so that a failure can be read."""
    pairs = enumerate(zip(found, wanted, strict=True))
    return [(number, one, other) for number, (one, other) in pairs if one != other][:3]
