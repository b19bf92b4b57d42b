"""Kafka asked of a real broker: where the query begins, and exactly the records of given offsets."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.settings import KafkaSettings
from contracts.topics import ALL
from processing.errors import LogGapError, RetryableError
from processing.source import RECORDS, Ranges, read_ranges, starting_offsets
from stack.kafka import create_topics

pytestmark = pytest.mark.integration

COUNT = 10


@pytest.fixture
def kafka(kafka_bootstrap: str) -> KafkaSettings:
    """Topics of its own; partition 0 of clickstream holds ten records."""
    settings = KafkaSettings(bootstrap=kafka_bootstrap, topic_prefix=f"source-{uuid.uuid4().hex[:8]}-")
    create_topics(kafka_bootstrap, ALL, settings.topic_prefix)
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    for _ in range(COUNT):
        producer.produce(f"{settings.topic_prefix}clickstream", b"x", partition=0)
    assert producer.flush(20) == 0
    return settings


def test_a_new_ledger_begins_at_the_earliest_record_of_every_partition(kafka: KafkaSettings) -> None:
    offsets = json.loads(starting_offsets(kafka, {}))
    assert set(offsets) == {f"{kafka.topic_prefix}{name}" for name in ("clickstream", "transactions", "rejected")}
    assert {offset for partitions in offsets.values() for offset in partitions.values()} == {-2}


@pytest.mark.parametrize("end", [0, 4, COUNT])
def test_the_query_continues_where_the_ledger_ends(kafka: KafkaSettings, end: int) -> None:
    offsets = json.loads(starting_offsets(kafka, {"clickstream": {0: end}}))
    assert offsets[f"{kafka.topic_prefix}clickstream"] == {"0": end, "1": -2}


def test_a_ledger_that_is_ahead_of_the_broker_stops_the_part(kafka: KafkaSettings) -> None:
    with pytest.raises(LogGapError, match="made anew"):
        starting_offsets(kafka, {"clickstream": {0: COUNT + 1}})


def test_records_that_retention_took_before_they_were_read_stop_the_part(kafka: KafkaSettings) -> None:
    delete_before(kafka, 5)
    with pytest.raises(LogGapError, match="retention"):
        starting_offsets(kafka, {"clickstream": {0: 4}})
    assert starting_offsets(kafka, {"clickstream": {0: 5}})


def test_a_partition_that_the_broker_lacks_stops_the_part(kafka: KafkaSettings) -> None:
    with pytest.raises(LogGapError, match="another cluster"):
        starting_offsets(kafka, {"clickstream": {7: 0}})


def delete_before(kafka: KafkaSettings, offset: int) -> None:
    """As retention does."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    deleted = admin.delete_records([TopicPartition(f"{kafka.topic_prefix}clickstream", 0, offset)])
    for future in deleted.values():
        future.result(20)


def test_missing_topics_and_a_missing_broker_are_waited_for(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RetryableError, match="no topic"):
        starting_offsets(KafkaSettings(bootstrap=kafka_bootstrap, topic_prefix="nobody-made-these-"), {})
    monkeypatch.setattr("processing.source._BROKER_SECONDS", 1)  # nobody is there who might be late
    with pytest.raises(RetryableError, match="does not answer"):
        starting_offsets(KafkaSettings(bootstrap="127.0.0.1:1"), {})


@pytest.fixture
def filled(kafka: KafkaSettings) -> KafkaSettings:
    """The same, with records in both partitions of three topics; each says where it is. One topic has few."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 20})
    for topic, partition, count in (("clickstream", 1, 3_000), ("transactions", 0, 40), ("rejected", 1, 2)):
        for number in range(count):
            producer.produce(
                kafka.topic_prefix + topic,
                f"{topic}-{partition}-{number}".encode(),
                partition=partition,
                headers=[("source", b"demo"), ("nothing", None), ("source", b"\xff")] if number % 2 else None,
            )
    producer.produce(f"{kafka.topic_prefix}transactions", None, key=b"a tombstone", partition=1)
    assert producer.flush(20) == 0
    return kafka


@pytest.mark.parametrize(
    "ranges",
    [
        {"clickstream": {1: (0, 3_000)}, "transactions": {0: (0, 40)}},
        {"clickstream": {1: (2_999, 3_000)}, "transactions": {0: (7, 9)}, "rejected": {1: (1, 2)}},
        {"clickstream": {0: (3, 7), 1: (100, 1_100)}},
    ],
    ids=["all of both topics", "single records", "parts of both partitions"],
)
def test_exactly_the_records_of_the_ranges_are_read_again(filled: KafkaSettings, ranges: Ranges) -> None:
    began = monotonic()
    table = read_ranges(filled, ranges)
    assert monotonic() - began < 8  # ten seconds are what it would wait for records that are not to come
    assert table.schema == RECORDS
    places = zip(*(table[name].to_pylist() for name in ("topic", "partition", "offset")), strict=True)
    assert sorted(places) == [
        (topic, partition, offset)
        for topic, spans in sorted(ranges.items())
        for partition, span in sorted(spans.items())
        for offset in range(*span)
    ]


def test_records_come_with_value_headers_and_the_brokers_time(filled: KafkaSettings) -> None:
    began = datetime.now(UTC)
    rows = read_ranges(filled, {"transactions": {0: (8, 10), 1: (0, 1)}}).sort_by("partition").to_pylist()
    assert [row["value"] for row in rows] == [b"transactions-0-8", b"transactions-0-9", None]
    headers = [
        {"key": "source", "value": b"demo"},
        {"key": "nothing", "value": None},
        {"key": "source", "value": b"\xff"},
    ]
    assert [row["headers"] for row in rows] == [None, headers, None]
    assert all(timedelta(0) <= began - row["timestamp"] < timedelta(minutes=2) for row in rows)


def test_records_that_retention_took_cannot_be_read_again_and_nothing_else_is_given(filled: KafkaSettings) -> None:
    delete_before(filled, 5)
    with pytest.raises(LogGapError, match="begins at 5, but records from 4"):
        read_ranges(filled, {"clickstream": {0: (4, 10), 1: (0, 10)}})
    assert read_ranges(filled, {"clickstream": {0: (5, 10)}}).num_rows == 5


def test_without_a_broker_reading_again_is_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processing.source._BROKER_SECONDS", 1)  # nobody is there who might be late
    with pytest.raises(RetryableError, match="does not answer"):
        read_ranges(KafkaSettings(bootstrap="127.0.0.1:1"), {"clickstream": {0: (0, 1)}})


def test_nothing_asked_for_is_nothing_read(kafka: KafkaSettings) -> None:
    assert read_ranges(kafka, {}).num_rows == 0
