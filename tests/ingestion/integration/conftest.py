"""A real gateway process before a real broker, with topics of its own."""

import hashlib
import io
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import httpx
import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from contracts.topics import ALL, TALLIES
from schemas_avro import load_registry
from stack import kafka, process
from stack.layout import Layout
from stack.settings import StackSettings
from tests.conftest import free_base_port
from tests.forked import Fork

REPOSITORY = Path(__file__).resolve().parents[3]
KEY = "mr_" + "k" * 32
WRITE_ONLY_KEY = "mr_" + "w" * 32
_given_ports = [0]


def free_port() -> int:
    """A port nobody listens on, and that no earlier call gave away; the five after it are free as well."""
    _given_ports.append(free_base_port(above=_given_ports[-1]))
    return _given_ports[-1]


def wait_until(reached: Callable[[], bool], timeout_seconds: float = 20) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not reached():
        assert time.monotonic() < deadline, "not reached in time"
        time.sleep(0.05)


@dataclass
class Gateway:
    """A gateway process under test."""

    bootstrap: str
    prefix: str
    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: Fork | None = None
    known: dict[tuple[str, int], int] = field(default_factory=dict)
    """By topic and partition: the offset before which records are of no interest."""

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        keys = [
            {"source": source, "sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": scopes}
            for source, key, scopes in (("demo", KEY, ["write", "import"]), ("shop", WRITE_ONLY_KEY, ["write"]))
        ]
        (self.home / "keys.json").write_text(json.dumps(keys))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def start(self) -> "Gateway":
        """Start the process; returns once it answers, ready or not."""
        self.spawn()
        wait_until(lambda: self.status("/health/live") == 200)
        return self

    def spawn(self) -> None:
        """Start the process and do not wait."""
        environment = {
            **os.environ,
            "MILLRACE_HOME": str(self.home),
            "MILLRACE_KAFKA_BOOTSTRAP": self.bootstrap,
            "MILLRACE_KAFKA_TOPIC_PREFIX": self.prefix,
            "MILLRACE_GATEWAY_PORT": str(self.port),
            "MILLRACE_GATEWAY_DRAIN_SECONDS": "0.3",
            "MILLRACE_GATEWAY_WORKERS": "1",
            **{f"MILLRACE_GATEWAY_{name}": value for name, value in self.settings.items()},
        }
        self.process = Fork("ingestion", environment, REPOSITORY, self.home / "gateway.log")

    def started_ready(self) -> "Gateway":
        self.start()
        wait_until(lambda: self.status("/health/ready") == 200)
        return self

    def status(self, path: str) -> int:
        try:
            return self.client.get(path).status_code
        except httpx.TransportError:
            return 0

    def post(self, content: bytes | str, content_type: str = "application/json", **headers: str) -> httpx.Response:
        sent = {"authorization": f"Bearer {KEY}", "content-type": content_type}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post("/v1/events", content=content, headers=sent)

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Signal the process and wait for its end; returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signum)
        code = self.process.wait(40)
        self.client.close()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        return code

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.home / "gateway.log").read_text().splitlines() if line[:1] == "{"]

    def records(self, topic: str) -> list[tuple[dict[str, Any], bytes | None, dict[str, bytes]]]:
        """What is in a topic now, decoded: value, key, headers."""
        return [decoded(message) for message in messages(self.bootstrap, self.prefix + topic, self.known)]

    def values(self, topic: str) -> list[bytes]:
        """The same as they lie there."""
        return [message.value() or b"" for message in messages(self.bootstrap, self.prefix + topic, self.known)]

    def forget_records(self) -> None:
        """From now on `records` tells only what comes after."""
        self.known = ends_of(self.bootstrap, [self.prefix + topic.name for topic in ALL])

    def tallies(self) -> dict[bytes, dict[str, int]]:
        """The last word of each worker there was."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": uuid.uuid4().hex})
        place = TopicPartition(self.prefix + TALLIES.name, 0, 0)
        try:
            _, end = consumer.get_watermark_offsets(place, timeout=10)
            consumer.assign([place])
            told = consumer.consume(end, timeout=10)
        finally:
            consumer.close()
        assert len(told) == end
        return {message.key() or b"": json.loads(message.value() or b"") for message in told}


def ends_of(bootstrap: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """Where each partition ends now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex})
    try:
        return {
            (name, number): consumer.get_watermark_offsets(TopicPartition(name, number), timeout=10)[1]
            for name in topics
            for number in consumer.list_topics(name, timeout=10).topics[name].partitions
        }
    finally:
        consumer.close()


