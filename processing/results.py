"""The topic `analytics-results`: every row that an epoch changed, as it stands after the epoch.

Values are absolute, so a consumer that sees one twice, or only the last (the topic is compacted), ends up the same.
Publishing has a thread of its own: nobody's number waits for it. What a crash takes with it is published again at the
next start (`processing.undelivered`).
"""

from collections.abc import Callable, Iterator, Sequence
from math import inf
from time import monotonic
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
from processing.projection import Projection

log = structlog.get_logger()

_FLUSH_SECONDS: Final = 10.0
_ROOM_SECONDS: Final = 0.1


class ResultsPublisher:
    """Publishes changed rows. A row that Kafka does not take is logged and counted: the tables are the truth.

    `count_failure` is called for each such row. While `most_queued` rows wait for the broker, the next one waits, too.
    """

    def __init__(
        self, kafka: KafkaSettings, count_failure: Callable[[], None] = lambda: None, *, most_queued: int = 200_000
    ) -> None:
        self._topic = kafka.topic_prefix + RESULTS.name
        self._handover = Handover()
        self._count_failure = count_failure
        self._give_up_at = inf
        self._published = 0
        self._failed = False
        self.delivered = 0
        """The topic has every row through this epoch, as far as this process knows."""
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "linger.ms": 20,
                "compression.type": "lz4",
                "queue.buffering.max.messages": most_queued,
                "message.timeout.ms": 0,  # as long as it takes: the stream waits for the same broker
            }
        )

    def publish(self, epoch: int, merged: Sequence[Merged]) -> None:
        """Publish what an epoch changed. Waits only while the epoch before it is still being published."""
        self._handover.put(self._publish, epoch, merged)

    def publish_rows(self, projection: Projection, rows: pa.Table) -> None:
        """Publish rows of a projection's table, each as of its `last_epoch`."""
        self._handover.put(self._publish_rows, projection, rows)

    def bury(self, keys: Sequence[str]) -> None:
        """Publish that there are no rows of these keys of the topic any more."""
        self._handover.put(self._bury, keys)

    def begin(self, delivered: int) -> None:
        """What the topic had through this epoch it has; what came after it is about to be published again."""
        self._handover.put(self._begin, delivered)

    def published_through(self, epoch: int) -> None:
        """All rows through this epoch were handed over."""
        self._handover.put(self._note, epoch)

    def _publish(self, epoch: int, merged: Sequence[Merged]) -> None:
        self._look()
        for each in merged:
            name = each.projection.name
            for key, row in self._texts(each.projection.table, each.written):
                self._produce(f"{name}:{key}", f'{{"projection":"{name}","epoch":{epoch},"key":{key},"row":{row}}}')
            self._bury(keys_gone(each))  # the row was joined into another
        self._note(epoch)

    def _publish_rows(self, projection: Projection, rows: pa.Table) -> None:
        name = projection.name
        texts = self._texts(projection.table, rows)
        for epoch, (key, row) in zip(rows["last_epoch"].to_pylist(), texts, strict=True):
            self._produce(f"{name}:{key}", f'{{"projection":"{name}","epoch":{epoch},"key":{key},"row":{row}}}')

    def _bury(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._produce(key, None)

    def _begin(self, delivered: int) -> None:
        self._producer.flush(_FLUSH_SECONDS)
        self._failed, self.delivered, self._published = False, delivered, delivered

    def _note(self, epoch: int) -> None:
        self._published = epoch
        self._look()

    def _look(self) -> None:
        """Hear of deliveries. When none is outstanding, the topic has all that was handed over."""
        self._producer.poll(0)
        if not len(self._producer) and not self._failed:
            self.delivered = self._published

    @staticmethod
    def _texts(table: Table, rows: pa.Table) -> Iterator[tuple[str, str]]:
        """Key and row of each row as JSON texts."""
        if not rows.num_rows:
            return iter(())
        keys = [column.name for column in table.primary_key]
        shown = [name for name in rows.column_names if _is_shown(table, name)]
        return zip(objects(rows.select(keys)), objects(rows.select(shown)), strict=True)

    def _produce(self, key: str, value: str | None) -> None:
        while monotonic() < self._give_up_at:
            try:
                self._producer.produce(
                    self._topic,
                    value.encode() if value is not None else None,
                    key=key.encode(),
                    on_delivery=self._delivered,
                )
            except BufferError:
                self._producer.poll(_ROOM_SECONDS)
            except KafkaException as error:  # it never takes this row: to try again would be for nothing
                self._tell_failure(error.args[0])
                return
            else:
                return
        self._failed = True

    def close(self) -> None:
        """Deliver what is queued, in seconds; what is left is published again at the next start."""
        self._give_up_at = monotonic() + _FLUSH_SECONDS
        self._handover.close()
        self._producer.flush(_FLUSH_SECONDS)

    def _delivered(self, error: KafkaError | None, _message: Message | None = None) -> None:
        if error is not None:
            self._failed = True
            self._tell_failure(error)

    def _tell_failure(self, error: KafkaError) -> None:
        self._count_failure()
        log.warning("result_not_delivered", error=error.str())


def keys_gone(merged: Merged) -> list[str]:
    """The topic's keys of the rows that are no longer there."""
    if not merged.gone.num_rows:
        return []
    return [f"{merged.projection.name}:{key}" for key in objects(merged.gone)]


def _is_shown(table: Table, name: str) -> bool:
    """Sketches and the texts that only merges read are left out."""
    return not isinstance(table.columns[name].type, LargeBinary | ARRAY) and not name.endswith("_key")
