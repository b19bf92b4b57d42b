"""Questions to a Millrace GraphQL API, with types. Needs httpx and msgspec, and nothing of Millrace.

    with Client("http://127.0.0.1:7071/graphql") as api:
        answer = api.ask(an_operation(its=variables))

There is a function for each operation of the documents. Money is Decimal, times have a zone, durations are timedelta.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import httpx
import msgspec
from msgspec import Struct, field

T = TypeVar("T")

_JSON: Final = {"accept": "application/graphql-response+json", "content-type": "application/json"}
_STREAM: Final = {**_JSON, "accept": "text/event-stream"}
_STREAM_SECONDS: Final = 60.0
"""A stream that is silent for longer is lost: the server gives a sign of life every few seconds."""


@dataclass(frozen=True, kw_only=True)
class _Question(Generic[T]):
    """A GraphQL document with the variables of one of its operations, and what the answer is read into."""

    document: str
    name: str
    answer: type[T]
    variables: dict[str, object]

    def request(self) -> bytes:
        """The body to be sent. A variable that is None is left out, so that its default holds."""
        given = {name: value for name, value in self.variables.items() if value is not None}
        return msgspec.json.encode({"query": self.document, "operationName": self.name, "variables": given})


class Operation(_Question[T]):
    """A query or mutation: to be asked once."""


class Subscription(_Question[T]):
    """To be followed."""


class Fault(Struct, frozen=True):
    """One error of an answer."""

    message: str
    path: list[str | int] = []
    extensions: dict[str, Any] = {}


class ApiError(Exception):
    """There is no answer, or one with errors, or another one than the schema says. `code` says what to do:

    - one of the server's own (docs/graphql.md): as the first of the `faults` says;
    - `NOT_REACHED`: send it again later; nothing was answered;
    - `NOT_GRAPHQL`: look at the address and at what stands between; `status` is what it answered;
    - `UNEXPECTED`: make this client anew; the server's schema is another one.
    """

    def __init__(self, code: str, message: str, status: int | None = None, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.status, self.faults = code, status, faults

    @property
    def retry_after_seconds(self) -> float | None:
        """After how long the same may be sent again with hope; None where it has to be changed."""
        told = self.faults[0].extensions.get("retryAfterSeconds") if self.faults else None
        if told is None and self.code in {"NOT_REACHED", "TOO_MANY_REQUESTS"}:
            return 1.0
        return None if told is None else float(told)


class Client:
    """Asks and follows over connections that are kept until it is closed. A key is sent where one is given."""

    def __init__(self, url: str, key: str = "", *, timeout_seconds: float = 30.0, trust_env: bool = True) -> None:
        self._url = url
        self._http = httpx.Client(headers=_bearer(key), timeout=timeout_seconds, trust_env=trust_env)

    def ask(self, operation: Operation[T]) -> T:
        """The answer. Raises ApiError."""
        try:
            response = self._http.post(self._url, content=operation.request(), headers=_JSON)
        except httpx.TransportError as error:
            raise _not_reached(error) from error
        return _read(response.content, response.status_code, operation)

    def follow(self, subscription: Subscription[T]) -> Iterator[T]:
        """The answer now and after each change. Raises ApiError, also where the stream ends before it is complete."""
        body, events = subscription.request(), _Events()
        try:
            with self._http.stream("POST", self._url, content=body, headers=_STREAM, timeout=_STREAM_SECONDS) as told:
                if not _is_stream(told):
                    raise _refused(told.read(), told.status_code, subscription)
                for line in told.iter_lines():
                    if data := events.data(line):
                        yield _read(data, told.status_code, subscription)
                    if events.complete:
                        return
        except httpx.TransportError as error:
            raise _not_reached(error) from error
        raise ApiError("NOT_REACHED", "the stream ended before it was complete")

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncClient:
    """The same for asyncio."""

    def __init__(self, url: str, key: str = "", *, timeout_seconds: float = 30.0, trust_env: bool = True) -> None:
        self._url = url
        self._http = httpx.AsyncClient(headers=_bearer(key), timeout=timeout_seconds, trust_env=trust_env)

    async def ask(self, operation: Operation[T]) -> T:
        """The answer. Raises ApiError."""
        try:
            response = await self._http.post(self._url, content=operation.request(), headers=_JSON)
        except httpx.TransportError as error:
            raise _not_reached(error) from error
        return _read(response.content, response.status_code, operation)

    async def follow(self, subscription: Subscription[T]) -> AsyncIterator[T]:
        """The answer now and after each change. Raises ApiError, also where the stream ends before it is complete."""
        body, events = subscription.request(), _Events()
        try:
            async with self._http.stream(
                "POST", self._url, content=body, headers=_STREAM, timeout=_STREAM_SECONDS
            ) as told:
                if not _is_stream(told):
                    raise _refused(await told.aread(), told.status_code, subscription)
                async for line in told.aiter_lines():
                    if data := events.data(line):
                        yield _read(data, told.status_code, subscription)
                    if events.complete:
                        return
        except httpx.TransportError as error:
            raise _not_reached(error) from error
        raise ApiError("NOT_REACHED", "the stream ended before it was complete")

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()


class _Answer(Struct, Generic[T]):
    data: T | None = None
    errors: tuple[Fault, ...] = ()


class _Events:
    """What the lines of a stream of server-sent events say."""

    complete = False
    _name = ""

    def data(self, line: str) -> str:
        """The answer that a line brings; empty where it brings none."""
        field_, _, value = line.partition(": ")
        if field_ == "event":
            self._name = value
        self.complete = self._name == "complete"
        return value if field_ == "data" else ""


def _is_stream(response: httpx.Response) -> bool:
    return str(response.headers.get("content-type", "")).startswith("text/event-stream")


def _read(body: bytes | str, status: int, question: _Question[T]) -> T:
    try:
        answer: _Answer[T] = msgspec.json.decode(body, type=_Answer[question.answer])  # type: ignore[name-defined]
    except msgspec.ValidationError as error:
        raise ApiError("UNEXPECTED", f"{question.name} is not answered as the schema says: {error}", status) from error
    except msgspec.DecodeError as error:
        raise ApiError("NOT_GRAPHQL", f"status {status}, and no GraphQL answer: {error}", status) from error
    if answer.errors:
        first = answer.errors[0]
        raise ApiError(str(first.extensions.get("code", "UNEXPECTED")), first.message, status, answer.errors)
    if answer.data is None:
        raise ApiError("NOT_GRAPHQL", f"status {status}, with neither data nor errors", status)
    return answer.data


def _refused(body: bytes, status: int, subscription: Subscription[T]) -> ApiError:
    """Why there is no stream."""
    try:
        _read(body, status, subscription)
    except ApiError as error:
        return error
    return ApiError("NOT_GRAPHQL", f"status {status}, and no stream of events", status)


def _not_reached(error: httpx.TransportError) -> ApiError:
    return ApiError("NOT_REACHED", str(error) or type(error).__name__)


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}
