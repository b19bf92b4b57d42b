"""Large statements are made once for all requests of their kind; what a request is about is in its values."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.dialects import postgresql

from serving.queries import Asked
from serving.queries.sales import sales
from serving.queries.top_products import top_products
from serving.windows import Span

pytestmark = pytest.mark.unit

HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def best(at: datetime, *, before: timedelta | None = None, categories: list[str] | None = None) -> Asked:
    earlier = [at - before, at - before + HOUR] if before else []
    return top_products([at, at + HOUR], earlier, measure="revenue", first=10, bot=False, categories=categories)


def sold(at: datetime, *, before: timedelta | None = None, categories: list[str] | None = None) -> Asked:
    buckets = [Span(at, at + HOUR)] + ([Span(at - before, at - before + HOUR)] if before else [])
    return sales(buckets, bot=False, categories=categories, wanted_sketches=set(), wants_orders=True)


@pytest.mark.parametrize("ask", [best, sold])
@pytest.mark.parametrize("before", [None, timedelta(days=7)])
@pytest.mark.parametrize("categories", [None, ["audio", "it's"]])
def test_another_range_is_asked_by_the_same_statement(ask, before, categories) -> None:  # type: ignore[no-untyped-def]
    one, other = (ask(at, before=before, categories=categories) for at in (NOON, NOON + HOUR))
    assert one.statement is other.statement
    assert one.values != other.values
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    parameters = one.statement.compile(dialect=dialect).params
    assert one.values.keys() == {name for name, value in parameters.items() if value is None}
    assert not any(isinstance(value, datetime) for value in parameters.values())


def test_what_changes_the_question_changes_the_statement() -> None:
    assert best(NOON).statement is not best(NOON, categories=["audio"]).statement
    assert sold(NOON).statement is not sold(NOON, before=timedelta(days=7)).statement
