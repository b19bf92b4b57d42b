"""One drill: traffic and probe from the first second to the last, strikes in between, the audit at the end."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import structlog
from pydantic import SecretStr

from loadtest.audit.audit import Audit, Auditor
from loadtest.audit.claims import Claims
from loadtest.client_log import ClientLog, Verdict, read_log
from loadtest.drill.catalogue import Drill, Strike
from loadtest.drill.ground import DrillError, Ground
from loadtest.drill.readiness import not_ready
from loadtest.drill.resources import Resources, grown, resources
from loadtest.drill.traffic import traffic
from loadtest.gateway_client import GatewayClient, http_client
from loadtest.graphql import GraphqlClient
from loadtest.probe import Freshness, Probe
from loadtest.sender import Sender, at_speed

Done = TypeVar("Done")

log = structlog.get_logger()

_QUIET_SECONDS: Final = 3.0
"""Traffic goes on so long after the last recovery."""
_RECOVERY_SECONDS: Final = 240.0
"""A stack that is not back by then has not recovered."""
_PATIENCE_SECONDS: Final = 900.0
"""A client that repeats a request gives up after that; longer than any fault lasts."""
_READY_SECONDS: Final = 30.0
"""By then a stack that has taken in everything says so."""
_LOOK_SECONDS: Final = 0.1
_ANSWER_SECONDS: Final = 60.0


@dataclass
class Place:
    """Where a drill takes place."""

    ground: Ground
    gateway_url: str
    graphql_url: str
    write_key: SecretStr
    before: Resources | None = None
    """What the stack held before its first drill."""


@dataclass(frozen=True)
class Outcome:
    """What came of a drill."""

    drill: str
    seed: int
    seconds: float
    recoveries: list[tuple[str, float | None]]
    """By strike: seconds from its end until an event sent after that was in an answer; None: never."""
    worst_freshness: float | None
    """Seconds, of the markers that were taken."""
    errors: dict[str, int]
    """Requests without a verdict, by status."""
    unexpected: dict[str, int]
    """Verdicts other than the one due."""
    failed: int
    """Events still without a verdict at the end."""
    problem: str | None
    """Why the drill could not be done."""
    audit: Audit
    resources: dict[str, Resources] = field(default_factory=dict)
    """What the stack held `before` its first drill, and `after` this one."""
    unready: list[str] = field(default_factory=list)
    """What the stack did not say of itself in the end."""

    @property
    def passed(self) -> bool:
        """Broken, recovered, and every event counted once."""
        return not self.problems()

    def problems(self) -> list[str]:
        """What is wrong, in sentences."""
        found = [] if self.problem is None else [self.problem]
        found += [f"not recovered from {name}" for name, seconds in self.recoveries if seconds is None]
        found += [f"{count} events: {verdict}" for verdict, count in self.unexpected.items()]
        if self.failed:
            found.append(f"{self.failed} events had no verdict in the end")
        if self.resources:
            found += grown(self.resources["before"], self.resources["after"])
        return found + self.unready + self.audit.problems()

    def broken(self, law: str) -> int:
        """How often a law is broken."""
        return sum(check.broken for check in self.audit.checks if check.name == law)

    def as_json(self) -> dict[str, Any]:
        """For a report."""
        told = {name: value for name, value in vars(self).items() if name != "audit"}
        return {**told, "passed": self.passed, "problems": self.problems(), "audit": self.audit.as_json()}


async def run_drill(
    drill: Drill, place: Place, folder: Path, *, seed: int, rate: float, strikes: Iterable[Strike] | None = None
) -> Outcome:
    """Do it. `strikes` are other ones than the drill's. Raises HoldingsError where the stack cannot be read before."""
    sent, markers = folder / f"{drill.name}.sent.jsonl", folder / f"{drill.name}.markers.jsonl"
    began = time.monotonic()
    async with httpx.AsyncClient(trust_env=False, timeout=_ANSWER_SECONDS) as http:
        graphql = GraphqlClient(http, place.graphql_url)
        auditor = Auditor(graphql)
        since = await auditor.begin()
        if place.before is None:
            place.before = await asyncio.to_thread(resources, place.ground)
        before = place.before
        with ClientLog(sent) as sent_log, ClientLog(markers) as marker_log:
            async with http_client(place.gateway_url, place.write_key) as to_gateway:
                gateway = GatewayClient(to_gateway, import_history=False)
                sender = Sender(gateway, sent_log, patience_seconds=_PATIENCE_SECONDS)
                probe = Probe(gateway, graphql, marker_log)
                stream = traffic(drill, seed=seed, rate=rate, start_ms=time.time_ns() // 1_000_000)
                async with (
                    _beside(sender.run(stream, at_speed(1.0))) as sending,
                    _beside(probe.run(float("inf"))) as probing,
                ):
                    due = drill.strikes if strikes is None else strikes
                    recoveries, problem = await _strike(due, place.ground, probe)
                    sender.stop()
                    tally = await sending
                    probe.stop()
                    freshness = await probing
        claims = Claims()
        for log in (sent, markers):
            claims.add_attempts(read_log(log))
        audit = await auditor.audit(since, claims, seed=seed, patience_seconds=_RECOVERY_SECONDS)
    unready = await not_ready(place.ground, _READY_SECONDS)
    return Outcome(
        drill=drill.name,
        seed=seed,
        seconds=round(time.monotonic() - began, 1),
        recoveries=recoveries,
        worst_freshness=round(max((seconds for _, seconds in freshness.seen), default=0.0), 1) or None,
        errors=_errors(sent),
        unexpected=dict(tally.unexpected),
        failed=tally.failed,
        problem=problem,
        audit=audit,
        resources={"before": before, "after": await asyncio.to_thread(resources, place.ground)},
        unready=unready,
    )


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, Done]) -> AsyncIterator["asyncio.Task[Done]"]:
    """Do it beside the block, and no longer: what is broken off must not go on with clients that are closed."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _strike(
    strikes: Iterable[Strike], ground: Ground, probe: Probe
) -> tuple[list[tuple[str, float | None]], str | None]:
    """One after the other, each after the recovery from the one before."""
    recoveries: list[tuple[str, float | None]] = []
    problem = None
    if not await _until(lambda: bool(probe.freshness.seen)):
        return recoveries, "no event was ever answered"
    for strike in strikes:
        await asyncio.sleep(strike.after_seconds)
        try:
            await strike.fault.strike(ground)
        except DrillError as error:
            problem = str(error)
            break
        except Exception as error:  # a bug of ours: this drill has failed, and those after it are done all the same
            log.exception("strike failed", fault=str(strike.fault))
            problem = f"{type(error).__name__}: {error}"
            break
        over = probe.now()
        recovered = await _until(lambda over=over: _recovered(probe.freshness, over) is not None)  # type: ignore[misc]
        seconds = _recovered(probe.freshness, over)
        recoveries.append((str(strike.fault), None if seconds is None else round(seconds, 1)))
        if not recovered:
            break
    await asyncio.sleep(_QUIET_SECONDS)
    return recoveries, problem


def _recovered(freshness: Freshness, over: float) -> float | None:
    """Seconds from `over` until the first marker sent since then was seen."""
    seen = [sent + seconds for sent, seconds in freshness.seen if sent >= over]
    return min(seen) - over if seen else None


async def _until(met: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _RECOVERY_SECONDS
    while not met():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_LOOK_SECONDS)
    return True


def _errors(log: Path) -> dict[str, int]:
    """Requests without a verdict in a client log, by status."""
    statuses = {
        attempt.request: str(attempt.status or "no answer")
        for attempt in read_log(log)
        if attempt.verdict == Verdict.UNKNOWN
    }
    return dict(Counter(statuses.values()))
