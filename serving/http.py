"""GraphQL over HTTP: media types and status codes by the specification, straight on ASGI.

Source: https://graphql.github.io/graphql-over-http/draft/. A client that accepts
`application/graphql-response+json` gets a status that means something: 400 where the document could not be run. One
that accepts only `application/json` gets 200 for any well-formed request, as older clients expect. The draft of 2026
has other codes (422, 294) for both; a setting chooses.

An answer that is known takes no parsing: the request is looked up by its bytes, the answer by the request.
"""

import time
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from typing import Any, Final

import orjson
from graphql import OperationType

from serving.access import Access, Client, Denied, Identify
from serving.answers import Answers, Kept
from serving.documents import Operation, Unusable
from serving.events import EVENT_STREAM, Events
from serving.execution import Answer, Executor, Outcome
from serving.metrics import Metrics
from serving.request import BadRequest, GraphQLRequest, Unreadable, from_body, from_query_string
from serving.settings import ServingSettings, Statuses
from serving.streams import SEEN
from serving.turns import LineFull, NoPlace
from serving.web import HEADERS

Scope = Any
Receive = Any
Send = Any
Headers = tuple[tuple[bytes, bytes], ...]

RESPONSE_JSON: Final = "application/graphql-response+json"
PLAIN_JSON: Final = "application/json"

_AUDITED: Final = {
    RESPONSE_JSON: {Outcome.INVALID: 400, Outcome.UNPARSABLE: 400},
    PLAIN_JSON: {},
}
_DRAFTED: Final = {Outcome.PARTIAL: 294, Outcome.INVALID: 422, Outcome.UNPARSABLE: 400}
_DRAFT: Final = {RESPONSE_JSON: _DRAFTED, PLAIN_JSON: _DRAFTED}
_STATUSES: Final[dict[Statuses, dict[str, dict[Outcome, int]]]] = {"audited": _AUDITED, "draft-2026": _DRAFT}
_REQUESTS_KNOWN: Final = 2048
_LONGEST_KNOWN: Final = 16 * 1024
_HEADERS_KNOWN: Final = 256
_VARY: Final = (b"vary", b"accept")


class Refused(Exception):  # noqa: N818 - it reads as what it is
    """No GraphQL was run, and why, with the status to say so."""

    def __init__(self, status: int, message: str, *headers: tuple[bytes, bytes], code: str = "BAD_REQUEST") -> None:
        super().__init__(message)
        self.status, self.headers, self.code = status, headers, code


