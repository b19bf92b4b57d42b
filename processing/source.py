"""Kafka as it is read: the stream, by Spark, from the ledger's position; and bounded ranges for repairs."""

import json
from collections.abc import Iterable
from typing import Final, TypeAlias, cast

import pyarrow as pa
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from contracts.settings import KafkaSettings
from contracts.topics import CLICKSTREAM, REJECTED, TRANSACTIONS
from processing.errors import LogGapError, RetryableError
from processing.ledger import Offsets

READ_TOPICS: Final = (CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name)
_EARLIEST: Final = -2
_BROKER_SECONDS: Final = 10
_POLLED_TOGETHER: Final = 10_000
_FETCH_WAIT_MS: Final = 5
"""How long the broker may wait for records that a fetch finds none of. After each fetch Spark asks for the partition's
ends, on the connection on which Kafka's client has sent the next fetch already: the broker answers one after the other,
and half a second, the client's default, was most of what an epoch's read took."""

_Headers: TypeAlias = list[tuple[str, bytes]]
Ranges: TypeAlias = dict[str, dict[int, tuple[int, int]]]

RECORDS: Final = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
        ("value", pa.binary()),
    ]
)
"""A table of Kafka records, as Spark's source gives it; the timestamp is the broker's."""


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


def beginnings(kafka: KafkaSettings, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """The first offset that the broker still has of each partition. Raises RetryableError while it is away."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "millrace-processing"})
    try:
        return {
            (topic, partition): consumer.get_watermark_offsets(
                TopicPartition(kafka.topic_prefix + topic, partition), timeout=_BROKER_SECONDS
            )[0]
            for topic, partition in places
        }
    except KafkaException as error:
        raise RetryableError(f"the broker at {kafka.bootstrap} does not answer: {error}") from error
    finally:
        consumer.close()


def read_stream(spark: SparkSession, kafka: KafkaSettings, starting: str, max_events: int) -> DataFrame:
    """The stream of all topics, headers included."""
    names = ",".join(kafka.topic_prefix + name for name in READ_TOPICS)
    stream = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", kafka.bootstrap)
        .option("kafka.fetch.max.wait.ms", str(_FETCH_WAIT_MS))
        .option("subscribe", names)
        .option("startingOffsets", starting)
        .option("maxOffsetsPerTrigger", str(max_events))
        .option("includeHeaders", "true")
        .option("failOnDataLoss", "true")
        .load()
    )
    return _without_prefix(stream, kafka.topic_prefix).select(*RECORDS.names)


def read_ranges(kafka: KafkaSettings, ranges: Ranges) -> pa.Table:
    """Exactly the records of the given offset ranges (until exclusive), in the columns of Spark's Kafka source.

    Raises LogGapError where Kafka no longer has all of them, RetryableError while the broker does not answer.
    """
    ends = {
        (kafka.topic_prefix + topic, partition): span for topic, of in ranges.items() for partition, span in of.items()
    }
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "millrace-processing",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
    )
    records: list[Message] = []
    try:
        for (topic, partition), (first, _) in ends.items():
            _check_holds(consumer, topic, partition, first)
        consumer.assign([TopicPartition(topic, partition, span[0]) for (topic, partition), span in ends.items()])
        missing = sum(until - first for first, until in ends.values())
        while missing:
            # It waits until there are as many as it is asked for: more than are missing may never come.
            polled = consumer.consume(min(missing, _POLLED_TOGETHER), timeout=_BROKER_SECONDS)
            if not polled:
                raise RetryableError(f"the broker at {kafka.bootstrap} does not give the records that it has")
            for record in polled:
                if record.error() is not None:
                    raise RetryableError(f"the broker at {kafka.bootstrap}: {record.error()}")
                if _place(record)[1] < ends[_place(record)[0]][1]:
                    records.append(record)
                    missing -= 1
    except KafkaException as error:
        raise RetryableError(f"the broker at {kafka.bootstrap} does not answer: {error}") from error
    finally:
        consumer.close()
    return _as_table(records, kafka.topic_prefix)


def _place(record: Message) -> tuple[tuple[str, int], int]:
    """Topic and partition, and offset, which every record without an error has."""
    return (str(record.topic()), int(record.partition() or 0)), int(record.offset() or 0)


def _as_table(records: list[Message], prefix: str) -> pa.Table:
    values = {
        "topic": [_place(record)[0][0][len(prefix) :] for record in records],
        "partition": [record.partition() for record in records],
        "offset": [record.offset() for record in records],
        "timestamp": [record.timestamp()[1] * 1000 for record in records],
        "headers": [
            [{"key": key, "value": value} for key, value in cast(_Headers, record.headers() or [])] or None
            for record in records
        ],
        "value": [record.value() for record in records],
    }
    return pa.table([pa.array(values[field.name], field.type) for field in RECORDS], schema=RECORDS)


def _check_holds(consumer: Consumer, topic: str, partition: int, offset: int) -> None:
    first, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_BROKER_SECONDS)
    if offset < first:
        raise LogGapError(f"{topic}-{partition} begins at {first}, but records from {offset} are needed again")


def _without_prefix(records: DataFrame, prefix: str) -> DataFrame:
    """Everything past this point knows topics by the names of `contracts.topics`."""
    return records.withColumn("topic", F.expr(f"substring(topic, {len(prefix) + 1})"))
