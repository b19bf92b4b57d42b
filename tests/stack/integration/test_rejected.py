"""`millrace rejected` against a real gateway, broker and Postgres; only the copying of rejections is the test's own."""

import asyncio
import io
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import fastavro
import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable
from typer.testing import CliRunner, Result

from contracts.tables import rejected_events
from contracts.topics import ALL, CLICKSTREAM, REJECTED, TRANSACTIONS
from schemas_avro import load_registry
from stack import kafka
from stack.cli import app
from stack.errors import StackError
from stack.keys import create_key
from stack.layout import Layout
from stack.probes import http_ready
from tests.conftest import free_base_port

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[3]
REGISTRY = load_registry()


class Shop:
    """A gateway, its keys, and the rejections that processing would have copied."""

    def __init__(self, home: Path, bootstrap: str, postgres_url: str) -> None:
        self.layout = Layout(home)
        self.prefix, self.schema = f"t{uuid.uuid4().hex[:8]}-", f"t{uuid.uuid4().hex}"
        self.bootstrap, self.postgres_url = bootstrap, postgres_url
        kafka.create_topics(bootstrap, ALL, self.prefix)
        base = free_base_port()
        self.environment = {
            **os.environ,
            "MILLRACE_HOME": str(home),
            "MILLRACE_KAFKA_BOOTSTRAP": bootstrap,
            "MILLRACE_KAFKA_TOPIC_PREFIX": self.prefix,
            "MILLRACE_GATEWAY_PORT": str(base),
            "MILLRACE_STACK_BASE_PORT": str(base),
            "MILLRACE_STACK_POSTGRES_URL": postgres_url,
            "MILLRACE_POSTGRES_DB_SCHEMA": self.schema,
            "COLUMNS": "200",
        }
        self.key, _ = create_key(self.layout, "shop", ["write"])
        self.url = f"http://127.0.0.1:{base}"
        with (home / "gateway.log").open("ab") as log:
            command = [sys.executable, "-m", "ingestion"]
            self.gateway = subprocess.Popen(command, cwd=REPOSITORY, env=self.environment, stderr=log, stdout=log)
        deadline = time.monotonic() + 30
        while not self._ready():
            assert time.monotonic() < deadline, (home / "gateway.log").read_text()[-2000:]
            time.sleep(0.1)
        asyncio.run(self._make_table())

    def _ready(self) -> bool:
        return http_ready(f"{self.url}/health/ready") is None

    def stop(self) -> None:
        self.gateway.terminate()
        self.gateway.wait(30)

    def send(self, *events: Any) -> httpx.Response:
        answer = httpx.post(f"{self.url}/v1/events", json=events, headers={"authorization": f"Bearer {self.key}"})
        assert answer.status_code in (200, 207, 422), answer.text
        self.copy_rejections()
        return answer

    def run(self, *arguments: str) -> Result:
        """`millrace rejected …` in this process: starting one costs seconds each."""
        return CliRunner().invoke(app, ["rejected", *arguments], env=self.environment)

    def replay(self, *arguments: str) -> tuple[int, dict[str, int]]:
        """Exit code and counts by outcome."""
        done = self.run("replay", "--json", *arguments)
        assert done.stdout, done.exception
        return done.exit_code, json.loads(done.stdout)["counts"]

    def records(self, topic: str) -> list[tuple[int, int, dict[str, Any], dict[str, Any]]]:
        """Partition, offset, value and headers of every record."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "t", "enable.auto.commit": False})
        found = []
        try:
            for partition in (
                consumer.list_topics(self.prefix + topic, timeout=10).topics[self.prefix + topic].partitions
            ):
                place = TopicPartition(self.prefix + topic, partition)
                low, high = consumer.get_watermark_offsets(place, timeout=10)
                consumer.assign([TopicPartition(self.prefix + topic, partition, low)])
                while low < high:
                    message = consumer.poll(10)
                    assert message is not None
                    value: Any = message.value()
                    schema = REGISTRY.by_id(int.from_bytes(value[1:5], "big"))
                    assert schema is not None
                    read: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema.parsed, None)
                    headers: Any = dict(message.headers() or [])
                    low = (message.offset() or 0) + 1
                    found.append((partition, low - 1, read, headers))
        finally:
            consumer.close()
        return found

    def copy_rejections(self) -> None:
        """What processing does with the topic `rejected`."""
        rows = [
            (REJECTED.name, partition, offset, 1, *(read[c.name] for c in rejected_events.columns if c.name in read))
            for partition, offset, read, _ in self.records(REJECTED.name)
        ]
        asyncio.run(self._insert(rows))

    async def _make_table(self) -> None:
        connection = await asyncpg.connect(self.postgres_url)
        try:
            await connection.execute(f'CREATE SCHEMA "{self.schema}"')
            await connection.execute(f'SET search_path TO "{self.schema}"')
            await connection.execute(str(CreateTable(rejected_events).compile(dialect=postgresql.dialect())))  # type: ignore[no-untyped-call] # SQLAlchemy leaves it so
        finally:
            await connection.close()

    async def _insert(self, rows: list[tuple[Any, ...]]) -> None:
        connection = await asyncpg.connect(self.postgres_url, server_settings={"search_path": self.schema})
        try:
            places = ", ".join(f"${n + 1}" for n in range(len(rejected_events.columns)))
            await connection.executemany(f"INSERT INTO rejected_events VALUES ({places}) ON CONFLICT DO NOTHING", rows)
        finally:
            await connection.close()


@pytest.fixture
def shop(kafka_bootstrap: str, postgres_url: str, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path, kafka_bootstrap, postgres_url)
    yield shop
    shop.stop()


def click(event_id: str | None, **change: Any) -> dict[str, Any]:
    now = time.time_ns() // 1_000_000
    event = {"user_id": "u", "session_id": "s", "action": "view", "timestamp": now}
    return event | ({} if event_id is None else {"event_id": event_id}) | change


def test_rejections_are_listed_by_filters_page_by_page(shop: Shop) -> None:
    shop.send(*(click(f"e{n}", action="hover" if n % 2 else "view", user_id="u" if n % 2 else "") for n in range(6)))
    listed = json.loads(shop.run("list", "--json").stdout)
    assert {told["event_id"] for told in listed} == {f"e{n}" for n in range(6)}
    assert {told["reason"] for told in listed} == {"invalid_enum", "invalid_id"}
    assert not any(told["replayed"] for told in listed)
    only = json.loads(
        shop.run("list", "--json", "--reason", "invalid_enum", "--source", "shop", "--since", "5m").stdout
    )
    assert {told["event_id"] for told in only} == {"e1", "e3", "e5"}
    assert json.loads(shop.run("list", "--json", "--source", "other").stdout) == []
    assert json.loads(shop.run("list", "--json", "--since", "2100-01-01").stdout) == []
    first = json.loads(shop.run("list", "--json", "--limit", "4").stdout)
    rest = json.loads(shop.run("list", "--json", "--limit", "4", "--after", first[-1]["rejection_id"]).stdout)
    assert [told["rejection_id"] for told in first + rest] == [told["rejection_id"] for told in listed]
    table = shop.run("list", "--limit", "2")
    assert listed[0]["rejection_id"][:8] in table.stdout
    assert "More: --after" in table.stderr


def test_one_rejection_is_shown_whole_and_a_terminal_does_not_obey_it(shop: Shop) -> None:
    event = click("e\x1b[31m", action="[red]hover")
    shop.send(event)
    (told,) = json.loads(shop.run("list", "--json").stdout)
    shown = shop.run("show", told["rejection_id"][:10])
    assert shown.exit_code == 0
    assert "invalid_id" in shown.stdout
    assert "\x1b" not in shown.stdout + shop.run("list").stdout
    assert json.loads(json.loads(shop.run("show", told["rejection_id"], "--json").stdout)["raw"]) == event
    assert json.loads(shop.run("show", told["rejection_id"], "--raw").stdout) == event
    assert shop.run("show", "ffffffff").exit_code == 1
    assert shop.run("show", "x' OR true").exit_code == 1


def test_repaired_events_are_sent_once_under_their_source_with_their_ids(shop: Shop) -> None:
    at = 1_700_000_000_000  # long ago: replays are history
    shop.send(
        click("a", action="hover"), click(None, action="hover", type="clickstream"), click("old", timestamp=at),
        click("b", action="hover", user_id="\n"), click("fine"),
    )  # fmt: skip
    keys_before = shop.layout.keys_file.read_text()
    rule = '.action = "click"'
    assert shop.replay("--reason", "invalid_enum", "--patch", rule, "--dry-run") == (0, {"repairable": 1})
    assert len(shop.records(CLICKSTREAM.name)) == 1
    assert shop.replay("--since", "5m", "--patch", rule) == (1, {"accepted": 3, "unrepaired": 1})
    taken = {read["event_id"]: (read, headers) for _, _, read, headers in shop.records(CLICKSTREAM.name)}
    listed = {told["rejection_id"]: told for told in json.loads(shop.run("list", "--json").stdout)}
    (derived,) = set(taken) - {"a", "old", "fine"}
    assert derived.removeprefix("rejected-") in listed
    assert {taken[event_id][0]["action"] for event_id in ("a", "old", derived)} == {"click"}
    assert {taken[event_id][1]["source"] for event_id in taken} == {b"shop"}
    assert taken["old"][1]["import"] == b"1"
    assert "import" not in taken["fine"][1]
    assert sorted(told["replayed"] for told in listed.values()) == [False, True, True, True]
    assert len(shop.records(REJECTED.name)) == 4  # what could not be repaired was not sent again
    assert shop.replay("--since", "5m", "--patch", rule) == (1, {"already replayed": 3, "unrepaired": 1})
    assert len(shop.records(CLICKSTREAM.name)) == 4
    assert shop.replay("--id", derived.removeprefix("rejected-"), "--patch", rule, "--again") == (0, {"accepted": 1})
    assert len(shop.records(CLICKSTREAM.name)) == 5  # with the same id, so it counts once
    assert len({read["event_id"] for _, _, read, _ in shop.records(CLICKSTREAM.name)}) == 4
    assert shop.layout.keys_file.read_text() == keys_before


def test_an_order_sent_by_segments_protocol_is_repaired_in_segments_words_line_by_line(shop: Shop) -> None:
    lines = [{"product_id": f"p{n}", "category": "c", "price": "1.50", "quantity": n} for n in (1, 2)]
    order = {
        "type": "track", "event": "Order Completed", "userId": "u\n", "messageId": "m",
        "properties": {"order_id": "o", "products": lines},
    }  # fmt: skip
    sent = httpx.post(f"{shop.url}/v1/batch", json={"batch": [order], "writeKey": shop.key})
    assert sent.status_code == 200
    shop.copy_rejections()
    (told,) = json.loads(shop.run("list", "--json").stdout)
    assert (told["content_type"], told["event_id"]) == ("application/json; protocol=segment", "m")
    assert shop.replay("--id", told["rejection_id"], "--patch", ".userId |= trim") == (0, {"accepted": 1})
    sales = [read for _, _, read, _ in shop.records(TRANSACTIONS.name)]
    assert {(sale["product_id"], sale["quantity"], sale["user_id"]) for sale in sales} == {
        ("p1", 1, "u"),
        ("p2", 2, "u"),
    }
    assert shop.replay("--source", "shop") == (0, {"already replayed": 1})


def test_wrong_calls_say_what_is_wrong(shop: Shop) -> None:
    shop.send(click("a", action="hover"))
    repaired = ("replay", "--reason", "invalid_enum", "--patch", '.action = "view"')
    calls: list[tuple[tuple[str, ...], int, str]] = [
        (("replay",), 2, "say which"),
        (("replay", "--reason", "x", "--patch", ".a = "), 1, "not understood"),
        (("list", "--since", "yesterday"), 2, "not a time"),
        (("list", "--after", "abcd"), 1, "No rejection"),
        ((*repaired, "--write-key", "mr_wrong"), 1, "answered 401"),
    ]
    for arguments, code, words in calls:
        assert_says(shop.run(*arguments), code, words)
    shop.stop()
    assert_says(shop.run(*repaired), 1, "does not answer")
    command = [sys.executable, "-m", "stack", "rejected", *repaired]
    done = subprocess.run(command, cwd=REPOSITORY, env=shop.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "does not answer" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def assert_says(done: Result, code: int, words: str) -> None:
    """A usage error is written at once; any other is an exception whose text `millrace` prints."""
    assert done.exit_code == code
    said = str(done.exception) if isinstance(done.exception, StackError) else done.stderr
    assert words in said
    assert "mr_wrong" not in said
