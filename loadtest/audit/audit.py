"""One audit, put together: mark, let the run happen, wait until all of it is settled, check."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from contracts.settings import KafkaSettings, LogSettings, PostgresSettings
from loadtest.audit.answers import check_answers
from loadtest.audit.checks import Check, check_books, check_laws
from loadtest.audit.claims import Claims
from loadtest.audit.compared import hours_of
from loadtest.audit.holdings import Holdings, HoldingsError, Marks, RestOn, UnsettledError
from loadtest.audit.visitor_answers import drawn_users
from loadtest.facts import Fact
from loadtest.graphql import GraphqlClient, GraphqlError
from loadtest.oracle import SESSION_GAP, Oracle

_SALE: Final = "transactions"


@dataclass(frozen=True)
class Audit:
    """What an audit found."""

    checks: list[Check]
    events: int
    """Events of the run that count."""
    undecided: int
    """Events that no client knows to be accepted: each may count or not."""
    undecided_found: int
    """Those of them that do."""

    @property
    def passed(self) -> bool:
        """Every check holds."""
        return all(check.holds for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """For a report."""
        return {
            "passed": self.passed,
            "events": self.events,
            "undecided": self.undecided,
            "undecided_found": self.undecided_found,
            "checks": [check.as_json() for check in self.checks],
        }

    def problems(self) -> list[str]:
        """The laws that are broken, in sentences."""
        return [
            f"{check.name}: broken {check.broken:,} times ({check.found}); first {check.examples[:1]}"
            for check in self.checks
            if not check.holds
        ]


class Auditor:
    """Audits one stack, which nobody else sends to meanwhile.

    What waits for broker or disk does so in a thread: a drill's links to them run in this loop.
    """

    def __init__(self, graphql: GraphqlClient) -> None:
        self._graphql = graphql
        self._holdings = Holdings(KafkaSettings(), PostgresSettings(), LogSettings())

    async def begin(self) -> Marks:
        """Mark where the run begins. Raises HoldingsError."""
        return await asyncio.to_thread(self._holdings.mark)

    async def audit(self, since: Marks, claims: Claims, *, seed: int, patience_seconds: float) -> Audit:
        """Wait until the system is settled, then check. What prevents a check is a broken check, too."""
        try:
            until = await self._holdings.settled(patience_seconds)
            held = await asyncio.to_thread(self._held, since, until)
        except (UnsettledError, HoldingsError) as error:
            return Audit([_not_done("the system settles", error)], 0, 0, 0)
        checks = [*await asyncio.to_thread(check_laws, claims, held), check_books(since.totals, until.totals, held)]
        keys = set(zip(held["applied"]["topic"].to_pylist(), held["applied"]["event_id"].to_pylist(), strict=True))
        counted = [fact for key, fact in claims.facts.items() if key in keys]
        undecided = claims.facts.keys() - claims.accepted.keys()
        try:
            checks += await self._answers(since, counted, seed)
            checks.append(await self._closed())
        except GraphqlError as error:
            checks.append(_not_done("answers", error))
        return Audit(checks, len(counted), len(undecided), len(undecided & keys))

    def _held(self, since: Marks, until: Marks) -> dict[str, pa.Table]:
        place = 'topic, partition, "offset"'
        return {
            "records": self._holdings.records(since, until),
            "applied": self._holdings.applied(since),
            "duplicates": self._holdings.kept("duplicates", f"{place}, event_id", since),
            "quarantine": self._holdings.kept("quarantine", place, since),
            "rejected": self._holdings.kept("rejected_events", place, since),
        }

    async def _answers(self, since: Marks, counted: list[Fact], seed: int) -> list[Check]:
        if not counted:
            return []
        minutes = sorted({fact.at.replace(second=0, microsecond=0) for fact in counted})
        users = drawn_users(counted, seed)
        start, _ = hours_of(minutes)
        known = [*_facts(await asyncio.to_thread(self._holdings.earlier, since, start)), *counted]
        rest_on = RestOn(
            users=set(users),
            # A session goes on from before only where an event of it comes so soon.
            sessions={fact.session_id for fact in known if fact.at < start + SESSION_GAP},
            orders={str(fact.order_id) for fact in known if fact.order_id is not None},
        )
        before = _facts(await asyncio.to_thread(self._holdings.before, since, start, rest_on))
        return await check_answers(self._graphql, Oracle([*before, *known]), minutes, users, seed)

    async def _closed(self) -> Check:
        books = await self._graphql.books()
        residue = 1 if books is None else int(books["residue"]) or int(not books["close"])
        meaning = "every check of the ledger has residue 0"
        return Check("the books close", meaning, residue, f"{books}")


def _not_done(name: str, error: Exception) -> Check:
    return Check(name, "it could be looked at", 1, str(error))


def _facts(rows: pa.Table) -> Iterable[Fact]:
    """Rows of the event log as facts."""
    for row in rows.to_pylist():
        at: datetime = row["timestamp"]
        sale = row["topic"] == _SALE
        yield Fact(
            topic=row["topic"],
            event_id=row["event_id"],
            user_id=row["user_id"],
            session_id=row["session_id"],
            product_id=row["product_id"],
            category=row["category"],
            action=row["kind"] if sale else row["action"],
            at_ms=round(at.timestamp() * 1000),
            page=row["page_url"],
            amount=row["amount"] or Decimal(0),
            quantity=row["quantity"] or 0,
            order_id=row["order_id"],
        )
