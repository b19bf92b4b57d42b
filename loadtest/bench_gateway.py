"""`millrace bench gateway`: how fast the gateway is, measured beside its two limits, in one run with the same broker.

The limits are a bare loop of the Kafka client library, and an empty route of the same server. A gateway of its own is
started for the run, on topics of its own, so that nothing of it gets among real events; what it acknowledged is counted
in the topics afterwards. Every measurement is a process of its own and costs the gateway nothing but its requests.
"""

import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import psutil
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from contracts.settings import KafkaSettings
from contracts.topics import ALL, CLICKSTREAM, EVENT_TOPICS
from loadtest.bench_errors import BenchError
from loadtest.bench_measure import MEASURING, Measurement
from loadtest.bench_server import answering, free_port
from loadtest.machine import describe_machine

Tell = Callable[[str], None]

_CASES: Final = (
    ("empty route", "empty", 1),
    ("JSON, single", "json", 1),
    ("Avro, single", "avro", 1),
    ("JSON, batches of 100", "json", 100),
    ("Avro, batches of 100", "avro", 100),
)
"""Name, kind and events per request."""
_PRODUCER: Final = {
    "acks": "all", "enable.idempotence": True, "compression.type": "lz4", "linger.ms": 5,
    "partitioner": "murmur2_random", "queue.buffering.max.messages": 200_000,
}  # fmt: skip
"""Of the bare loop: as safe as the gateway's, and with time to fill its batches."""


@dataclass(frozen=True)
class GatewayPlan:
    """One run."""

    seconds: float
    """Of each measurement, after a warm-up."""
    connections: int
    workers: int


@dataclass
class _Gateway:
    """A gateway under test."""

    url: str
    key: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Of the gateway and its workers so far."""
        times = [child.cpu_times() for child in (self.process, *self.process.children(recursive=True))]
        return sum(used.user + used.system for used in times)


def run_gateway_bench(plan: GatewayPlan, kafka: KafkaSettings, tell: Tell) -> dict[str, Any]:
    """Run it and give its figures. Raises BenchError."""
    cases: dict[str, dict[str, Any]] = {}
    with _topics(kafka) as own, tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
        tell("bare produce loop")
        loop = Measurement(
            "produce", plan.seconds, topic=own.topic_prefix + CLICKSTREAM.name,
            producer={**_PRODUCER, "bootstrap.servers": own.bootstrap},
        )  # fmt: skip
        limit = cases["bare produce loop"] = _measured(loop, None)
        with _gateway(plan, own, Path(folder)) as gateway:
            for name, kind, batch in _CASES:
                tell(name)
                told = Measurement(kind, plan.seconds, gateway.url, gateway.key, plan.connections, batch)
                cases[name] = _measured(told, gateway)
        stored, acknowledged = _stored(own), sum(case["events"] + case["warm_up_events"] for case in cases.values())
    for name, figures in cases.items():
        figures["of_produce_loop"] = round(figures["events_per_second"] / limit["events_per_second"], 3)
        if "requests_per_second" in figures:
            empty = cases["empty route"]["requests_per_second"]
            figures["of_empty_route"] = round(figures["requests_per_second"] / empty, 3)
        if name == "empty route":
            del figures["of_produce_loop"]
    figures = {"machine": describe_machine(), "connections": plan.connections, "workers": plan.workers, "cases": cases}
    figures["acknowledged"], figures["stored"] = acknowledged, stored
    if stored < acknowledged:
        raise BenchError(f"{acknowledged} events were acknowledged, {stored} are in the topics")
    return figures


def _measured(told: Measurement, gateway: _Gateway | None) -> dict[str, Any]:
    """Run one measurement; the gateway's processor time is taken between its first and last request that count."""
    command = [sys.executable, "-m", "loadtest.bench_measure"]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(msgspec.json.encode(told).decode())
        child.stdin.close()
        began = child.stdout.readline().strip()
        before = 0.0 if gateway is None else gateway.cpu_seconds()
        printed = child.stdout.read()
        used = 0.0 if gateway is None else gateway.cpu_seconds() - before
    if began != MEASURING or child.returncode:
        raise BenchError(f"the measurement of {told.kind} failed; what it printed is above")
    figures: dict[str, Any] = msgspec.json.decode(printed)
    if set(figures.get("statuses", {"200": 0})) != {"200"}:
        raise BenchError(f"the gateway answered {figures['statuses']}")
    figures["events_per_second"] = round(figures["events"] / figures["seconds"], 1)
    if gateway is None:
        used = figures["client_cores"] * figures["seconds"]
    done = figures["events"] or figures["requests"]
    figures["cpu_seconds_per_million"] = round(used / done * 1e6, 2)
    return figures


@contextmanager
def _topics(kafka: KafkaSettings) -> Iterator[KafkaSettings]:
    """Topics under a prefix of their own; gone afterwards."""
    own = kafka.model_copy(update={"topic_prefix": f"bench-{secrets.token_hex(4)}-"})
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    try:
        admin.list_topics(timeout=5)
    except KafkaException as error:
        raise BenchError(f"No broker at {kafka.bootstrap}; `millrace up --only kafka --detach` starts one.") from error
    names = [NewTopic(own.topic_prefix + t.name, t.partitions, 1, config=t.configuration()) for t in ALL]
    for future in admin.create_topics(names).values():
        future.result(30)
    try:
        yield own
    finally:
        for future in admin.delete_topics([own.topic_prefix + topic.name for topic in ALL]).values():
            future.result(30)


@contextmanager
def _gateway(plan: GatewayPlan, kafka: KafkaSettings, folder: Path) -> Iterator[_Gateway]:
    """A gateway as it is set, but for where it listens and writes."""
    key = f"mr_{secrets.token_urlsafe(24)}"
    entry = {"source": "bench", "sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": ["write"]}
    (folder / "keys.json").write_text(json.dumps([entry]))
    port = free_port()
    environment = {
        **os.environ,
        "MILLRACE_HOME": str(folder),
        "MILLRACE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "MILLRACE_KAFKA_TOPIC_PREFIX": kafka.topic_prefix,
        "MILLRACE_GATEWAY_HOST": "127.0.0.1",
        "MILLRACE_GATEWAY_PORT": str(port),
        "MILLRACE_GATEWAY_KEYS_FILE": str(folder / "keys.json"),
        "MILLRACE_GATEWAY_WORKERS": str(plan.workers),
    }
    log = folder / "gateway.log"
    with log.open("wb") as out:
        child = subprocess.Popen([sys.executable, "-m", "ingestion"], env=environment, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"
    with answering(
        child,
        lambda: httpx.get(f"{url}/health/ready", timeout=5, trust_env=False),
        lambda: f"the gateway did not start:\n{log.read_text('utf-8')[-2000:]}",
        end_seconds=60,
    ) as process:
        yield _Gateway(url, key, process)


def _stored(kafka: KafkaSettings) -> int:
    """Records in the event topics."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "bench", "enable.auto.commit": False})
    try:
        stored = 0
        for topic in EVENT_TOPICS:
            for partition in range(topic.partitions):
                place = TopicPartition(kafka.topic_prefix + topic.name, partition)
                low, high = consumer.get_watermark_offsets(place, timeout=30)
                stored += high - low
        return stored
    finally:
        consumer.close()
