"""The SDL that is checked in is the schema that is served."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    OperationDefinitionNode,
    find_breaking_changes,
    get_named_type,
    is_specified_scalar_type,
    parse,
    validate,
)
from graphql import build_schema as parse_sdl

from serving.__main__ import SDL, printed_schema

pytestmark = pytest.mark.unit
SERVED = parse_sdl(SDL.read_text("utf-8"))


def test_the_checked_in_sdl_is_the_schema() -> None:
    assert SDL.read_text("utf-8") == printed_schema(), "run `python -m serving sdl` and look at the difference"


def test_the_sdl_is_valid_graphql_for_other_tools() -> None:
    parsed = parse_sdl(SDL.read_text("utf-8"))
    assert find_breaking_changes(parsed, parse_sdl(printed_schema())) == []


def _members() -> Iterator[tuple[str, Any]]:
    """Everything that has a description, by its name."""
    for name, kind in SERVED.type_map.items():
        if name.startswith("__") or is_specified_scalar_type(kind):
            continue
        yield name, kind
        for field, of in getattr(kind, "fields", {}).items():
            yield f"{name}.{field}", of
            yield from ((f"{name}.{field}({argument})", each) for argument, each in getattr(of, "args", {}).items())
        yield from ((f"{name}.{value}", of) for value, of in getattr(kind, "values", {}).items())


def test_everything_says_what_it_is() -> None:
    assert [name for name, member in _members() if not (member.description or "").strip()] == []


def test_what_may_be_null_says_what_null_means() -> None:
    nullable = (
        (name, member)
        for name, member in _members()
        if isinstance(member, GraphQLField) and not isinstance(member.type, GraphQLNonNull)
    )
    assert [name for name, field in nullable if "null" not in (field.description or "").lower()] == []


def test_money_has_its_currency_beside_it() -> None:
    kinds = [kind for kind in SERVED.type_map.values() if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)]
    money = {
        kind.name: kind.fields
        for kind in kinds
        if any(get_named_type(field.type).name == "Decimal" for field in kind.fields.values())
    }
    assert [name for name, fields in money.items() if "currency" not in fields] == []


def test_what_lasts_is_a_duration() -> None:
    counted = re.compile(r".*([sS]econds|[mM]inutes|[hH]ours)")
    numbers = [
        name
        for name, field in _members()
        if counted.fullmatch(name) and getattr(field, "deprecation_reason", "") is None
    ]
    assert numbers == []


ROOTS = [
    (kind, name, field)
    for kind in (SERVED.query_type, SERVED.mutation_type, SERVED.subscription_type)
    if kind is not None
    for name, field in kind.fields.items()
]


@pytest.mark.parametrize(("kind", "name", "field"), ROOTS, ids=[f"{kind.name}.{name}" for kind, name, _ in ROOTS])
def test_every_root_shows_an_operation_that_can_be_run(kind: GraphQLObjectType, name: str, field: GraphQLField) -> None:
    (example,) = re.findall(r"```graphql\n(.+?)\n```", field.description or "", re.DOTALL)
    document = parse(example)
    assert validate(SERVED, document) == []
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert SERVED.get_root_type(operation.operation) is kind
    assert [node.name.value for node in operation.selection_set.selections if isinstance(node, FieldNode)] == [name]
