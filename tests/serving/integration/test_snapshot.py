"""All roots of a request read one epoch, also when another one is committed between them."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.serving.events import visits
from tests.serving.integration.conftest import NOW, Server, eventually
from tests.serving.integration.in_process import in_process
from tests.serving.shop import Shop, engine, write

pytestmark = pytest.mark.integration

CUT = """SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
         WHERE application_name = 'millrace-serving' AND datname = current_database() AND state = 'idle'"""
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM sessions%'"


async def test_a_commit_between_two_roots_of_a_request_does_not_show_in_the_second(empty_server: Server) -> None:
    shop = Shop(events=visits(1, NOW - timedelta(hours=1), NOW), committed_at=NOW)
    await write(empty_server.database_url, empty_server.schema, shop)
    before = len(shop.events)
    query = """{ asOf { epoch } books { totals { applied } }
                 sessions(first: 200) { nodes { sessionId asOf { epoch } } } realtime { asOf { epoch } } }"""
    old = (await _post(empty_server, query))["data"]

    # The request reads its first roots, then waits before its sessions, while a new epoch is committed.
    answer = await _overtaken(empty_server, query, shop)

    assert "errors" not in answer
    assert answer["data"] == old
    assert answer["data"]["asOf"]["epoch"] == shop.epoch - 1
    new = (await _post(empty_server, query))["data"]
    assert new["asOf"]["epoch"] == shop.epoch
    assert new["books"]["totals"]["applied"] == len(shop.events) > before
    assert new["sessions"] != old["sessions"]


async def test_what_is_asked_as_of_a_commit_that_is_known_is_not_told_of_another_one(empty_server: Server) -> None:
    shop = Shop(events=visits(1, NOW - timedelta(hours=1), NOW), committed_at=NOW)
    shop.epoch = (await _post(empty_server, "{ asOf { epoch } }"))["data"]["asOf"]["epoch"]
    await write(empty_server.database_url, empty_server.schema, shop)
    heard = f"millrace_serving_epoch {shop.epoch}.0"
    assert await asyncio.to_thread(eventually, lambda: heard in httpx.get(f"{empty_server.url}/metrics").text)
    query = "{ sessions(first: 200) { nodes { sessionId status events asOf { epoch watermark } } } }"
    await _post(empty_server, "{ realtime { activeUsers } }")  # the newest commit is known now
    # What it knows is old before the statement begins to read: it waits for the table until then.
    answer = await _overtaken(empty_server, query, shop)
    assert {each["asOf"]["epoch"] for each in answer["data"]["sessions"]["nodes"]} == {shop.epoch}
    assert answer == await _post(empty_server, query.replace("{ sessions(", "{ sessions: sessions("))
    assert answer == await _post(empty_server, query)


async def test_connections_that_broke_while_they_were_kept_are_replaced(server: Server) -> None:
    cutter = engine(server.database_url, server.schema)
    await _post(server, "{ books { totals { applied } } asOf { epoch } }")  # the newest commit is known from here on
    for round_ in range(2):
        at_once = (_post(server, f"{{ r{round_}_{number}: realtime {{ activeUsers }} }}") for number in range(8))
        assert all("errors" not in answer for answer in await asyncio.gather(*at_once))
        async with cutter.begin() as cutting:
            assert await cutting.scalar(text(CUT)) > 1
    await cutter.dispose()


async def test_a_connection_whose_statement_was_given_up_can_be_lent_at_once(server: Server) -> None:
    async with in_process(server) as running:
        pool = running.database.pool
        lent = await pool.lend(None)
        asking = asyncio.create_task(lent.fetch("SELECT pg_sleep(60)"))
        await asyncio.sleep(0.1)
        asking.cancel()
        await asyncio.wait([asking])
        pool.give_back(lent)
        assert await pool.lend(None) is lent
        assert await lent.fetchval("SELECT 1") == 1
        assert await lent.fetchval("SHOW transaction_read_only") == "on"
        pool.give_back(lent)


async def _overtaken(server: Server, query: str, shop: Shop) -> dict[str, Any]:
    """The answer to a query that has to wait for the sessions until half an hour more of the shop is committed."""
    writer, watcher = (engine(server.database_url, server.schema) for _ in range(2))
    async with writer.begin() as writing, watcher.connect() as watching:
        await writing.execute(text("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"))
        asked = asyncio.create_task(_post(server, query))
        async with asyncio.timeout(20):
            while not await watching.scalar(text(BLOCKED)):
                await watching.rollback()
                await asyncio.sleep(0.02)
        shop.events += visits(2, NOW, NOW + timedelta(minutes=30))
        shop.committed_at = NOW + timedelta(minutes=30)
        await shop.commit(writing)
    answer = await asked
    await writer.dispose()
    await watcher.dispose()
    return answer


async def _post(server: Server, query: str) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=30) as client:
        response = await client.post(f"{server.url}/graphql", json={"query": query})
        answer: dict[str, Any] = response.json()
        return answer
