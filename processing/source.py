"""Kafka as Spark reads it: the stream from the ledger's position, and a bounded range for repairs."""

import json
from collections.abc import Callable
from typing import Final, TypeAlias

from confluent_kafka import Consumer, KafkaException, TopicPartition
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from contracts.settings import KafkaSettings
from contracts.topics import CLICKSTREAM, REJECTED, TRANSACTIONS
from processing.errors import LogGapError, RetryableError
from processing.ledger import Offsets

READ_TOPICS: Final = (CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name)
_EARLIEST: Final = -2
_BROKER_SECONDS: Final = 10

Ranges: TypeAlias = dict[str, dict[int, tuple[int, int]]]
RangeReader: TypeAlias = Callable[[SparkSession, Ranges], DataFrame]


def starting_offsets(kafka: KafkaSettings, next_offsets: Offsets) -> str:
    """Spark's `startingOffsets`: the ledger's end where it knows the partition, the earliest record elsewhere.

    Raises RetryableError while the broker or a topic is away, LogGapError where Kafka does not continue the ledger.
    """
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "millrace-processing"})
    try:
        return json.dumps(_starting_offsets(consumer, kafka, next_offsets))
    except KafkaException as error:
        raise RetryableError(f"the broker at {kafka.bootstrap} does not answer: {error}") from error
    finally:
        consumer.close()


def _starting_offsets(consumer: Consumer, kafka: KafkaSettings, next_offsets: Offsets) -> dict[str, dict[str, int]]:
    topics = consumer.list_topics(timeout=_BROKER_SECONDS).topics
    names = {name: kafka.topic_prefix + name for name in READ_TOPICS}
    missing = [full for full in names.values() if full not in topics or topics[full].error is not None]
    if missing:
        raise RetryableError(f"the broker at {kafka.bootstrap} has no topic {', '.join(missing)} yet")
    offsets: dict[str, dict[str, int]] = {}
    for name, full in names.items():
        known = next_offsets.get(name, {})
        gone = set(known) - set(topics[full].partitions)
        if gone:
            raise LogGapError(
                f"the ledger has read partitions {sorted(gone)} of {full}, which this broker does not have:"
                " the topic was deleted, or this is another cluster"
            )
        for number, offset in known.items():
            _check_continues(consumer, full, number, offset)
        offsets[full] = {str(number): known.get(number, _EARLIEST) for number in topics[full].partitions}
    return offsets


def _check_continues(consumer: Consumer, topic: str, partition: int, offset: int) -> None:
    """Spark would ask again and again for an offset that is not there; a person has to know."""
    first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_BROKER_SECONDS)
    if not first <= offset <= end:
        what = "retention has deleted records that were never read" if offset < first else "the topic was made anew"
        raise LogGapError(
            f"the ledger continues {topic}-{partition} at {offset}, but the broker has {first} to {end}: {what}"
        )


def read_stream(spark: SparkSession, kafka: KafkaSettings, starting: str, max_events: int) -> DataFrame:
    """The stream of all topics, headers included."""
    names = ",".join(kafka.topic_prefix + name for name in READ_TOPICS)
    stream = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", kafka.bootstrap)
        .option("subscribe", names)
        .option("startingOffsets", starting)
        .option("maxOffsetsPerTrigger", str(max_events))
        .option("includeHeaders", "true")
        .option("failOnDataLoss", "true")
        .load()
    )
    return _without_prefix(stream, kafka.topic_prefix)


def range_reader(kafka: KafkaSettings) -> RangeReader:
    """Reads exactly the given offset ranges, as a batch."""

    def read(spark: SparkSession, ranges: Ranges) -> DataFrame:
        def edge(side: int) -> str:
            spans = {kafka.topic_prefix + topic: partitions for topic, partitions in ranges.items()}
            return json.dumps({topic: {str(p): span[side] for p, span in of.items()} for topic, of in spans.items()})

        batch = (
            spark.read.format("kafka")
            .option("kafka.bootstrap.servers", kafka.bootstrap)
            .option("assign", json.dumps({kafka.topic_prefix + topic: sorted(of) for topic, of in ranges.items()}))
            .option("startingOffsets", edge(0))
            .option("endingOffsets", edge(1))
            .option("includeHeaders", "true")
            .option("failOnDataLoss", "true")
            .load()
        )
        return _without_prefix(batch, kafka.topic_prefix)

    return read


def _without_prefix(records: DataFrame, prefix: str) -> DataFrame:
    """Everything past this point knows topics by the names of `contracts.topics`."""
    return records.withColumn("topic", F.expr(f"substring(topic, {len(prefix) + 1})"))
