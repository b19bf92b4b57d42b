"""What an administrator asks for: written down once, told to who does it, and what became of it."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from contracts.tables import REQUESTS_CHANNEL
from tests.serving.integration.conftest import Server, new_schema, serving
from tests.serving.shop import create_tables, engine

pytestmark = pytest.mark.integration

FIELDS = "id key kind state askedBy askedAt startedAt finishedAt attempts error receipt"
ERASE = f"mutation ($user: ID!, $key: String!) {{ eraseUser(userId: $user, key: $key) {{ {FIELDS} }} }}"
REPLAY = f"""mutation ($key: String!, $ids: [ID!], $reason: String, $source: String, $since: DateTime,
    $patch: String) {{
  replayRejected(key: $key, ids: $ids, reason: $reason, source: $source, since: $since, patch: $patch) {{
    {FIELDS} }} }}"""


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for keys, and a client with an administrator's."""
    schema, home = new_schema(), tmp_path_factory.mktemp("serving")
    asyncio.run(create_tables(postgres_url, schema))
    digest = hashlib.sha256(b"secret").hexdigest()
    (home / "keys.json").write_text(json.dumps([{"source": "ops", "sha256": digest, "scopes": ["admin"]}]))
    with serving(postgres_url, schema, home, serving_keys_file=str(home / "keys.json")) as running:
        running.client.headers["authorization"] = "Bearer secret"
        yield running


def kept(server: Server, key: str) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        reader = engine(server.database_url, server.schema)
        async with reader.connect() as connection:
            row = (await connection.execute(text("SELECT * FROM requests WHERE key = :key"), {"key": key})).one()
        await reader.dispose()
        return dict(row._mapping)

    return asyncio.run(read())


def test_a_request_is_written_down_once_and_told_again_by_its_key(guarded: Server) -> None:
    asked = guarded.data(ERASE, user="u-1", key="case 7")["eraseUser"]
    assert (asked["kind"], asked["state"], asked["attempts"]) == ("ERASE_USER", "WAITING", 0)
    assert (asked["askedBy"], asked["receipt"]) == ("ops", None)
    assert guarded.data(ERASE, user="u-1", key="case 7")["eraseUser"] == asked
    (error,) = guarded.post(ERASE, user="u-2", key="case 7")["errors"]
    assert error["extensions"] == {"code": "INVALID_ARGUMENT", "argument": "key"}
    (error,) = guarded.post(REPLAY, reason="invalid_enum", key="case 7")["errors"]
    assert error["extensions"]["argument"] == "key"
    assert kept(guarded, "case 7")["arguments"] == {"user_id": "u-1"}


def test_a_replay_keeps_what_was_said_and_nothing_else(guarded: Server) -> None:
    told = {"ids": ["00ab12"], "since": "2026-03-01T13:00:00+01:00", "patch": ".user_id |= trim"}
    asked = guarded.data(REPLAY, key="replay", **told)["replayRejected"]
    assert (asked["kind"], asked["state"]) == ("REPLAY_REJECTED", "WAITING")
    assert kept(guarded, "replay")["arguments"] == {**told, "since": "2026-03-01T12:00:00+00:00"}


def test_requests_are_told_newest_first_with_what_became_of_them(guarded: Server) -> None:
    async def finish(key: str) -> None:
        writer = engine(guarded.database_url, guarded.schema)
        async with writer.begin() as connection:
            sql = """UPDATE requests SET state = 'done', receipt = '{"events": 3}', attempts = 1 WHERE key = :key"""
            await connection.execute(text(sql.replace('": 3', '"\\: 3')), {"key": key})
        await writer.dispose()

    for number in range(3):
        guarded.data(ERASE, user=f"u-{number}", key=f"told {number}")
    asyncio.run(finish("told 1"))
    found = guarded.data(f"{{ requests(first: 3) {{ {FIELDS} }} }}")["requests"]
    assert [each["key"] for each in found] == ["told 2", "told 1", "told 0"]
    assert (found[1]["state"], found[1]["receipt"]) == ("DONE", '{"events": 3}')
    done = guarded.data("{ requests(state: DONE) { key } }")["requests"]
    assert [each["key"] for each in done] == ["told 1"]


@pytest.mark.parametrize(
    ("query", "told", "argument"),
    [
        (ERASE, {"user": "", "key": "k"}, "userId"),
        (ERASE, {"user": "a\nb", "key": "k"}, "userId"),
        (ERASE, {"user": "u", "key": ""}, "key"),
        (ERASE, {"user": "u", "key": "x" * 129}, "key"),
        (REPLAY, {"key": "k"}, "ids"),
        (REPLAY, {"key": "k", "ids": ["%"]}, "ids"),
        (REPLAY, {"key": "k", "ids": ["abcd"] * 1001}, "ids"),
        (REPLAY, {"key": "k", "reason": "a\0b"}, "reason"),
        (REPLAY, {"key": "k", "reason": "x", "patch": "." * 4097}, "patch"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(guarded: Server, query: str, told: dict[str, Any], argument: str) -> None:
    (error,) = guarded.post(query, **told)["errors"]
    assert error["extensions"]["argument"] == argument


async def test_who_does_them_is_told(guarded: Server) -> None:
    heard = asyncio.Event()
    connection = await asyncpg.connect(guarded.database_url)
    await connection.add_listener(REQUESTS_CHANNEL, lambda *_: heard.set())
    await asyncio.to_thread(guarded.data, ERASE, user="u-9", key="told of")
    async with asyncio.timeout(10):
        await heard.wait()
    await connection.close()


def test_where_no_keys_are_asked_for_nobody_may(server: Server) -> None:
    for query, told in ((ERASE, {"user": "u-1", "key": "k"}), (REPLAY, {"reason": "invalid_enum", "key": "k"})):
        (error,) = server.post(query, **told)["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"
    assert server.data("{ requests { key } }")["requests"] == []


def test_each_is_in_the_audit_log(guarded: Server) -> None:
    guarded.data(ERASE, user="u-secret", key="audited")
    (log,) = guarded.home.glob("serving-*.log")
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"mutation"' in line]
    assert {(line["client"], *line["roots"]) for line in lines} == {("ops", "eraseUser"), ("ops", "replayRejected")}
    assert "u-secret" not in log.read_text()
