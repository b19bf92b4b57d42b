"""Large statements are made once for all requests of their kind; what a request is about is in its values."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.dialects import postgresql

from serving.queries import Asked
from serving.queries.conversions import conversion_windows
from serving.queries.sales import sales
from serving.queries.top_products import top_products
from serving.queries.windows import product_windows, revenue_windows
from serving.windows import ORIGIN, Span, Windows

pytestmark = pytest.mark.unit

HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def best(at: datetime, *, before: timedelta | None = None, categories: list[str] | None = None) -> Asked:
    earlier = [at - before, at - before + HOUR] if before else []
    narrowed = {"products": None, "categories": categories}
    wanted = frozenset({"views", "categories"})
    return top_products([at, at + HOUR], earlier, measure="revenue", wanted=wanted, first=10, bot=False, **narrowed)


def sold(at: datetime, *, before: timedelta | None = None, categories: list[str] | None = None) -> Asked:
    buckets = [Span(at, at + HOUR)] + ([Span(at - before, at - before + HOUR)] if before else [])
    return sales(buckets, bot=False, categories=categories, wanted_sketches=set(), wants_orders=True)


def of_windows(ask: Callable[..., Asked], length: timedelta, **more: Any) -> Callable[..., Asked]:
    def asked(at: datetime, *, before: timedelta | None = None, categories: list[str] | None = None) -> Asked:
        earlier = Span(at - before, at - before + 2 * length) if before else None
        starts, windows = Span(at, at + 2 * length), Windows(length, length)
        return ask(starts, windows, categories=categories, earlier=earlier, bot=None, limit=9, **more)

    return asked


ASKS = [
    best,
    sold,
    of_windows(revenue_windows, timedelta(minutes=5), products=None),
    of_windows(revenue_windows, timedelta(minutes=5), products=["a"]),
    of_windows(revenue_windows, HOUR, products=None),
    of_windows(product_windows, HOUR, products=None, wanted_sketches=("users",)),
    of_windows(conversion_windows, timedelta(minutes=5), products=["a"]),
]


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("before", [None, timedelta(days=7)])
@pytest.mark.parametrize("categories", [None, ["audio", "it's"]])
def test_another_range_is_asked_by_the_same_statement(ask, before, categories) -> None:  # type: ignore[no-untyped-def]
    one, other = (ask(at, before=before, categories=categories) for at in (NOON, NOON + HOUR))
    assert one.statement is other.statement
    assert one.values != other.values
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    parameters = one.statement.compile(dialect=dialect).params
    assert one.values.keys() == {name for name, value in parameters.items() if value is None}
    assert {value for value in parameters.values() if isinstance(value, datetime)} <= {ORIGIN}


def test_what_changes_the_question_changes_the_statement() -> None:
    assert best(NOON).statement is not best(NOON, categories=["audio"]).statement
    assert sold(NOON).statement is not sold(NOON, before=timedelta(days=7)).statement
