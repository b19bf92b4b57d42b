"""graphql-transport-ws: many operations over one WebSocket.

Source: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. Who does not keep to it is told so by a close
code; who does not read what is sent is let go, and gets the newest state when it comes back.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from serving.access import Access, Client, Denied, Identify
from serving.execution import Outcome
from serving.http import address_of
from serving.request import BadRequest, GraphQLRequest, from_members
from serving.settings import ServingSettings
from serving.streams import Streams
from serving.turns import NoPlace

PROTOCOL: Final = "graphql-transport-ws"
_log = structlog.get_logger(__name__)


class Close(Exception):  # noqa: N818 - it reads as what it is
    """The socket is to be closed, with a code of the protocol."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Sockets:
    """Every WebSocket of the process."""

    def __init__(self, streams: Streams, access: Access, settings: ServingSettings, path: str) -> None:
        self._streams, self._access, self._settings, self._path = streams, access, settings, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, from the handshake to its end."""
        await receive()
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if scope["path"] != self._path or not self._origin_allowed(headers) or PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.close", "code": 1008, "reason": ""})  # before it is open: 403
            return
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL, "headers": []})
        address, header = address_of(scope), headers.get(b"authorization")

        def by_key(told: str | None) -> Identify:
            """Browsers can not set the header: the key comes in the payload of `connection_init`, or in either."""
            return partial(self._access.client, told if told is not None else header, address)

        await _Socket(self._streams, by_key, self._settings, receive, send).run()

    def _origin_allowed(self, headers: dict[bytes, str]) -> bool:
        """Browsers say which page opens a socket; who says nothing is no browser, and carries nobody's cookies."""
        origin = headers.get(b"origin")
        if origin is None or origin in self._settings.allowed_origins:
            return True
        return urlsplit(origin).netloc.lower() == headers.get(b"host", "").lower() != ""


class _Socket:
    def __init__(
        self,
        streams: Streams,
        by_key: Callable[[str | None], Identify],
        settings: ServingSettings,
        receive: Receive,
        send: Send,
    ) -> None:
        self._streams, self._by_key, self._settings = streams, by_key, settings
        self._receive, self._raw_send = receive, send
        self._identify: Identify | None = None
        """Tells who it is, once it has said so."""
        self._place = contextlib.ExitStack()
        self._asked_to_answer = False
        """Whether its client was sent a ping and has said nothing since."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        reading, asking = asyncio.create_task(self._read()), asyncio.create_task(self._ask_for_life())
        close: Close | None = None
        try:
            await asyncio.wait({reading, asking, self._failed}, return_when=asyncio.FIRST_COMPLETED)
            for done in (reading, asking, self._failed):
                if done.done():
                    done.result()
        except Close as told:
            close = told
        finally:
            self._place.close()
            tasks = [reading, asking, *self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._failed.cancel()
        if close is not None:  # after all else has ended: granian sends it only once nobody waits to receive
            with contextlib.suppress(Exception):  # it may have gone meanwhile, or not read
                async with asyncio.timeout(self._settings.slow_reader_seconds):
                    await self._raw_send({"type": "websocket.close", "code": close.code, "reason": close.reason})

    async def _read(self) -> None:
        deadline = self._settings.connection_init_seconds
        while True:
            try:
                async with asyncio.timeout(None if self._identify else deadline):
                    received = await self._receive()
            except TimeoutError as error:
                raise Close(4408, "Connection initialisation timeout") from error
            if received["type"] == "websocket.disconnect":
                return
            self._asked_to_answer = False
            await self._on_message(self._decoded(received))

    async def _ask_for_life(self) -> None:
        """A ping now and again: who says nothing till the next is gone, and its key may be good no more."""
        while True:
            await asyncio.sleep(self._settings.sign_of_life_seconds)
            if self._identify is None:
                continue
            if self._asked_to_answer:
                raise Close(4408, "No answer to a ping")
            _known(self._identify)
            self._asked_to_answer = True
            await self._send(b'{"type":"ping"}')

    def _decoded(self, received: Any) -> dict[str, Any]:
        text = received.get("text")
        if text is None:
            raise Close(4400, "Messages are texts of JSON")
        if len(text) > self._settings.max_body_bytes:
            raise Close(1009, f"A message is over {self._settings.max_body_bytes} bytes")
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise Close(4400, "A message is not JSON") from error
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise Close(4400, "A message is not an object with a type")
        return message

    async def _on_message(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "connection_init":
                if self._identify is not None:
                    raise Close(4429, "Too many initialisation requests")
                self._identify = self._identified(message.get("payload"))
                await self._send(b'{"type":"connection_ack"}')
            case "ping":
                await self._send(b'{"type":"pong"}')
            case "pong":
                pass
            case "subscribe":
                self._subscribe(message)
            case "complete":
                if (task := self._running.pop(str(message.get("id")), None)) is not None:
                    task.cancel()
            case _:
                raise Close(4400, "A message has an unknown type")

    def _identified(self, payload: Any) -> Identify:
        told = payload.get("authorization") if isinstance(payload, dict) else None
        identify = self._by_key(told if isinstance(told, str) else None)
        try:
            self._place.enter_context(self._streams.places.place(_known(identify).name))
        except NoPlace as full:
            raise Close(4429, str(full)) from full
        return identify

    def _subscribe(self, message: dict[str, Any]) -> None:
        identify = self._identify
        if identify is None:
            raise Close(4401, "Unauthorized")
        name, payload = message.get("id"), message.get("payload")
        if not isinstance(name, str) or not name or not isinstance(payload, dict):
            raise Close(4400, "A subscribe message has an id and a payload")
        if name in self._running:
            raise Close(4409, f"Subscriber for {name[:60]} already exists")
        if len(self._running) >= self._settings.max_subscriptions:
            raise Close(4400, f"Over {self._settings.max_subscriptions} operations at once")
        try:
            request = from_members(payload)
        except BadRequest as error:
            raise Close(4400, str(error)) from error
        task = asyncio.create_task(self._stream(name, request, identify))
        self._running[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    async def _stream(self, name: str, request: GraphQLRequest, identify: Identify) -> None:
        id_ = orjson.dumps(name)
        async with contextlib.aclosing(self._streams.answers(request, identify)) as answers:
            async for answer in answers:
                if answer.outcome in {Outcome.INVALID, Outcome.UNPARSABLE, Outcome.REFUSED}:
                    errors = orjson.dumps(orjson.loads(answer.body)["errors"])
                    await self._send(b'{"id":' + id_ + b',"type":"error","payload":' + errors + b"}")
                    return
                await self._send(b'{"id":' + id_ + b',"type":"next","payload":' + answer.body + b"}")
        await self._send(b'{"id":' + id_ + b',"type":"complete"}')

    async def _send(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(self._settings.slow_reader_seconds):
                await self._raw_send({"type": "websocket.send", "text": message.decode()})
        except TimeoutError as error:
            raise Close(1013, "Too slow; come back for the newest state") from error

    def _ended(self, name: str, task: "asyncio.Task[None]") -> None:
        if self._running.get(name) is task:
            del self._running[name]
        if task.cancelled() or self._failed.done():
            return
        error = task.exception()
        if isinstance(error, Close):
            self._failed.set_exception(error)
        elif isinstance(error, Denied):
            self._failed.set_exception(Close(4403, "Forbidden"))
        elif error is not None:
            _log.error("stream_failed", exc_info=error)
            self._failed.set_exception(Close(1011, "Internal error"))


def _known(identify: Identify) -> Client:
    try:
        return identify()
    except Denied as denied:
        raise Close(4403, "Forbidden") from denied
