"""What gateway workers tell against what a real broker has, as the books keep it."""

import json
import uuid
from contextlib import closing
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from contracts import topics
from contracts.settings import KafkaSettings, PostgresSettings
from processing import ledger
from processing.store import Store
from processing.tallies import TallyWatch
from stack.kafka import create_topics

pytestmark = pytest.mark.integration


def look(
    watch: TallyWatch, store: Store, *, answered: bool = True, seconds: float = 30
) -> tuple[dict[str, tuple[int, int]], int]:
    """What is kept of each topic after another look, and what the books are off by.

    A broker that is busy may not answer within a look's two seconds: then it is looked at again.
    """
    deadline = monotonic() + seconds
    while True:
        watch._looks._looked_at = -1000.0
        watch.look()
        if watch._looks._known is answered:
            break
        assert monotonic() < deadline
    with store.transaction() as transaction:
        rows = transaction.query("SELECT topic, acknowledged, stored FROM tallies").to_pylist()
        return {row["topic"]: (row["acknowledged"], row["stored"]) for row in rows}, ledger.residues(transaction)[
            "accepted"
        ]


class AfterAnOutage:
    """A consumer that gives first what it has of a time when the broker was away: an error for each of its tries."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer, self._tries = consumer, 3000

    def consume(self, most: int, timeout: float) -> list[Any]:
        if not self._tries:
            return self._consumer.consume(most, timeout=timeout)
        self._tries -= 1
        return [SimpleNamespace(error=lambda: KafkaError(KafkaError._TRANSPORT))]


def test_what_all_workers_have_answered_for_must_be_in_the_topics(
    kafka_bootstrap: str, postgres: PostgresSettings, store: Store
) -> None:
    prefix = f"t{uuid.uuid4().hex}-"
    create_topics(kafka_bootstrap, topics.ALL, prefix)
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "acks": "all"})

    def tell(worker: bytes, **acknowledged: int) -> None:
        producer.produce(prefix + topics.TALLIES.name, json.dumps(acknowledged).encode(), worker)
        assert producer.flush(10) == 0

    for number in range(5):
        producer.produce(prefix + topics.CLICKSTREAM.name, b"x", partition=number % 2)
    producer.produce(prefix + topics.REJECTED.name, b"x")
    tell(b"one", clickstream=1)
    tell(b"one", clickstream=3, rejected=1)  # says again what it said before
    for poison in (b"\xff no tally", b'{"clickstream": "many"}', None):
        producer.produce(prefix + topics.TALLIES.name, poison, b"three")
    tell(b"two", clickstream=2)
    settings = KafkaSettings(bootstrap=kafka_bootstrap, topic_prefix=prefix)
    with closing(TallyWatch(settings, postgres)) as watch, closing(TallyWatch(settings, postgres)) as again:
        assert look(watch, store) == ({"clickstream": (5, 5), "transactions": (0, 0), "rejected": (1, 1)}, 0)

        producer.produce(prefix + topics.TRANSACTIONS.name, b"not from the gateway")
        tell(b"two", clickstream=4, rejected=1)  # as it would look if the broker had lost its last records
        lost = {"clickstream": (7, 5), "transactions": (0, 1), "rejected": (2, 1)}
        assert look(watch, store) == (lost, 3)
        again.__dict__["_consumer"] = AfterAnOutage(again._consumer)
        assert look(again, store, seconds=10) == (lost, 3)


def test_a_broker_that_is_away_changes_nothing(postgres: PostgresSettings, store: Store) -> None:
    watch = TallyWatch(KafkaSettings(bootstrap="127.0.0.1:9", topic_prefix="t-"), postgres)
    assert look(watch, store, answered=False) == ({}, 0)
