"""Fields that have a function call it with what Strawberry would have called it with."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult, execute_sync, parse

from serving.schema import build_schema
from serving.schema.direct import call_directly

pytestmark = pytest.mark.unit


@strawberry.enum
class Kind(Enum):
    GOOD = "good"


@strawberry.input
class Inner:
    at: datetime
    kinds: list[Kind] | None


@strawberry.input
class Outer:
    from_: Inner = strawberry.field(name="from")
    more: list[Inner | None] | None


@strawberry.input
class Wanting:
    most: int = 7


def _told(info: strawberry.Info, given: dict[str, Any]) -> str:
    return f"{info.field_name} {sorted(given.items())!r}"


@strawberry.type
class Thing:
    name: str

    @strawberry.field
    def by_self(self, more: str = "-") -> str:
        return self.name + more


def _below(root: strawberry.Parent[Thing], info: strawberry.Info, source: str | None = None) -> str:
    return f"{root.name} {info.field_name} {source}"


@strawberry.type
class Below(Thing):
    below: str = strawberry.field(resolver=_below)


@strawberry.type
class Query:
    @strawberry.field
    def thing(self) -> Below:
        return Below(name="thing")

    @staticmethod
    def _all(
        info: strawberry.Info, outer: Outer, kind: Kind = Kind.GOOD, ids: list[strawberry.ID] | None = None, n: int = 3
    ) -> str:
        return _told(info, {"outer": outer, "kind": kind, "ids": ids, "n": n})

    everything: str = strawberry.field(resolver=_all)

    @strawberry.field
    def wanting(self, wanting: Wanting) -> str:
        return repr(wanting)


DOCUMENT = parse(
    """query ($outer: Outer!, $ids: [ID!]) {
      a: everything(outer: $outer, ids: $ids) b: everything(outer: {from: {at: "2026-03-01T00:00:00Z"}}, n: 4)
      wanting(wanting: {}) thing { name bySelf below other: below(source: "s") } }"""
)
VARIABLES = {
    "outer": {"from": {"at": "2026-03-01T00:00:00Z", "kinds": ["GOOD"]}, "more": [None, {"at": "2026-03-02T00:00:00Z"}]}
}


def _answer(prepare: Callable[[strawberry.Schema], None]) -> ExecutionResult:
    schema = strawberry.Schema(query=Query)
    prepare(schema)
    return execute_sync(schema._schema, DOCUMENT, variable_values=VARIABLES)


def test_arguments_are_what_strawberry_would_give() -> None:
    direct, by_strawberry = _answer(call_directly), _answer(lambda _: None)
    assert direct == by_strawberry
    assert direct.errors is None
    assert direct.data is not None
    assert str(datetime(2026, 3, 1, tzinfo=UTC).year) in direct.data["a"]


def test_every_field_of_the_api_with_a_function_calls_it_directly() -> None:
    types = build_schema()._schema.type_map.values()
    fields = [field for type_ in types for field in getattr(type_, "fields", {}).values()]
    resolved = [
        field
        for field in fields
        if (definition := field.extensions.get("strawberry-definition")) is not None
        and getattr(definition, "base_resolver", None) is not None
        and not definition.is_subscription
    ]
    assert len(resolved) > 30
    assert {field.resolve.__module__ for field in resolved} == {"serving.schema.direct"}
