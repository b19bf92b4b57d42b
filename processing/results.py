"""The topic `analytics-results`: every row that an epoch changed, as it stands after the epoch.

Values are absolute, so a consumer that sees one twice, or only the last (the topic is compacted), ends up the same.
Publishing has a thread of its own: nobody's number waits for it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pyarrow as pa
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from sqlalchemy import LargeBinary, Table
from sqlalchemy.dialects.postgresql import ARRAY

from contracts.settings import KafkaSettings
from contracts.topics import RESULTS
from processing.handover import Handover
from processing.json_texts import objects
from processing.merge import Merged

log = structlog.get_logger()

_FLUSH_SECONDS: Final = 10.0


class ResultsPublisher:
    """Publishes changed rows. A row that cannot be delivered is logged and counted: the tables are the truth.

    `count_failure` is called for each such row.
    """

    def __init__(self, kafka: KafkaSettings, count_failure: Callable[[], None] = lambda: None) -> None:
        self._topic = kafka.topic_prefix + RESULTS.name
        self._handover = Handover()
        self._count_failure = count_failure
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "linger.ms": 20,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 200_000,
                "message.timeout.ms": 30_000,
            }
        )

    def publish(self, epoch: int, merged: Sequence[Merged]) -> None:
        """Publish what an epoch changed. Waits only while the epoch before it is still being published."""
        self._handover.put(self._publish, epoch, merged)

    def _publish(self, epoch: int, merged: Sequence[Merged]) -> None:
        for each in merged:
            name = each.projection.name
            for key, row in self._texts(each.projection.table, each.written):
                self._produce(f"{name}:{key}", f'{{"projection":"{name}","epoch":{epoch},"key":{key},"row":{row}}}')
            for key, _ in self._texts(each.projection.table, each.gone):
                self._produce(f"{name}:{key}", None)  # a tombstone: the row was joined into another
        self._producer.poll(0)

    @staticmethod
    def _texts(table: Table, rows: pa.Table) -> Iterator[tuple[str, str]]:
        """Key and row of each row as JSON texts."""
        if not rows.num_rows:
            return iter(())
        keys = [column.name for column in table.primary_key]
        shown = [name for name in rows.column_names if _is_shown(table, name)]
        return zip(objects(rows.select(keys)), objects(rows.select(shown)), strict=True)

    def _produce(self, key: str, value: str | None) -> None:
        try:
            self._producer.produce(
                self._topic,
                value.encode() if value is not None else None,
                key=key.encode(),
                on_delivery=self._delivered,
            )
        except BufferError:
            self._count_failure()
        except KafkaException as error:
            self._delivered(error.args[0])

    def close(self) -> None:
        """Deliver what is queued."""
        self._handover.close()
        self._producer.flush(_FLUSH_SECONDS)

    def _delivered(self, error: KafkaError | None, _message: Message | None = None) -> None:
        if error is not None:
            self._count_failure()
            log.warning("result_not_delivered", error=error.str())


def _is_shown(table: Table, name: str) -> bool:
    """Sketches and the texts that only merges read are left out."""
    return not isinstance(table.columns[name].type, LargeBinary | ARRAY) and not name.endswith("_key")
