"""Where the query begins, asked of a real broker: at the ledger's end, or not at all."""

import json
import uuid

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.settings import KafkaSettings
from contracts.topics import ALL
from processing.errors import LogGapError, RetryableError
from processing.source import starting_offsets
from stack.kafka import create_topics

pytestmark = pytest.mark.integration

RECORDS = 10


@pytest.fixture
def kafka(kafka_bootstrap: str) -> KafkaSettings:
    """Topics of its own; partition 0 of clickstream holds ten records."""
    settings = KafkaSettings(bootstrap=kafka_bootstrap, topic_prefix=f"source-{uuid.uuid4().hex[:8]}-")
    create_topics(kafka_bootstrap, ALL, settings.topic_prefix)
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    for _ in range(RECORDS):
        producer.produce(f"{settings.topic_prefix}clickstream", b"x", partition=0)
    assert producer.flush(20) == 0
    return settings


def test_a_new_ledger_begins_at_the_earliest_record_of_every_partition(kafka: KafkaSettings) -> None:
    offsets = json.loads(starting_offsets(kafka, {}))
    assert set(offsets) == {f"{kafka.topic_prefix}{name}" for name in ("clickstream", "transactions", "rejected")}
    assert {offset for partitions in offsets.values() for offset in partitions.values()} == {-2}


@pytest.mark.parametrize("end", [0, 4, RECORDS])
def test_the_query_continues_where_the_ledger_ends(kafka: KafkaSettings, end: int) -> None:
    offsets = json.loads(starting_offsets(kafka, {"clickstream": {0: end}}))
    assert offsets[f"{kafka.topic_prefix}clickstream"] == {"0": end, "1": -2}


def test_a_ledger_that_is_ahead_of_the_broker_stops_the_part(kafka: KafkaSettings) -> None:
    with pytest.raises(LogGapError, match="made anew"):
        starting_offsets(kafka, {"clickstream": {0: RECORDS + 1}})


def test_records_that_retention_took_before_they_were_read_stop_the_part(kafka: KafkaSettings) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    deleted = admin.delete_records([TopicPartition(f"{kafka.topic_prefix}clickstream", 0, 5)])
    for future in deleted.values():
        future.result(20)
    with pytest.raises(LogGapError, match="retention"):
        starting_offsets(kafka, {"clickstream": {0: 4}})
    assert starting_offsets(kafka, {"clickstream": {0: 5}})


def test_a_partition_that_the_broker_lacks_stops_the_part(kafka: KafkaSettings) -> None:
    with pytest.raises(LogGapError, match="another cluster"):
        starting_offsets(kafka, {"clickstream": {7: 0}})


def test_missing_topics_and_a_missing_broker_are_waited_for(kafka_bootstrap: str) -> None:
    with pytest.raises(RetryableError, match="no topic"):
        starting_offsets(KafkaSettings(bootstrap=kafka_bootstrap, topic_prefix="nobody-made-these-"), {})
    with pytest.raises(RetryableError, match="does not answer"):
        starting_offsets(KafkaSettings(bootstrap="127.0.0.1:1"), {})
