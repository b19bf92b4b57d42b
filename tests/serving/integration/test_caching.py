"""Answers kept by epoch, over HTTP: the same bytes until the next commit, and 304 to who has them."""

import json
from datetime import timedelta
from typing import Any

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
    again = get(f'"other", {etag}')
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert again.headers["cache-control"] == "private, no-cache"
    assert get('"other"').status_code == 200
    assert get(etag.removeprefix("W/")).status_code == 304
    await write(empty_server.database_url, empty_server.schema, shop)
    assert eventually(lambda: get(etag).status_code == 200)


async def test_what_a_new_commit_does_not_change_still_holds_and_the_commit_is_told(empty_server: Server) -> None:
    shop = Shop(events=visits(1, NOW - timedelta(hours=1), NOW), committed_at=NOW, epoch=20)
    await write(empty_server.database_url, empty_server.schema, shop)
    params = {"query": "{ users(first: 1) { nodes { id } } }"}

    def get(etag: str = "") -> httpx.Response:
        url = f"{empty_server.url}/graphql"
        return empty_server.client.get(url, params=params, headers={"if-none-match": etag})

    def as_of(answer: httpx.Response) -> Any:
        return json.loads(answer.headers["millrace-as-of"])

    assert eventually(lambda: as_of(get())["epoch"] == shop.epoch)
    first = get()
    assert first.json()["extensions"] == {"asOf": as_of(first)}
    served = empty_server.data("{ asOf { epoch committedAt watermark freshness } }")["asOf"]
    assert as_of(first) == served
    await write(empty_server.database_url, empty_server.schema, shop)
    assert eventually(lambda: as_of(get(first.headers["etag"]))["epoch"] == shop.epoch)
    assert get(first.headers["etag"]).status_code == 304
    assert get().json()["extensions"]["asOf"]["epoch"] == shop.epoch


@pytest.mark.parametrize("query", ["{ books { close } }", '{ session(id: "no") { id } asOf { epoch } }'])
def test_every_answer_that_read_something_says_of_what_commit_it_is(server: Server, query: str) -> None:
    told = server.data("{ asOf { epoch committedAt watermark freshness } }")["asOf"]
    assert server.post(query)["extensions"] == {"asOf": told}


def test_kept_answers_are_counted(server: Server) -> None:
    for _ in range(3):
        server.data("{ asOf { epoch committedAt } }")
    metrics = httpx.get(f"{server.url}/metrics").text
    (hits,) = [line for line in metrics.splitlines() if line.startswith('millrace_serving_answers{result="hits"}')]
    assert float(hits.split()[1]) >= 2
