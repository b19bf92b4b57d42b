"""Requests as fast as they are answered, over a number of kept-alive connections: a closed loop that costs little.

Requests are made beforehand, byte for byte, and answers are read only as far as their length and status, so that the
client does not become what is measured. Speaks HTTP/1.1 to servers that announce the length of their answers.
"""

import asyncio
import re
import resource
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from typing import Any, Final, cast
from urllib.parse import urlsplit

from loadtest.latency import percentile

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Flood:
    """What came back."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of this process; close to `seconds` means that the client was the limit."""
    statuses: "Counter[int]" = field(default_factory=Counter)
    latencies: "array[float]" = field(default_factory=lambda: array("d"))

    def figures(self) -> dict[str, Any]:
        """Requests, rate and latencies; times in milliseconds."""
        ordered = sorted(self.latencies)
        return {
            "requests": len(ordered),
            "requests_per_second": round(len(ordered) / self.seconds, 1),
            "p50_ms": round(percentile(ordered, 0.5) * 1000, 3),
            "p99_ms": round(percentile(ordered, 0.99) * 1000, 3),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "client_cores": round(self.cpu_seconds / self.seconds, 2),
        }


def request_bytes(url: str, method: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A whole request."""
    parts = urlsplit(url)
    told = {"host": parts.netloc, **headers, "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"{method} {parts.path or '/'} HTTP/1.1\r\n{head}\r\n".encode() + body


async def flood(url: str, requests: Sequence[bytes], connections: int, seconds: float) -> Flood:
    """Send the requests over and over for a while. Raises ConnectionError when a connection is lost.

    Each connection has requests of its own where there are enough: two that ask the same at the same time may be given
    one answer, and having got it together would go on asking together.
    """
    parts, result, loop = urlsplit(url), Flood(), asyncio.get_running_loop()
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    lost: asyncio.Future[None] = loop.create_future()
    clients = []
    for number in range(connections):
        own = cycle(requests[number::connections] or requests)
        _, client = await loop.create_connection(partial(_Client, own, result, lost), host, port)
        clients.append(client)
    started, cpu = time.perf_counter(), cpu_seconds()
    for client in clients:
        client.send()
    await asyncio.wait({lost}, timeout=seconds)
    result.seconds, result.cpu_seconds = time.perf_counter() - started, cpu_seconds() - cpu
    for client in clients:
        client.close()
    if lost.done():
        lost.result()
    return result


class _Client(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, requests: Iterator[bytes], result: Flood, lost: "asyncio.Future[None]") -> None:
        self._requests = requests
        self._result = result
        self._lost = lost
        self._head = b""
        self._missing = 0
        self._sent_at = 0.0
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self) -> None:
        """Send the next request."""
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))

    def close(self) -> None:
        """Let go; answers under way are not waited for."""
        self._closing = True
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._head, 0, end)
            if length is None:
                self._fail(ConnectionError("an answer without a length"))
                return
            self._result.statuses[int(self._head[9:12])] += 1
            self._missing = int(length[1]) - (len(self._head) - end - 4)
            self._head = b""
        if not self._missing and not self._closing:
            self._result.latencies.append(time.perf_counter() - self._sent_at)
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closing:
            self._fail(error or ConnectionError("the server closed a connection"))

    def _fail(self, error: Exception) -> None:
        if not self._lost.done():
            self._lost.set_exception(error)
        self.close()


def cpu_seconds() -> float:
    """Processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
