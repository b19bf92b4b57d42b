"""Serving with its database away: it starts, stays live, says why it is not ready, and recovers by itself."""

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from stack import postgres, process
from stack.layout import Layout
from stack.settings import StackSettings
from stack.state import State, write_state
from tests.conftest import free_base_port, running
from tests.serving.events import visits
from tests.serving.integration.conftest import NOW, eventually, serving
from tests.serving.shop import Shop, create_tables, engine, write

pytestmark = pytest.mark.integration

ASK = "{ asOf { epoch } }"


@pytest.fixture
def layout() -> Iterator[Layout]:
    """A home of its own for the Postgres that is stopped here; reachable for the account Postgres runs as."""
    home = Path(tempfile.mkdtemp(prefix="millrace-test-"))
    home.chmod(0o755)
    made = Layout(home)
    own = process.ProcessId.of(os.getpid())
    assert own is not None
    write_state(made.state, State(uuid.uuid4().hex, own))
    yield made
    shutil.rmtree(home, ignore_errors=True)


def test_it_starts_without_a_database_and_follows_it_through_a_restart(layout: Layout, tmp_path: Path) -> None:
    settings = StackSettings(base_port=free_base_port(), postgres_shared_buffers_mb=32)
    url = postgres.url(settings, layout)
    shop = Shop(events=visits(1, NOW.replace(hour=12), NOW), committed_at=NOW)
    with serving(url, "public", tmp_path) as server:
        assert httpx.get(f"{server.url}/health/live").json() == {"live": True}
        away = server.ready()
        assert (away.status_code, away.json()["ready"]) == (503, False)
        assert "not reachable" in away.json()["reason"]
        (error,) = server.post(ASK)["errors"]
        assert error["extensions"]["code"] == "UNAVAILABLE"
        assert url not in str(error)

        with running(postgres.part(settings, layout), layout):
            assert eventually(lambda: "tables do not exist yet" in server.ready().json().get("reason", ""))
            (error,) = server.post(ASK)["errors"]
            assert error["extensions"]["code"] == "NOT_READY"

            asyncio.run(create_tables(url, "public"))
            assert server.ready().json() == {"ready": True}
            asyncio.run(write(url, "public", shop))
            assert server.data(ASK)["asOf"]["epoch"] == 1
            assert eventually(lambda: "millrace_serving_feed_connected 1.0" in _metrics(server.url))

        assert eventually(lambda: server.ready().status_code == 503)
        assert eventually(lambda: "millrace_serving_feed_connected 0.0" in _metrics(server.url))
        assert httpx.get(f"{server.url}/health/live").status_code == 200
        assert server.post(ASK)["errors"][0]["extensions"]["code"] == "UNAVAILABLE"

        with running(postgres.part(settings, layout), layout):
            # No request fails once the database is back: dead connections are found before they are used.
            assert server.data(ASK)["asOf"]["epoch"] == 1
            assert server.ready().json() == {"ready": True}
            asyncio.run(write(url, "public", shop))
            assert server.data(ASK)["asOf"]["epoch"] == 2
            assert eventually(lambda: "millrace_serving_epoch 2.0" in _metrics(server.url), 30)
    log = next(tmp_path.glob("serving-*.log")).read_text()
    assert postgres.password(layout) not in log
    assert "Traceback" not in log


def _metrics(url: str) -> str:
    return httpx.get(f"{url}/metrics").text


def test_a_statement_over_its_time_is_a_typed_error_and_others_go_on(postgres_url: str, tmp_path: Path) -> None:
    schema = "serving_timeout"
    asyncio.run(create_tables(postgres_url, schema))
    shop = Shop(events=visits(1, NOW.replace(hour=12), NOW), committed_at=NOW)
    asyncio.run(write(postgres_url, schema, shop))
    with serving(postgres_url, schema, tmp_path, serving_statement_timeout_seconds="0.5") as server:
        assert asyncio.run(_while_locked(server.url, postgres_url, schema)) == "TIMEOUT"
        assert server.data(ASK)["asOf"]["epoch"] == 1


async def _while_locked(server_url: str, database_url: str, schema: str) -> str:
    writer = engine(database_url, schema)
    async with writer.connect() as connection, httpx.AsyncClient(timeout=30) as client:
        await connection.execute(text("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"))
        answer = await client.post(f"{server_url}/graphql", json={"query": "{ sessions { nodes { id } } }"})
    await writer.dispose()
    code: str = answer.json()["errors"][0]["extensions"]["code"]
    return code
