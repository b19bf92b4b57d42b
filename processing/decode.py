"""Kafka records to Avro values, inside Spark: the writer schema of each record's id, the latest schema as reader.

Nothing here throws and nothing is dropped: what does not decode has no value, and `processing.judge` says why.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention
from pyspark.sql.avro.functions import from_avro

from contracts.topics import CLICKSTREAM, REJECTED, TRANSACTIONS
from schemas_avro import Registry

SUBJECTS = (CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name)


def schema_column(schema_id: int) -> str:
    """Name of the column with the values written under this schema."""
    return f"schema_{schema_id}"


def confluent_prefix(schema_id: int) -> bytes:
    """The five bytes before a datum in Confluent framing."""
    return bytes([0]) + schema_id.to_bytes(4, "big")


def decode(records: DataFrame, registry: Registry) -> DataFrame:
    """Kafka source rows (with headers) to topic, partition, offset, log_time, headers, value and a column per schema.

    A schema's column holds the record as its subject's latest version, or nothing. It is a column each, and all that
    can be said about the values is said later and outside Spark, because an epoch pays for every expression in its plan
    each time it is planned and compiled (decision 7).
    """
    return records.select(
        "topic",
        "partition",
        "offset",
        F.col("timestamp").alias("log_time"),
        "headers",
        "value",
        *_columns(registry),
    )


def _columns(registry: Registry) -> list[Column]:
    columns = []
    for subject in SUBJECTS:
        options = {"mode": "PERMISSIVE", "avroSchema": registry.latest(subject).text}
        for writer in registry.versions(subject):
            fits = (F.col("topic") == subject) & (F.substring("value", 1, 5) == F.lit(confluent_prefix(writer.id)))
            datum = F.when(fits, F.expr("substring(value, 6)"))
            columns.append(from_avro(datum, writer.text, options).alias(schema_column(writer.id)))
    return columns
