"""A strict Avro binary decoder: what it accepts, every other Avro implementation reads to the same values.

Common decoders take more than the specification allows: union and enum index -1, booleans other than 0 and 1, ints of
40 bits, endless varints. Java does not, so such a record would be a poison pill further down. Errors name the byte.
"""

from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any, Final

from ingestion.errors import GatewayError
from schemas_avro import RegisteredSchema

MAX_MAP_ENTRIES: Final = 10_000
_MAX_DECIMAL_BYTES: Final = 16
_WIDE: Final = Context(prec=60)


class MalformedAvroError(GatewayError):
    """The bytes are not what their writer schema says."""

    def __init__(self, offset: int, detail: str) -> None:
        super().__init__(f"At byte {offset}: {detail}.")


class Cursor:
    """A place in a body."""

    __slots__ = ("body", "end", "position")

    def __init__(self, body: bytes, position: int = 0) -> None:
        self.body = body
        self.position = position
        self.end = len(body)

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start, stop = self.position, self.position + size
        if size < 0 or stop > self.end:
            raise MalformedAvroError(start, f"{size} bytes announced, {self.end - start} left")
        self.position = stop
        return self.body[start:stop]


Decoder = Callable[[Cursor], Any]


def read_long(cursor: Cursor) -> int:
    """A 64-bit integer of at most ten bytes."""
    return _varint(cursor, 10, 64)


def read_int(cursor: Cursor) -> int:
    """A 32-bit integer of at most five bytes."""
    return _varint(cursor, 5, 32)


def _varint(cursor: Cursor, max_bytes: int, bits: int) -> int:
    start = position = cursor.position
    body, end = cursor.body, cursor.end
    value = shift = 0
    while position < end:
        byte = body[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >> bits:
                raise MalformedAvroError(start, f"an integer of more than {bits} bits")
            cursor.position = position
            return (value >> 1) ^ -(value & 1)
        shift += 7
        if position - start == max_bytes:
            raise MalformedAvroError(start, f"an integer of more than {max_bytes} bytes")
    raise MalformedAvroError(start, "the bytes end within an integer")


def read_bytes(cursor: Cursor) -> bytes:
    """Length-prefixed bytes."""
    return cursor.take(read_long(cursor))


def read_string(cursor: Cursor) -> str:
    """Length-prefixed UTF-8."""
    start = cursor.position
    try:
        return read_bytes(cursor).decode()
    except UnicodeDecodeError:
        raise MalformedAvroError(start, "a text that is not valid UTF-8") from None


def read_boolean(cursor: Cursor) -> bool:
    """One byte, 0 or 1."""
    byte = cursor.take(1)[0]
    if byte > 1:
        raise MalformedAvroError(cursor.position - 1, f"a boolean of {byte}")
    return byte == 1


def read_null(cursor: Cursor) -> None:
    """No bytes at all."""


def read_map_of(read_value: Decoder, cursor: Cursor) -> dict[str, Any]:
    """Blocks of entries; a negative count is followed by the block's size in bytes, which must be right."""
    entries: dict[str, Any] = {}
    total = 0
    while count := read_long(cursor):
        size = read_long(cursor) if count < 0 else None
        start = cursor.position
        total += abs(count)
        if total > MAX_MAP_ENTRIES:
            raise MalformedAvroError(start, f"a map of more than {MAX_MAP_ENTRIES} entries")
        for _ in range(abs(count)):
            key = read_string(cursor)
            entries[key] = read_value(cursor)
        if size is not None and cursor.position - start != size:
            raise MalformedAvroError(start, f"a block of {cursor.position - start} bytes that is announced with {size}")
    return entries


def make_decoder(schema: RegisteredSchema) -> Callable[[Cursor], dict[str, Any]]:
    """A decoder of one schema's records to field values: times in epoch units, decimals as Decimal.

    Raises TypeError at once for a type that no event schema uses; the decoder raises MalformedAvroError.
    """
    fields = [(field["name"], make_reader(field["type"])) for field in schema.definition["fields"]]

    def decode(cursor: Cursor) -> dict[str, Any]:
        return {name: read(cursor) for name, read in fields}

    return decode


_PLAIN: Final[dict[str, Decoder]] = {
    "null": read_null,
    "boolean": read_boolean,
    "int": read_int,
    "long": read_long,
    "bytes": read_bytes,
    "string": read_string,
}


def make_reader(avro_type: Any) -> Decoder:
    """A reader of one value. Raises TypeError for a type that no event schema uses."""
    if isinstance(avro_type, list):
        return _indexed([make_reader(branch) for branch in avro_type])
    kind = avro_type if isinstance(avro_type, str) else avro_type["type"]
    if kind == "bytes" and not isinstance(avro_type, str) and avro_type.get("logicalType") == "decimal":
        return _decimal_of(avro_type.get("scale", 0))
    if kind == "enum":
        return _symbol_of(avro_type["symbols"])
    if kind == "map":
        read_value = make_reader(avro_type["values"])
        return lambda cursor: read_map_of(read_value, cursor)
    if kind in _PLAIN:
        return _PLAIN[kind]
    raise TypeError(f"no decoder for the Avro type {avro_type!r}")


def _indexed(branches: list[Decoder]) -> Decoder:
    def read_union(cursor: Cursor) -> Any:
        start = cursor.position
        index = read_long(cursor)
        if not 0 <= index < len(branches):
            raise MalformedAvroError(start, f"union branch {index} of {len(branches)}")
        return branches[index](cursor)

    return read_union


def _symbol_of(symbols: list[str]) -> Decoder:
    def read_enum(cursor: Cursor) -> str:
        start = cursor.position
        index = read_int(cursor)
        if not 0 <= index < len(symbols):
            raise MalformedAvroError(start, f"enum symbol {index} of {len(symbols)}")
        return symbols[index]

    return read_enum


def _decimal_of(scale: int) -> Decoder:
    def read_decimal(cursor: Cursor) -> Decimal:
        start = cursor.position
        unscaled = read_bytes(cursor)
        if not unscaled:
            raise MalformedAvroError(start, "a decimal without bytes")
        if len(unscaled) > _MAX_DECIMAL_BYTES:
            return Decimal("Infinity")  # far beyond any precision; converting a huge one would only cost time
        return _WIDE.scaleb(Decimal(int.from_bytes(unscaled, "big", signed=True)), -scale)

    return read_decimal
