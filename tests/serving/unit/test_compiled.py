"""Lists completed by a plan say what graphql-core says, errors and all; and plans are used where they can be."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult, execute_sync, parse
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from serving.compiled import CompiledExecutor
from serving.schema.scalars import SCALARS, Long

pytestmark = pytest.mark.unit


@strawberry.enum
class Kind(Enum):
    GOOD = "good"
    BAD = "bad"


@strawberry.type
class Inner:
    name: str | None
    at: datetime


@strawberry.interface
class Named:
    id: strawberry.ID


@strawberry.type
class Item(Named):
    money: Decimal
    count: Long
    share: float | None
    kind: Kind
    took: timedelta
    tags: list[str]
    inner: Inner | None
    many: list[Inner]

    @strawberry.field
    def asked(self, times: int = 2) -> int:
        return int(self.count) * times


def item(number: int, **changes: Any) -> Item:
    inner = Inner(name=None if number % 2 else "ä\u2028", at=datetime(2026, 1, 1, 12, number, tzinfo=UTC))
    told: dict[str, Any] = {
        "id": strawberry.ID(f"i{number}"), "money": Decimal("1.50") * number, "count": Long(number), "share": None,
        "kind": Kind.GOOD, "took": timedelta(minutes=number), "tags": ["a", "b"][: number % 3],
        "inner": inner if number % 3 else None, "many": [inner] * (number % 3),
    }  # fmt: skip
    return Item(**(told | changes))


@strawberry.type
class Query:
    @strawberry.field
    def items(self) -> list[Item]:
        return [item(number) for number in range(1, 5)]

    @strawberry.field
    def named(self) -> list[Named]:
        return [item(1)]

    @strawberry.field
    def nulls(self) -> list[Item | None]:
        return [item(1), item(2, money=None), None]

    @strawberry.field
    def broken(self) -> list[Item | None]:
        return [item(1), item(2, money=None), item(3, money=Decimal("NaN")), item(4, share=float("inf")), None]


SCHEMA = strawberry.Schema(Query, types=[Item], config=StrawberryConfig(scalar_map=SCALARS))._schema

DOCUMENTS = [
    "{ items { id money count share kind took tags } }",
    "{ items { __typename x: id y: id inner { name at } many { at n: name __typename } } }",
    "{ items { ...F ... on Named { id } } } fragment F on Item { money inner { at } inner { name } }",
    "query ($no: Boolean = false) { items { id @include(if: $no) count @skip(if: true) ... @skip(if: $no) { kind } } }",
    "{ items { id asked } }",
    "{ items { id asked(times: 5) inner { name } } }",
    "{ named { id ... on Item { money } } }",
    "{ broken { id money share } }",
    "{ broken { id } }",
    "{ nulls { id money } }",
    "{ a: items { id } b: items { money } }",
]


def run(document: str, executor: Any) -> ExecutionResult:
    return execute_sync(SCHEMA, parse(document), root_value=Query(), executor_class=executor)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_answer_is_the_same(document: str) -> None:
    plan, plain = run(document, CompiledExecutor), run(document, StrawberryGraphQLCoreExecutionContext)
    assert plan.data is not None
    assert plan.data == plain.data
    assert [error.formatted for error in plan.errors or ()] == [error.formatted for error in plain.errors or ()]
    assert [list(each) for each in plan.data.get("items", [])] == [list(each) for each in plain.data.get("items", [])]


@pytest.mark.parametrize(("document", "fields"), [(DOCUMENTS[0], 1), (DOCUMENTS[1], 1), (DOCUMENTS[4], 1 + 2 * 4)])
def test_a_plan_asks_for_no_field(document: str, fields: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    plain = StrawberryGraphQLCoreExecutionContext.execute_field

    def counting(self: Any, *arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return plain(self, *arguments)

    monkeypatch.setattr(CompiledExecutor, "execute_field", counting)
    assert run(document, CompiledExecutor).errors is None
    assert asked == fields
