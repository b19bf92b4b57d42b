"""Turns: a client whose requests are many and heavy waits for itself, and not others for it.

Each client runs a few operations at once, fewer than there are connections to the database; its others wait in line.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


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
