"""`millrace bench processing`: how fresh what processing serves is at a rate, and how fast it drains a backlog.

Records go straight into Kafka, as the gateway would write them, so that nothing but processing is measured. Freshness
is seen from outside, by a reader that polls Postgres: from the moment a record was handed to the producer until the poll
that finds its epoch committed. A processing part of its own is started for it, on topics, a schema and a folder of its
own; the broker and the database are those of the settings.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import adbc_driver_postgresql.dbapi as postgres
import psutil
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from rich.progress import Progress

from contracts.settings import KafkaSettings, PostgresSettings
from contracts.topics import ALL, HEADER_RECEIVED_AT, HEADER_SOURCE
from loadtest.machine import describe_machine
from loadtest.records import RecordInWaiting, RecordMaker
from loadtest.shop import Shop
from schemas_avro import load_registry

_POLL_SECONDS: Final = 0.02
_SAMPLED: Final = 20
"""Of so many records the freshness of one is measured."""
_START_SECONDS: Final = 120
_PATIENCE_SECONDS: Final = 300


@dataclass(frozen=True)
class BenchPlan:
    """One run. A rate of 0 measures no freshness, a backlog of 0 no drain."""

    rate: float
    """Records per second."""
    seconds: float
    backlog: int
    """Records that are in Kafka before processing starts."""
    backlog_rate: float
    """Records per second of event time in the backlog: how long the outage was that made it."""
    seed: int
    jars: Path


class BenchError(Exception):
    """The run could not be made."""


@dataclass
class Ground:
    """A place of its own in the broker and the database."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    folder: Path
    jars: Path
    port: int

    @property
    def log(self) -> Path:
        return self.folder / "processing.log"

    @contextmanager
    def processing(self, *, warm_up: bool) -> Iterator[psutil.Process]:
        """The part as a process, from its start to its end."""
        env = os.environ | {
            "MILLRACE_HOME": str(self.folder),
            "MILLRACE_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "MILLRACE_KAFKA_TOPIC_PREFIX": self.kafka.topic_prefix,
            "MILLRACE_POSTGRES_URL": self.postgres.url.get_secret_value(),
            "MILLRACE_POSTGRES_DB_SCHEMA": self.postgres.db_schema,
            "MILLRACE_LOG_PATH": str(self.folder / "delta"),
            "MILLRACE_PROCESSING_JARS": str(self.jars),
            "MILLRACE_PROCESSING_CHECKPOINT": str(self.folder / "checkpoint"),
            "MILLRACE_PROCESSING_PORT": str(self.port),
        }
        if not warm_up:
            env["MILLRACE_PROCESSING_WARM_UP_SECONDS"] = "0"
        with self.log.open("wb") as log:
            child = subprocess.Popen([sys.executable, "-m", "processing"], env=env, stdout=log, stderr=log)
            try:
                yield psutil.Process(child.pid)
            finally:
                child.terminate()
                child.wait(60)

    def await_query(self, process: psutil.Process) -> None:
        """Wait until the query reads."""
        deadline = time.monotonic() + _START_SECONDS
        while not any(line.get("event") == "query_started" for line in self.lines()):
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE or time.monotonic() > deadline:
                raise BenchError(f"processing did not start:\n{self.log.read_text('utf-8')[-2000:]}")
            time.sleep(0.1)

    def lines(self) -> list[dict[str, Any]]:
        """The part's log."""
        texts = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        return [json.loads(text) for text in texts if text.startswith("{") and text.endswith("}")]


def run_bench(plan: BenchPlan, kafka: KafkaSettings, store: PostgresSettings, progress: Progress) -> dict[str, Any]:
    """Run it and give its figures. Raises BenchError."""
    figures: dict[str, Any] = {"machine": describe_machine(), "seed": plan.seed}
    if plan.rate:
        with _ground(kafka, store, plan.jars) as ground:
            figures["live"] = _live(plan, ground, progress)
    if plan.backlog:
        with _ground(kafka, store, plan.jars) as ground:
            figures["drain"] = _drain(plan, ground, progress)
    return figures


