"""Sends a stream at its intended times (open model), in batches, until every event has a verdict.

A gateway that is slow, restarting or away delays nothing but the events themselves: their times are set already, and
they are repeated with the same ids until acknowledged. Nothing is given up silently: what had no verdict when the
patience ran out is counted as failed.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Final

import structlog

from loadtest.client_log import Attempt, ClientLog, Verdict, as_logged
from loadtest.faults import Sending
from loadtest.gateway_client import EventVerdict, GatewayClient, RefusedError
from loadtest.latency import Latencies

log = structlog.get_logger(__name__)

_LINGER_SECONDS: Final = 0.05
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 5.0
_NO_VERDICT: Final = EventVerdict(Verdict.UNKNOWN)

Pace = Callable[[int], float]
"""Intended send time (ms after the start) to seconds on the `time.monotonic` clock."""


def at_speed(speed: float, from_ms: int = 0) -> Pace | None:
    """A pace that begins now with `from_ms`; None (as fast as acknowledged) for speed 0."""
    if speed == 0:
        return None
    start = time.monotonic()
    return lambda due_ms: start + (due_ms - from_ms) / 1000 / speed


@dataclass
class Tally:
    """What became of the run so far."""

    sendings: int = 0
    """Events taken from the stream, duplicates and invalid ones included."""
    accepted: int = 0
    rejected: int = 0
    retried: int = 0
    """Attempts that repeat one without a verdict."""
    failed: int = 0
    """Events still without a verdict when the patience ran out."""
    requests: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    """Verdicts other than the one due, as `kind: due, given`."""
    latencies: Latencies = field(default_factory=Latencies)
    """Seconds from an event's intended send time to its verdict."""
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Every event has a verdict, and it is the one due."""
        return not self.failed and not self.unexpected


@dataclass(slots=True)
class _Open:
    """A sending without a verdict yet."""

    sending: Sending
    due: float
    last_attempt: int | None = None


class Sender:
    """Sends one stream once."""

    def __init__(
        self,
        gateway: GatewayClient,
        client_log: ClientLog,
        *,
        batch_size: int = 100,
        requests_in_flight: int = 8,
        patience_seconds: float = inf,
    ) -> None:
        self.tally = Tally()
        self._gateway, self._log = gateway, client_log
        self._batch_size = batch_size
        self._slots = asyncio.Semaphore(requests_in_flight)
        self._patience = patience_seconds
        self._jitter = Random()
        self._attempts = 0
        self._batch: list[_Open] = []
        self._unanswered: dict[str, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Take nothing more from the stream; what was taken is still seen through."""
        self._stop.set()

    async def run(self, stream: Iterable[Sending], pace: Pace | None) -> Tally:
        """Send all of it. Raises RefusedError when the gateway refuses us altogether."""
        began = time.monotonic()
        try:
            async with asyncio.TaskGroup() as tasks:
                for sending in stream:
                    due = pace(sending.due_ms) if pace else time.monotonic()
                    await self._until(due, tasks)
                    if self._stop.is_set():
                        break
                    await self._take(_Open(sending, due), tasks)
                await self._flush(tasks)
        except* RefusedError as refusals:
            raise refusals.exceptions[0] from None
        finally:
            self.tally.seconds = time.monotonic() - began
        return self.tally

    async def _until(self, due: float, tasks: asyncio.TaskGroup) -> None:
        """Wait for this moment; a batch whose linger ends before it goes first."""
        if self._batch and due > (lingered := self._batch[0].due + _LINGER_SECONDS):
            await self._sleep_until(lingered)
            await self._flush(tasks)
        await self._sleep_until(due)

    async def _sleep_until(self, moment: float) -> None:
        delay = moment - time.monotonic()
        if delay <= 0 or self._stop.is_set():
            return
        try:
            await asyncio.wait_for(self._stop.wait(), delay)
        except TimeoutError:
            return

    async def _take(self, item: _Open, tasks: asyncio.TaskGroup) -> None:
        sending = item.sending
        self.tally.sendings += 1
        self.tally.kinds[sending.kind.value] += 1
        alone = isinstance(sending.body, bytes)
        if alone or sending.waits_for_first:
            await self._flush(tasks)
        if sending.waits_for_first and (first := self._unanswered.get(sending.event_id)):
            await asyncio.wait([first])
        self._batch.append(item)
        if alone or len(self._batch) >= self._batch_size:
            await self._flush(tasks)

    async def _flush(self, tasks: asyncio.TaskGroup) -> None:
        """Send the batch; blocks while all requests in flight are taken, so that memory stays bounded."""
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        await self._slots.acquire()
        task = tasks.create_task(self._see_through(batch))
        for item in batch:
            self._unanswered[item.sending.event_id] = task
        task.add_done_callback(lambda done: self._seen_through(done, batch))

    def _seen_through(self, task: asyncio.Task[None], batch: list[_Open]) -> None:
        self._slots.release()
        for item in batch:
            if self._unanswered.get(item.sending.event_id) is task:
                del self._unanswered[item.sending.event_id]

    async def _see_through(self, batch: list[_Open]) -> None:
        """Attempt until every event of the batch has a verdict, or the patience is over."""
        give_up = time.monotonic() + self._patience
        wait = _FIRST_WAIT_SECONDS
        while True:
            batch, retry_after = await self._attempt(batch)
            if not batch:
                return
            if time.monotonic() > give_up:
                self.tally.failed += len(batch)
                log.error("gave up", events=len(batch), after_seconds=self._patience)
                return
            # Jitter, so that batches that failed together do not come back together.
            await asyncio.sleep(retry_after or wait * self._jitter.uniform(0.5, 1))
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    async def _attempt(self, batch: list[_Open]) -> tuple[list[_Open], float | None]:
        """One request. Returns what still has no verdict, and how long the gateway asked us to wait."""
        self.tally.requests += 1
        self.tally.retried += sum(item.last_attempt is not None for item in batch)
        attempts = [self._attempted(item) for item in batch]
        try:
            answer = await self._gateway.post([item.sending.body for item in batch])
            verdicts = answer.verdicts or [_NO_VERDICT] * len(batch)
            for attempt, about in zip(attempts, verdicts, strict=True):
                attempt.status, attempt.verdict, attempt.code = answer.status, about.verdict, about.code
        finally:
            self._log.write(attempts)
        answered = time.monotonic()
        still_open = []
        for item, attempt in zip(batch, attempts, strict=True):
            if attempt.verdict == Verdict.UNKNOWN:
                item.last_attempt = attempt.number
                still_open.append(item)
            else:
                self._count(attempt)
                self.tally.latencies.add(answered - item.due)
        if still_open:
            log.warning("will retry", events=len(still_open), status=answer.status, retry_after=answer.retry_after)
        return still_open, answer.retry_after

    def _attempted(self, item: _Open) -> Attempt:
        sending = item.sending
        self._attempts += 1
        event, raw = as_logged(sending.body)
        return Attempt(
            number=self._attempts,
            request=self.tally.requests,
            retried_of=item.last_attempt,
            kind=sending.kind,
            fault=sending.fault,
            event_id=sending.event_id,
            event=event,
            raw=raw,
            sent_at_ms=time.time_ns() // 1_000_000,
            imported=self._gateway.imports,
            expected=sending.expected,
        )

    def _count(self, attempt: Attempt) -> None:
        if attempt.verdict == Verdict.ACCEPTED:
            self.tally.accepted += 1
        else:
            self.tally.rejected += 1
        if not attempt.as_expected:
            name = attempt.fault or attempt.kind
            due = attempt.expected or Verdict.ACCEPTED
            self.tally.unexpected[f"{name}: due {due}, given {attempt.code or attempt.verdict}"] += 1
