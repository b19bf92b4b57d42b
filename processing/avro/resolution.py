"""How a writer's record becomes the reader's columns ("Schema Resolution" in the Avro 1.12 specification).

Only what can come up between versions of one subject, which `schemas_avro.evolution` holds to FULL_TRANSITIVE: fields
that one side lacks, fields renamed by alias, fields in another order, other enum symbols.
"""

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from processing.avro.cursors import INT, LONG, Cursors
from processing.avro.maps import MapOfString
from processing.avro.types import (
    MAX_DECIMAL_PRECISION,
    Boolean,
    Bytes,
    ColumnType,
    Decimal,
    Enum,
    Nullable,
    Number,
    Text,
)

_PLAIN: Final[dict[str, ColumnType]] = {
    "string": Text(),
    "bytes": Bytes(),
    "boolean": Boolean(),
    "int": Number(pa.int32(), INT),
    "long": Number(pa.int64(), LONG),
}


@dataclass(frozen=True)
class Resolution:
    """One writer's record, read as one reader's."""

    written: list[tuple[str | None, ColumnType]]
    """The writer's fields in order: the reader's name, or None for a field that is read and dropped."""
    columns: dict[str, pa.Scalar | None]
    """The reader's fields in order: the default of one that the writer lacks."""
    schema: pa.Schema

    def read(self, cursors: Cursors) -> pa.RecordBatch:
        """The reader's fields, a row per cursor; a row whose cursor is marked afterwards means nothing."""
        found = {name: kind.read(cursors) for name, kind in self.written}
        cursors.fail(cursors.position != cursors.end)
        columns = [
            found[name] if default is None else pa.repeat(default, len(cursors))
            for name, default in self.columns.items()
        ]
        return pa.record_batch(columns, schema=self.schema)


def arrow_schema(reader: dict[str, Any]) -> pa.Schema:
    """The reader's fields as Arrow fields. Raises TypeError for an Avro type that no event schema uses."""
    return pa.schema(
        [pa.field(field["name"], column_type(field["type"], field["type"]).arrow) for field in reader["fields"]]
    )


def resolve(writer: dict[str, Any], reader: dict[str, Any]) -> Resolution:
    """Raises TypeError for Avro types that no event schema uses, and for versions that do not resolve."""
    reader_fields = {name: field for field in reader["fields"] for name in (field["name"], *field.get("aliases", ()))}
    written: list[tuple[str | None, ColumnType]] = []
    for field in writer["fields"]:
        match = reader_fields.get(field["name"])
        kind = column_type(field["type"], field["type"] if match is None else match["type"])
        written.append((match and match["name"], kind))
    names = {name for name, _ in written}
    schema = arrow_schema(reader)
    columns = {}
    for field in reader["fields"]:
        if field["name"] not in names and "default" not in field:
            raise TypeError(f"the writer lacks {field['name']}, which has no default")
        columns[field["name"]] = None if field["name"] in names else _default(field, schema.field(field["name"]).type)
    return Resolution(written, columns, schema)


def column_type(written: Any, read: Any) -> ColumnType:
    """What reads values of the writer's type as the reader's. They may differ in nothing but the symbols of an enum."""
    if isinstance(written, list) and isinstance(read, list):
        inner = [[branch for branch in union if branch != "null"] for union in (written, read)]
        if len(written) == len(read) == 2 and [len(branches) for branches in inner] == [1, 1]:
            return Nullable(_bare_type(inner[0][0], inner[1][0]), written.index("null"))
    return _bare_type(written, read)


def _bare_type(written: Any, read: Any) -> ColumnType:
    if _essence(written) == _essence(read):
        match _essence(written):
            case [str() as plain, None] if plain in _PLAIN:
                return _PLAIN[plain]
            case ["long", "timestamp-millis"]:
                return Number(pa.timestamp("ms", "UTC"), LONG)
            case ["bytes", "decimal", int() as precision, int() as scale] if precision <= MAX_DECIMAL_PRECISION:
                return Decimal(precision, scale)
            case ["enum", None]:
                return Enum(written["symbols"], read["symbols"], read.get("default"))
            case ["map", None, "string"]:
                return MapOfString()
    raise TypeError(f"no column for the Avro type {written!r} read as {read!r}")


def _essence(avro_type: Any) -> list[Any]:
    """What of a type says how its bytes are read, but for an enum's symbols: documentation and names are left out."""
    if not isinstance(avro_type, dict):
        return [avro_type, None]
    kind, logical = avro_type["type"], avro_type.get("logicalType")
    match logical or kind:
        case "decimal":
            return [kind, logical, avro_type["precision"], avro_type.get("scale", 0)]
        case "map":
            return [kind, logical, avro_type["values"]]
    return [kind, logical]


def _default(field: dict[str, Any], arrow: pa.DataType) -> pa.Scalar:
    value = field["default"]
    if value is not None and (pa.types.is_binary(arrow) or pa.types.is_decimal(arrow)):
        raise TypeError(f"no support for a default of bytes: {field['name']}")
    return pa.scalar(list(value.items()) if isinstance(value, dict) else value, arrow)
