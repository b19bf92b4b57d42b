"""The HTTP side: an RSGI application (Granian's interface), routes, and one place where errors become answers."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Final, Protocol

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from contracts.metrics import Instruments
from ingestion.adapters import Adapter
from ingestion.answers import JSON, Answer, document, problem
from ingestion.errors import HANDLING, Problem, RequestRefusedError
from ingestion.intake import Intake, Request
from ingestion.kafka import Broker

OPENAPI: Final = Path(__file__).resolve().parent.parent / "contracts" / "gateway.openapi.json"

_log = structlog.get_logger()


class Headers(Protocol):
    """Request headers, names in lower case."""

    def get(self, key: str, default: None = None) -> str | None:
        """The first value of a header."""


class Scope(Protocol):
    """The head of a request as RSGI gives it."""

    proto: str
    method: str
    path: str
    query_string: str
    headers: Headers


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


Handler = Callable[[Scope, Exchange], Awaitable[Answer]]


class Application:
    """What Granian calls for every request."""

    def __init__(
        self,
        *,
        adapters: Sequence[Adapter],
        intake: Intake,
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
        self._requests = instruments.counter("millrace_gateway_requests_total")
        self._seconds = instruments.histogram("millrace_gateway_request_seconds")
        self._problems = instruments.counter("millrace_gateway_problems_total")
        self._gauges = instruments
        self._routes: dict[str, tuple[str, Handler]] = {
            "/health/live": ("GET", self._live),
            "/health/ready": ("GET", self._ready),
            "/metrics": ("GET", self._metrics),
            "/openapi.json": ("GET", self._describe),
        }
        for adapter in adapters:
            self._routes |= {path: ("POST", self._taking(adapter)) for path in adapter.paths}

    @property
    def routes(self) -> dict[str, str]:
        """Method of every path."""
        return {path: method for path, (method, _) in self._routes.items()}

    async def __rsgi__(self, scope: Scope, protocol: Exchange) -> None:
        """Answer one request, whatever happens."""
        started = time.perf_counter()
        self.in_flight += 1
        try:
            answer = await self._answer(scope, protocol)
        finally:
            self.in_flight -= 1
        protocol.response_bytes(answer.status, list(answer.headers), answer.body)
        route = scope.path if scope.path in self._routes else "other"
        self._requests.labels(route, str(answer.status)).inc()
        self._seconds.labels(route).observe(time.perf_counter() - started)

    async def _answer(self, scope: Scope, protocol: Exchange) -> Answer:
        try:
            return await self._find(scope.path, scope.method)(scope, protocol)
        except RequestRefusedError as error:
            refused = error
        except Exception:
            _log.exception("request_failed", path=scope.path[:256])
            refused = RequestRefusedError(Problem.INTERNAL_ERROR, "The gateway's log has the details.")
        self._problems.labels(refused.problem.value).inc()
        getattr(_log, HANDLING[refused.problem].log_level)(
            "request_refused", path=scope.path[:256], code=refused.problem.value, detail=refused.detail
        )
        return problem(refused, self._retry_after_seconds)

    def _find(self, path: str, method: str) -> Handler:
        route = self._routes.get(path)
        if route is None:
            raise RequestRefusedError(Problem.NOT_FOUND, "The paths are described at /openapi.json.")
        if method != route[0]:
            raise RequestRefusedError(Problem.METHOD_NOT_ALLOWED, f"Use {route[0]}.", (("allow", route[0]),))
        return route[1]

    def refresh_gauges(self) -> None:
        """Set the gauges to this moment; with several workers nobody can ask each of them at scrape time."""
        self._gauges["millrace_gateway_requests_in_flight"].set(self.in_flight)
        self._gauges["millrace_gateway_buffered_body_bytes"].set(self._intake.budget.reserved)
        self._gauges["millrace_gateway_kafka_queue_messages"].set(self._broker.queued)

    def _taking(self, adapter: Adapter) -> Handler:
        async def take(scope: Scope, protocol: Exchange) -> Answer:
            get = scope.headers.get
            request = Request(
                received_at_ms=time.time_ns() // 1_000_000,
                query=scope.query_string,
                authorization=get("authorization"),
                content_type=get("content-type"),
                content_encoding=get("content-encoding"),
                content_length=get("content-length"),
                traceparent=get("traceparent"),
            )
            return await self._intake.take(adapter, request, protocol)

        return take

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
