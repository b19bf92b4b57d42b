"""Avro encoders made for one schema each: Python source is generated from the `.avsc` once, at start.

Knowing the schema beforehand leaves no dispatch per field: 5-6 times faster than a generic writer. The bytes are the
ones `fastavro.schemaless_writer` makes, with the Confluent prefix in front; a property test holds it to that.

Covered is what event schemas use: a flat record of string, bytes, boolean, int, long (and timestamps), enum, decimal,
map of string, and a union of null with one of these. Anything else is a TypeError at start.
"""

from collections.abc import Callable
from typing import Any, Final

from schemas_avro import RegisteredSchema

Encoder = Callable[..., bytes]
"""Takes the field values in schema order: str, bytes, bool, int (times in epoch units, decimals unscaled), dict."""

_SHORT: Final = 4096


def varint(value: int) -> bytes:
    """Zig-zag variable-length coding of an int or long (Avro specification, "Binary Encoding")."""
    value = value << 1 if value >= 0 else (-value << 1) - 1
    if value < 128:
        return bytes((value,))
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


LENGTHS: Final = tuple(varint(n) for n in range(_SHORT))
"""Length prefixes of nearly all texts; longer ones are computed."""


def _length(size: int) -> bytes:
    return LENGTHS[size] if size < _SHORT else varint(size)


def millis(value: int) -> bytes:
    """A long whose zig-zag form has 35 to 42 bits, as today's timestamps have: six bytes without a loop."""
    coded = value << 1
    if 0x7FFFFFFFF < coded <= 0x3FFFFFFFFFF:
        return bytes((
            coded & 127 | 128, coded >> 7 & 127 | 128, coded >> 14 & 127 | 128,
            coded >> 21 & 127 | 128, coded >> 28 & 127 | 128, coded >> 35,
        ))  # fmt: skip
    return varint(value)


def _decimal(unscaled: int) -> bytes:
    size = (unscaled.bit_length() >> 3) + 1
    return LENGTHS[size] + unscaled.to_bytes(size, "big", signed=True)


def _map(entries: dict[str, str]) -> bytes:
    if not entries:
        return b"\0"
    parts = [varint(len(entries))]
    for key, value in entries.items():
        for text in (key.encode(), value.encode()):
            parts += (_length(len(text)), text)
    parts.append(b"\0")
    return b"".join(parts)


_HELPERS: Final = {
    "varint": varint, "millis": millis, "decimal": _decimal, "map_": _map, "LENGTHS": LENGTHS,
}  # fmt: skip

_TEMPLATES: Final = {
    "boolean": "(b'\\1' if {} else b'\\0')",
    "int": "varint({})",
    "long": "varint({})",
    "timestamp-millis": "millis({})",
    "decimal": "decimal({})",
}
"""Expression of the types that are one expression, by logical or plain type."""


def make_encoder(schema: RegisteredSchema) -> Encoder:
    """An encoder of one schema's records, in Confluent framing. Raises TypeError for a schema it does not cover."""
    names = [f"f_{field['name']}" for field in schema.definition["fields"]]
    scope: dict[str, Any] = dict(_HELPERS)
    lines: list[str] = []
    parts = ["prefix"]
    for name, field in zip(names, schema.definition["fields"], strict=True):
        before, expressions = _field(name, field["type"], scope)
        lines += before
        parts += expressions
    source = "\n".join(
        [
            f"def encode({', '.join(names)}):",
            *(f"    {line}" for line in lines),
            f"    return b''.join(({', '.join(parts)}))",
        ]
    )
    scope["prefix"] = b"\0" + schema.id.to_bytes(4, "big")
    exec(compile(source, f"<encoder of {schema.subject} v{schema.version}>", "exec"), scope)  # noqa: S102 - made from our own schema files, whose field names Avro limits to identifiers
    encoder: Encoder = scope["encode"]
    return encoder


def _field(name: str, avro_type: Any, scope: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Statements to run first, and the expressions whose bytes make up the field."""
    if isinstance(avro_type, list):
        return _optional(name, avro_type, scope)
    kind = avro_type if isinstance(avro_type, str) else avro_type["type"]
    logical = None if isinstance(avro_type, str) else avro_type.get("logicalType")
    template = _TEMPLATES.get(logical or kind) or _TEMPLATES.get(kind)
    if template is not None:
        return [], [template.format(name)]
    if kind in ("string", "bytes"):
        return _sized(f"{name} = {name}.encode()" if kind == "string" else "", name)
    if kind == "enum":
        scope[f"enum_{name}"] = {symbol: varint(index) for index, symbol in enumerate(avro_type["symbols"])}
        return [], [f"enum_{name}[{name}]"]
    if kind == "map" and avro_type["values"] == "string":
        return [], [f"map_({name})"]
    raise TypeError(f"{name[2:]}: no encoder for the Avro type {avro_type!r}")


def _sized(convert: str, name: str) -> tuple[list[str], list[str]]:
    size = f"{name}_size"
    lines = [convert] if convert else []
    lines += [
        f"{size} = len({name})",
        f"{size} = LENGTHS[{size}] if {size} < {_SHORT} else varint({size})",
    ]
    return lines, [size, name]


def _optional(name: str, union: list[Any], scope: dict[str, Any]) -> tuple[list[str], list[str]]:
    if len(union) != 2 or union.count("null") != 1:
        raise TypeError(f"{name[2:]}: no encoder for the union {union!r}")
    null = union.index("null")
    before, expressions = _field(name, union[1 - null], scope)
    before = [f"if {name} is None:", f"    {name}_ = {varint(null)!r}", "else:", *(f"    {line}" for line in before)]
    before.append(f"    {name}_ = b''.join(({varint(1 - null)!r}, {', '.join(expressions)}))")
    return before, [f"{name}_"]
