"""The gateway's side of the books: what its workers have answered for, held against what Kafka has.

Each worker tells how many records of a topic it has had acknowledged (`contracts.topics.TALLIES`). End offsets that are
read after its word must come to as much, or Kafka has lost what was accepted: the one loss that no epoch can see.
"""

from collections import Counter
from functools import cached_property
from time import monotonic
from typing import Final

import msgspec
import structlog
from adbc_driver_manager import Error
from confluent_kafka import Consumer, KafkaException, TopicPartition

from contracts.settings import KafkaSettings, PostgresSettings
from contracts.topics import TALLIES
from processing.ends import Ends
from processing.looks import Looks
from processing.source import READ_TOPICS
from processing.store import Beside

log = structlog.get_logger()

_BROKER_SECONDS: Final = 2.0
_READ_TOGETHER: Final = 1000

_KEEP: Final = """
    INSERT INTO tallies AS t (topic, acknowledged, stored, told_at) VALUES ($1, $2, $3, clock_timestamp())
    ON CONFLICT (topic) DO UPDATE SET acknowledged = excluded.acknowledged, stored = excluded.stored,
      told_at = excluded.told_at
    WHERE (t.acknowledged, t.stored) <> (excluded.acknowledged, excluded.stored)
"""


class TallyWatch:
    """Looks every few seconds; a broker or database that does not answer is left for the next look."""

    def __init__(self, kafka: KafkaSettings, postgres: PostgresSettings) -> None:
        self._kafka = kafka
        self._store = Beside(postgres)
        self._ends = Ends(kafka.bootstrap)
        self._workers: dict[bytes, dict[str, int]] = {}
        self._next = 0
        self._looks = Looks("tallies_unknown", KafkaException, Error)

    def look(self) -> None:
        """Write down what is told and stored by now, if it is time to."""
        self._looks.take(self._write_down)

    def close(self) -> None:
        """Give the connection back."""
        self._store.close()

    def _write_down(self) -> None:
        self._read()
        acknowledged = sum((Counter(told) for told in self._workers.values()), Counter[str]())
        stored = {topic: sum(self._ends.of(self._kafka.topic_prefix + topic).values()) for topic in READ_TOPICS}
        with self._store.transaction() as transaction:
            for topic, records in stored.items():
                transaction.execute(_KEEP, (topic, acknowledged[topic], records))

    @cached_property
    def _consumer(self) -> Consumer:
        name = self._kafka.topic_prefix + TALLIES.name
        consumer = Consumer(
            {
                "bootstrap.servers": self._kafka.bootstrap,
                "group.id": name,
                "enable.auto.commit": False,
                "log_level": 0,  # its tries while the broker is away; the query says that already
            }
        )
        consumer.assign([TopicPartition(name, 0, 0)])
        return consumer

    def _read(self) -> None:
        """All that was told since the last look; of a worker its last word."""
        name = self._kafka.topic_prefix + TALLIES.name
        end = self._ends.of(name).get(0, 0)
        deadline, fault = monotonic() + _BROKER_SECONDS, None
        while self._next < end and monotonic() < deadline:
            for message in self._consumer.consume(_READ_TOGETHER, timeout=0.1):
                if (error := message.error()) is not None:
                    fault = error  # it may be one of many, all of a time when the broker was away
                    continue
                offset = message.offset()
                assert offset is not None
                self._next = offset + 1
                try:
                    told = msgspec.json.decode(message.value() or b"", type=dict[str, int])
                except msgspec.DecodeError as error:  # somebody else's: the stream must not end of it
                    log.warning("tally_unreadable", offset=offset, error=str(error))
                else:
                    self._workers[message.key() or b""] = told
        if self._next < end and fault is not None:
            raise KafkaException(fault)
