"""Streams that the server ends, over a real one: of keys that are good no more, one too many, of who is gone."""

import asyncio
import hashlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from contracts.tables import NOTIFY_CHANNEL
from tests.serving.events import visits
from tests.serving.integration.conftest import Server, eventually, new_schema, serving
from tests.serving.shop import Shop, create_tables, engine, write

pytestmark = pytest.mark.integration

EPOCHS = "subscription { epochs { epoch } }"


@pytest.fixture(scope="module")
def shop() -> Shop:
    now = datetime.now(UTC)
    return Shop(events=visits(5, now - timedelta(minutes=5), now))


@pytest.fixture(scope="module")
def guarded(postgres_url: str, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for keys, over a shop."""
    schema, home = new_schema(), tmp_path_factory.mktemp("serving")
    asyncio.run(create_tables(postgres_url, schema))
    asyncio.run(write(postgres_url, schema, shop))
    allow(home)
    settings = {"serving_keys_file": str(home / "keys.json"), "serving_streams_per_client": "2"}
    with serving(postgres_url, schema, home, **settings) as running:
        assert eventually(lambda: running.ready().status_code == 200)
        yield running


def allow(home: Path, **scopes: list[str]) -> None:
    """These keys from now on, each of them its own name."""
    entries = [
        {"source": name, "sha256": hashlib.sha256(name.encode()).hexdigest(), "scopes": told}
        for name, told in scopes.items()
    ]
    (home / "keys.json").write_text(json.dumps(entries))


async def until_told(server: Server, key: str, status: int) -> None:
    """Until the server takes the keys of now."""
    headers = {"authorization": f"Bearer {key}", "accept": "application/graphql-response+json"}
    address = f"{server.url}/graphql?query={{asOf{{epoch}}}}"
    assert await asyncio.to_thread(eventually, lambda: httpx.get(address, headers=headers).status_code == status)


@asynccontextmanager
async def following(server: Server, key: str) -> AsyncIterator[ClientConnection]:
    """A socket that follows epochs with the key, and was told of the first."""
    address = f"ws://127.0.0.1:{server.port}/graphql"
    async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        for message in (
            {"type": "connection_init", "payload": {"authorization": f"Bearer {key}"}},
            {"id": "1", "type": "subscribe", "payload": {"query": EPOCHS}},
        ):
            await socket.send(json.dumps(message))
        assert [(await heard(socket))["type"] for _ in range(2)] == ["connection_ack", "next"]
        yield socket


async def heard(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(20):
        message: dict[str, Any] = json.loads(await socket.recv())
    return message


async def test_a_socket_whose_key_is_revoked_is_closed_before_the_next_answer(guarded: Server, shop: Shop) -> None:
    allow(guarded.home, kept=["analytics"], lost=["analytics"])
    await until_told(guarded, "lost", 200)
    async with following(guarded, "lost") as lost, following(guarded, "kept") as kept:
        allow(guarded.home, kept=["analytics"])
        await until_told(guarded, "lost", 401)
        await write(guarded.database_url, guarded.schema, shop)
        with pytest.raises(ConnectionClosed):
            await heard(lost)
        assert lost.close_code == 4403
        assert (await heard(kept))["payload"]["data"]["epochs"]["epoch"] == shop.epoch


async def test_a_subscription_that_its_key_may_read_no_more_ends_with_an_error(guarded: Server, shop: Shop) -> None:
    allow(guarded.home, narrowed=["analytics", "personal"])
    await until_told(guarded, "narrowed", 200)
    async with following(guarded, "narrowed") as socket:
        allow(guarded.home, narrowed=["personal"])
        await until_told(guarded, "narrowed", 403)
        await write(guarded.database_url, guarded.schema, shop)
        told = await heard(socket)
        assert (told["type"], told["payload"][0]["extensions"]["code"]) == ("error", "FORBIDDEN")


async def test_an_event_stream_whose_key_is_revoked_ends_with_an_error(guarded: Server, shop: Shop) -> None:
    allow(guarded.home, lost=["analytics"])
    await until_told(guarded, "lost", 200)
    headers = {"authorization": "Bearer lost", "accept": "text/event-stream"}
    async with (
        httpx.AsyncClient(headers=headers, timeout=20) as client,
        client.stream("GET", f"{guarded.url}/graphql", params={"query": EPOCHS}) as stream,
    ):
        lines = (line async for line in stream.aiter_lines() if line.startswith(("event", "data")))
        assert [await anext(lines), json.loads((await anext(lines))[6:])["data"]["epochs"]["epoch"]] == [
            "event: next",
            shop.epoch,
        ]
        allow(guarded.home)
        await until_told(guarded, "lost", 401)
        await write(guarded.database_url, guarded.schema, shop)
        event, told, *end = [line async for line in lines]
    assert event == "event: next"
    assert json.loads(told[6:])["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert end == ["event: complete", "data:"]


async def test_a_client_that_has_too_many_streams_open_is_told_so_and_others_are_not(
    guarded: Server, shop: Shop
) -> None:
    allow(guarded.home, many=["analytics"], few=["analytics"])
    await until_told(guarded, "many", 200)
    headers = {"authorization": "Bearer many", "accept": "text/event-stream"}
    address = f"{guarded.url}/graphql"
    async with httpx.AsyncClient(headers=headers, timeout=20) as client:
        async with following(guarded, "many"), client.stream("GET", address, params={"query": EPOCHS}) as stream:
            assert stream.status_code == 200
            refused = await client.get(address, params={"query": EPOCHS})
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
            assert refused.json()["errors"][0]["extensions"]["code"] == "TOO_MANY_REQUESTS"
            with pytest.raises(ConnectionClosed) as closed:
                async with following(guarded, "many"):
                    pass
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4429
            async with following(guarded, "few"):
                pass
        assert await asyncio.to_thread(eventually, lambda: _may_follow(guarded, "many")), "a place is free again"


def _may_follow(server: Server, key: str) -> bool:
    headers = {"authorization": f"Bearer {key}", "accept": "text/event-stream"}
    return httpx.get(f"{server.url}/graphql", params={"query": "{ __typename }"}, headers=headers).status_code == 200


@pytest.fixture(scope="module")
def impatient(guarded: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A second server over the same shop, which asks for no keys and waits for nobody."""
    settings = {"serving_slow_reader_seconds": "1", "serving_sign_of_life_seconds": "1"}
    with serving(guarded.database_url, guarded.schema, tmp_path_factory.mktemp("serving"), **settings) as running:
        assert eventually(lambda: running.ready().status_code == 200)
        yield running


async def test_a_socket_that_answers_no_ping_is_closed(impatient: Server) -> None:
    async with following(impatient, "") as socket:
        assert (await heard(socket))["type"] == "ping"
        with pytest.raises(ConnectionClosed):
            await heard(socket)
        assert socket.close_code == 4408


SERIES = " ".join(f"s{n}: series {{ minute views purchases revenue }}" for n in range(28))
LARGE = f"subscription {{ realtime {{ asOf {{ epoch }} {SERIES} }} }}"
"""Some hundred thousand bytes a commit."""


async def test_who_does_not_read_an_event_stream_costs_nothing_any_more(impatient: Server) -> None:
    connection = await unread(impatient)
    body = json.dumps({"query": LARGE})
    head = "POST /graphql HTTP/1.1\r\nhost: h\r\naccept: text/event-stream\r\ncontent-type: application/json\r\n"
    await send(connection, f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    await until_let_go(impatient)
    connection.close()


async def test_a_socket_that_is_not_read_is_closed(impatient: Server) -> None:
    connection = await unread(impatient)
    head = "GET /graphql HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13"
    more = "sec-websocket-key: MDAwMDAwMDAwMDAwMDAwMA==\r\nsec-websocket-protocol: graphql-transport-ws"
    await send(connection, f"{head}\r\n{more}\r\n\r\n".encode())
    await send(connection, frame({"type": "connection_init"}))
    await send(connection, frame({"id": "1", "type": "subscribe", "payload": {"query": LARGE}}))
    await until_let_go(impatient)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        with suppress(ConnectionResetError):
            while await loop.sock_recv(connection, 1 << 20):
                pass
    connection.close()


async def unread(server: Server) -> socket.socket:
    """A connection that takes in very little unless it is read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", server.port))
    return connection


async def send(connection: socket.socket, told: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(connection, told)


def frame(message: dict[str, Any]) -> bytes:
    """A text of a WebSocket's client, masked with zeros."""
    told = json.dumps(message).encode()
    length = bytes([0x80 | len(told)]) if len(told) < 126 else b"\xfe" + struct.pack(">H", len(told))
    return b"\x81" + length + bytes(4) + told


async def until_let_go(server: Server) -> None:
    """Commit until the only subscriber there is has been let go."""
    assert await asyncio.to_thread(eventually, lambda: subscriptions(server) == "1.0")
    writer = engine(server.database_url, server.schema)
    async with asyncio.timeout(60):
        while await asyncio.to_thread(subscriptions, server) != "0.0":
            async with writer.begin() as connection:
                for statement in NEXT_EPOCH:
                    await connection.execute(text(statement))
    await writer.dispose()


def subscriptions(server: Server) -> str:
    """How many there are, as the metric says."""
    told = dict(line.split() for line in httpx.get(f"{server.url}/metrics").text.splitlines() if line[0] != "#")
    return str(told["millrace_serving_subscriptions"])


NEXT_EPOCH = (
    "UPDATE epochs SET epoch = epoch + 1 WHERE epoch = (SELECT max(epoch) FROM epochs)",
    f"SELECT pg_notify('{NOTIFY_CHANNEL}', (SELECT max(epoch) FROM epochs)::text)",
)
"""The cheapest commit there is."""