class Endpoint:
    """`/graphql` over HTTP: POST, and GET for queries. No IDE, no batches, no uploads."""

    def __init__(
        self,
        executor: Executor,
        answers: Answers,
        events: Events,
        *,
        access: Access,
        settings: ServingSettings,
        metrics: Metrics,
    ) -> None:
        self._executor = executor
        self._answers = answers
        self._events = events
        self._access = access
        self._guarded = settings.keys_file is not None
        self._max_body_bytes = settings.max_body_bytes
        self._statuses = _STATUSES[settings.statuses]
        self._malformed = 422 if settings.statuses == "draft-2026" else 400
        self._outcomes = {outcome: metrics.requests.labels(outcome=outcome.value) for outcome in Outcome}
        self._refused = metrics.requests.labels(outcome="refused")
        self._observe = metrics.request_seconds.observe
        self._requests: OrderedDict[bytes, GraphQLRequest] = OrderedDict()
        self._media_types: dict[bytes, str | None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        started = time.perf_counter()
        told: Headers = ()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            media_type = self._negotiated(headers)
            identify = self._identify(scope, headers)
            client = _known(identify)
            request = await self._request(scope, headers, receive)
            if self._guarded:
                told = (_scopes(client),)
                self._check(request, client)
            if media_type == EVENT_STREAM:
                self._may_run(request, self._executor.operation(request))
                await self._stream(_resumed(request, headers), identify, receive, send)
                return
            kept = self._answers.get(request.key) or await self._answer(request, client)
        except Refused as refused:
            self._refused.inc()
            await _send(send, refused.status, PLAIN_JSON, _refusal(refused), (*refused.headers, *told))
        except ClientGone:
            return
        else:
            self._outcomes[kept.answer.outcome].inc()
            await self._send(send, scope["method"], headers, media_type, kept, told=told)
        self._observe(time.perf_counter() - started)

    def _identify(self, scope: Scope, headers: dict[bytes, bytes]) -> Identify:
        told = headers.get(b"authorization")
        return partial(self._access.client, told.decode("latin-1") if told is not None else None, address_of(scope))

    def _check(self, request: GraphQLRequest, client: Client) -> None:
        operation = self._executor.operation(request)
        if isinstance(operation, Operation):
            try:
                self._executor.check(request, operation, client)
            except Denied as denied:
                raise Refused(403, str(denied), code="FORBIDDEN") from denied

    async def _answer(self, request: GraphQLRequest, client: Client) -> Kept:
        operation = self._executor.operation(request)
        kind = operation.kind if isinstance(operation, Operation) else None
        if kind is OperationType.SUBSCRIPTION:
            message = f"A subscription is a stream: accept {EVENT_STREAM}, or open a WebSocket (graphql-transport-ws)."
            raise Refused(400, message)
        if self._may_run(request, operation):
            return Kept(await self._run(request, operation, client))

        async def run() -> Answer:
            return await self._run(request, operation, client)

        return await self._answers.answer(request.key, run)

    def _may_run(self, request: GraphQLRequest, operation: Operation | Unusable) -> bool:
        """Whether the operation writes; where it does and may not, it is refused."""
        kind = operation.kind if isinstance(operation, Operation) else None
        writes = kind is OperationType.MUTATION or (isinstance(operation, Unusable) and operation.writes)
        if writes and not request.may_write:
            raise Refused(405, "A mutation is a POST.", (b"allow", b"POST"))
        return writes

    async def _run(self, request: GraphQLRequest, operation: Operation | Unusable, client: Client) -> Answer:
        try:
            return await self._executor.run(request, operation, client.name)
        except LineFull as full:
            message = "Too many of your requests wait already; come back when some are answered."
            raise Refused(429, message, (b"retry-after", b"1"), code="TOO_MANY_REQUESTS") from full

    async def _stream(self, request: GraphQLRequest, identify: Identify, receive: Receive, send: Send) -> None:
        try:
            await self._events.send(request, identify, receive, send)
        except NoPlace as full:
            raise Refused(429, str(full), (b"retry-after", b"60"), code="TOO_MANY_REQUESTS") from full

    async def _request(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> GraphQLRequest:
        method = scope["method"]
        if method == "POST":
            if not _is_json(headers.get(b"content-type", b"")):
                raise Refused(415, f"POST a request as {PLAIN_JSON}, in UTF-8 and without a content coding.")
            if b"content-encoding" in headers:
                raise Refused(415, "A body with a content coding is not taken.")
            told: bytes = await self._body(headers, receive)
        elif method == "GET":
            told = scope["query_string"]
        else:
            raise Refused(405, "A request is a POST or a GET.", (b"allow", b"GET, POST"))
        known = self._requests.get(told)
        if known is not None and known.may_write is (method == "POST"):
            return known
        try:
            request = from_body(told) if method == "POST" else from_query_string(told)
        except BadRequest as error:
            raise Refused(400 if isinstance(error, Unreadable) else self._malformed, str(error)) from error
        if len(told) <= _LONGEST_KNOWN:
            self._requests[told] = request
            if len(self._requests) > _REQUESTS_KNOWN:
                self._requests.popitem(last=False)
        return request

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._max_body_bytes:
            raise self._too_large()
        message = await receive()
        body: bytes = message.get("body", b"")
        while message["type"] == "http.request" and message.get("more_body", False):
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                break
        if message["type"] != "http.request":
            raise ClientGone
        if len(body) > self._max_body_bytes:
            raise self._too_large()
        return body

    def _too_large(self) -> Refused:
        message = f"The body is over {self._max_body_bytes} bytes."
        return Refused(413, message, (b"connection", b"close"), code="TOO_LARGE")

    def _negotiated(self, headers: dict[bytes, bytes]) -> str:
        accept = headers.get(b"accept", b"*/*")
        if accept not in self._media_types:
            if len(self._media_types) >= _HEADERS_KNOWN:
                self._media_types.clear()
            self._media_types[accept] = _media_type(accept.decode("latin-1"))
        found = self._media_types[accept]
        if found is None:
            raise Refused(406, f"Answers are {RESPONSE_JSON} or {PLAIN_JSON}.")
        return found

    async def _send(
        self, send: Send, method: str, headers: dict[bytes, bytes], media_type: str, kept: Kept, *, told: Headers
    ) -> None:
        answer = kept.answer
        status = self._statuses[media_type].get(answer.outcome, 200)
        if method != "GET":
            return await _send(send, status, media_type, answer.body, (_NO_STORE, *told))
        if answer.epoch is None:
            return await _send(send, status, media_type, answer.body, (_VARY, _NO_STORE, *told))
        # Anybody may keep it as long as they ask each time whether it still holds.
        # Of what commit it is stands here, too, since who has the answer already is not sent its body.
        as_of = (b"millrace-as-of", answer.as_of)
        more = (_VARY, (b"cache-control", b"private, no-cache"), (b"etag", kept.etag), as_of, *told)
        if kept.etag.removeprefix(b"W/") in headers.get(b"if-none-match", b""):
            return await _send(send, 304, media_type, b"", more)
        return await _send(send, status, media_type, answer.body, more)


def _known(identify: Identify) -> Client:
    try:
        return identify()
    except Denied as denied:
        challenge = (b"www-authenticate", b'Bearer realm="millrace"')
        raise Refused(401, str(denied), challenge, code="UNAUTHENTICATED") from denied


def _scopes(client: Client) -> tuple[bytes, bytes]:
    """What the client's key may, so that it need not ask in vain."""
    return b"millrace-scopes", " ".join(sorted(client.scopes)).encode()


def _resumed(request: GraphQLRequest, headers: dict[bytes, bytes]) -> GraphQLRequest:
    """The request, with the epoch that a browser has seen before it lost the stream."""
    seen = headers.get(b"last-event-id", b"")
    if not (seen.isdigit() and len(seen) <= 18):
        return request
    return replace(request, extensions={**request.extensions, SEEN: int(seen)})


def address_of(scope: Scope) -> str:
    """Where a client is connected from."""
    peer = scope.get("client")
    return peer[0] if peer else ""


class ClientGone(Exception):  # noqa: N818 - it reads as what it is
    """Nobody waits for the answer any more."""


_NO_STORE: Final = (b"cache-control", b"no-store")


async def _send(send: Send, status: int, media_type: str, body: bytes, headers: Headers = ()) -> None:
    head = [(b"content-type", f"{media_type}; charset=utf-8".encode()), *HEADERS, *headers]
    if status != 304:
        head.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _refusal(refused: Refused) -> bytes:
    return orjson.dumps({"errors": [{"message": str(refused), "extensions": {"code": refused.code}}]})


def _media_type(accept: str) -> str | None:
    """The first that is accepted of those we have; plain JSON for who accepts anything."""
    accepted = [_weighted(part) for part in accept.split(",")]
    wanted = [name for name, weight in sorted(accepted, key=lambda each: -each[1]) if weight > 0]
    for name in wanted:
        if name in {RESPONSE_JSON, PLAIN_JSON, EVENT_STREAM}:
            return name
    return PLAIN_JSON if {"*/*", "application/*", ""} & set(wanted) else None


def _weighted(part: str) -> tuple[str, float]:
    name, *parameters = part.split(";")
    weight = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 0.0
    return name.strip().lower(), weight


def _is_json(content_type: bytes) -> bool:
    if content_type == b"application/json":
        return True
    media_type, _, parameters = content_type.decode("latin-1").partition(";")
    charset = parameters.replace(" ", "").lower()
    return media_type.strip().lower() == PLAIN_JSON and charset in {"", "charset=utf-8", 'charset="utf-8"'}
