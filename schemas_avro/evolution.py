"""May these versions of a subject live side by side? A static check by the Avro specification's resolution rules.

FULL_TRANSITIVE: every version must be able to read what every other version wrote. The rules are those of "Schema
Resolution" in the Avro 1.12 specification, plus one of ours: a logical type is part of the type, since a reader that
takes micros for millis decodes without error and is wrong by a factor of 1000.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Schema = Any
"""A schema as parsed JSON: a name, a union list or an object."""

PROMOTIONS: Final = {
    "int": {"int", "long", "float", "double"},
    "long": {"long", "float", "double"},
    "float": {"float", "double"},
    "string": {"string", "bytes"},
    "bytes": {"bytes", "string"},
}
"""Writer's primitive type → reader's types it may be promoted to."""
PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclass(frozen=True)
class Incompatibility:
    """One reason why a reader cannot read a writer's data."""

    path: str
    """Where, as field names joined by dots; empty for the schema itself."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True)
class VersionConflict:
    """An incompatibility and the pair of versions it is between."""

    subject: str
    reader_version: int
    writer_version: int
    incompatibility: Incompatibility

    def __str__(self) -> str:
        return f"{self.subject} v{self.reader_version} cannot read v{self.writer_version}: {self.incompatibility}"


def check_full_transitive(subject: str, versions: Mapping[int, Schema]) -> list[VersionConflict]:
    """Every reason why some version cannot read another one; empty if all can. Keys are version numbers."""
    return [
        VersionConflict(subject, reader, writer, found)
        for reader in versions
        for writer in versions
        if reader != writer
        for found in check_readable(versions[reader], versions[writer])
    ]


def check_readable(reader: Schema, writer: Schema) -> list[Incompatibility]:
    """Every reason why `reader` cannot read data written with `writer`; empty if it can."""
    return list(_Pair(reader, writer).compare(reader, writer, ""))


class _Pair:
    """One comparison: the names both sides define, and the pairs of records already under way (recursive types)."""

    def __init__(self, reader: Schema, writer: Schema) -> None:
        self._reader_names = dict(_named_types(reader, ""))
        self._writer_names = dict(_named_types(writer, ""))
        self._open: set[tuple[int, int]] = set()

    def compare(self, reader: Schema, writer: Schema, path: str) -> Iterator[Incompatibility]:
        reader = _resolve(reader, self._reader_names)
        writer = _resolve(writer, self._writer_names)
        if isinstance(writer, list):
            for branch in writer:
                yield from self.compare(reader, branch, path)
        elif isinstance(reader, list):
            if not any(not list(self.compare(branch, writer, path)) for branch in reader):
                yield Incompatibility(path, f"no branch of the reader's union reads {_describe(writer)}")
        else:
            yield from self._compare_plain(reader, writer, path)

    def _compare_plain(self, reader: Schema, writer: Schema, path: str) -> Iterator[Incompatibility]:
        reader_type, writer_type = reader["type"], writer["type"]
        if reader_type not in PROMOTIONS.get(writer_type, {writer_type}):
            yield Incompatibility(path, f"{_describe(writer)} cannot be read as {_describe(reader)}")
            return
        if _logical(reader) != _logical(writer):
            yield Incompatibility(path, f"logical type {_logical(writer)} cannot be read as {_logical(reader)}")
        if writer_type == "record":
            yield from self._compare_records(reader, writer, path)
        elif writer_type == "enum":
            yield from _compare_enums(reader, writer, path)
        elif writer_type == "array":
            yield from self.compare(reader["items"], writer["items"], f"{path}[]")
        elif writer_type == "map":
            yield from self.compare(reader["values"], writer["values"], f"{path}{{}}")
        elif writer_type == "fixed":
            yield from _compare_names(reader, writer, path)
            if reader["size"] != writer["size"]:
                yield Incompatibility(path, f"fixed size {writer['size']} cannot be read as {reader['size']}")

    def _compare_records(self, reader: Schema, writer: Schema, path: str) -> Iterator[Incompatibility]:
        pair = (id(reader), id(writer))
        if pair in self._open:
            return
        self._open.add(pair)
        yield from _compare_names(reader, writer, path)
        written = {field["name"]: field for field in writer["fields"]}
        for field in reader["fields"]:
            names = (field["name"], *field.get("aliases", ()))
            source = next((written[name] for name in names if name in written), None)
            here = f"{path}.{field['name']}" if path else str(field["name"])
            if source is not None:
                yield from self.compare(field["type"], source["type"], here)
            elif "default" not in field:
                yield Incompatibility(here, "the reader's field has no default and the writer has no such field")
        self._open.discard(pair)


def _compare_enums(reader: Schema, writer: Schema, path: str) -> Iterator[Incompatibility]:
    yield from _compare_names(reader, writer, path)
    unknown = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
    if unknown and "default" not in reader:
        yield Incompatibility(path, f"the reader's enum lacks {', '.join(unknown)} and has no default symbol")
    elif unknown:
        # The specification allows it; the value is lost all the same, which an analytics log may not do.
        yield Incompatibility(path, f"the reader's enum would turn {', '.join(unknown)} into its default symbol")


def _compare_names(reader: Schema, writer: Schema, path: str) -> Iterator[Incompatibility]:
    """Unqualified names must agree, or the reader must have the writer's name as an alias."""
    names = {_unqualified(reader["name"]), *(_unqualified(alias) for alias in reader.get("aliases", ()))}
    if _unqualified(writer["name"]) not in names:
        yield Incompatibility(path, f"named {writer['name']} by the writer, {reader['name']} by the reader")


def _named_types(schema: Schema, namespace: str) -> Iterator[tuple[str, Schema]]:
    """Every record, enum and fixed defined in a schema, by full name."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _named_types(branch, namespace)
    elif isinstance(schema, dict):
        if "name" in schema:
            namespace = schema.get("namespace", schema["name"].rpartition(".")[0] or namespace)
            name = _unqualified(schema["name"])
            yield (f"{namespace}.{name}" if namespace else name), schema
            yield name, schema
        nested: Sequence[Schema] = [field["type"] for field in schema.get("fields", ())]
        for inner in (*nested, schema.get("items"), schema.get("values")):
            yield from _named_types(inner, namespace)
        if isinstance(schema.get("type"), dict | list):
            yield from _named_types(schema["type"], namespace)


def _resolve(schema: Schema, names: Mapping[str, Schema]) -> Schema:
    """A union list, or an object whose `type` is a plain name."""
    if isinstance(schema, list):
        return schema
    if isinstance(schema, str):
        return {"type": schema} if schema in PRIMITIVES else names[schema]
    if isinstance(schema["type"], dict | list) or schema["type"] in names:
        return _resolve(schema["type"], names)
    return schema


def _logical(schema: Schema) -> str:
    kind = schema.get("logicalType")
    if kind is None:
        return "none"
    return f"decimal({schema['precision']},{schema.get('scale', 0)})" if kind == "decimal" else str(kind)


def _describe(schema: Schema) -> str:
    name = schema.get("name")
    return f"{schema['type']} {name}" if name else str(schema["type"])


def _unqualified(name: str) -> str:
    return name.rpartition(".")[2]
