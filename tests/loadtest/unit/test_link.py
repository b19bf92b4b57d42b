"""The link in front of a part: bytes go through unchanged, and each way of breaking it does what it says."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from loadtest.drill.link import Link

pytestmark = pytest.mark.unit


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def _linked() -> AsyncIterator[Link]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with Link(_free_port(), server.sockets[0].getsockname()[1]) as link:
        yield link
    server.close()


async def _said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    writer.write(data)
    await writer.drain()
    return await asyncio.wait_for(reader.readexactly(len(data)), 10)


async def _said_anew(link: Link, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        return await _said(reader, writer, data)
    finally:
        writer.transport.abort()


async def test_bytes_go_through_unchanged_in_both_directions() -> None:
    data = bytes(range(256)) * 4000
    async with _linked() as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        assert await _said(reader, writer, data) == data
        writer.close()


async def test_a_cut_ends_open_connections_and_new_ones_until_it_is_healed() -> None:
    async with _linked() as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        assert await _said(reader, writer, b"before") == b"before"
        link.cut()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await _said(reader, writer, b"during")
        writer.transport.abort()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await _said_anew(link, b"during")
        link.heal()
        assert await _said_anew(link, b"after") == b"after"


async def test_a_reset_ends_open_connections_and_lets_new_ones_through() -> None:
    async with _linked() as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        assert await _said(reader, writer, b"before") == b"before"
        link.reset()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await _said(reader, writer, b"during")
        writer.transport.abort()
        assert await _said_anew(link, b"after") == b"after"


async def test_silence_holds_bytes_back_and_loses_none() -> None:
    async with _linked() as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        link.silence()
        writer.write(b"held back")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        link.heal()
        assert await asyncio.wait_for(reader.readexactly(9), 10) == b"held back"
        writer.close()


@pytest.mark.parametrize(("delay_seconds", "bytes_per_second"), [(0.1, 0), (0.0, 100_000)])
async def test_a_slow_or_narrow_link_takes_its_time_both_ways(delay_seconds: float, bytes_per_second: int) -> None:
    async with _linked() as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        link.slow(delay_seconds, bytes_per_second)
        began = time.monotonic()
        assert await _said(reader, writer, b"x" * 10_000) == b"x" * 10_000
        assert time.monotonic() - began >= 0.2
        writer.close()


async def test_where_nobody_listens_the_connection_ends() -> None:
    async with Link(_free_port(), _free_port()) as link:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await _said_anew(link, b"anybody?")
