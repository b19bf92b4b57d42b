"""Replicas that share answers in a real Redis: what one has made the other gives, and never what is right no more."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import NamedTuple

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.tables import CHANGED, NOTIFY_CHANNEL
from tests.redis_server import RedisServer, needs_redis, redis_server
from tests.serving.events import visits
from tests.serving.integration.conftest import NOW, Server, eventually, free_port, new_schema, serving
from tests.serving.shop import Shop, create_tables, engine, write

pytestmark = [pytest.mark.integration, needs_redis]

SILENTLY = "UPDATE last_change SET token = token || 'x'"
"""A change that nobody is told of by a notice: as if it were lost, or not there yet."""
TOLD = f"{SILENTLY}; SELECT pg_notify('{NOTIFY_CHANNEL}', '{CHANGED}')"
EPOCH = """
INSERT INTO epochs (epoch, started_at, committed_at, offsets, newest_log_time, event_time_by_partition, watermark)
SELECT epoch + 1, started_at, committed_at, '{}', newest_log_time, '{}', watermark
FROM epochs ORDER BY epoch DESC LIMIT 1
"""
SAME_EPOCH_OF_ANOTHER_LIFE = "UPDATE epochs SET committed_at = committed_at + interval '1 microsecond'"


class Replicas(NamedTuple):
    one: Server
    two: Server
    cache: RedisServer

    def keys(self) -> set[bytes]:
        with Redis.from_url(self.cache.url) as redis:
            return set(redis.keys())

    def looked_up(self, server: Server) -> dict[str, int]:
        families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
        (family,) = [each for each in families if each.name == "millrace_serving_shared_answers"]
        return {one.labels["result"]: int(one.value) for one in family.samples if one.name.endswith("_total")}


@pytest.fixture(scope="module")
def replicas(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    schema = new_schema()
    asyncio.run(create_tables(postgres_url, schema))
    shop = Shop(events=visits(1, NOW - timedelta(hours=1), NOW), committed_at=NOW)
    asyncio.run(write(postgres_url, schema, shop))
    with ExitStack() as running:
        cache = running.enter_context(redis_server(free_port()))
        one, two = (
            running.enter_context(
                serving(postgres_url, schema, tmp_path_factory.mktemp(name), serving_shared_cache_url=cache.url)
            )
            for name in ("one", "two")
        )
        for server in (one, two):
            assert eventually(lambda server=server: _metric(server, "millrace_serving_epoch") == 1)
        yield Replicas(one, two, cache)


@pytest.fixture
async def store(replicas: Replicas) -> AsyncIterator[AsyncEngine]:
    writer = engine(replicas.one.database_url, replicas.one.schema)
    yield writer
    await writer.dispose()


def _metric(server: Server, name: str) -> float:
    families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
    return next(one.value for family in families for one in family.samples if one.name == name)


async def commit(store: AsyncEngine, *statements: str) -> None:
    async with store.begin() as connection:
        for statement in ";".join(statements).split(";"):
            await connection.execute(text(statement))


_asked = 0


def question() -> str:
    """One that nobody has asked before."""
    global _asked  # noqa: PLW0603 - it counts
    _asked += 1
    hours = f'{{from: "{NOW - timedelta(hours=2):%FT%TZ}", to: "{NOW + timedelta(hours=1):%FT%TZ}"}}'
    return f"query Q{_asked} {{ revenue(range: {hours}) {{ total }} }}"


async def test_what_one_has_made_the_other_gives(replicas: Replicas, store: AsyncEngine) -> None:
    asked, before = question(), replicas.looked_up(replicas.two)
    made = replicas.one.data(asked)
    assert eventually(replicas.keys)
    await commit(store, "UPDATE category_minutes SET revenue = revenue + 7")  # behind everybody's back
    assert replicas.two.data(asked) == made
    after = replicas.looked_up(replicas.two)
    assert (after["found"], after["absent"]) == (before["found"] + 1, before["absent"])
    assert replicas.two.data(question()) != made, "it has changed indeed"
    with Redis.from_url(replicas.cache.url) as redis:
        assert all(0 < redis.ttl(key) <= 60 for key in redis.scan_iter())


@pytest.mark.parametrize("changed", [EPOCH, SILENTLY, TOLD, SAME_EPOCH_OF_ANOTHER_LIFE])
async def test_after_a_commit_no_replica_takes_what_was_made_before_it(
    replicas: Replicas, store: AsyncEngine, changed: str
) -> None:
    """Whether the notice has come or not: it has nothing of its own, and asks by what its snapshot shows."""
    for first, second in ((replicas.one, replicas.two), (replicas.two, replicas.one)):
        asked = question()
        held = len(replicas.keys())
        before = first.data(asked)
        assert eventually(lambda held=held: len(replicas.keys()) > held)
        await commit(store, "UPDATE category_minutes SET revenue = revenue + 1", changed)
        assert second.data(asked) != before


async def test_what_single_people_did_is_not_put_there(replicas: Replicas, store: AsyncEngine) -> None:
    held = replicas.keys()
    for asked in ("{ users(first: 1) { nodes { id } } }", "{ revenue: sessions(first: 1) { nodes { id } } }"):
        replicas.one.data(asked)
    replicas.one.data(question())
    assert eventually(lambda: replicas.keys() > held)
    assert len(replicas.keys() - held) == 1, "of the three, the one about the shop"


async def test_what_lies_under_another_ones_name_is_not_taken(replicas: Replicas) -> None:
    asked, held = question(), replicas.keys()
    made = replicas.one.data(asked)
    assert eventually(lambda: replicas.keys() > held)
    (key,) = replicas.keys() - held
    with Redis.from_url(replicas.cache.url) as redis:
        redis.set(key, b"x" * 24 + b'{"data":{"revenue":[]}}')
    assert replicas.two.data(asked) == made


async def test_a_replica_does_without_a_cache_that_is_slow_or_away(replicas: Replicas) -> None:
    """Last in this file: the cache is another one after it."""
    server, cache = replicas.one, replicas.cache
    expected = server.data(question())

    def failures() -> int:
        assert server.data(question()) == expected
        return replicas.looked_up(server)["failed"]

    for break_it in (cache.freeze, cache.stop):
        before = failures()
        break_it()
        assert eventually(lambda before=before: failures() > before)
        more = [failures() for _ in range(20)]
        assert more[-1] < more[0] + 10, "not each request waits for it"
    cache.start()
    found = replicas.looked_up(replicas.two)["found"]

    def shared_again() -> bool:
        asked = question()
        return (
            replicas.one.data(asked) == replicas.two.data(asked) and replicas.looked_up(replicas.two)["found"] > found
        )

    assert eventually(shared_again)
    log = (server.home / f"serving-{server.port}.log").read_text()
    assert (log.count("shared_cache_fails"), log.count("shared_cache_answers_again")) == (1, 1)
    assert cache.password not in log
