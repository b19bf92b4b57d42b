"""From Kafka to tables and event log without Spark: real broker and store, and epochs that are run by hand."""

import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from deltalake import DeltaTable
from pydantic import SecretStr
from typer.testing import CliRunner
from typer.testing import Result as Called

from contracts import topics
from contracts.settings import KafkaSettings, PostgresSettings, ShopSettings
from processing.arrow_types import typed
from processing.batch import EVENT_LOG
from processing.cli import app
from processing.decode import Decoder
from processing.deltas import DuckDeltas
from processing.enrichment.enrich import Enricher
from processing.epoch import EpochRunner
from processing.erase.run import Erasure
from processing.event_log import EventLog
from processing.judge import Judge
from processing.ledger import Offsets
from processing.maintenance.rolling import RollUps
from processing.metrics import EpochMetrics
from processing.projections import build_projections
from processing.rebuild.plan import Plan, Span, choose
from processing.rebuild.run import Rebuild, Result
from processing.reread import EpochReader
from processing.restore.run import Restore, Restored
from processing.results import ResultsPublisher
from processing.settings import ProcessingSettings
from processing.source import READ_TOPICS, Ranges, read_ranges
from processing.store import Store, Transaction, connect
from stack.kafka import create_topics
from tests.processing.builders import REGISTRY, Event, framed, headers, topic_of
from tests.processing.expected import Rows, spelled
from tests.processing.log_rows import Row

SHOP = ShopSettings()
PROJECTIONS = build_projections(SHOP)
ENRICHER = Enricher()
"""One for all: it takes a third of a second to read the rules by which it knows browsers."""


