"""Subscriptions over graphql-transport-ws: told by the commit's notice, over a real listening connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from contracts.keys import READ_SCOPES
from serving.access import Client
from serving.request import from_members
from tests.serving.events import visits
from tests.serving.integration.conftest import Server, eventually
from tests.serving.integration.in_process import in_process
from tests.serving.shop import Shop, engine, write

pytestmark = pytest.mark.integration

PROTOCOL = Subprotocol("graphql-transport-ws")
KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millrace-serving'"
EPOCHS = "subscription { epochs { epoch lagSeconds } }"


@pytest.fixture(scope="module")
def shop() -> Shop:
    now = datetime.now(UTC)
    return Shop(events=visits(5, now - timedelta(minutes=20), now))


@asynccontextmanager
async def socket(server: Server) -> AsyncIterator[ClientConnection]:
    """A connection whose `connection_init` was acknowledged."""
    async with connect(f"ws://127.0.0.1:{server.port}/graphql", subprotocols=[PROTOCOL]) as ws:
        await ws.send(json.dumps({"type": "connection_init"}))
        assert json.loads(await ws.recv())["type"] == "connection_ack"
        yield ws


async def subscribe(ws: ClientConnection, query: str, id: str = "1") -> None:
    await ws.send(json.dumps({"id": id, "type": "subscribe", "payload": {"query": query}}))


async def following(ws: ClientConnection, seconds: float = 20) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        message: dict[str, Any] = json.loads(await ws.recv())
    return message


async def commit(server: Server, shop: Shop) -> None:
    await write(server.database_url, server.schema, shop)


async def test_a_subscriber_gets_the_newest_commit_at_once_and_then_each(empty_server: Server, shop: Shop) -> None:
    await commit(empty_server, shop)
    async with socket(empty_server) as ws:
        await subscribe(ws, EPOCHS)
        first = await following(ws)
        assert first["payload"]["data"]["epochs"]["epoch"] == shop.epoch
        for _ in range(3):
            await commit(empty_server, shop)
            assert (await following(ws))["payload"]["data"]["epochs"]["epoch"] == shop.epoch


async def test_realtime_over_the_socket_is_what_the_query_gives(empty_server: Server, shop: Shop) -> None:
    fields = "realtime { asOf { epoch } activeUsers revenueToday conversionRate series { minute views } }"
    await commit(empty_server, shop)
    async with socket(empty_server) as ws:
        await subscribe(ws, f"subscription {{ {fields} }}")
        await following(ws)
        shop.events += visits(6, shop.events[0].at, datetime.now(UTC))
        await commit(empty_server, shop)
        sent = (await following(ws))["payload"]["data"]
        assert sent == empty_server.data(f"{{ {fields} }}")


async def test_a_commit_is_read_once_for_all_who_follow(empty_server: Server, shop: Shop) -> None:
    """The statements are counted where they are sent, in a server's parts in this process."""
    request = from_members({"query": "subscription { realtime { asOf { epoch } activeUsers series { views } } }"})
    await commit(empty_server, shop)
    async with in_process(empty_server) as running:

        async def follow(name: str) -> None:
            async for answer in running.streams.answers(request, lambda: Client(name, READ_SCOPES)):
                told[name] = answer.epoch
                heard.set()

        told, heard = dict[str, int | None](), asyncio.Event()
        tasks = [asyncio.create_task(running.feed.run())]
        taken = []
        for viewers in (1, 40):
            tasks += [asyncio.create_task(follow(f"{viewers}-{number}")) for number in range(viewers)]
            for _ in range(2):  # at the first, those that have come ask, too
                running.database.asked.clear()
                await commit(empty_server, shop)
                async with asyncio.timeout(20):
                    while [*told.values()] != [shop.epoch] * (len(tasks) - 1):
                        await heard.wait()
                        heard.clear()
            await asyncio.sleep(0)  # what was asked is noted a moment later
            taken.append([each for each in running.database.asked if "max(epoch)" not in each])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    alone, among_many = taken
    assert len(among_many) == len(alone) > 0


async def test_queries_on_one_socket_each_read_a_snapshot_of_their_own(empty_server: Server, shop: Shop) -> None:
    async with socket(empty_server) as ws:
        for number in range(2):
            await commit(empty_server, shop)
            await subscribe(ws, "{ asOf { epoch } }", f"q{number}")
            assert (await following(ws))["payload"]["data"]["asOf"]["epoch"] == shop.epoch
            assert (await following(ws)) == {"id": f"q{number}", "type": "complete"}


