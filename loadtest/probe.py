"""Freshness as a user has it: from POSTing an event to seeing it in a GraphQL answer.

A marker is an event with a session id of its own. It is POSTed to the gateway; then GraphQL is asked for the epoch
until that changes, and after each change for the sessions still missing. Polling adds half its interval on average,
which is part of the figure.
"""

import asyncio
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

import structlog

from loadtest.client_log import Verdict
from loadtest.gateway_client import GatewayClient
from loadtest.graphql import GraphqlClient, GraphqlError
from loadtest.latency import Latencies

log = structlog.get_logger(__name__)

_POLL_SECONDS: Final = 0.025
_MARKERS_PER_QUESTION: Final = 8
"""Well below any limit on aliases; more are asked for in the next round."""
_SLICE_SECONDS: Final = 10


@dataclass
class Freshness:
    """What the markers showed."""

    sent: int = 0
    refused: int = 0
    """Not acknowledged by the gateway."""
    unanswered_polls: int = 0
    """GraphQL gave no answer; the wait that causes is in the figures."""
    seen: list[tuple[float, float]] = field(default_factory=list)
    """When sent (seconds into the run) and how long until visible."""
    missing: int = 0
    """Acknowledged, but not visible when the time was over."""

    def figures(self) -> dict[str, object]:
        """Percentiles over the whole run and per ten seconds of it."""
        over_time = []
        for start in range(0, int(max((at for at, _ in self.seen), default=-1)) + 1, _SLICE_SECONDS):
            part = _latencies([s for at, s in self.seen if start <= at < start + _SLICE_SECONDS])
            if part:
                over_time.append({"from_second": start, **part})
        return {
            "markers": self.sent,
            "refused": self.refused,
            "missing": self.missing,
            "unanswered_polls": self.unanswered_polls,
            "ms": _latencies([seconds for _, seconds in self.seen]),
            "over_time_ms": over_time,
        }


class Probe:
    """Sends markers for a while and watches them appear."""

    def __init__(self, gateway: GatewayClient, graphql: GraphqlClient, *, markers_per_second: float = 2.0) -> None:
        self.freshness = Freshness()
        self._gateway, self._graphql = gateway, graphql
        self._interval = 1 / markers_per_second
        self._waiting: dict[str, float] = {}
        self._dice = Random()
        self._began = 0.0
        self._all_sent = False

    async def run(self, seconds: float, grace_seconds: float = 30) -> Freshness:
        """Probe for `seconds`, then wait for stragglers up to the grace. The parts' faults are counted, not raised."""
        self._began = time.monotonic()
        watching = asyncio.create_task(self._watch())
        async with asyncio.TaskGroup() as markers:
            while time.monotonic() < self._began + seconds:
                markers.create_task(self._mark())
                # Uneven, or the markers would beat in time with the epochs.
                await asyncio.sleep(self._interval * self._dice.uniform(0.5, 1.5))
        self._all_sent = True
        with suppress(TimeoutError):
            await asyncio.wait_for(watching, grace_seconds)
        self.freshness.missing = len(self._waiting)
        return self.freshness

    async def _mark(self) -> None:
        session_id = f"probe-{uuid.uuid4().hex}"
        marker = {
            "type": "clickstream",
            "event_id": session_id,
            "user_id": "millrace-probe",
            "session_id": session_id,
            "action": "other",
            "timestamp": time.time_ns() // 1_000_000,
        }
        self.freshness.sent += 1
        self._waiting[session_id] = time.monotonic()
        answer = await self._gateway.post([marker])
        if [about.verdict for about in answer.verdicts] != [Verdict.ACCEPTED]:
            self.freshness.refused += 1
            self._waiting.pop(session_id, None)

    async def _watch(self) -> None:
        last_epoch: int | None = None
        while self._waiting or not self._all_sent:
            try:
                epoch = await self._graphql.epoch()
                if epoch != last_epoch and self._waiting:
                    await self._look()
                last_epoch = epoch
            except GraphqlError as error:
                self.freshness.unanswered_polls += 1
                log.warning("no answer", error=str(error))
            await asyncio.sleep(_POLL_SECONDS)

    async def _look(self) -> None:
        waiting = list(self._waiting)
        for first in range(0, len(waiting), _MARKERS_PER_QUESTION):
            visible = await self._graphql.visible_sessions(waiting[first : first + _MARKERS_PER_QUESTION])
            now = time.monotonic()
            for session_id in visible & self._waiting.keys():
                sent = self._waiting.pop(session_id)
                self.freshness.seen.append((sent - self._began, now - sent))


def _latencies(seconds: list[float]) -> dict[str, float] | None:
    latencies = Latencies()
    for value in seconds:
        latencies.add(value)
    return latencies.summary_ms()
