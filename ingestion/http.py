"""The HTTP side: an RSGI application (Granian's interface), routes, and one place where errors become answers."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from enum import Enum, auto
from functools import cache
from pathlib import Path
from typing import Final, Protocol

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from contracts.metrics import Instruments
from contracts.problems import HANDLING, Problem
from ingestion.adapters import Adapter
from ingestion.answers import JSON, Answer, document, problem
from ingestion.body import discard
from ingestion.errors import RequestRefusedError
from ingestion.intake import Intake
from ingestion.kafka import Broker
from ingestion.request import Request, Scope
from ingestion.routes import Handler, Route, Routes
from ingestion.sender import Senders

OPENAPI: Final = Path(__file__).resolve().parent.parent / "contracts" / "gateway.openapi.json"

_log = structlog.get_logger()


class Exchange(Protocol):
    """RSGI's HTTP protocol object: the body, and the way to answer."""

    async def __call__(self) -> bytes:
        """The whole body."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body in pieces."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""


class State(Enum):
    """Where the process is in its life."""

    SERVING = auto()
    DRAINING = auto()
    """Still answering, with readiness already 503."""


class Application:
    """What Granian calls for every request."""

    def __init__(
        self,
        *,
        adapters: Sequence[Adapter],
        pages: Iterable[Route],
        intake: Intake,
        senders: Senders,
        broker: Broker,
        instruments: Instruments,
        collect: Callable[[], CollectorRegistry],
        retry_after_seconds: int,
    ) -> None:
        self.state = State.SERVING
        self.in_flight = 0
        self._intake = intake
        self._broker = broker
        self._collect = collect
        self._retry_after_seconds = retry_after_seconds
        self._openapi = OPENAPI.read_bytes()
        self._requests = cache(instruments.counter("millrace_gateway_requests_total").labels)
        self._seconds = cache(instruments.histogram("millrace_gateway_request_seconds").labels)
        self._problems = instruments.counter("millrace_gateway_problems_total")
        self._gauges = instruments
        self._senders = senders
        self.routes = Routes()
        for path, show in (
            ("/health/live", self._live),
            ("/health/ready", self._ready),
            ("/metrics", self._metrics),
            ("/openapi.json", self._describe),
        ):
            self.routes.add(Route(path, {"GET": show}))
        for page in pages:
            self.routes.add(page)
        for adapter in adapters:
            take = self._taking(adapter)
            for path, methods in adapter.routes.items():
                handlers = dict.fromkeys(methods, take)
                if "GET" in methods:  # looking is not sending: link checkers and previews ask by HEAD
                    handlers["HEAD"] = self._showing(adapter)
                self.routes.add(Route(path, handlers, adapter.cors, adapter.problem))

    async def __rsgi__(self, scope: Scope, protocol: Exchange) -> None:
        """Answer one request, whatever happens."""
        started = time.perf_counter()
        self.in_flight += 1
        route, parts = self.routes.find(scope.path)
        try:
            answer = await self._answer(route, parts, scope, protocol)
        finally:
            self.in_flight -= 1
        headers = list(answer.headers)
        if route is not None and route.cors is not None and scope.method != "OPTIONS":
            headers += route.cors.headers(scope.headers)
        protocol.response_bytes(answer.status, headers, answer.body)
        name = "other" if route is None else route.path
        self._requests(name, answer.status).inc()
        self._seconds(name).observe(time.perf_counter() - started)

    async def _answer(self, route: Route | None, parts: tuple[str, ...], scope: Scope, protocol: Exchange) -> Answer:
        try:
            return await _handler(route, scope.method)(scope, protocol, *parts)
        except RequestRefusedError as error:
            refused = error
        except Exception:
            _log.exception("request_failed", path=_name(route, scope))
            refused = RequestRefusedError(Problem.INTERNAL_ERROR, "The gateway's log has the details.")
        self._problems.labels(refused.problem.value).inc()
        # What a client caused, or the broker's state (logged once per change), is counted and not logged per request.
        log = _log.error if HANDLING[refused.problem].status == 500 else _log.debug
        log("request_refused", path=_name(route, scope), code=refused.problem.value, detail=refused.detail)
        if refused.problem is not Problem.BODY_TIMEOUT:
            await discard(protocol, scope.headers)
        return (problem if route is None else route.problem)(refused, self._retry_after_seconds)

    def refresh_gauges(self) -> None:
        """Set the gauges to this moment; with several workers nobody can ask each of them at scrape time."""
        self._gauges["millrace_gateway_requests_in_flight"].set(self.in_flight)
        self._gauges["millrace_gateway_buffered_body_bytes"].set(self._intake.budget.reserved)
        self._gauges["millrace_gateway_kafka_queue_messages"].set(self._broker.queued)

    def _taking(self, adapter: Adapter) -> Handler:
        async def take(scope: Scope, protocol: Exchange) -> Answer:
            request = Request(time.time_ns() // 1_000_000, scope, self._senders.of(scope))
            return await self._intake.take(adapter, request, protocol)

        return take

    def _showing(self, adapter: Adapter) -> Handler:
        async def show(_scope: Scope, _protocol: Exchange) -> Answer:
            return adapter.answer((), 0)

        return show

    async def _live(self, _scope: Scope, _protocol: Exchange) -> Answer:
        return document(200, {"live": True})

    async def _ready(self, _scope: Scope, _protocol: Exchange) -> Answer:
        reason = "shutting down" if self.state is State.DRAINING else self._broker.unavailable
        return document(503, {"ready": False, "reason": reason}) if reason else document(200, {"ready": True})

    async def _metrics(self, _scope: Scope, _protocol: Exchange) -> Answer:
        self.refresh_gauges()
        return Answer(200, (("content-type", CONTENT_TYPE_LATEST),), generate_latest(self._collect()))

    async def _describe(self, _scope: Scope, _protocol: Exchange) -> Answer:
        return Answer(200, (JSON,), self._openapi)


def _handler(route: Route | None, method: str) -> Handler:
    if route is None:
        raise RequestRefusedError(Problem.NOT_FOUND, "The paths are described at /openapi.json.")
    handler = route.handler(method)
    if handler is None:
        allow = ", ".join(route.methods())
        raise RequestRefusedError(Problem.METHOD_NOT_ALLOWED, f"Use {allow}.", (("allow", allow),))
    return handler


def _name(route: Route | None, scope: Scope) -> str:
    """A path fit for a log: what a client has put behind the first two segments may be a key."""
    return "/".join(scope.path.split("/", 3)[:3])[:256] if route is None else route.path
