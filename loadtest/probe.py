"""Freshness as a user has it: from POSTing an event to seeing it in a GraphQL answer, asked for and told.

A marker is an event with a session id of its own. It is POSTed to the gateway; then two readers wait for it. One polls:
it asks GraphQL for the epoch until that changes, and after each change for the sessions still missing; polling adds
half its interval on average, which is part of the figure. The other is told: a subscription pushes each commit, and
then the sessions still missing are asked for, as a frontend does.
"""

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import structlog

from loadtest.client_log import Attempt, ClientLog, Verdict
from loadtest.gateway_client import EventVerdict, GatewayClient
from loadtest.graphql import GraphqlClient, GraphqlError
from loadtest.latency import Latencies

log = structlog.get_logger(__name__)

_POLL_SECONDS: Final = 0.025
_MARKERS_PER_QUESTION: Final = 8
"""Well below any limit on aliases; more are asked for in the next round."""
_SLICE_SECONDS: Final = 10
_RESUBSCRIBE_SECONDS: Final = 0.5


@dataclass
class Freshness:
    """What the markers showed."""

    sent: int = 0
    refused: int = 0
    """Not acknowledged by the gateway."""
    unanswered_polls: int = 0
    """GraphQL gave no answer; the wait that causes is in the figures."""
    lost_subscriptions: int = 0
    """The subscription ended and was opened again; as above."""
    seen: list[tuple[float, float]] = field(default_factory=list)
    """When sent (seconds into the run) and how long until an answer to a poll had it."""
    told: list[tuple[float, float]] = field(default_factory=list)
    """The same, after a push."""
    missing: int = 0
    """Acknowledged, but not visible to a poll when the time was over."""
    never_told: int = 0
    """The same, after a push."""

    def figures(self) -> dict[str, Any]:
        """Percentiles over the whole run and per ten seconds of it."""
        return {
            "markers": self.sent,
            "refused": self.refused,
            "missing": self.missing,
            "never_told": self.never_told,
            "unanswered_polls": self.unanswered_polls,
            "lost_subscriptions": self.lost_subscriptions,
            "query_ms": _latencies([seconds for _, seconds in self.seen]),
            "subscription_ms": _latencies([seconds for _, seconds in self.told]),
            "query_over_time_ms": _over_time(self.seen),
            "subscription_over_time_ms": _over_time(self.told),
        }


class Probe:
    """Sends markers for a while and watches them appear."""

    def __init__(
        self,
        gateway: GatewayClient,
        graphql: GraphqlClient,
        client_log: ClientLog | None = None,
        *,
        markers_per_second: float = 2.0,
    ) -> None:
        self.freshness = Freshness()
        self._gateway, self._graphql = gateway, graphql
        self._log = client_log or ClientLog(None)
        self._interval = 1 / markers_per_second
        self._unseen: dict[str, float] = {}
        self._untold: dict[str, float] = {}
        self._dice = Random()
        self._began = 0.0
        self._stopped = False

    def now(self) -> float:
        """Seconds into the run."""
        return time.monotonic() - self._began

    def stop(self) -> None:
        """Send no further marker; what was sent is still waited for."""
        self._stopped = True

    async def run(self, seconds: float, grace_seconds: float = 30) -> Freshness:
        """Probe for `seconds`, then wait for stragglers up to the grace. The parts' faults are counted, not raised."""
        self._began = time.monotonic()
        watching = [asyncio.create_task(self._poll()), asyncio.create_task(self._listen())]
        try:
            async with asyncio.TaskGroup() as markers:
                while not self._stopped and time.monotonic() < self._began + seconds:
                    markers.create_task(self._mark())
                    # Uneven, or the markers would beat in time with the epochs.
                    await asyncio.sleep(self._interval * self._dice.uniform(0.5, 1.5))
            deadline = time.monotonic() + grace_seconds
            while (self._unseen or self._untold) and time.monotonic() < deadline:  # noqa: ASYNC110 - two tasks empty them
                await asyncio.sleep(_POLL_SECONDS)
        finally:  # of a run that is broken off, too: their clients are closed next
            for watcher in watching:
                watcher.cancel()
            ended = await asyncio.gather(*watching, return_exceptions=True)
        for each in ended:
            if isinstance(each, Exception):
                raise each
        self.freshness.missing, self.freshness.never_told = len(self._unseen), len(self._untold)
        return self.freshness

    async def _mark(self) -> None:
        session_id = f"probe-{uuid.uuid4().hex}"
        at_ms = time.time_ns() // 1_000_000
        marker = {
            "type": "clickstream",
            "event_id": session_id,
            "user_id": "millrace-probe",
            "session_id": session_id,
            "action": "other",
            "timestamp": at_ms,
        }
        self.freshness.sent += 1
        number, now = self.freshness.sent, time.monotonic()
        self._unseen[session_id] = self._untold[session_id] = now
        answer = await self._gateway.post([marker])
        verdict = answer.verdicts[0] if answer.verdicts else EventVerdict(Verdict.UNKNOWN)
        attempt = Attempt(
            number=number,
            request=number,
            retried_of=None,
            kind="valid",
            fault="",
            event_id=session_id,
            event=marker,
            raw=None,
            sent_at_ms=at_ms,
            imported=False,
            status=answer.status,
            verdict=verdict.verdict,
            code=verdict.code,
        )
        self._log.write([attempt])
        if verdict.verdict != Verdict.ACCEPTED:
            self.freshness.refused += 1
            self._unseen.pop(session_id, None)
            self._untold.pop(session_id, None)

    async def _poll(self) -> None:
        last_epoch: int | None = None
        while True:
            try:
                epoch = await self._graphql.epoch()
                if epoch != last_epoch and self._unseen:
                    await self._look(self._unseen, self.freshness.seen)
                last_epoch = epoch
            except GraphqlError as error:
                self.freshness.unanswered_polls += 1
                log.warning("no answer", error=str(error))
            await asyncio.sleep(_POLL_SECONDS)

    async def _listen(self) -> None:
        while True:
            try:
                async for _ in self._graphql.epochs():
                    if self._untold:
                        await self._look(self._untold, self.freshness.told)
            except GraphqlError as error:
                self.freshness.lost_subscriptions += 1
                log.warning("no push", error=str(error))
            await asyncio.sleep(_RESUBSCRIBE_SECONDS)

    async def _look(self, waiting: dict[str, float], found: list[tuple[float, float]]) -> None:
        asked = list(waiting)
        for first in range(0, len(asked), _MARKERS_PER_QUESTION):
            visible = await self._graphql.visible_sessions(asked[first : first + _MARKERS_PER_QUESTION])
            now = time.monotonic()
            for session_id in visible & waiting.keys():
                sent = waiting.pop(session_id)
                found.append((sent - self._began, now - sent))


def _over_time(found: list[tuple[float, float]]) -> list[dict[str, float]]:
    over_time = []
    for start in range(0, int(max((at for at, _ in found), default=-1)) + 1, _SLICE_SECONDS):
        part = _latencies([seconds for at, seconds in found if start <= at < start + _SLICE_SECONDS])
        if part:
            over_time.append({"from_second": start, **part})
    return over_time


def _latencies(seconds: list[float]) -> dict[str, float] | None:
    latencies = Latencies()
    for value in seconds:
        latencies.add(value)
    return latencies.summary_ms()