@contextmanager
def _ground(kafka: KafkaSettings, store: PostgresSettings, jars: Path) -> Iterator[Ground]:
    name = f"bench_{uuid.uuid4().hex[:12]}"
    own_kafka = kafka.model_copy(update={"topic_prefix": f"{name}-"})
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    topics = [own_kafka.topic_prefix + topic.name for topic in ALL]
    made = admin.create_topics(
        [
            NewTopic(own_kafka.topic_prefix + topic.name, topic.partitions, 1, config=topic.configuration())
            for topic in ALL
        ]
    )
    for future in made.values():
        future.result(30)
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
        own_store = store.model_copy(update={"db_schema": name})
        try:
            yield Ground(own_kafka, own_store, Path(folder), jars, port=7399)
        finally:
            for future in admin.delete_topics(topics).values():
                future.result(30)
            with postgres.connect(store.url.get_secret_value()) as connection, connection.cursor() as cursor:
                cursor.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
                connection.commit()


def _live(plan: BenchPlan, ground: Ground, progress: Progress) -> dict[str, Any]:
    count = int(plan.rate * plan.seconds)
    waiting = _made(plan, plan.rate, count, progress)
    with ground.processing(warm_up=True) as process:
        ground.await_query(process)
        epochs = _EpochWatch(ground)
        sender = _Sender(ground.kafka)
        before, began = _cpu_seconds(), time.time()
        task = progress.add_task(f"sending {plan.rate:,.0f}/s", total=count)
        start_ms = int(began * 1000)
        for number, record in enumerate(waiting):
            while (ahead := record.at_ms / 1000 - (time.time() - began)) > 0.005:
                sender.poll(min(ahead, 0.01))
            sender.send(record, start_ms, sampled=number % _SAMPLED == 0)
            if number % 5_000 == 0:
                sender.poll(0)
                progress.update(task, completed=number)
        sent_seconds = time.time() - began
        sender.flush()
        epochs.await_records(count)
        cpu = _since(before, _cpu_seconds())
        fresh = sorted(epochs.freshness(sender.sampled))
        memory = _memory(process)
    return {
        "rate": round(count / sent_seconds),
        "seconds": round(sent_seconds, 1),
        "records": count,
        "freshness_seconds": {name: round(_quantile(fresh, q), 3) for name, q in _QUANTILES.items()},
        "epochs": epochs.count,
        "phases_median_seconds": _phases(ground),
        "cpu_seconds_per_million": {name: round(value / count * 1e6, 1) for name, value in cpu.items()},
        "processing_rss_mib": memory,
    }


def _drain(plan: BenchPlan, ground: Ground, progress: Progress) -> dict[str, Any]:
    waiting = _made(plan, plan.backlog_rate, plan.backlog, progress)
    start_ms = int((time.time() - plan.backlog / plan.backlog_rate - 60) * 1000)
    sender = _Sender(ground.kafka)
    for record in waiting:
        sender.send(record, start_ms, sampled=False)
    sender.flush()
    del waiting
    before, began = _cpu_seconds(), time.time()
    with ground.processing(warm_up=False) as process:
        ground.await_query(process)
        started = time.time()
        epochs = _EpochWatch(ground)
        task = progress.add_task("draining", total=plan.backlog)
        epochs.await_records(plan.backlog, lambda records: progress.update(task, completed=records))
        ended = time.time()
        cpu, memory = _since(before, _cpu_seconds()), _memory(process)
    return {
        "records": plan.backlog,
        "seconds": round(ended - started, 2),
        "records_per_second": round(plan.backlog / (ended - started)),
        "with_start_seconds": round(ended - began, 2),
        "epochs": epochs.count,
        "phases_total_seconds": _phases(ground, total=True),
        "cpu_seconds_per_million": {name: round(value / plan.backlog * 1e6, 1) for name, value in cpu.items()},
        "processing_rss_mib": memory,
    }


def _made(plan: BenchPlan, rate: float, count: int, progress: Progress) -> list[RecordInWaiting]:
    maker, events = RecordMaker(load_registry()), Shop(plan.seed, products=1_000, regulars=50_000).events(rate)
    task = progress.add_task("making records", total=count)
    made = []
    for number in range(count):
        made.append(maker.make(next(events)))
        if number % 5_000 == 0:
            progress.update(task, completed=number)
    progress.update(task, completed=count)
    return made


