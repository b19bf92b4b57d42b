"""Kafka as Spark reads it: the stream from the ledger's position, and a bounded range for repairs."""

import json
from collections.abc import Callable
from typing import Final, TypeAlias

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pyspark.sql import DataFrame, SparkSession

from contracts.topics import CLICKSTREAM, REJECTED, TRANSACTIONS
from processing.errors import LogGapError, RetryableError
from processing.ledger import Offsets

READ_TOPICS: Final = (CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name)
_EARLIEST: Final = -2

Ranges: TypeAlias = dict[str, dict[int, tuple[int, int]]]
RangeReader: TypeAlias = Callable[[SparkSession, Ranges], DataFrame]


def starting_offsets(bootstrap: str, next_offsets: Offsets) -> str:
    """Spark's `startingOffsets`: the ledger's end where it knows the partition, the earliest record elsewhere.

    Raises RetryableError while the broker or a topic is away.
    """
    try:
        topics = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10).topics
    except KafkaException as error:
        raise RetryableError(f"the broker at {bootstrap} does not answer: {error}") from error
    missing = [name for name in READ_TOPICS if name not in topics or topics[name].error is not None]
    if missing:
        raise RetryableError(f"the broker at {bootstrap} has no topic {', '.join(missing)} yet")
    offsets: dict[str, dict[str, int]] = {}
    for name in READ_TOPICS:
        known = next_offsets.get(name, {})
        gone = set(known) - set(topics[name].partitions)
        if gone:
            raise LogGapError(
                f"the ledger has read partitions {sorted(gone)} of {name}, which this broker does not have:"
                " the topic was deleted, or this is another cluster"
            )
        offsets[name] = {str(number): known.get(number, _EARLIEST) for number in topics[name].partitions}
    return json.dumps(offsets)


def read_stream(spark: SparkSession, bootstrap: str, starting: str, max_events: int) -> DataFrame:
    """The stream of all topics, headers included."""
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap)
        .option("subscribe", ",".join(READ_TOPICS))
        .option("startingOffsets", starting)
        .option("maxOffsetsPerTrigger", str(max_events))
        .option("includeHeaders", "true")
        .option("failOnDataLoss", "true")
        .load()
    )


def range_reader(bootstrap: str) -> RangeReader:
    """Reads exactly the given offset ranges, as a batch."""

    def read(spark: SparkSession, ranges: Ranges) -> DataFrame:
        def edge(side: int) -> str:
            return json.dumps(
                {topic: {str(p): span[side] for p, span in spans.items()} for topic, spans in ranges.items()}
            )

        assigned = json.dumps({topic: sorted(spans) for topic, spans in ranges.items()})
        return (
            spark.read.format("kafka")
            .option("kafka.bootstrap.servers", bootstrap)
            .option("assign", assigned)
            .option("startingOffsets", edge(0))
            .option("endingOffsets", edge(1))
            .option("includeHeaders", "true")
            .option("failOnDataLoss", "true")
            .load()
        )

    return read
