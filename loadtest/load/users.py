"""Locust's users: each request has its intended time, met or not.

A user that is behind sends at once, and its latency counts from the intended time, so that a slow server cannot hide
its slowness by slowing down the generator.
"""

import time
from typing import Any, ClassVar, Final

import orjson
from locust import FastHttpUser, task

from loadtest.load.payloads import Pool
from loadtest.load.results import Results
from loadtest.load.schedule import Schedule
from loadtest.load.sent_log import Sent, SentLog

_NOTHING_MORE: Final = 3600.0
"""Seconds to wait where no request is due any more; the run ends before."""


class ScheduledUser(FastHttpUser):
    """One of the users of its kind, who take turns."""

    abstract = True
    connection_timeout = 10.0
    network_timeout = 30.0
    results: ClassVar[Results]
    schedule: ClassVar[Schedule]
    users: ClassVar[int]
    started: ClassVar[int] = 0

    def on_start(self) -> None:
        """Take the next place in the order of turns, and wait for the first."""
        cls = type(self)
        self._next, cls.started = cls.started, cls.started + 1
        self._waited = False
        time.sleep(self.wait_time())

    def wait_time(self) -> float:
        """Until the next intended time; nothing when behind."""
        due = self.schedule.due(self._next)
        wait = _NOTHING_MORE if due is None else max(0.0, self.results.began + due - time.perf_counter())
        self._waited = wait > 0
        return wait

    @task
    def turn(self) -> None:
        """One request, if it is still time for it."""
        due = self.schedule.due(self._next)
        if due is None:
            return
        self._next += self.users
        due += self.results.began
        self.results.left(self.kind(), due, waited=self._waited)
        self.request(due)

    @classmethod
    def kind(cls) -> str:
        """Its name in figures."""
        return cls.__name__

    def request(self, due: float) -> None:
        """Send what is due, and count it."""
        raise NotImplementedError

    def post(self, path: str, body: bytes, headers: dict[str, str], due: float) -> tuple[int, bytes, float]:
        """Status (0: no answer), body, and when it was there. Locust is told of it by the name of the kind."""
        with self.client.post(
            path,
            data=body,  # type: ignore[arg-type]  # bytes are sent as they are; Locust's annotation leaves them out
            headers=headers,
            name=self.kind(),
            catch_response=True,
        ) as response:
            now = time.perf_counter()
            response.request_meta["response_time"] = (now - due) * 1000
            status, content = response.status_code, response.content or b""
            if status == 200:
                response.success()
            else:
                response.failure(f"status {status}")
        return status, content, now


class SendingUser(ScheduledUser):
    """Sends events to the gateway."""

    abstract = True
    segment: ClassVar[bool] = False
    path: ClassVar[str] = "/v1/events"
    content_type: ClassVar[str] = "application/json"
    pool: ClassVar[Pool]
    log: ClassVar[SentLog]
    key: ClassVar[str]
    events_per_request: ClassVar[int]

    def request(self, due: float) -> None:
        now_ms = time.time_ns() // 1_000_000
        first, count = self.pool.position, self.events_per_request
        body = self.body(now_ms)
        headers = {"content-type": self.content_type, "authorization": f"Bearer {self.key}"}
        status, content, now = self.post(self.path, body, headers, due)
        problem = _problem(status, content, count, segment=self.segment)
        known = {200: None if problem else True, 0: None}.get(status, None if status >= 500 or status == 207 else False)
        self.log.write(Sent(self.segment, first, count, now_ms, known))
        self.results.done(self.kind(), due, now, events=0 if problem else count, problem=problem)

    def body(self, now_ms: int) -> bytes:
        """A request body with as many events of this time as a request has."""
        raise NotImplementedError


class Json(SendingUser):
    """A browser: JSON, one event at a time."""

    def body(self, now_ms: int) -> bytes:
        return self.pool.json(self.events_per_request, now_ms)


class JsonBatch(Json):
    """A small server: JSON, many events at a time."""


class AvroBatch(SendingUser):
    """A server: Avro in Confluent framing, many events at a time."""

    content_type = "application/avro"

    def body(self, now_ms: int) -> bytes:
        return self.pool.avro(self.events_per_request, now_ms)


class SegmentBatch(SendingUser):
    """An SDK of Segment's that has collected some calls."""

    segment = True
    path = "/v1/batch"

    def body(self, now_ms: int) -> bytes:
        return self.pool.segment(self.events_per_request, now_ms)


def _problem(status: int, content: bytes, count: int, *, segment: bool) -> str | None:
    """Why this is not `count` events acknowledged; None if it is. Few different texts, so that they can be counted."""
    if status == 0:
        return "no answer"
    if status != 200:
        return f"status {status}"
    told: dict[str, Any] = orjson.loads(content or b"{}")
    accepted = count - len(told.get("rejected", ())) if segment else told.get("accepted")
    return None if accepted == count else f"{accepted} of {count} accepted"
