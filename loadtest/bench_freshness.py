"""How long a record takes to be seen: when it was handed to the producer, and when its epoch was found committed."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final

import adbc_driver_postgresql.dbapi as postgres
from confluent_kafka import KafkaError, Message, Producer

from contracts.settings import KafkaSettings, PostgresSettings
from contracts.topics import HEADER_RECEIVED_AT, HEADER_SOURCE
from loadtest.bench_errors import BenchError
from loadtest.records import RecordInWaiting

_POLL_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 300


class RecordSender:
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
        """Hand a record over; waits while the producer is full."""
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
        """Take in what the broker acknowledged; waits at most so long."""
        self._producer.poll(seconds)

    def flush(self) -> None:
        """Wait until everything is acknowledged."""
        if self._producer.flush(120):
            raise BenchError("the broker did not take all records within two minutes")


class EpochWatch:
    """Polls the ledger from outside and notes when each epoch could first be seen."""

    def __init__(self, store: PostgresSettings) -> None:
        self._store = store
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
        schema, url = self._store.db_schema, self._store.url.get_secret_value()
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

    def await_records(self, count: int, tell: Callable[[int], None] | None = None) -> None:
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
