"""Where topics end, asked of the broker. Not through a consumer: on its connection every question waits until the
fetch under way has waited for records, half a second each time."""

from functools import cached_property
from typing import Final

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

_BROKER_SECONDS: Final = 2.0
_LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class Ends:
    """Asks; a broker that does not answer within seconds is a KafkaException."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient(
            {
                "bootstrap.servers": self._bootstrap,
                # It would log each of its tries while the broker is away; the query says that already.
                "log_level": 0,
                # After an outage it would wait for up to ten seconds between tries, longer than a question may take.
                "reconnect.backoff.max.ms": 1000,
            }
        )

    def of(self, topic: str) -> dict[int, int]:
        """The offset after the last record, by partition."""
        # Asked for each time: what the client remembers of partitions is minutes old, and a broker that was started
        # again since refuses whoever names the leader of before, for as long as it is remembered.
        partitions = self._admin.list_topics(topic, timeout=_BROKER_SECONDS).topics[topic].partitions
        wanted = {TopicPartition(topic, number): _LATEST for number in partitions}
        if not wanted:
            return {}
        answers = self._admin.list_offsets(wanted, request_timeout=_BROKER_SECONDS)
        # The request has a time limit of its own, with a KafkaException at its end.
        return {partition.partition: answer.result().offset for partition, answer in answers.items()}
