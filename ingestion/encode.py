"""Avro encoders made for one schema each: Python source is generated from the `.avsc` once, at start.

Knowing the schema beforehand leaves no dispatch per field: 5-6 times faster than a generic writer. The bytes are the
ones `fastavro.schemaless_writer` makes, with the Confluent prefix in front; a property test holds it to that.

A field may have a check, which runs before it is encoded: values that are surely fine pass an expression in the same
generated function, and only the others cost a call.

Covered is what event schemas use: a flat record of string, bytes, boolean, int, long (and timestamps), enum, decimal,
map of string, and a union of null with one of these. Anything else is a TypeError at start.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from schemas_avro import RegisteredSchema

Encoder = Callable[..., bytes]
"""Takes the field values in schema order: str, bytes, bool, int (times in epoch units, decimals unscaled), dict."""

_SHORT: Final = 4096
_REMEMBERED_VALUES: Final = 4096
_REMEMBERED_BYTES: Final = 256


class Check(NamedTuple):
    """What a field's value must be."""

    settle: Callable[[Any], Any]
    """Gives the value to encode, or raises. Not asked about None where the field may be null."""
    fine: str = "False"
    """An expression of `{0}` that is true of nothing but values that `settle` gives back as they are."""
    repeats: bool = False
    """Whether a few values come again and again: then each is checked and encoded once, and remembered."""
    encode: Callable[[Any], bytes] | None = None
    """Checks and encodes in one; nothing else of this counts then."""


class Remembered(dict[Any, bytes]):
    """Bytes of values seen before; others are made, and kept if they are short. What raises is not kept."""

    def __init__(self, make: Callable[[Any], bytes]) -> None:
        self._make = make

    def __missing__(self, value: Any) -> bytes:
        made = self._make(value)
        if len(made) <= _REMEMBERED_BYTES:
            if len(self) >= _REMEMBERED_VALUES:
                self.clear()
            self[value] = made
        return made


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


def text_bytes(text: str) -> bytes:
    """A string."""
    encoded = text.encode()
    size = len(encoded)
    return (LENGTHS[size] if size < _SHORT else varint(size)) + encoded


_MIDDLE: Final = tuple(bytes((n & 127 | 128, n >> 7 | 128)) for n in range(1 << 14))
_LAST: Final = tuple(bytes((n & 127 | 128, n >> 7)) for n in range(1 << 14))
"""Two bytes of a long at a time, 14 bits of it."""


def millis(value: int) -> bytes:
    """A long whose zig-zag form has 35 to 42 bits, as today's timestamps have: six bytes without a loop."""
    coded = value << 1
    if 0x7FFFFFFFF < coded <= 0x3FFFFFFFFFF:
        return _MIDDLE[coded & 16383] + _MIDDLE[coded >> 14 & 16383] + _LAST[coded >> 28]
    return varint(value)


def _decimal(unscaled: int) -> bytes:
    size = (unscaled.bit_length() >> 3) + 1
    return LENGTHS[size] + unscaled.to_bytes(size, "big", signed=True)


def map_of(entries: dict[str, str]) -> bytes:
    """A map of strings."""
    if not entries:
        return b"\0"
    parts = [varint(len(entries))]
    for key, value in entries.items():
        parts += (text_bytes(key), text_bytes(value))
    parts.append(b"\0")
    return b"".join(parts)


_HELPERS: Final = {
    "varint": varint, "millis": millis, "decimal": _decimal, "map_of": map_of, "LENGTHS": LENGTHS,
    "SECOND": tuple(varint(1) + length for length in LENGTHS),
}  # fmt: skip
"""`SECOND`: lengths behind the index of a union's second branch."""

_TEMPLATES: Final = {
    "boolean": "(b'\\1' if {} else b'\\0')",
    "int": "varint({})",
    "long": "varint({})",
    "timestamp-millis": "millis({})",
    "decimal": "decimal({})",
}
"""Expression of the types that are one expression, by logical or plain type."""


