"""Consumer lag: how many records the broker has that no committed epoch has read, by topic.

Asked of the broker and held against the ledger's position, not told by Spark: it is right while the query hangs, too.
"""

from functools import cached_property
from typing import Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from contracts.settings import KafkaSettings
from processing.ledger import Offsets
from processing.looks import Looks
from processing.metrics import EpochMetrics
from processing.source import READ_TOPICS

_BROKER_SECONDS: Final = 2.0
_LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class LagWatch:
    """Looks at the broker every few seconds; one that does not answer is left for the next look."""

    def __init__(self, kafka: KafkaSettings, metrics: EpochMetrics) -> None:
        self._prefix = kafka.topic_prefix
        self._metrics = metrics
        self._bootstrap = kafka.bootstrap
        self._looks = Looks("lag_unknown", KafkaException)

    def look(self, read: Offsets) -> None:
        """Tell the lag behind these offsets (next to be read, by topic and partition), if it is time to."""
        self._looks.take(lambda: self._tell(read))

    def _tell(self, read: Offsets) -> None:
        for topic in READ_TOPICS:
            self._metrics.observe_behind(topic, self._behind(topic, read.get(topic, {})))

    @cached_property
    def _admin(self) -> AdminClient:
        # The client would log each of its tries while the broker is away; the query says that already.
        return AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 0})

    def _behind(self, topic: str, read: dict[int, int]) -> int:
        """Of the partitions that the ledger knows: the first epoch makes it know all that have records."""
        partitions = {TopicPartition(self._prefix + topic, number): number for number in read}
        if not partitions:
            return 0
        wanted: dict[TopicPartition, OffsetSpec] = dict.fromkeys(partitions, _LATEST)
        latest = self._admin.list_offsets(wanted, request_timeout=_BROKER_SECONDS)
        ends = {partition.partition: future.result(_BROKER_SECONDS).offset for partition, future in latest.items()}
        return sum(max(0, ends[number] - read[number]) for number in partitions.values())
