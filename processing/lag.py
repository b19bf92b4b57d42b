"""Consumer lag: how many records the broker has that no committed epoch has read, by topic.

Asked of the broker and held against the ledger's position, not told by Spark: it is right while the query hangs, too.
"""

from math import nan

from confluent_kafka import KafkaException

from contracts.settings import KafkaSettings
from processing.ends import Ends
from processing.ledger import Offsets
from processing.looks import Looks
from processing.metrics import EpochMetrics
from processing.source import READ_TOPICS


class LagWatch:
    """Looks at the broker every few seconds; while it does not answer, nobody knows how far behind it all is."""

    def __init__(self, kafka: KafkaSettings, metrics: EpochMetrics) -> None:
        self._prefix = kafka.topic_prefix
        self._metrics = metrics
        self._ends = Ends(kafka.bootstrap)
        self._looks = Looks("lag_unknown", KafkaException)

    def look(self, read: Offsets) -> None:
        """Tell the lag behind these offsets (next to be read, by topic and partition), if it is time to."""
        self._looks.take(lambda: self._tell(read))

    def _tell(self, read: Offsets) -> None:
        try:
            for topic in READ_TOPICS:
                self._metrics.observe_behind(topic, self._behind(topic, read.get(topic, {})))
        except KafkaException:
            for topic in READ_TOPICS:
                self._metrics.observe_behind(topic, nan)
            raise

    def _behind(self, topic: str, read: dict[int, int]) -> int:
        """Of the partitions that the ledger knows: the first epoch makes it know all that have records."""
        ends = self._ends.of(self._prefix + topic) if read else {}
        return sum(max(0, ends[number] - offset) for number, offset in read.items() if number in ends)