class _Sender:
    """Writes records as the gateway does, and remembers where the sampled ones went and when."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._prefix = kafka.topic_prefix
        self.sampled: list[tuple[str, int, int, float]] = []
        """Topic (without prefix), partition, offset and when it was handed over, in Unix seconds."""
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "linger.ms": 5,
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 2_000_000,
                "queue.buffering.max.kbytes": 1_000_000,
            }
        )

    def send(self, record: RecordInWaiting, start_ms: int, *, sampled: bool) -> None:
        now = time.time()
        headers: list[tuple[str, str | bytes | None]] = [
            (HEADER_SOURCE, b"bench"),
            (HEADER_RECEIVED_AT, str(int(now * 1000)).encode()),
        ]

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                topic = str(message.topic())[len(self._prefix) :]
                self.sampled.append((topic, int(message.partition() or 0), int(message.offset() or 0), now))

        value = record.value(start_ms)
        extra: dict[str, Any] = {"on_delivery": delivered} if sampled else {}
        while True:
            try:
                self._producer.produce(self._prefix + record.topic, value, key=record.key, headers=headers, **extra)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def poll(self, seconds: float) -> None:
        self._producer.poll(seconds)

    def flush(self) -> None:
        if self._producer.flush(120):
            raise BenchError("the broker did not take all records within two minutes")


class _EpochWatch:
    """Polls the ledger from outside and notes when each epoch could first be seen."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._seen: list[tuple[dict[str, dict[str, list[int]]], float]] = []
        self.records = 0
        self._newest = 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._ended = threading.Event()
        self._thread.start()

    @property
    def count(self) -> int:
        """How many epochs were seen."""
        return len(self._seen)

    def _watch(self) -> None:
        schema, url = self._ground.postgres.db_schema, self._ground.postgres.url.get_secret_value()
        with postgres.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
            while not self._ended.wait(_POLL_SECONDS):
                cursor.execute(
                    f'SELECT epoch, records, offsets::text FROM "{schema}".epochs WHERE epoch > $1 ORDER BY epoch',  # noqa: S608 - our own name
                    parameters=(self._newest,),
                )
                rows, now = cursor.fetchall(), time.time()
                for epoch, records, offsets in rows:
                    self._seen.append((json.loads(offsets), now))
                    self.records += records
                    self._newest = epoch

    def await_records(self, count: int, tell: Any = None) -> None:
        """Wait until the ledger has so many records."""
        last, moved = -1, time.monotonic()
        while self.records < count:
            if self.records != last:
                last, moved = self.records, time.monotonic()
            if time.monotonic() - moved > _PATIENCE_SECONDS or not self._thread.is_alive():
                raise BenchError(f"processing stands at {self.records:,} of {count:,} records")
            if tell is not None:
                tell(self.records)
            time.sleep(0.05)
        self._ended.set()
        self._thread.join()

    def freshness(self, sampled: list[tuple[str, int, int, float]]) -> Iterator[float]:
        """Seconds from hand-over to sight, of each sampled record."""
        spans: dict[tuple[str, int], list[tuple[int, int, float]]] = defaultdict(list)
        for offsets, seen_at in self._seen:
            for topic, partitions in offsets.items():
                for partition, (first, until) in partitions.items():
                    spans[topic, int(partition)].append((first, until, seen_at))
        for name, number, offset, sent_at in sampled:
            for first, until, seen_at in spans[name, number]:
                if first <= offset < until:
                    yield seen_at - sent_at
                    break


_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _phases(ground: Ground, *, total: bool = False) -> dict[str, float]:
    spent: dict[str, list[float]] = defaultdict(list)
    for line in ground.lines():
        if line.get("event") == "epoch_committed":
            for phase, seconds in line["seconds"].items():
                spent[phase].append(seconds)
    return {
        phase: round(sum(values) if total else _quantile(sorted(values), 0.5), 3) for phase, values in spent.items()
    }


def _cpu_seconds() -> dict[str, float]:
    """CPU seconds so far by what ran: of processes that belong to the run."""
    spent: dict[str, float] = defaultdict(float)
    for process in psutil.process_iter(["cmdline", "cpu_times"]):
        times, line = process.info["cpu_times"], " ".join(process.info["cmdline"] or ())
        kind = _kind(line)
        if times is not None and kind is not None:
            spent[kind] += times.user + times.system
    return spent


def _kind(line: str) -> str | None:
    for part, mark in {
        "processing": "-m processing",
        "spark": "org.apache.spark.deploy",
        "kafka": "kafka.Kafka",
        "postgres": "postgres",
        "generator": "loadtest bench",
    }.items():
        if mark in line:
            return part
    return None


def _since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {kind: after[kind] - before.get(kind, 0.0) for kind in after}


def _memory(process: psutil.Process) -> int:
    members = [process, *process.children(recursive=True)]
    return round(sum(member.memory_info().rss for member in members) / 2**20)
