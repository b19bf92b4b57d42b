"""Answers held against the oracle: equal ones pass, and any other number is found with its place."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from loadtest.audit.answers import _near, check_answers
from loadtest.facts import Fact, Measures
from loadtest.graphql import GraphqlClient
from loadtest.oracle import Oracle

pytestmark = pytest.mark.unit

HOUR = datetime(2026, 1, 1, 10, tzinfo=UTC)
COUNTS = ("views", "clicks", "searches", "adds", "removes", "checkouts", "purchases", "units", "refunds")


def _fact(number: int, action: str, **more: Any) -> Fact:
    at = HOUR + timedelta(seconds=40 * number)
    return Fact(
        "clickstream",
        f"e{number}",
        f"u{number % 3}",
        f"s{number % 2}",
        "p1",
        "c",
        action,
        int(at.timestamp() * 1000),
        **more,
    )


FACTS = [
    *(_fact(number, "view") for number in range(8)),
    _fact(8, "purchase", amount=Decimal("10.50"), quantity=2),
    _fact(9, "refund", amount=Decimal("0.50"), quantity=1),
]


class Product(GraphqlClient):
    """Serves what an oracle says; `spoil` is applied to every row of one root."""

    def __init__(self, oracle: Oracle, spoilt: str = "", **spoil: Any) -> None:
        self._oracle, self._spoilt, self._spoil = oracle, spoilt, spoil

    async def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        assert variables is not None
        if "sessions(" in query:
            return {
                name: {"nodes": self._spoil_rows("sessions", self._sessions(value))}
                for name, value in variables.items()
            }
        start, end = (datetime.fromisoformat(variables["range"][name]) for name in ("from", "to"))
        for root in ("productMetrics", "revenue", "sales", "topProducts"):
            if f" {root}(" in query:
                return {root: self._spoil_rows(root, getattr(self, f"_{root}")(start, end, query))}
        raise AssertionError(query)

    def _spoil_rows(self, root: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, **self._spoil} for row in rows] if root == self._spoilt else rows

    def _productMetrics(self, start: datetime, end: datetime, _: str) -> list[dict[str, Any]]:
        return [
            {"windowStart": str(key[0]), "productId": key[1], "category": key[2], **_row(measures),
             "uniqueUsers": len(measures.users), "uniqueBuyers": len(measures.buyers)}
            for key, measures in self._oracle.product_minutes.items() if start <= key[0] < end  # type: ignore[operator]
        ]  # fmt: skip

    def _revenue(self, *_: Any) -> list[dict[str, Any]]:
        return [
            {"windowStart": str(key[0]), "category": key[1], "count": window.count, "total": str(window.total)}
            for key, window in self._oracle.revenue().items()
        ]

    def _sales(self, *_: Any) -> list[dict[str, Any]]:
        return [
            {"windowStart": str(hour), **_row(measures), "uniqueCustomers": len(measures.buyers)}
            for hour, measures in self._oracle.sales("hour").items()
        ]

    def _topProducts(self, start: datetime, end: datetime, query: str) -> list[dict[str, Any]]:
        by = next(by for by in ("views", "purchases", "revenue") if f" {by} }}" in query)
        ranked = self._oracle.top_products(by, start, end)
        return [{"rank": rank, "productId": product, by: str(value)} for rank, (product, value) in enumerate(ranked, 1)]

    def _sessions(self, session_id: str) -> list[dict[str, Any]]:
        names = [count for count in COUNTS if count != "refunds"]
        return [
            {"startedAt": str(session.started_at), "endedAt": str(session.ended_at), "userId": session.user_id,
             "events": session.measures.events, "bounced": session.bounced, "revenue": str(session.measures.revenue),
             **{name: getattr(session.measures, name) for name in names}}
            for session in self._oracle.sessions.values() if session.session_id == session_id
        ]  # fmt: skip


def _row(measures: Measures) -> dict[str, Any]:
    money = {name: str(getattr(measures, name)) for name in ("revenue", "refunded")}
    return {**{name: getattr(measures, name) for name in COUNTS}, **money}


async def _broken(product: Product) -> set[str]:
    minutes = sorted({fact.at.replace(second=0) for fact in FACTS})
    checks = await check_answers(product, Oracle(FACTS), minutes, seed=1)
    assert len(checks) == 7
    return {check.name.removeprefix("answers: ") for check in checks if not check.holds}


async def test_equal_answers_pass() -> None:
    assert await _broken(Product(Oracle(FACTS))) == set()


@pytest.mark.parametrize(
    ("root", "spoil", "name"),
    [
        ("productMetrics", {"views": 99}, "products by the minute"),
        ("productMetrics", {"uniqueUsers": 99}, "products by the minute"),
        ("productMetrics", {"revenue": "10.51"}, "products by the minute"),
        ("revenue", {"total": "10.51"}, "revenue by category"),
        ("sales", {"uniqueCustomers": 2}, "sales by the hour"),
        ("sales", {"refunded": "0"}, "sales by the hour"),
        ("sessions", {"bounced": True}, "sessions"),
    ],
)
async def test_another_number_is_found(root: str, spoil: dict[str, Any], name: str) -> None:
    assert await _broken(Product(Oracle(FACTS), root, **spoil)) == {name}


async def test_sessions_that_began_before_the_hours_that_are_known_are_left_out() -> None:
    """Two ids have both: one session ended before the hour, the other goes on in it."""
    before = [replace(_fact(-90, "view"), session_id="s0"), replace(_fact(-3, "view"), session_id="s1")]
    assert await _broken(Product(Oracle([*FACTS, *before]))) == set()


async def test_an_event_too_many_and_one_too_few_are_found() -> None:
    assert "products by the minute" in await _broken(Product(Oracle([*FACTS, _fact(1, "click")])))
    assert "sessions" in await _broken(Product(Oracle(FACTS[1:])))


def test_users_are_exact_up_to_the_size_of_a_sketch_and_near_above() -> None:
    assert not _near(4095, 4096)
    assert _near(10_300, 10_000)
    assert not _near(10_700, 10_000)
    assert not _near(None, 10_000)
