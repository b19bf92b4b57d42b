"""Subscribers of one server: how long after a commit each of them is told of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import orjson
import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from loadtest.bench_errors import BenchError

_DOCUMENT: Final = """subscription { realtime {
  asOf { epoch } activeUsers eventsPerSecond viewsPerMinute revenueToday purchasesToday
  series { minute views revenue } } }"""
_PATIENCE_SECONDS: Final = 30.0
_AT_ONCE: Final = 50
"""Connections that are opened at the same time."""

Commit = Callable[[], Awaitable[int]]
"""Makes one more epoch, and gives its number once it is committed."""


async def follow(
    url: str, process: psutil.Process, subscribers: int, epochs: int, commit: Commit
) -> dict[str, int | float]:
    """Let so many follow so many epochs, a second apart. Raises BenchError where somebody is not told in time."""
    async with AsyncExitStack() as stack:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def join() -> "_Subscriber":
            async with gate:
                return await _Subscriber.of(await stack.enter_async_context(_open(url)))

        followers = await asyncio.gather(*(join() for _ in range(subscribers)))
        reading = [asyncio.create_task(each.read()) for each in followers]
        latencies: list[float] = []
        before, longest = sum(process.cpu_times()[:2]), 0.0
        try:
            for _ in range(epochs):
                epoch = await commit()
                committed = time.perf_counter()
                try:
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        told = await asyncio.gather(*(each.told_of(epoch) for each in followers))
                except TimeoutError as error:
                    raise BenchError(f"not every subscriber was told within {_PATIENCE_SECONDS:.0f} s") from error
                latencies += [max(0.0, at - committed) for at in told]
                longest = max(longest, max(told) - committed)
                await asyncio.sleep(1)
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
    latencies.sort()
    used = sum(process.cpu_times()[:2]) - before
    return {
        "subscribers": subscribers,
        "epochs": epochs,
        "told": len(latencies),
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 1),
        "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1000, 1),
        "last_ms": round(longest * 1000, 1),
        "cpu_ms_per_epoch": round(used / epochs * 1000, 1),
    }


def _open(url: str) -> connect:
    address = url.replace("http", "ws", 1)
    return connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None, max_queue=64)


class _Subscriber:
    """One connection, and when each epoch was heard of."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._heard: dict[int, asyncio.Future[float]] = {}

    @classmethod
    async def of(cls, socket: ClientConnection) -> "_Subscriber":
        """It has had its first answer when this returns."""
        made = cls(socket)
        await socket.send('{"type":"connection_init"}')
        payload = {"query": _DOCUMENT}
        await socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": payload}).decode())
        await made.told_of(await made._next_epoch())
        return made

    async def read(self) -> None:
        """Go on reading, until cancelled."""
        while True:
            await self._next_epoch()

    def told_of(self, epoch: int) -> "asyncio.Future[float]":
        """When it was told of the epoch."""
        return self._heard.setdefault(epoch, asyncio.get_running_loop().create_future())

    async def _next_epoch(self) -> int:
        async for message in self._socket:
            now = time.perf_counter()
            told: dict[str, Any] = orjson.loads(message)
            if told["type"] == "next" and told["payload"].get("data"):
                epoch = int(told["payload"]["data"]["realtime"]["asOf"]["epoch"])
                heard = self.told_of(epoch)
                if not heard.done():
                    heard.set_result(now)
                return epoch
            if told["type"] == "ping":
                await self._socket.send('{"type":"pong"}')
            elif told["type"] in {"next", "error", "complete"}:
                raise BenchError(f"a subscriber was told {str(told)[:300]}")
        raise BenchError("a subscriber's connection was ended")
