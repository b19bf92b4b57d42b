"""Streams that the server ends, over a real one: of keys that are good no more."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.serving.events import visits
from tests.serving.integration.conftest import Server, eventually, new_schema, serving
from tests.serving.shop import Shop, create_tables, write

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
    with serving(postgres_url, schema, home, serving_keys_file=str(home / "keys.json")) as running:
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
