"""GraphQL over server-sent events: one operation, its answers as they come, over plain HTTP.

Source: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md, distinct connections mode. Each answer is an
event `next`, the end is an event `complete`; what can not be run, or not any more, is told in a `next` too, on status
200. An event's id is its epoch, so that a browser that connects again says which one it has seen (`Last-Event-ID`).
"""

import asyncio
import contextlib
from typing import Any, Final

from graphql import GraphQLError

from serving.access import Denied, Identify
from serving.execution import Answer, encoded
from serving.request import GraphQLRequest
from serving.settings import ServingSettings
from serving.streams import Streams
from serving.web import HEADERS

EVENT_STREAM: Final = "text/event-stream"
_HEAD: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    *HEADERS,
)
_COMPLETE: Final = b"event: complete\ndata:\n\n"
_STILL_HERE: Final = b":\n\n"
"""A comment: nothing for the reader, and a sign of life for what stands between."""


class Events:
    """The event streams of the process."""

    def __init__(self, streams: Streams, settings: ServingSettings) -> None:
        self._streams, self._settings = streams, settings

    async def send(self, request: GraphQLRequest, identify: Identify, receive: Any, send: Any) -> None:
        """Send the answers until they end, the client leaves or may read no more, or it does not read.

        Raises:
            NoPlace: the client has too many streams open; nothing was sent.
        """
        with self._streams.places.place(identify().name):
            await self._send(request, identify, receive, send)

    async def _send(self, request: GraphQLRequest, identify: Identify, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEAD)})
        leaving = asyncio.create_task(_left(receive))
        streaming = asyncio.create_task(self._stream(request, identify, send))
        try:
            await asyncio.wait({leaving, streaming}, return_when=asyncio.FIRST_COMPLETED)
            if streaming.done():
                await streaming
        except TimeoutError:
            pass  # too slow: the connection ends here, and what comes again gets the newest state
        finally:
            for task in (leaving, streaming):
                task.cancel()
            await asyncio.gather(leaving, streaming, return_exceptions=True)

    async def _stream(self, request: GraphQLRequest, identify: Identify, send: Any) -> None:
        async with contextlib.aclosing(self._streams.answers(request, identify)) as answers:
            following: asyncio.Task[Answer] | None = None
            try:
                while True:
                    following = following or asyncio.create_task(anext(answers))
                    done, _ = await asyncio.wait({following}, timeout=self._settings.sign_of_life_seconds)
                    if not done:
                        identify()
                        await self._write(send, _STILL_HERE)
                        continue
                    answer, following = following.result(), None
                    name = b"id: %d\n" % answer.epoch if answer.epoch is not None else b""
                    await self._write(send, name + _next(answer.body))
            except StopAsyncIteration:
                await self._write(send, _COMPLETE, more=False)
            except Denied as denied:
                error = GraphQLError(str(denied), extensions={"code": "UNAUTHENTICATED"})
                await self._write(send, _next(encoded(None, [error])) + _COMPLETE, more=False)
            finally:
                if following is not None:
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)

    async def _write(self, send: Any, body: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(self._settings.slow_reader_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": more})


def _next(body: bytes) -> bytes:
    return b"event: next\ndata: " + body + b"\n\n"


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
