"""What an administrator asks for: written down once, told to who does it, and what became of it."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from contracts.people import hash_of
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
    keys = {"secret": ("ops", ["admin"]), "other": ("desk", ["analytics", "personal"])}
    entries = [
        {"source": source, "sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": scopes}
        for key, (source, scopes) in keys.items()
    ]
    (home / "keys.json").write_text(json.dumps(entries))
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


ALERT = 'mutation { acknowledgeAlert(id: "7", by: "The boss") { id } }'


@pytest.mark.parametrize(
    ("query", "variables", "asked", "ended"),
    [
        (
            ERASE,
            {"user": "u-nobody-reads-this", "key": "audited"},
            {"root": "eraseUser", "userHash": hash_of("u-nobody-reads-this").hex(), "key": "audited"},
            ("data", []),
        ),
        (
            REPLAY,
            {"key": "audited", "ids": ["00ab12", "%"]},
            {"root": "replayRejected", "key": "audited", "ids": "['00ab12', '%']"},
            ("errors", ["INVALID_ARGUMENT"]),
        ),
        (
            ALERT,
            {},
            {"root": "acknowledgeAlert", "id": "7", "by": "The boss"},
            ("errors", ["INVALID_ARGUMENT"]),
        ),
        (ERASE, {"key": "no user"}, {"root": "eraseUser"}, ("invalid", ["BAD_REQUEST"])),
    ],
    ids=["erase", "replay", "acknowledge", "misfit"],
)
def test_each_mutation_is_a_line_of_the_log(
    guarded: Server, query: str, variables: dict[str, Any], asked: dict[str, Any], ended: tuple[str, list[str]]
) -> None:
    answer = guarded.post(query, **variables)
    (line,) = [each for each in logged(guarded) if each.get("correlation_id") == answer["extensions"]["correlationId"]]
    assert (line["event"], line["client"], (line["outcome"], line["codes"])) == ("mutation", "ops", ended)
    (root,) = line["asked"]
    assert {name: value for name, value in root.items() if value != "None"} == asked
    assert "nobody-reads-this" not in log_of(guarded).read_text()


def test_what_a_key_may_not_change_is_a_line_of_the_log(guarded: Server) -> None:
    headers = {"authorization": "Bearer other"}
    members = {"query": ERASE, "variables": {"user": "u-17", "key": "tried"}}
    for media_type in ("application/json", "text/event-stream"):
        answer = guarded.client.post(f"{guarded.url}/graphql", json=members, headers=headers | {"accept": media_type})
        assert "FORBIDDEN" in answer.text
    lines = [each for each in logged(guarded) if each["event"] == "mutation_refused"]
    assert [(line["client"], line["missing"]) for line in lines] == [("desk", ["admin"])] * 2
    assert lines[0]["asked"] == [{"root": "eraseUser", "userHash": hash_of("u-17").hex(), "key": "tried"}]


def log_of(server: Server) -> Path:
    return server.home / f"serving-{server.port}.log"


def logged(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_of(server).read_text().splitlines() if line.startswith("{")]


def test_where_no_keys_are_asked_for_nobody_may(server: Server) -> None:
    for query, told in ((ERASE, {"user": "u-1", "key": "k"}), (REPLAY, {"reason": "invalid_enum", "key": "k"})):
        (error,) = server.post(query, **told)["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"
    assert server.data("{ requests { key } }")["requests"] == []
