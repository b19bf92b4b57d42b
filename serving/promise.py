"""What clients were promised: the schema as of the last promise, and what of it a schema does not keep any more.

`contracts/schema.promised.graphql` is written by `python -m serving promise`, at a release. Whatever is in it has to go
on working: anything may be added, and what is to go is first promised as deprecated, then taken out.
"""

from pathlib import Path
from typing import Final

from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema, build_schema
from graphql.utilities import BreakingChange, BreakingChangeType, find_breaking_changes

PROMISED: Final = Path(__file__).resolve().parent.parent / "contracts" / "schema.promised.graphql"
_HEADER: Final = "# Written by `python -m serving promise`: what clients rely on. A test holds the schema to it.\n\n"


def broken(promised: str, served: str) -> list[str]:
    """What the served SDL breaks of the promised one, each with the name of the type, field or argument."""
    before = build_schema(promised)
    changes = find_breaking_changes(before, build_schema(served))
    return sorted(change.description for change in changes if not _announced(change, before))


def promise(served: str) -> list[str]:
    """Promise the served SDL, unless it breaks what was promised; returns what it breaks."""
    broke = broken(PROMISED.read_text("utf-8"), served) if PROMISED.exists() else []
    if not broke:
        PROMISED.write_text(_HEADER + served.partition("\n\n")[2], encoding="utf-8")
    return broke


def _announced(change: BreakingChange, before: GraphQLSchema) -> bool:
    """Whether it is the end of a field that was promised as deprecated."""
    if change.type is not BreakingChangeType.FIELD_REMOVED:
        return False
    for name, kind in before.type_map.items():
        fields = kind.fields if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) else {}
        for field in fields:
            if f" {name}.{field} " in f" {change.description}":
                return fields[field].deprecation_reason is not None
    return False
