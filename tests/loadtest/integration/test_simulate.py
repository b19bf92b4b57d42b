"""The simulator against the real gateway and the real broker: what the client log says is what the topics hold."""

import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from fastavro import schemaless_reader

from contracts import topics
from loadtest.client_log import Verdict, read_log
from loadtest.oracle import Oracle
from schemas_avro import load_registry
from stack.kafka import create_topics
from stack.probes import http_ready

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
KEY = "mr_" + "k" * 32
GATEWAY_TOPICS = (topics.CLICKSTREAM, topics.TRANSACTIONS, topics.REJECTED)


class Gateway:
    """The gateway as the stack starts it, on a port that stays the same over restarts."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        keys = [{"source": "test", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "scopes": ["write", "import"]}]
        (folder / "keys.json").write_text(json.dumps([{**key, "created_at": "2024-01-01T00:00:00Z"} for key in keys]))
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "gateway.log"
        self._environment = {
            **os.environ,
            "MILLRACE_KAFKA_BOOTSTRAP": bootstrap,
            "MILLRACE_GATEWAY_PORT": str(self.port),
            "MILLRACE_GATEWAY_KEYS_FILE": str(folder / "keys.json"),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ingestion"], cwd=ROOT, env=self._environment, stderr=log, stdout=log
            )
        deadline = time.monotonic() + 30
        while not self._ready():
            assert self.process.poll() is None, self._log.read_text()[-3000:]
            assert time.monotonic() < deadline, self._log.read_text()[-3000:]
            time.sleep(0.1)

    def kill(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)
        self.process.wait(30)

    def _ready(self) -> bool:
        return http_ready(f"{self.url}/health/ready") is None


@pytest.fixture
def gateway(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Gateway]:
    create_topics(kafka_bootstrap, topics.ALL)
    gateway = Gateway(kafka_bootstrap, tmp_path)
    gateway.start()
    yield gateway
    gateway.kill(signal.SIGTERM)


Records = dict[str, list[dict[str, Any]]]


@pytest.fixture
def appended(kafka_bootstrap: str) -> Callable[[], Records]:
    """Gives the decoded records appended to the gateway's topics since the test began."""
    create_topics(kafka_bootstrap, topics.ALL)
    start = _ends(kafka_bootstrap)
    return lambda: _between(kafka_bootstrap, start, _ends(kafka_bootstrap))


Ends = dict[tuple[str, int], int]


def _consumer(bootstrap: str) -> Consumer:
    return Consumer({"bootstrap.servers": bootstrap, "group.id": "test", "enable.auto.commit": False})


def _ends(bootstrap: str) -> Ends:
    consumer = _consumer(bootstrap)
    places = [(topic.name, number) for topic in GATEWAY_TOPICS for number in range(topic.partitions)]
    ends = {place: consumer.get_watermark_offsets(TopicPartition(*place), timeout=10)[1] for place in places}
    consumer.close()
    return ends


def _between(bootstrap: str, start: Ends, end: Ends) -> Records:
    consumer = _consumer(bootstrap)
    consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in start.items()])
    found: Records = {topic.name: [] for topic in GATEWAY_TOPICS}
    missing = sum(end.values()) - sum(start.values())
    while missing > 0:
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None
        value, topic = message.value(), message.topic()
        assert value
        assert topic
        _, schema_id = struct.unpack(">bI", value[:5])
        schema = load_registry().by_id(schema_id)
        assert schema
        record: Any = schemaless_reader(BytesIO(value[5:]), schema.parsed, None)
        found[topic].append(record)
        missing -= 1
    consumer.close()
    return found


def _simulator(gateway: Gateway, log: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "MILLRACE_SIMULATOR_WRITE_KEY": KEY, "MILLRACE_SIMULATOR_GATEWAY_URL": gateway.url}
    command = [sys.executable, "-m", "loadtest", "simulate", "--json", "--log", str(log), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)


def _ids(records: Records) -> Counter[str]:
    return Counter(r["event_id"] for r in records["clickstream"]) + Counter(
        r["transaction_id"] for r in records["transactions"]
    )


def test_the_topics_hold_exactly_what_the_log_says_was_accepted_and_rejected(
    gateway: Gateway, appended: Callable[[], Records], tmp_path: Path
) -> None:
    log = tmp_path / "client.jsonl"
    faults = ["--duplicates", ".05", "--conflicts", ".02", "--late", ".05", "--out-of-order", ".1", "--invalid", ".2"]
    run = _simulator(gateway, log, "--rate=150", "--seconds=20", "--speed=0", "--seed=5", "--mix=80/20", *faults)
    out, errors = run.communicate(timeout=120)
    summary = json.loads(out)
    assert summary["failed"] == 0, errors
    books = Oracle.from_log(log).books
    assert books
    records = appended()
    accepted = Counter(attempt.event_id for attempt in read_log(log) if attempt.verdict == Verdict.ACCEPTED)
    assert _ids(records) == accepted
    assert books.accepted == accepted.total()
    assert Counter(record["reason"] for record in records["rejected"]) == books.reasons
    assert books.duplicates > 0
    assert books.conflicts > 0
    assert len(books.reasons) > 10


def test_every_bad_event_is_rejected_for_its_own_reason(gateway: Gateway, tmp_path: Path) -> None:
    flow = ["--rate=50", "--seconds=10", "--speed=0", "--seed=6", "--mix=80/20", "--invalid=1"]
    run = _simulator(gateway, tmp_path / "client.jsonl", *flow)
    out, errors = run.communicate(timeout=120)
    assert json.loads(out)["unexpected"] == {}, errors
    assert run.returncode == 0


def test_a_gateway_killed_in_the_middle_loses_nothing_and_the_simulator_goes_on(
    gateway: Gateway, appended: Callable[[], Records], tmp_path: Path
) -> None:
    log = tmp_path / "client.jsonl"
    run = _simulator(gateway, log, "--rate=300", "--seconds=8")
    deadline = time.monotonic() + 30
    while not log.exists() or log.stat().st_size < 100_000:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    gateway.kill(signal.SIGKILL)
    time.sleep(1)
    gateway.start()
    out, errors = run.communicate(timeout=120)
    assert run.returncode == 0, out + errors
    summary = json.loads(out)
    assert summary["accepted"] == summary["sent"]
    assert summary["retried"] > 0
    stored = _ids(appended())
    books = Oracle.from_log(log).books
    assert books
    assert set(stored) == {attempt.event_id for attempt in read_log(log)}
    # A request under way at the kill may have been stored before its answer was lost, and then again.
    assert books.accepted <= stored.total() <= books.accepted + books.unanswered


def test_the_standing_simulator_ends_cleanly_on_sigterm(gateway: Gateway, tmp_path: Path) -> None:
    log = tmp_path / "client.jsonl"
    run = _simulator(gateway, log, "--rate=100")
    deadline = time.monotonic() + 30
    while not log.exists() or log.stat().st_size == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    out, errors = run.communicate(timeout=30)
    assert run.returncode == 0, errors
    assert json.loads(out)["failed"] == 0