async def test_an_epoch_whose_notice_was_lost_is_found(empty_server: Server, shop: Shop) -> None:
    await commit(empty_server, shop)
    async with socket(empty_server) as ws:
        await subscribe(ws, EPOCHS)
        await following(ws)
        writer = engine(empty_server.database_url, empty_server.schema)
        async with writer.begin() as connection:
            shop.epoch += 1
            renumbered = {"new": shop.epoch, "old": shop.epoch - 1}
            await connection.execute(text("UPDATE epochs SET epoch = :new WHERE epoch = :old"), renumbered)
        await writer.dispose()
        assert (await following(ws))["payload"]["data"]["epochs"]["epoch"] == shop.epoch


async def test_the_feed_survives_the_loss_of_its_connection(empty_server: Server, shop: Shop) -> None:
    await commit(empty_server, shop)
    async with socket(empty_server) as ws:
        await subscribe(ws, EPOCHS)
        await following(ws)
        writer = engine(empty_server.database_url, empty_server.schema)
        async with writer.begin() as connection:
            assert (await connection.execute(text(KILL))).all()
        await writer.dispose()
        await commit(empty_server, shop)
        assert (await following(ws))["payload"]["data"]["epochs"]["epoch"] == shop.epoch
    assert empty_server.data("{ asOf { epoch } }")["asOf"]["epoch"] == shop.epoch


async def test_a_bad_argument_ends_only_its_own_subscription(empty_server: Server, shop: Shop) -> None:
    await commit(empty_server, shop)
    async with socket(empty_server) as ws:
        await subscribe(ws, 'subscription { realtime(timeZone: "Mars") { activeUsers } }', "bad")
        answer = await following(ws)
        errors = answer["payload"] if answer["type"] == "error" else answer["payload"]["errors"]
        assert errors[0]["extensions"]["code"] == "INVALID_ARGUMENT"
        await subscribe(ws, EPOCHS, "good")
        while (answer := await following(ws))["id"] != "good":
            pass
        assert answer["payload"]["data"]["epochs"]["epoch"] == shop.epoch


async def test_other_protocols_and_other_origins_are_refused(empty_server: Server) -> None:
    url = f"ws://127.0.0.1:{empty_server.port}/graphql"
    with pytest.raises((ConnectionClosed, InvalidStatus)):
        async with connect(url, subprotocols=[Subprotocol("graphql-ws")]) as ws:
            await ws.recv()
    with pytest.raises(InvalidStatus):
        async with connect(url, subprotocols=[PROTOCOL], origin="https://evil.example"):  # type: ignore[arg-type]  # Origin is a NewType of str
            pass


async def test_a_message_over_the_limit_closes_the_socket(empty_server: Server) -> None:
    async with socket(empty_server) as ws:
        await subscribe(ws, "{ asOf { epoch } } #" + "x" * 400_000)
        async with asyncio.timeout(20):
            await ws.wait_closed()
        assert ws.close_code == 1009


async def test_an_event_stream_goes_on_where_it_was_lost(empty_server: Server, shop: Shop) -> None:
    await commit(empty_server, shop)
    headers = {"accept": "text/event-stream"}
    parameters = {"query": EPOCHS}
    url = f"{empty_server.url}/graphql"
    async with httpx.AsyncClient(timeout=30) as client:
        async with client.stream("GET", url, params=parameters, headers=headers) as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == f"id: {shop.epoch}"
            assert await anext(lines) == "event: next"
            assert json.loads((await anext(lines)).removeprefix("data: "))["data"]["epochs"]["epoch"] == shop.epoch
        headers["last-event-id"] = str(shop.epoch)
        async with client.stream("GET", url, params=parameters, headers=headers) as stream:
            await commit(empty_server, shop)
            assert await anext(stream.aiter_lines()) == f"id: {shop.epoch}", "the one it has seen is not sent again"
    assert eventually(lambda: "millrace_serving_subscriptions 0.0" in httpx.get(f"{empty_server.url}/metrics").text)


async def test_a_socket_that_comes_back_is_not_sent_what_it_has_seen(empty_server: Server, shop: Shop) -> None:
    await commit(empty_server, shop)
    async with socket(empty_server) as ws:
        await subscribe(ws, EPOCHS)
        seen = (await following(ws))["payload"]["extensions"]["epoch"]
    async with socket(empty_server) as ws:
        payload = {"query": EPOCHS, "extensions": {"lastEpoch": seen}}
        await ws.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        await commit(empty_server, shop)
        assert (await following(ws))["payload"]["extensions"]["epoch"] == shop.epoch > seen
