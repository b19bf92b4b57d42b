"""The topic `analytics-results`: every row that an epoch changed, as it stands after the epoch.

Values are absolute, so a consumer that sees one twice, or only the last (the topic is compacted), ends up the same.
"""

import json
from typing import Final

import pyarrow as pa
import structlog
from confluent_kafka import KafkaError, Message, Producer

from contracts.settings import KafkaSettings
from contracts.topics import RESULTS

log = structlog.get_logger()

_FLUSH_SECONDS: Final = 10.0


class ResultsPublisher:
    """Publishes changed rows. A row that cannot be delivered is logged and counted: the tables are the truth."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._topic = kafka.topic_prefix + RESULTS.name
        self.failed = 0
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "linger.ms": 20,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 200_000,
                "message.timeout.ms": 30_000,
            }
        )

    def publish(self, epoch: int, projection: str, changed: pa.Table) -> None:
        """Queue an epoch's changed rows of one projection: columns `key` and `row`, JSON texts.

        A row that is gone (a session that was joined to an earlier one) is published as a tombstone.
        """
        for key, row in zip(changed["key"].to_pylist(), changed["row"].to_pylist(), strict=True):
            value = _value(epoch, projection, key, row) if row is not None else None
            try:
                self._producer.produce(
                    self._topic, value, key=f"{projection}:{key}".encode(), on_delivery=self._delivered
                )
            except BufferError:
                self.failed += 1
        self._producer.poll(0)

    def close(self) -> None:
        """Deliver what is queued."""
        self._producer.flush(_FLUSH_SECONDS)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self.failed += 1
            log.warning("result_not_delivered", error=error.str())


def _value(epoch: int, projection: str, key: str, row: str) -> bytes:
    return f'{{"projection":{json.dumps(projection)},"epoch":{epoch},"key":{key},"row":{row}}}'.encode()
