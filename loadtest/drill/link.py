"""A proxy in front of a part, so that the way to it can be slow, narrow, silent or cut."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final, Self

_CHUNK: Final = 64 * 1024
_HOST: Final = "127.0.0.1"


class Link:
    """Connections to `port` go on to `target`, as the link is at the moment. Bytes are never changed or lost but by
    a reset, as TCP would have it."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut = False
        self._flowing = asyncio.Event()
        self._delay_seconds = 0.0
        self._bytes_per_second = 0

    async def __aenter__(self) -> Self:
        self._flowing.set()
        self._server = await asyncio.start_server(self._accept, _HOST, self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
        self.reset()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def slow(self, delay_seconds: float = 0.0, bytes_per_second: int = 0) -> None:
        """From now on bytes arrive later, or fewer at a time; 0: as they come."""
        self._delay_seconds, self._bytes_per_second = delay_seconds, bytes_per_second

    def cut(self) -> None:
        """End every connection, and each new one at once, as if nobody were there."""
        self._cut = True
        self.reset()

    def silence(self) -> None:
        """Let no byte through; connections stay open and know nothing of it."""
        self._flowing.clear()

    def reset(self) -> None:
        """End every connection with a reset, in the middle of whatever is under way; new ones are let through."""
        for writer in tuple(self._open):
            _abort(writer)

    def heal(self) -> None:
        """As it should be."""
        self._cut = False
        self.slow()
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._cut:
            _abort(writer)
            return
        self._open.add(writer)
        try:
            onward_reader, onward_writer = await asyncio.open_connection(_HOST, self.target)
        except OSError:
            self._open.discard(writer)
            _abort(writer)
            return
        self._open.add(onward_writer)
        try:
            await asyncio.gather(self._pass(reader, onward_writer), self._pass(onward_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, onward_writer):
                self._open.discard(end)
                end.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, until it ends."""
        while chunk := await reader.read(self._bytes_per_second // 10 or _CHUNK):
            await self._flowing.wait()
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            if self._bytes_per_second:
                await asyncio.sleep(len(chunk) / self._bytes_per_second)
            writer.write(chunk)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of a farewell."""
    with suppress(OSError):
        raw = writer.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
