"""Schemas that clients present: which registered one is it, and could it live beside those that are?

Two schemas are the same here if they differ at most in documentation and in how names are written. The Parsing
Canonical Form would be too coarse: it leaves out logical types, and micros are not millis.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastavro.schema import SchemaParseException, UnknownType, parse_schema

from schemas_avro import RegisteredSchema
from schemas_avro.evolution import check_readable

_NO_MATTER: Final = frozenset({"doc", "avro.java.string"})
"""Attributes that change neither the bytes nor what they mean."""
_NOT_FOLLOWED: Final = (RecursionError, LookupError, TypeError, ValueError, AttributeError)
"""What walking something that only looks like a schema ends in: fastavro does not check all of it."""


class InvalidSchemaError(Exception):
    """What was presented is no Avro schema."""


class _Presented(msgspec.Struct):
    """The body of every call that presents a schema; other members do not matter here."""

    schema: str
    schemaType: str = "AVRO"  # noqa: N815 - the protocol's name
    references: list[Any] | None = None


def parse_candidate(body: bytes) -> Any:
    """The schema in a request body, as parsed JSON. Raises InvalidSchemaError."""
    try:
        presented = msgspec.json.decode(body, type=_Presented)
        if presented.schemaType != "AVRO" or presented.references:
            raise InvalidSchemaError("Schemas here are Avro, without references.")
        definition = msgspec.json.decode(presented.schema)
        parse_schema(definition)
    except (msgspec.DecodeError, SchemaParseException, UnknownType, UnicodeError, RecursionError) as error:
        raise InvalidSchemaError(f"Invalid schema: {error}"[:500]) from error
    except _NOT_FOLLOWED as error:  # fastavro's way to say the same
        raise InvalidSchemaError("Invalid schema.") from error
    return definition


def find_same(versions: Sequence[RegisteredSchema], candidate: Any) -> RegisteredSchema | None:
    """The newest version that is this schema; None if none is. Raises InvalidSchemaError."""
    try:
        wanted = _essence(candidate)
    except _NOT_FOLLOWED as error:
        raise InvalidSchemaError("Invalid schema.") from error
    return next((schema for schema in reversed(versions) if _essence(schema.definition) == wanted), None)


def conflicts(versions: Sequence[RegisteredSchema], candidate: Any) -> list[str]:
    """Why the schema may not live beside these versions: every one must read what every other wrote.

    Raises InvalidSchemaError for a schema that the check cannot follow.
    """
    try:
        return [
            f"{reader} cannot read {writer}: {found}"
            for version in versions
            for reader, writer, reading, written in (
                ("The new schema", f"version {version.version}", candidate, version.definition),
                (f"Version {version.version}", "the new schema", version.definition, candidate),
            )
            for found in check_readable(reading, written)
        ]
    except _NOT_FOLLOWED as error:
        raise InvalidSchemaError(
            "The schema is nested too deeply, or refers to itself in a way not followed."
        ) from error


def _essence(definition: Any, namespace: str = "") -> Any:
    """A schema without documentation, with full names."""
    if isinstance(definition, list):
        return [_essence(branch, namespace) for branch in definition]
    if not isinstance(definition, dict):
        return definition
    bare = {key: value for key, value in definition.items() if key not in _NO_MATTER}
    if bare.keys() == {"type"}:
        return _essence(bare["type"], namespace)
    if bare.get("type") in ("record", "enum", "fixed", "error"):
        stated = bare.pop("namespace", namespace)
        name = bare["name"] if "." in bare["name"] or not stated else f"{stated}.{bare['name']}"
        namespace = name.rpartition(".")[0]
        bare["name"] = name
    if isinstance(bare.get("fields"), list):
        bare["fields"] = [_essence_of_field(field, namespace) for field in bare["fields"]]
    for key in ("type", "items", "values"):
        if key in bare:
            bare[key] = _essence(bare[key], namespace)
    return bare


def _essence_of_field(field: dict[str, Any], namespace: str) -> dict[str, Any]:
    bare = {key: value for key, value in field.items() if key not in _NO_MATTER}
    return {**bare, "type": _essence(bare["type"], namespace)}
