"""Answers kept by epoch, over HTTP: the same bytes until the next commit, and 304 to who has them."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from contracts.tables import CHANGED, NOTIFY_CHANNEL
from tests.serving.events import visits
from tests.serving.integration.conftest import NOW, Server, eventually
from tests.serving.shop import Shop, engine, write

pytestmark = pytest.mark.integration

QUERY = "{ asOf { epoch } users(first: 1) { nodes { events } } }"


async def run(server: Server, *statements: str) -> None:
    writer = engine(server.database_url, server.schema)
    async with writer.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await writer.dispose()


async def test_an_answer_is_kept_until_the_store_says_something_else(empty_server: Server) -> None:
    shop = Shop(events=visits(1, NOW - timedelta(hours=1), NOW), committed_at=NOW)
    await write(empty_server.database_url, empty_server.schema, shop)
    first = empty_server.data(QUERY)
    await run(empty_server, "UPDATE users SET events = events + 1000")  # nobody is told
    assert empty_server.data(QUERY) == first
    lag = "{ asOf { epoch lagSeconds } users(first: 1) { nodes { events } } }"
    assert empty_server.data(lag)["users"] != first["users"], "what is of the moment is read each time"

    await run(empty_server, f"SELECT pg_notify('{NOTIFY_CHANNEL}', '{CHANGED}')")
    assert eventually(lambda: empty_server.data(QUERY) != first)
    changed = empty_server.data(QUERY)
    assert changed["asOf"] == first["asOf"]

    await write(empty_server.database_url, empty_server.schema, shop)
    assert eventually(lambda: empty_server.data(QUERY)["asOf"]["epoch"] == shop.epoch)


async def test_who_has_the_answer_is_told_that_it_still_holds(empty_server: Server) -> None:
    shop = Shop(events=visits(1, NOW - timedelta(hours=1), NOW), committed_at=NOW, epoch=10)
    await write(empty_server.database_url, empty_server.schema, shop)
    assert eventually(lambda: empty_server.data(QUERY)["asOf"]["epoch"] == shop.epoch)

    def get(etag: str = "") -> httpx.Response:
        headers = {"if-none-match": etag} if etag else {}
        return empty_server.client.get(f"{empty_server.url}/graphql", params={"query": QUERY}, headers=headers)

    etag = get().headers["etag"]
    again = get(f'"other", W/{etag}')
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert again.headers["cache-control"] == "private, no-cache"
    assert get('"other"').status_code == 200
    await write(empty_server.database_url, empty_server.schema, shop)
    assert eventually(lambda: get(etag).status_code == 200)


def test_kept_answers_are_counted(server: Server) -> None:
    for _ in range(3):
        server.data("{ asOf { epoch committedAt } }")
    metrics = httpx.get(f"{server.url}/metrics").text
    (hits,) = [line for line in metrics.splitlines() if line.startswith('millrace_serving_answers{result="hits"}')]
    assert float(hits.split()[1]) >= 2
