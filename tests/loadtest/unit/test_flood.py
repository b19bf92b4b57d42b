"""The closed-loop client: it reads answers however they are cut, and counts what it got."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from loadtest.flood import Flood, flood, request_bytes

pytestmark = pytest.mark.unit

Cut = Callable[[bytes], Sequence[bytes]]


@asynccontextmanager
async def server(
    status: int, body: bytes, cut: Cut, header: bytes = b"content-length"
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers every request alike, in pieces; yields its address and the requests it got."""
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                got.append(head + await reader.readexactly(length))
                for piece in cut(b"HTTP/1.1 %d X\r\n%b: %d\r\nx: y\r\n\r\n%b" % (status, header, len(body), body)):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", got
    finally:
        listening.close()
        await asyncio.sleep(0.01)


async def flooded(url: str, requests: Sequence[bytes], connections: int, got: list[bytes]) -> Flood:
    """A flood long enough for an answer or more on each connection, however busy the machine is."""
    for seconds in (0.3, 3, 30):
        got.clear()
        result = await flood(url, requests, connections, seconds)
        if len(result.latencies) > connections:
            break
    return result


@pytest.mark.parametrize(
    "cut",
    [
        lambda answer: [answer],
        lambda answer: [answer[:5], answer[5:]],
        lambda answer: [answer[:40], answer[40:60], answer[60:]],
        lambda answer: [answer[n : n + 1] for n in range(len(answer))],
    ],
    ids=["whole", "head cut", "head and body cut", "byte by byte"],
)
@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 300])
async def test_answers_are_counted_however_they_are_cut(cut: Cut, body: bytes) -> None:
    async with server(207, body, cut) as (url, got):
        request = request_bytes(f"{url}/v1/events", "POST", {"a": "b"}, b"body")
        result = await flooded(url, [request], 3, got)
    assert set(result.statuses) == {207}
    assert 0 < len(result.latencies) <= len(got) <= len(result.latencies) + 3
    assert set(got) == {request}
    assert request.startswith(b"POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1:")
    figures = result.figures()
    assert figures["requests"] == len(result.latencies)
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]


async def test_header_names_may_be_in_any_case_and_requests_take_turns() -> None:
    async with server(200, b"x", lambda answer: [answer], b"Content-Length") as (url, got):
        requests = [request_bytes(url, "GET", {"n": str(n)}) for n in range(3)]
        await flooded(url, requests, 2, got)
    assert set(got) == set(requests)
    assert got[0] != got[1]


async def test_no_two_connections_ask_the_same_where_there_is_enough_to_ask() -> None:
    asked: list[set[bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(own := set())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                own.add(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        requests = [request_bytes(url, "GET", {"n": str(n)}) for n in range(5)]
        for seconds in (0.3, 3, 30):
            asked.clear()
            await flood(url, requests, 2, seconds)
            if set().union(*asked) == set(requests):
                break
    assert sorted(len(own) for own in asked) == [2, 3]
    assert set().union(*asked) == set(requests)


async def test_an_answer_without_a_length_and_a_lost_connection_end_the_run() -> None:
    async with server(200, b"x", lambda answer: [answer], b"other") as (url, _):
        with pytest.raises(ConnectionError, match="without a length"):
            await flood(url, [request_bytes(url, "GET", {})], 2, 5)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listening = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    with pytest.raises(ConnectionError):
        await flood(url, [request_bytes(url, "GET", {})], 2, 5)
    listening.close()
