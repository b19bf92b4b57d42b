"""What one client cannot take from the others, and what no client is told, over the real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest

from tests.serving.events import visits
from tests.serving.integration.conftest import Server, eventually, new_schema, serving
from tests.serving.reports import figures, keep
from tests.serving.shop import Shop, create_tables, write

pytestmark = pytest.mark.integration

DAYS = "{ reportDays { day } }"


@pytest.fixture(scope="module")
def strict(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that runs one operation of a client at a time, with a day's report in its tables."""
    schema = new_schema()
    asyncio.run(create_tables(postgres_url, schema))
    now = datetime.now(UTC)
    asyncio.run(write(postgres_url, schema, Shop(events=visits(5, now - timedelta(minutes=5), now))))
    asyncio.run(keep(postgres_url, schema, figures("2026-03-01")))
    settings = {"serving_running_per_client": "1", "serving_waiting_per_client": "0"}
    with serving(postgres_url, schema, tmp_path_factory.mktemp("serving"), **settings) as running:
        assert eventually(lambda: running.ready().status_code == 200)
        yield running


@asynccontextmanager
async def locked(server: Server) -> AsyncIterator[asyncpg.Connection]:
    """Nobody can read reports within the block."""
    connection = await asyncpg.connect(server.database_url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {server.schema}.reports IN ACCESS EXCLUSIVE MODE")
            yield connection
    finally:
        await connection.close()


async def ask(client: httpx.AsyncClient, server: Server, query: str) -> httpx.Response:
    return await client.post(f"{server.url}/graphql", json={"query": query})


async def test_a_client_over_its_turns_is_told_to_come_back_and_others_are_answered(strict: Server) -> None:
    neighbour = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(timeout=30) as busy, httpx.AsyncClient(transport=neighbour, timeout=30) as other:
        async with locked(strict) as connection:
            first = asyncio.create_task(ask(busy, strict, DAYS))
            async with asyncio.timeout(20):
                while not await connection.fetchval(
                    "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass",
                    f"{strict.schema}.reports",
                ):
                    pass
            refused = await ask(busy, strict, "{ asOf { epoch } }")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert refused.json()["errors"][0]["extensions"]["code"] == "TOO_MANY_REQUESTS"
            assert (await ask(other, strict, "{ asOf { epoch } }")).json()["data"]["asOf"]
            assert not first.done()
        assert (await first).json()["data"] == {"reportDays": [{"day": "2026-03-01"}]}
        assert (await ask(busy, strict, "{ asOf { watermark } }")).status_code == 200, "it is its turn again"


async def test_what_takes_too_long_ends_and_gives_back_what_it_held(
    strict: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {"serving_request_seconds": "0.3", "serving_pool_size": "1"}
    home = tmp_path_factory.mktemp("serving")
    with serving(strict.database_url, strict.schema, home, **settings) as hasty:
        assert eventually(lambda: hasty.ready().status_code == 200)
        async with httpx.AsyncClient(timeout=30) as client:
            async with locked(strict):
                for _ in range(3):
                    (error,) = (await ask(client, hasty, DAYS)).json()["errors"]
                    assert error["message"] == "It took too long; ask for less."
                    assert error["extensions"] == {"code": "TIMEOUT", "retryAfterSeconds": 2}
            assert (await ask(client, hasty, DAYS)).json()["data"]["reportDays"]


async def test_a_fault_of_ours_is_told_to_the_log_and_not_to_the_client(strict: Server) -> None:
    connection = await asyncpg.connect(strict.database_url)
    await connection.execute(f"UPDATE {strict.schema}.reports SET figures = '{{}}'")
    await connection.close()
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await ask(client, strict, "{ report { totals { views } } }")
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "KeyError" not in answer.text
    lines = (strict.home / f"serving-{strict.port}.log").read_text().splitlines()
    (line,) = [json.loads(each) for each in lines if error["extensions"]["correlationId"] in each]
    assert (line["event"], line["path"]) == ("resolver_failed", ["report"])
    assert "KeyError" in line["exception"]
