"""A real server process over a real Postgres, and a shop in it that the tests know event by event."""

import asyncio
import os
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.forked import Fork
from tests.serving.busy import busy_shop, watched
from tests.serving.event_log import write_log
from tests.serving.events import Refusal, Repeat, visits
from tests.serving.reports import figures, keep
from tests.serving.shop import Shop, create_tables, write

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 3, 1, 12, 34, 20, tzinfo=UTC)
"""When the shop of these tests was last committed; some hours of it lie before."""
TELEPORT = b'{"action":"teleport"}'


@dataclass(frozen=True)
class Server:
    """A running server and the schema it reads."""

    port: int
    database_url: str
    schema: str
    client: httpx.Client
    home: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer."""
        response = self.client.post(f"{self.url}/graphql", json={"query": query, "variables": variables})
        answer: dict[str, Any] = response.json()
        return answer

    def data(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer that must have no errors."""
        answer = self.post(query, **variables)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def ready(self) -> httpx.Response:
        return self.client.get(f"{self.url}/health/ready")


def new_schema() -> str:
    """A schema name nobody else has."""
    return f"serving_{uuid.uuid4().hex[:12]}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(condition: Any, seconds: float = 20) -> Any:
    """The first true value, or the last one when time is up."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


@contextmanager
def serving(database_url: str, schema: str, home: Path, **settings: str) -> Iterator[Server]:
    """`python -m serving`, from live to stopped."""
    client = httpx.Client(timeout=30, trust_env=False)
    server = Server(free_port(), database_url, schema, client, home)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")},
        "MILLRACE_HOME": str(home),
        "MILLRACE_POSTGRES_URL": database_url,
        "MILLRACE_POSTGRES_DB_SCHEMA": schema,
        "MILLRACE_SERVING_PORT": str(server.port),
        "MILLRACE_SERVING_FEED_CHECK_SECONDS": "1",
        **{f"MILLRACE_{name.upper()}": value for name, value in settings.items()},
    }
    log = home / f"serving-{server.port}.log"
    process = Fork("serving", environment, ROOT, log)
    try:
        assert eventually(lambda: process.poll() is not None or _live(server), 60)
        assert process.poll() is None, log.read_text()[-3000:]
        yield server
    finally:
        client.close()
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def _live(server: Server) -> bool:
    try:
        return server.client.get(f"{server.url}/health/live").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def shop() -> Shop:
    """Five hours of a shop with late events, duplicates and refused events, known event by event."""
    events = visits(7, NOW - timedelta(hours=5), NOW)
    delayed = [replace(event, late=number % 37 == 0, delay=_delay(number)) for number, event in enumerate(events)]
    refusals = [
        Refusal(NOW - timedelta(minutes=5), "invalid_enum", "web", TELEPORT, "/action", "not an action"),
        Refusal(NOW - timedelta(minutes=7), "invalid_enum", "ios", b"{}"),
        Refusal(NOW - timedelta(minutes=9), "invalid_enum", "web", b"{}"),
        Refusal(NOW - timedelta(minutes=8), "malformed_avro", "web", b"\xff\x00\xfe"),
        Refusal(NOW - timedelta(minutes=6), "malformed_avro", None, b"\x00"),
        Refusal(NOW - timedelta(hours=9), "malformed_json", "web", b"{"),
        Refusal(NOW - timedelta(hours=10), "invalid_amount", "till", b'{"amount":-1}', "/amount", event_id="e-refused"),
        Refusal(NOW - timedelta(hours=10), "invalid_quantity", None, b'{"transaction_id":"e-held","quantity":0}'),
    ]
    repeats = [Repeat(events[number].id, conflict=number % 5 == 0) for number in range(23)]
    return Shop(events=delayed, refusals=refusals, duplicates=repeats, committed_at=NOW)


def _delay(number: int) -> timedelta:
    """Most at once, some after seconds; the late ones after minutes, a few after weeks."""
    if number % 37 == 0:
        return timedelta(days=9) if number % 5 == 0 else timedelta(minutes=11)
    return (
        timedelta(seconds=1) if number % 4 == 0 else timedelta(seconds=4) if number % 3 == 0 else timedelta(seconds=0.4)
    )


@pytest.fixture(scope="session")
def server(postgres_server: str, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over the shop; nobody writes to its schema afterwards."""
    schema = new_schema()
    asyncio.run(create_tables(postgres_server, schema))
    asyncio.run(write(postgres_server, schema, shop))
    asyncio.run(keep(postgres_server, schema, figures("2026-03-01")))
    home = tmp_path_factory.mktemp("serving")
    write_log(home, shop.events, shop.epoch)
    with serving(postgres_server, schema, home) as running:
        assert eventually(lambda: running.ready().status_code == 200)
        yield running


@pytest.fixture(scope="module")
def empty_server(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over tables without rows, one for each module of tests that commit epochs."""
    schema = new_schema()
    asyncio.run(create_tables(postgres_url, schema))
    with serving(postgres_url, schema, tmp_path_factory.mktemp("serving")) as running:
        yield running


@pytest.fixture(scope="module")
def busy(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over a shop that is open now, with something for every view to show."""
    now = datetime.now(UTC)
    shop = busy_shop(now)
    schema = new_schema()
    asyncio.run(create_tables(postgres_url, schema))
    asyncio.run(write(postgres_url, schema, shop))
    asyncio.run(watched(postgres_url, schema, now.replace(second=0, microsecond=0)))
    asyncio.run(keep(postgres_url, schema, figures("2026-03-01"), figures("2026-03-02", is_final=False)))
    home = tmp_path_factory.mktemp("serving")
    write_log(home, shop.events, shop.epoch)
    with serving(postgres_url, schema, home) as running:
        assert eventually(lambda: running.ready().status_code == 200)
        yield running
