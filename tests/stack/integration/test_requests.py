"""Requests as they stand in Postgres: who takes which, what is tried again, and what hears of them."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from contracts import tables
from stack import clerk, requests
from stack.clerk import Clerk
from stack.errors import MachineError, SettingsError
from stack.requests import MOST_ATTEMPTS, open_requests

pytestmark = pytest.mark.integration


class Store:
    """A schema with the table, and a connection that looks on."""

    def __init__(self, url: str, schema: str, connection: Any) -> None:
        self.url, self.schema, self._connection = url, schema, connection

    async def ask(self, kind: str = "erase_user", **arguments: Any) -> int:
        """As serving writes a request down; its id."""
        number: int = await self._connection.fetchval(
            "INSERT INTO requests (key, kind, arguments, fingerprint, asked_by) VALUES ($1, $2, $3, '', 'ops')"
            " RETURNING id",
            uuid.uuid4().hex,
            kind,
            json.dumps(arguments),
        )
        await self._connection.execute(f"NOTIFY {tables.REQUESTS_CHANNEL}")
        return number

    async def row(self, number: int) -> dict[str, Any]:
        return dict(await self._connection.fetchrow("SELECT * FROM requests WHERE id = $1", number))

    async def due_now(self) -> None:
        await self._connection.execute("UPDATE requests SET due_at = clock_timestamp()")


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    schema = f"t{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_url, server_settings={"search_path": schema})
    await connection.execute(f"CREATE SCHEMA {schema}")
    made = CreateTable(tables.requests).compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    await connection.execute(str(made))
    yield Store(postgres_url, schema, connection)
    await connection.close()


def test_the_names_are_those_of_the_contract() -> None:
    assert tables.requests.name == requests.TABLE
    assert tables.REQUESTS_CHANNEL == requests.CHANNEL


async def test_requests_are_taken_oldest_first_and_whom_they_named_is_forgotten(store: Store) -> None:
    first, second = await store.ask(user_id="u-1"), await store.ask("replay_rejected", reason="invalid_enum")
    async with open_requests(store.url, store.schema) as taken:
        one = await taken.take()
        assert one is not None
        assert (one.id, one.kind, one.arguments, one.attempts) == (first, "erase_user", {"user_id": "u-1"}, 1)
        assert (await store.row(first))["state"] == "running"
        await taken.done(one, {"events": 3})
        other = await taken.take()
        assert other is not None
        assert other.id == second
        await taken.done(other, {})
        assert await taken.take() is None
    done = await store.row(first)
    assert (done["state"], done["arguments"], json.loads(done["receipt"])) == ("done", None, {"events": 3})
    assert done["finished_at"] >= done["started_at"] >= done["asked_at"]


async def test_what_a_doer_left_is_taken_again_and_only_one_does_them(store: Store) -> None:
    number = await store.ask(user_id="u-1")
    async with open_requests(store.url, store.schema) as taken:
        assert await taken.take()
        with pytest.raises(MachineError):
            async with open_requests(store.url, store.schema):
                pass
    async with open_requests(store.url, store.schema) as taken:
        again = await taken.take()
        assert again is not None
        assert (again.id, again.attempts) == (number, 2)


async def test_what_comes_to_nothing_is_tried_later_and_given_up_in_the_end(store: Store) -> None:
    number = await store.ask(user_id="u-1")
    async with open_requests(store.url, store.schema) as taken:
        for attempt in range(1, MOST_ATTEMPTS + 1):
            request = await taken.take()
            assert request is not None
            assert await taken.not_done(request, f"broken {attempt}") is (attempt == MOST_ATTEMPTS)
            row = await store.row(number)
            assert row["error"] == f"broken {attempt}"
            assert row["state"] == ("failed" if attempt == MOST_ATTEMPTS else "waiting")
            assert row["due_at"] > row["started_at"]
            assert await taken.take() is None
            await store.due_now()
        assert (await store.row(number))["finished_at"]
        assert await taken.take() is None


async def test_without_the_table_it_says_what_makes_it(postgres_url: str) -> None:
    with pytest.raises(SettingsError, match="processing makes it"):
        async with open_requests(postgres_url, "nowhere") as taken:
            await taken.take()


async def test_the_clerk_has_done_what_waits_and_what_it_hears_of(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doer = tmp_path / "doer.py"
    doer.write_text(
        f"""import asyncio
from stack.requests import open_requests
async def main():
    async with open_requests({store.url!r}, {store.schema!r}) as taken:
        while request := await taken.take():
            await taken.done(request, dict(by="the test"))
asyncio.run(main())
"""
    )
    monkeypatch.setattr(clerk, "_TAKE", (sys.executable, str(doer)))
    before = await store.ask(user_id="u-1")
    with Clerk(store.url, store.schema, {}, tmp_path / "requests.log").attending():
        await _done(store, before)
        await _done(store, await store.ask(user_id="u-2"))


async def test_where_there_is_no_supervisor_a_process_of_its_own_attends_until_it_is_told_to_end(store: Store) -> None:
    number = await store.ask("dance")
    environ = {**os.environ, "MILLRACE_STACK_POSTGRES_URL": store.url, "MILLRACE_POSTGRES_DB_SCHEMA": store.schema}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stack", "requests", "attend"),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(40):
        while (await store.row(number))["error"] is None:  # noqa: ASYNC110 - a row, not an event
            await asyncio.sleep(0.1)
        process.terminate()
        told, _ = await process.communicate()
    assert process.returncode == 0
    assert "Nobody here knows how to do a request of the kind 'dance'" in told.decode()


async def _done(store: Store, number: int) -> None:
    async with asyncio.timeout(20):
        while (await store.row(number))["state"] != "done":  # noqa: ASYNC110 - a row, not an event
            await asyncio.sleep(0.05)
