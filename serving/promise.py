"""What clients were promised: the schema as of the last promise, and what of it a schema does not keep any more.

`contracts/schema.promised.graphql` is written by `python -m serving promise`, in the commit that adds something: what
is served is relied on. Whatever is in it has to go on working; what is to go is promised as deprecated first.
"""

import re
from pathlib import Path
from typing import Final

from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema, build_schema, parse, print_ast
from graphql.utilities import BreakingChange, BreakingChangeType, find_breaking_changes

PROMISED: Final = Path(__file__).resolve().parent.parent / "contracts" / "schema.promised.graphql"
_HEADER: Final = "# Written by `python -m serving promise`: what clients rely on. A test holds the schema to it.\n\n"
_DESCRIPTION: Final = re.compile(r'^ *"""(?:.|\n)*?"""$', re.MULTILINE)


def broken(promised: str, served: str) -> list[str]:
    """What the served SDL breaks of the promised one, each with the name of the type, field or argument."""
    before = build_schema(promised)
    changes = find_breaking_changes(before, build_schema(served))
    return sorted(change.description for change in changes if not _announced(change, before))


def promise(served: str) -> list[str]:
    """Promise the served SDL, unless it breaks what was promised; returns what it breaks."""
    broke = broken(PROMISED.read_text("utf-8"), served) if PROMISED.exists() else []
    if not broke:
        PROMISED.write_text(as_promised(served), encoding="utf-8")
    return broke


def as_promised(served: str) -> str:
    """The served SDL as a promise: without descriptions, which may get better."""
    return _HEADER + print_ast(parse(_DESCRIPTION.sub("", served))) + "\n"


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