def make_encoder(schema: RegisteredSchema, checks: Mapping[str, Check] | None = None) -> Encoder:
    """An encoder of one schema's records, in Confluent framing. Raises TypeError for a schema it does not cover.

    `checks` by field; the encoder raises what they raise, in the order of the schema.
    """
    names = [f"f_{field['name']}" for field in schema.definition["fields"]]
    scope: dict[str, Any] = dict(_HELPERS)
    lines: list[str] = []
    parts = ["prefix"]
    for name, field in zip(names, schema.definition["fields"], strict=True):
        before, expressions = _checked(name, field["type"], scope, (checks or {}).get(field["name"]))
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


def _checked(name: str, avro_type: Any, scope: dict[str, Any], check: Check | None) -> tuple[list[str], list[str]]:
    """Statements to run first, and the expressions whose bytes make up the field."""
    if check is None:
        return _field(name, avro_type, scope, [])
    scope[f"settle_{name}"] = check.settle
    if check.encode is not None:
        scope[f"encode_{name}"] = check.encode
        return [], [f"encode_{name}({name})"]
    if check.repeats:
        before, expressions = _field(name, avro_type, scope, [f"{name} = settle_{name}({name})"])
        source = "\n".join([f"def make({name}):", *(f"    {line}" for line in before),
                            f"    return b''.join(({', '.join(expressions)},))"])  # fmt: skip
        exec(source, scope)  # noqa: S102 - as the whole encoder is
        scope[f"known_{name}"] = Remembered(scope.pop("make"))
        return [], [f"known_{name}[{name}]"]
    settle = [f"if not ({check.fine.format(name)}):", f"    {name} = settle_{name}({name})"]
    return _field(name, avro_type, scope, settle)


def _field(name: str, avro_type: Any, scope: dict[str, Any], check: list[str]) -> tuple[list[str], list[str]]:
    """The same, with `check` run on values that are not null."""
    if isinstance(avro_type, list):
        return _optional(name, avro_type, scope, check)
    kind = avro_type if isinstance(avro_type, str) else avro_type["type"]
    logical = None if isinstance(avro_type, str) else avro_type.get("logicalType")
    template = _TEMPLATES.get(logical or kind) or _TEMPLATES.get(kind)
    if template is not None:
        return check, [template.format(name)]
    if kind in ("string", "bytes"):
        return [*check, *_sized(name, kind, "LENGTHS[{0}]", "varint({0})")], [f"{name}_size", name]
    if kind == "enum":
        scope[f"enum_{name}"] = {symbol: varint(index) for index, symbol in enumerate(avro_type["symbols"])}
        return check, [f"enum_{name}[{name}]"]
    if kind == "map" and avro_type["values"] == "string":
        return check, [f"map_of({name})"]
    raise TypeError(f"{name[2:]}: no encoder for the Avro type {avro_type!r}")


def _sized(name: str, kind: str, short: str, long: str) -> list[str]:
    """Statements that leave the bytes in `name` and what announces them in `name_size`."""
    size = f"{name}_size"
    return [
        *([f"{name} = {name}.encode()"] if kind == "string" else []),
        f"{size} = len({name})",
        f"{size} = {short.format(size)} if {size} < {_SHORT} else {long.format(size)}",
    ]


def _optional(name: str, union: list[Any], scope: dict[str, Any], check: list[str]) -> tuple[list[str], list[str]]:
    if len(union) != 2 or union.count("null") != 1:
        raise TypeError(f"{name[2:]}: no encoder for the union {union!r}")
    null = union.index("null")
    index, branch = varint(1 - null), union[1 - null]
    if branch in ("string", "bytes") and null == 0:  # most fields: without joining twice
        size = f"{name}_size"
        present = [*check, *_sized(name, branch, "SECOND[{0}]", f"{index!r} + varint({{0}})")]
        absent, expressions = [f"{size} = {varint(null)!r}", f"{name} = b''"], [size, name]
    else:
        before, inner = _field(name, branch, scope, check)
        present = [*before, f"{name}_ = b''.join(({index!r}, {', '.join(inner)}))"]
        absent, expressions = [f"{name}_ = {varint(null)!r}"], [f"{name}_"]
    indented = (f"    {line}" for line in present)
    return [f"if {name} is None:", *(f"    {line}" for line in absent), "else:", *indented], expressions
