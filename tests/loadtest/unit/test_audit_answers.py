"""Answers held against the oracle: equal ones pass, and any other number is found with its place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from loadtest import behaviour
from loadtest.audit.answers import check_answers
from loadtest.audit.audit import Auditor
from loadtest.audit.checks import Check
from loadtest.audit.compared import near
from loadtest.audit.holdings import Marks
from loadtest.facts import Fact, Measures
from loadtest.graphql import GraphqlClient
from loadtest.oracle import Oracle, Session

pytestmark = pytest.mark.unit

HOUR = datetime(2026, 1, 1, 10, tzinfo=UTC)
COUNTS = ("views", "clicks", "searches", "adds", "removes", "checkouts", "purchases", "units", "refunds")


def _fact(number: int, action: str, number_of_id: int | None = None, **more: Any) -> Fact:
    at = HOUR + timedelta(seconds=40 * number)
    return Fact(
        "clickstream",
        f"e{number if number_of_id is None else number_of_id}",
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
    _fact(5, "click", number_of_id=95),
    _fact(8, "purchase", amount=Decimal("10.50"), quantity=2, order_id="o1"),
    _fact(9, "refund", amount=Decimal("0.50"), quantity=1),
]


class Product(GraphqlClient):
    """Serves what an oracle says; `spoil` is applied to every row of one root."""

    def __init__(self, oracle: Oracle, spoilt: str = "", **spoil: Any) -> None:
        self._oracle, self._spoilt, self._spoil = oracle, spoilt, spoil

    async def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        assert variables is not None
        if " sessions(" in query:
            return {
                name: {"nodes": self._spoil_rows("sessions", self._sessions(value))}
                for name, value in variables.items()
            }
        if " user(" in query:
            return {name: self._spoil_rows("user", self._user(value))[0] for name, value in variables.items()}
        start, end = (datetime.fromisoformat(variables["range"][name]) for name in ("from", "to"))
        for root in ("productMetrics", "revenue", "sales", "topProducts", "conversions"):
            if f" {root}(" in query:
                return {root: self._spoil_rows(root, getattr(self, f"_{root}")(start, end, query))}
        for root in ("funnel", "journeys"):
            if f" {root}(" in query:
                (found,) = self._spoil_rows(root, [getattr(self, f"_{root}")(start, end)])
                return {root: found}
        raise AssertionError(query)

    def _spoil_rows(self, root: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, **self._spoil} for row in rows] if root == self._spoilt else rows

    def _productMetrics(self, start: datetime, end: datetime, _: str) -> list[dict[str, Any]]:
        return [
            {"windowStart": str(key[0]), "productId": key[1], "category": key[2], **_row(measures),
             "uniqueUsers": len(measures.users), "uniqueBuyers": len(measures.buyers)}
            for key, measures in self._oracle.product_minutes.items() if start <= key[0] < end  # type: ignore[operator]
        ]  # fmt: skip

    def _revenue(self, start: datetime, end: datetime, _: str) -> list[dict[str, Any]]:
        return [
            {"windowStart": str(key[0]), "category": key[1], "count": window.count, "total": str(window.total)}
            for key, window in self._oracle.revenue().items() if start <= key[0] < end  # type: ignore[operator]
        ]  # fmt: skip

    def _sales(self, start: datetime, end: datetime, _: str) -> list[dict[str, Any]]:
        placed = [at.replace(minute=0, second=0) for at in behaviour.orders(self._oracle.facts).values()]
        return [
            {"windowStart": str(hour), **_row(measures), "uniqueCustomers": len(measures.buyers),
             "orders": placed.count(hour)}
            for hour, measures in self._oracle.sales("hour").items() if start <= hour < end
        ]  # fmt: skip

    def _topProducts(self, start: datetime, end: datetime, query: str) -> list[dict[str, Any]]:
        by = next(by for by in ("views", "purchases", "revenue") if f" {by} }}" in query)
        ranked = self._oracle.top_products(by, start, end)
        return [{"rank": rank, "productId": product, by: str(value)} for rank, (product, value) in enumerate(ranked, 1)]

    def _conversions(self, start: datetime, end: datetime, _: str) -> list[dict[str, Any]]:
        return [
            {"windowStart": str(key[0]), "productId": key[1], "clicks": found.clicks,
             "convertedClicks": found.converted, "purchases": found.purchases}
            for key, found in behaviour.conversions(self._oracle.facts).items() if start <= key[0] < end
        ]  # fmt: skip

    def _funnel(self, start: datetime, end: datetime) -> dict[str, Any]:
        return {"segments": [{"steps": [{"sessions": n} for n in behaviour.funnel(self._began(start, end))]}]}

    def _journeys(self, start: datetime, end: datetime) -> dict[str, Any]:
        told = behaviour.journeys(self._began(start, end))
        return {
            "journeys": told.journeys,
            "cut": told.cut,
            "nodes": [{"label": action, **vars(node)} for action, node in told.nodes.items()],
            "transitions": [
                {"from": one, "to": next_, "count": count, "sessions": sessions}
                for (one, next_), (count, sessions) in told.moves.items()
            ],
        }

    def _began(self, start: datetime, end: datetime) -> list[Session]:
        return [session for session in self._oracle.sessions.values() if start <= session.started_at < end]

    def _user(self, user_id: str) -> list[dict[str, Any]]:
        user = behaviour.users(self._oracle.facts)[user_id]
        return [
            {"firstSeen": str(user.first_seen), "lastSeen": str(user.last_seen), "events": user.events,
             "revenue": str(user.revenue), "favouriteCategory": user.favourite_category}
        ]  # fmt: skip

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


async def _broken(product: Product, facts: Sequence[Fact] = FACTS) -> set[str]:
    minutes = sorted({fact.at.replace(second=0) for fact in FACTS})
    checks = await check_answers(product, Oracle(facts), minutes, ["u0", "u1", "u2"], seed=1)
    assert len(checks) == 11
    return _names(checks)


def _names(checks: Iterable[Check]) -> set[str]:
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
        ("sales", {"orders": 2}, "sales by the hour"),
        ("sessions", {"bounced": True}, "sessions"),
        ("conversions", {"convertedClicks": 0}, "conversions"),
        ("conversions", {"purchases": 2}, "conversions"),
        ("funnel", {"segments": []}, "funnel"),
        ("journeys", {"cut": 1}, "journeys"),
        ("journeys", {"transitions": []}, "journeys"),
        ("user", {"revenue": "10.51"}, "users"),
        ("user", {"favouriteCategory": None}, "users"),
    ],
)
async def test_another_number_is_found(root: str, spoil: dict[str, Any], name: str) -> None:
    assert await _broken(Product(Oracle(FACTS), root, **spoil)) == {name}


async def test_an_event_too_many_and_one_too_few_are_found() -> None:
    more = await _broken(Product(Oracle([*FACTS, _fact(1, "click")])))
    assert more >= {"products by the minute", "conversions", "journeys", "users"}
    assert "sessions" in await _broken(Product(Oracle(FACTS[1:])))


EARLIER: Final = {
    "an event of the same hour": _fact(3, "view", number_of_id=90),
    "a session that goes on": replace(_fact(-3, "view"), session_id="s1"),
    "a session that had ended": replace(_fact(-90, "view"), session_id="s0"),
    "the first line of an order": _fact(-199, "purchase", amount=Decimal(1), quantity=1, order_id="o1"),
    "what a user did last week": _fact(-15_000, "click"),
}


@pytest.mark.parametrize("earlier", [*([fact] for fact in EARLIER.values()), list(EARLIER.values())])
async def test_what_was_there_before_the_run_is_counted_in(
    earlier: list[Fact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from before the hours of the run, where sessions, orders and users of these hours began there."""
    monkeypatch.setenv("MILLRACE_LOG_PATH", str(tmp_path))
    later = _fact(0, "view", number_of_id=91)  # of the run, as the log has it
    rows = [*(_logged(fact, epoch=3) for fact in earlier), _logged(later, epoch=4)]
    write_deltalake(str(tmp_path / "events"), pa.Table.from_pylist(rows, LOG))
    auditor = Auditor(Product(Oracle([*FACTS, *earlier])))
    checks = await auditor._answers(Marks({}, 3, {}), FACTS, 1)
    assert _names(checks) == set()
    assert len(checks) == 11
    missing = await Auditor(Product(Oracle(FACTS)))._answers(Marks({}, 3, {}), FACTS, 1)
    assert _names(missing)


LOG: Final = pa.schema(
    [(name, pa.string()) for name in ("topic", "event_id", "user_id", "session_id", "product_id", "category", "action",
                                      "page_url", "kind", "order_id")]
    + [("timestamp", pa.timestamp("us", "UTC")), ("amount", pa.decimal128(18, 4)), ("quantity", pa.int32()),
       ("epoch", pa.int64())]
)  # fmt: skip


def _logged(fact: Fact, epoch: int) -> dict[str, Any]:
    named = {name: getattr(fact, name) for name in ("event_id", "user_id", "session_id", "product_id", "category")}
    sale = fact.action in {"purchase", "refund"}
    told = {"topic": "transactions" if sale else "clickstream", "kind" if sale else "action": fact.action}
    money = {"amount": fact.amount, "quantity": fact.quantity, "order_id": fact.order_id} if sale else {}
    return {**named, **told, **money, "timestamp": fact.at, "page_url": fact.page, "epoch": epoch}


def test_users_are_exact_up_to_the_size_of_a_sketch_and_near_above() -> None:
    assert not near(4095, 4096)
    assert near(10_300, 10_000)
    assert not near(10_700, 10_000)
    assert not near(None, 10_000)