def messages(bootstrap: str, topic: str, known: Mapping[tuple[str, int], int]) -> Iterator[Message]:
    """What is in a topic now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    try:
        for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            first, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            low = known.get((topic, partition), first)
            consumer.assign([TopicPartition(topic, partition, low)])
            while low < high:
                message = consumer.poll(10)
                assert message is not None
                assert message.error() is None
                low = (message.offset() or 0) + 1
                yield message
    finally:
        consumer.close()


def decoded(message: Message) -> tuple[dict[str, Any], bytes | None, dict[str, bytes]]:
    """Value, key, headers."""
    value: Any = message.value()
    schema = load_registry().by_id(int.from_bytes(value[1:5], "big"))
    assert schema is not None
    record: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema.parsed, None)
    headers: Any = dict(message.headers() or [])
    key: Any = message.key()
    return record, key, headers


def topics_under_a_new_prefix(bootstrap: str) -> str:
    """Make all topics; returns the prefix of their names."""
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    kafka.create_topics(bootstrap, ALL, prefix)
    return prefix


@pytest.fixture
def make_gateway(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Makes gateways with topics of their own; stops them afterwards."""
    made: list[Gateway] = []

    def make(bootstrap: str = kafka_bootstrap, prefix: str | None = None, **settings: str) -> Gateway:
        gateway = Gateway(
            bootstrap, prefix or topics_under_a_new_prefix(bootstrap), tmp_path / f"home-{len(made)}", settings
        )
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        if gateway.process is not None:
            gateway.stop(signal.SIGKILL)
        gateway.client.close()


@pytest.fixture(scope="session")
def running_gateway(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for all tests that neither change nor count what it has done before."""
    home = tmp_path_factory.mktemp("gateway")
    gateway = Gateway(kafka_bootstrap, topics_under_a_new_prefix(kafka_bootstrap), home).started_ready()
    yield gateway
    gateway.stop(signal.SIGKILL)
    gateway.client.close()


@pytest.fixture
def gateway(running_gateway: Gateway) -> Gateway:
    """A ready gateway, as far as this test can see with empty topics."""
    running_gateway.forget_records()
    return running_gateway


class OwnBroker:
    """A broker that a test may kill, pause and start again."""

    def __init__(self, home: Path) -> None:
        settings = StackSettings(base_port=free_port(), kafka_heap_mb=256)
        self._layout = Layout(home)
        self._layout.logs.mkdir(parents=True, exist_ok=True)
        self._part = kafka.part(settings, self._layout, dict(os.environ), ())
        self._child: subprocess.Popen[bytes] | None = None
        self.bootstrap = f"127.0.0.1:{self._part.port}"

    def start(self) -> "OwnBroker":
        """Start it, if it does not run; returns once it answers."""
        if self._child is not None:
            return self
        launch = self._part.prepare(lambda _: None)
        self._child = process.start(launch, self._layout.log("kafka"), os.environ)
        wait_until(lambda: self._part.probe() is None, 60)
        return self

    def signal(self, signum: int) -> None:
        """SIGSTOP pauses it, SIGCONT goes on, SIGKILL ends it."""
        assert self._child is not None
        os.killpg(self._child.pid, signum)
        if signum == signal.SIGKILL:
            self._child.wait(20)
            self._child = None

    def close(self) -> None:
        if self._child is not None:
            self.signal(signal.SIGKILL)


@pytest.fixture
def make_topics() -> Callable[[str, str], None]:
    """Makes all topics on a broker, under a prefix."""
    return lambda bootstrap, prefix: kafka.create_topics(bootstrap, ALL, prefix)


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    """One for the tests of a file, each of which leaves it as it would be found: not started before the first."""
    broker = OwnBroker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.close()