@dataclass(frozen=True)
class Place:
    """Where a processor reads and writes."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    home: Path

    @property
    def log_path(self) -> Path:
        """The Delta tables."""
        return self.home / "delta"

    def reader(self) -> EpochReader:
        """What a batch verb reads committed epochs with."""
        return EpochReader(Decoder(REGISTRY), Judge(SHOP), ENRICHER, partial(read_ranges, self.kafka))

    def erase(self, user_id: str) -> dict[str, Any]:
        """Erase a person; returns the receipt."""
        return self.erasure().run(user_id)

    def erasure(self) -> Erasure:
        """An erasure of what is here."""
        return Erasure(
            self.postgres,
            self.log_path,
            self.home / "erase",
            projections=PROJECTIONS,
            reader=self.reader(),
            results=None,
            dedupe_horizon_seconds=3600,
            tell=lambda *_: None,
        )

    def rebuild(self, *names: str, span: Span | None = None, swap: bool = True) -> Result:
        """Rebuild what is here from the log."""
        return Rebuild(
            self.postgres,
            self.log_path,
            self.home / "rebuild",
            projections=PROJECTIONS,
            plan=Plan(choose(PROJECTIONS, names, span), span, swap),
            reader=self.reader(),
            tell=lambda *_: None,
        ).run()

    def restore(self) -> Restored:
        """Make the ledger again from the log and Kafka."""
        return Restore(
            self.postgres,
            self.kafka,
            self.log_path,
            self.home / "restore",
            projections=PROJECTIONS,
            shop=SHOP,
            settings=ProcessingSettings(checkpoint=self.home / "checkpoint"),
            reader=self.reader(),
            tell=lambda *_: None,
        ).run()

    def runner(
        self,
        store: Store,
        log_path: Path,
        log_interval_seconds: float = 3600.0,
        roll_ups: RollUps | None = None,
        results: ResultsPublisher | None = None,
    ) -> EpochRunner:
        """A new processor, ready for its next epoch, as after a crash."""
        runner = EpochRunner(
            store=store,
            event_log=EventLog(log_path, log_interval_seconds),
            decoder=Decoder(REGISTRY),
            judge=Judge(SHOP),
            enricher=ENRICHER,
            engine=DuckDeltas(),
            projections=PROJECTIONS,
            shop=SHOP,
            settings=ProcessingSettings(checkpoint=self.home / "checkpoint"),
            metrics=EpochMetrics(),
            results=results,
            roll_ups=roll_ups,
        )
        runner.resume()
        runner.repair(partial(read_ranges, self.kafka))
        return runner

    def unread(self, known: Offsets, at_most: int = 10**9) -> Ranges:
        """What there is in the topics after these offsets, of each partition at most so much."""
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "test"})
        ranges: Ranges = {}
        try:
            for name in READ_TOPICS:
                for partition in range(2):
                    place = TopicPartition(self.kafka.topic_prefix + name, partition)
                    first = known.get(name, {}).get(partition, 0)
                    end = min(_end(consumer, place), first + at_most)
                    if end > first:
                        ranges.setdefault(name, {})[partition] = (first, end)
        finally:
            consumer.close()
        return ranges


class Line:
    """A processor whose epochs are run by hand. `flush` appends to the event log, which otherwise waits."""

    def __init__(self, bootstrap: str, postgres_url: str, home: Path) -> None:
        name = f"t{uuid.uuid4().hex}"
        create_topics(bootstrap, topics.ALL, f"{name}-")
        self.kafka = KafkaSettings(bootstrap=bootstrap, topic_prefix=f"{name}-")
        self.postgres = PostgresSettings(url=SecretStr(postgres_url), db_schema=name)
        self.place = Place(self.kafka, self.postgres, home)
        self.log_path = self.place.log_path
        self._home = home
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1})
        self.store = Store(self.postgres)
        self.start()
        self._connection = connect(self.postgres, self.postgres.db_schema)

    @contextmanager
    def _beside(self) -> Iterator[Transaction]:
        """A transaction beside the processor's, always on the same connection."""
        try:
            with self._connection.cursor() as cursor:
                yield Transaction(cursor, set())
            self._connection.commit()
        except BaseException:
            self._connection.rollback()
            raise

    def start(self) -> None:
        """A new processor on the same store and log, as after a crash."""
        self.store.close()
        self.store = Store(self.postgres)
        self.runner = self.place.runner(self.store, self.log_path)

    def send(self, events: Iterable[Event], *, partition: int = 0) -> None:
        """Write records: events and rejections in their topics."""
        for event in events:
            self._produce(topic_of(event), framed(event), partition)
        assert self._producer.flush(30) == 0

    def send_raw(self, topic: str, value: bytes, *, partition: int = 0) -> None:
        """Write one record as it is."""
        self._produce(topic, value, partition)
        assert self._producer.flush(30) == 0

    def _produce(self, topic: str, value: bytes, partition: int) -> None:
        now_ms = int(time.time() * 1000)
        full = self.kafka.topic_prefix + topic
        self._producer.produce(full, value, partition=partition, headers=[*headers(now_ms)])

    def epoch(self, events: Sequence[Event] = ()) -> None:
        """Send, then fold all that the ledger has not read as one epoch."""
        self.send(events)
        records = read_ranges(self.kafka, self.place.unread(self.runner.position.next_offsets))
        if records.num_rows:
            self.runner.run(self.runner.judge(records))

    def flush(self) -> None:
        """Append what waits to the event log."""
        self.runner.flush_log()

    def query(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        """Rows of the store, read beside the processor."""
        with self._beside() as transaction:
            rows: list[dict[str, Any]] = transaction.query(sql, parameters).to_pylist()
            return rows

    def execute(self, sql: str, *parameters: object) -> None:
        """Change the store behind the processor's back."""
        with self._beside() as transaction:
            transaction.execute(sql, parameters)

    def held(self) -> dict[str, Rows]:
        """Every projection's table in the spelling of `expected`."""
        with self._beside() as transaction:
            return {
                projection.name: spelled(
                    projection.name, typed(transaction.query(f"SELECT * FROM {projection.name}"), projection.table)
                )
                for projection in PROJECTIONS
            }

    def logged(self) -> list[Row]:
        """The event log's rows."""
        table = DeltaTable(str(self.log_path / "events")).to_pyarrow_table()
        rows: list[Row] = table.select(EVENT_LOG.names).to_pylist()
        return rows

    def call(self, verb: str, *arguments: str, **environment: str) -> Called:
        """`python -m processing VERB` on these parts, in this process: starting one takes seconds each time."""
        return CliRunner().invoke(app, [verb, *arguments], env=self.environment() | environment)

    def environment(self) -> dict[str, str]:
        """Settings by which a verb finds the same parts."""
        return {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
            "MILLRACE_HOME": str(self._home),
            "MILLRACE_LOG_PATH": str(self.log_path),
            "MILLRACE_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "MILLRACE_KAFKA_TOPIC_PREFIX": self.kafka.topic_prefix,
            "MILLRACE_POSTGRES_URL": self.postgres.url.get_secret_value(),
            "MILLRACE_POSTGRES_DB_SCHEMA": self.postgres.db_schema,
        }

    def close(self) -> None:
        """Give the connections back and remove the log."""
        self._connection.close()
        self.store.close()
        shutil.rmtree(self.log_path, ignore_errors=True)


def last_line(called: Called) -> str:
    """What a verb printed last. Before that are the logs, which a process of its own writes elsewhere."""
    return called.stdout.splitlines()[-1]


def _end(consumer: Consumer, place: TopicPartition) -> int:
    """A topic just made may have no leader yet."""
    for _ in range(50):
        with suppress(KafkaException):
            _, end = consumer.get_watermark_offsets(place, timeout=10)
            return int(end)
        time.sleep(0.2)
    raise TimeoutError(f"{place.topic} has no leader")
