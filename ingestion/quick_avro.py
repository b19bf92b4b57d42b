"""A quick Avro decoder for one schema: Python source generated from the `.avsc` at start, without a call per field.

It knows what nearly every record looks like: texts of less than 8 KiB, times of today, small counts, maps of one block.
Where it meets anything else, broken bytes included, it starts over with the careful decoder, whose word on values and
errors is the last. So it need not be strict about what it does not take, only right about what it does.
"""

from collections.abc import Callable
from typing import Any, Final

from ingestion.decode_avro import Cursor, Decoder, MalformedAvroError, make_decoder, make_reader
from schemas_avro import RegisteredSchema

_TEXT: Final = (
    "n = body[p]",
    "if n > 127:",
    "    p += 1",
    "    n = n & 127 | body[p] << 7",  # a third byte's mark makes it 16384 or more
    "if n & 1 or n > 16383:",
    "    raise ValueError",
    "p += 1",
    "{0} = body[p:p + (n >> 1)].decode()",
    "p += n >> 1",  # perhaps beyond the end: the next byte's index, or the last check, tells
)
_SIX_BYTES: Final = (
    "v = from_bytes(body[p:p + 6], 'little')",
    "if v & 0x808080808080 != 0x8080808080 or v & 1:",
    "    raise ValueError",
    "{0} = (v & 127 | v >> 1 & 0x3F80 | v >> 2 & 0x1FC000 | v >> 3 & 0xFE00000 | v >> 4 & 0x7F0000000"
    " | v >> 5 & 0x3F800000000) >> 1",
    "p += 6",
)
_ONE_BYTE: Final = ("n = body[p]", "if n & 129:", "    raise ValueError", "{0} = n >> 1", "p += 1")

_TEMPLATES: Final = {"string": _TEXT, "timestamp-millis": _SIX_BYTES, "int": _ONE_BYTE}
"""By logical or plain type."""


def make_quick_decoder(schema: RegisteredSchema, build: Callable[..., Any], **constants: str) -> Decoder:
    """A decoder of one schema's records: what `build` makes of the constants and the fields, by name.

    Values and errors are those of `make_decoder`.
    """
    careful = make_decoder(schema)

    def start_over(cursor: Cursor, position: int) -> Any:
        cursor.position = position
        return build(**constants, **careful(cursor))

    scope: dict[str, Any] = {
        "build": build,
        "start_over": start_over,
        "from_bytes": int.from_bytes,
        "MalformedAvroError": MalformedAvroError,
    }
    lines: list[str] = []
    for field in schema.definition["fields"]:
        lines += _read(f"f_{field['name']}", field["type"], scope)
    named = [f"{name}={value!r}" for name, value in constants.items()]
    named += [f"{field['name']}=f_{field['name']}" for field in schema.definition["fields"]]
    source = "\n".join(
        [
            "def decode(cursor):",
            "    body, start = cursor.body, cursor.position",
            "    p = start",
            "    try:",
            *(f"        {line}" for line in lines),
            "        if p > cursor.end:",
            "            raise ValueError",
            "    except (ValueError, LookupError, MalformedAvroError):",  # a UnicodeDecodeError is a ValueError
            "        return start_over(cursor, start)",
            "    cursor.position = p",
            f"    return build({', '.join(named)})",
        ]
    )
    exec(compile(source, f"<decoder of {schema.subject} v{schema.version}>", "exec"), scope)  # noqa: S102 - made from our own schema files, whose field names Avro limits to identifiers
    decoder: Decoder = scope["decode"]
    return decoder


def _read(name: str, avro_type: Any, scope: dict[str, Any]) -> list[str]:
    """Statements that read a value at `p` into `name`; those that cannot raise ValueError or LookupError."""
    if isinstance(avro_type, list):
        lines = ["n = body[p]", "p += 1"]
        for index, branch in enumerate(avro_type):
            read = [f"{name} = None"] if branch == "null" else _read(name, branch, scope)
            lines += [f"{'if' if index == 0 else 'elif'} n == {2 * index}:", *(f"    {line}" for line in read)]
        return [*lines, "else:", "    raise ValueError"]
    kind = avro_type if isinstance(avro_type, str) else avro_type["type"]
    logical = None if isinstance(avro_type, str) else avro_type.get("logicalType")
    if template := _TEMPLATES.get(logical or kind):
        return [line.format(name) for line in template]
    if kind == "enum":
        scope[f"symbols_{name}"] = {2 * index: symbol for index, symbol in enumerate(avro_type["symbols"][:64])}
        return [f"{name} = symbols_{name}[body[p]]", "p += 1"]
    if kind == "map" and avro_type["values"] == "string":
        return _read_map(name)
    scope[f"read_{name}"] = make_reader(avro_type)
    return ["cursor.position = p", f"{name} = read_{name}(cursor)", "p = cursor.position"]


def _read_map(name: str) -> list[str]:
    texts = (line.format(text) for text in ("key", "value") for line in _TEXT)
    return [
        f"{name} = {{}}",
        "count = body[p]",
        "p += 1",
        "if count & 129:",
        "    raise ValueError",
        "if count:",
        "    for _ in range(count >> 1):",
        *(f"        {line}" for line in texts),
        f"        {name}[key] = value",
        "    if body[p]:",  # another block
        "        raise ValueError",
        "    p += 1",
    ]
