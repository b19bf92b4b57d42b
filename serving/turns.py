"""Turns: a client whose requests are many and heavy waits for itself, and not others for it.

Each client runs a few operations at once, fewer than there are connections to the database; its others wait in line.
Its streams, which may be open for days, are so many at most.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


class LineFull(Exception):  # noqa: N818 - it reads as what it is
    """The client has too many requests waiting already."""


class Turns:
    """Who runs and who waits, by client. Clients without a request are forgotten."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._at_once, self._waiting = at_once, waiting
        self._lines: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Within the block it is the client's turn. Raises LineFull at once when its line is too long."""
        semaphore, there = self._lines.get(client, (None, 0))
        if semaphore is None:
            semaphore = asyncio.Semaphore(self._at_once)
        elif there >= self._at_once + self._waiting:
            raise LineFull
        self._lines[client] = (semaphore, there + 1)
        try:
            async with semaphore:
                yield
        finally:
            there = self._lines[client][1] - 1
            if there:
                self._lines[client] = (semaphore, there)
            else:
                del self._lines[client]


class NoPlace(Exception):  # noqa: N818 - it reads as what it is
    """The client has too many streams open already; the message says how many that are."""


class Places:
    """How many streams each client has open: WebSockets, and event streams."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._taken = Counter[str]()

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """Within the block one more is open. Raises NoPlace."""
        if self._taken[client] >= self._each:
            raise NoPlace(f"Over {self._each} streams of yours are open at once.")
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]
