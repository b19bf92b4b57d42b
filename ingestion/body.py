"""Reading a request body within limits: size, time and the memory all requests may hold together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, Protocol

from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined] # what it is there for

from contracts.problems import Problem
from ingestion.errors import RequestRefusedError
from ingestion.patience import Patience
from ingestion.request import Headers

_DISCARDED_BYTES: Final = 1024 * 1024
_DISCARD_SECONDS: Final = 3.0


class BodySource(Protocol):
    """What the server gives to read a body from (RSGI's HTTP protocol object)."""

    async def __call__(self) -> bytes:
        """The whole body."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body in pieces as they arrive."""


class Budget:
    """Memory for bodies, counted by what they announce; refuses instead of growing."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.reserved = 0

    def reserve(self, size: int) -> None:
        """Take `size` bytes. Raises RequestRefusedError (overloaded) if they are not there."""
        if self.reserved + size > self._max_bytes:
            raise RequestRefusedError(Problem.OVERLOADED, "Too many bodies are being read; try again.")
        self.reserved += size

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        self.reserved -= size


async def read_body(
    source: BodySource, content_length: str | None, max_bytes: int, patience: Patience, budget: Budget
) -> bytes:
    """The body; its size stays reserved in the budget, for the caller to release. Raises RequestRefusedError.

    A chunked body that is cut off looks to us like a short one: the server does not tell.
    """
    if content_length is not None and content_length.isdecimal():
        reading = _read_announced(source, int(content_length), max_bytes, budget)
    else:
        reading = _read_chunked(source, max_bytes, budget)
    try:
        return await patience.wait(reading)
    except TimeoutError as error:
        raise RequestRefusedError(Problem.BODY_TIMEOUT, f"Not there after {patience.seconds:g} s.") from error


async def discard(source: BodySource, headers: Headers) -> None:
    """Read what is left of a refused request's body and forget it, up to a mebibyte and a few seconds.

    A connection that is closed with bytes unread is reset, and the client may lose the answer that says why. One that
    asks first whether to send (`Expect: 100-continue`) is not made to.
    """
    has_body = headers.get("content-length") not in (None, "0") or headers.get("transfer-encoding") is not None
    if not has_body or headers.get("expect") is not None:
        return
    left = _DISCARDED_BYTES
    with suppress(Exception):  # it may have been read already, or the client may be gone: either is fine
        async with asyncio.timeout(_DISCARD_SECONDS):
            async for piece in source:
                left -= len(piece)
                if left < 0:
                    return


async def _read_announced(source: BodySource, size: int, max_bytes: int, budget: Budget) -> bytes:
    _check_size(size, max_bytes)
    budget.reserve(size)
    try:
        return await source()
    except ProtocolClosed as error:  # nobody will read the answer, but it is not our fault and must not count as one
        budget.release(size)
        raise RequestRefusedError(Problem.BODY_INCOMPLETE, f"Less than the {size} bytes announced came.") from error
    except BaseException:
        budget.release(size)
        raise


async def _read_chunked(source: BodySource, max_bytes: int, budget: Budget) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in source:
            budget.reserve(len(piece))
            size += len(piece)
            _check_size(size, max_bytes)
            pieces.append(piece)
    except BaseException:
        budget.release(size)
        raise
    return b"".join(pieces)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise RequestRefusedError(Problem.BODY_TOO_LARGE, f"At most {max_bytes} bytes are taken.")
