"""Made-up epochs before the first real one: the JVM compiles what it has run often, and until then an epoch is slow.

Nothing of it is kept. Without it the first minute after a start is five times slower than the rest.
"""

from time import monotonic
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention

from contracts.topics import CLICKSTREAM, TRANSACTIONS
from processing.source import RECORDS
from schemas_avro import Registry
from schemas_avro.golden import sample_datums

_RECORDS_PER_EPOCH: Final = 2_000
_KAFKA_HEADERS: Final = "CAST(array() AS array<struct<key: string, value: binary>>)"


def warm_up(spark: SparkSession, *, registry: Registry, checkpoint: str, seconds: float) -> None:
    """Read made-up epochs for so many seconds; `checkpoint` is scratch space. The rest needs no warming up."""

    def epoch(records: DataFrame, _batch_id: int) -> None:
        records.toArrow()

    query = _made_up(spark, registry).writeStream.foreachBatch(epoch).option("checkpointLocation", checkpoint).start()
    deadline = monotonic() + seconds
    while monotonic() < deadline and not query.awaitTermination(1):
        pass
    query.stop()


def _made_up(spark: SparkSession, registry: Registry) -> DataFrame:
    """A stream with the columns of Kafka's: golden samples in turn, under the latest schema of both event topics."""
    values = [
        (subject, bytes([0]) + registry.latest(subject).id.to_bytes(4, "big") + datum)
        for subject in (CLICKSTREAM.name, TRANSACTIONS.name)
        for datum in sample_datums(registry.latest(subject))
    ]
    turn = (F.col("value") % len(values) + 1).cast("int")
    ticks = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", _RECORDS_PER_EPOCH).load()
    return ticks.select(
        F.element_at(F.array(*(F.lit(subject) for subject, _ in values)), turn).alias("topic"),
        F.lit(0).alias("partition"),
        F.col("value").alias("offset"),
        F.col("timestamp"),
        F.expr(_KAFKA_HEADERS).alias("headers"),
        F.element_at(F.array(*(F.lit(value) for _, value in values)), turn).alias("value"),
    ).select(*RECORDS.names)
