"""Kafka records to event rows, inside Spark: the writer schema of each record's id, the latest schema as reader.

A row that does not decode to a valid event carries a quarantine reason instead; nothing is dropped and nothing throws.
The gateway has checked all of this before. It is checked again because Kafka has other doors.
"""

from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's own convention
from pyspark.sql.avro.functions import from_avro

from contracts.rejections import Reason
from contracts.settings import ShopSettings
from contracts.topics import CLICKSTREAM, HEADER_IMPORT, HEADER_RECEIVED_AT, HEADER_SOURCE, REJECTED, TRANSACTIONS
from schemas_avro import Registry

RAW_KEPT_BYTES: Final = 64 * 1024
MAX_QUANTITY: Final = 1_000_000
LAST_MILLISECOND: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last instant that Postgres, Python and Avro agree on how to print."""

CLICK_FIELDS: Final = ("action", "page_url", "referrer", "user_agent", "search_query", "properties")
SALE_FIELDS: Final = ("amount", "quantity", "payment_method", "order_id", "currency", "kind")
SHARED_FIELDS: Final = ("user_id", "session_id", "product_id", "category", "timestamp")
EVENT_FIELDS: Final = ("event_id", *SHARED_FIELDS, *CLICK_FIELDS, *SALE_FIELDS)
REJECTED_FIELDS: Final = (
    "rejection_id",
    "received_at",
    "source",
    "reason",
    "pointer",
    "detail",
    "content_type",
    "event_id",
    "raw",
    "truncated",
)


def _frame(schema_id: int) -> Column:
    """The five bytes before a datum in Confluent framing."""
    return F.lit(bytes([0]) + schema_id.to_bytes(4, "big"))


def _columns(registry: Registry) -> dict[str, tuple[str, Column]]:
    """A column per registered schema, by name: (its subject, the value read as the subject's latest schema, or null).

    A column each and not one expression with a branch for each: Spark would ask every branch for its type again and
    again while it plans an epoch, and spark-avro answers each time by reading Hadoop's configuration (decision 7).
    """
    columns = {}
    for subject in (CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name):
        options = {"mode": "PERMISSIVE", "avroSchema": registry.latest(subject).text}
        for writer in registry.versions(subject):
            fits = (F.col("topic") == subject) & (F.substring("value", 1, 5) == _frame(writer.id))
            datum = F.when(fits, F.expr("substring(value, 6)"))
            columns[f"schema_{writer.id}"] = subject, from_avro(datum, writer.text, options)
    return columns


def _known_schema(registry: Registry) -> Column:
    prefix = F.coalesce(F.substring("value", 1, 5), F.lit(b""))
    known = F.lit(False)
    for subject in (CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name):
        ids = [_frame(schema.id) for schema in registry.versions(subject)]
        known = known | ((F.col("topic") == subject) & prefix.isin(*ids))
    return known


def _header(name: str) -> Column:
    """The header's text, or null; bytes that are no UTF-8 become U+FFFD."""
    found = F.filter("headers", lambda header: header["key"] == name)
    return F.make_valid_utf8(F.get(found, F.lit(0))["value"].cast("string"))


def _received_at() -> Column:
    """The header's milliseconds, or null where they are none: it is told to people and counted in nothing."""
    given = _header(HEADER_RECEIVED_AT).try_cast("long")
    return F.when(given.between(0, LAST_MILLISECOND), given)


def _valid_id(name: str) -> Column:
    """1-128 characters of valid UTF-8, none of them a control character. Null is invalid."""
    column = F.col(name)
    printable = F.length(column).between(1, 128) & ~column.rlike(r"\p{Cntrl}")
    return column.isNotNull() & F.is_valid_utf8(column) & printable


def _invalid_text(*texts: str | Column) -> Column:
    """Whether one of the texts (or arrays of texts) has a NUL or is not UTF-8: Postgres and Arrow take neither."""
    # One look at all of them; the separator keeps two halves of a character apart.
    joined = F.concat_ws(" ", *texts)
    return (F.instr(joined, "\0") > 0) | ~F.is_valid_utf8(joined)


def _verdict(shop: ShopSettings) -> Column:
    """The quarantine reason of a decoded event, or null for a valid one."""
    sale = F.col("topic") == TRANSACTIONS.name
    at = F.unix_millis("timestamp")
    # Twice the gateway's tolerance: what the gateway accepted must not be refused for a clock that differs a little.
    newest = F.unix_millis("log_time") + F.lit(2000 * shop.future_tolerance_seconds)
    ids_valid = _valid_id("event_id") & _valid_id("user_id") & _valid_id("session_id")
    texts = (
        "product_id",
        "category",
        "page_url",
        "referrer",
        "user_agent",
        "search_query",
        "payment_method",
        "order_id",
    )
    return (
        F.when(~F.col("schema_known"), Reason.UNKNOWN_SCHEMA)
        .when(F.col("event_id").isNull(), Reason.MALFORMED_AVRO)
        .when(~ids_valid, Reason.INVALID_ID)
        .when(_invalid_text(*texts, F.map_keys("properties"), F.map_values("properties")), Reason.INVALID_TEXT)
        .when(F.col("timestamp").isNull() | ~at.between(0, LAST_MILLISECOND), Reason.INVALID_TIMESTAMP)
        .when(at > newest, Reason.TIMESTAMP_IN_FUTURE)
        .when(sale & (F.col("product_id").isNull() | F.col("category").isNull()), Reason.MISSING_FIELD)
        .when(sale & (F.col("amount").isNull() | (F.col("amount") < 0)), Reason.INVALID_AMOUNT)
        .when(sale & ~F.col("quantity").between(1, MAX_QUANTITY), Reason.INVALID_QUANTITY)
        .when(sale & (F.col("currency") != shop.currency), Reason.CURRENCY_NOT_ACCEPTED)
    )


def _kept() -> Column:
    """The record's bytes up to the limit; a record without a value has none."""
    return F.coalesce(F.substring("value", 1, RAW_KEPT_BYTES), F.lit(b""))


def _rejected_verdict() -> Column:
    """The quarantine reason of what the gateway refused: only what could not be kept as a row."""
    texts = [f"rejected.{name}" for name in REJECTED_FIELDS if name not in ("received_at", "raw", "truncated")]
    at = F.unix_millis("rejected.received_at")
    return (
        F.when(~F.col("schema_known"), Reason.UNKNOWN_SCHEMA)
        .when(F.col("event_id").isNull(), Reason.MALFORMED_AVRO)
        .when(_invalid_text(*texts), Reason.INVALID_TEXT)
        .when(~at.between(0, LAST_MILLISECOND), Reason.INVALID_TIMESTAMP)
    )


def decode(records: DataFrame, registry: Registry, shop: ShopSettings) -> DataFrame:
    """Kafka source rows (with headers) to one wide row per record.

    Columns: topic, partition, offset, log_time, received_at (ms), source, imported, the fields of `EVENT_FIELDS`,
    `quarantine` (reason or null), `raw` (only of quarantined records, capped), `id_hash` (16 bytes), `payload_hash`
    (64 bit), `rejected` (struct, only of the rejected topic).
    """
    columns = _columns(registry)

    def read(name: str, *subjects: str) -> Column:
        """A field of the subjects' schemas, whichever version the record has."""
        found = [f"{column}.{name}" for column, (subject, _) in columns.items() if subject in subjects]
        return F.coalesce(*found)

    clicks, sales, refused = CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name
    parsed = records.select(
        "topic",
        "partition",
        "offset",
        "value",
        F.col("timestamp").alias("log_time"),
        _received_at().alias("received_at"),
        F.coalesce(_header(HEADER_SOURCE), F.lit("")).alias("source"),
        F.coalesce(_header(HEADER_IMPORT) == "1", F.lit(False)).alias("imported"),
        _known_schema(registry).alias("schema_known"),
        *(column.alias(name) for name, (_, column) in columns.items()),
    )
    fields = parsed.select(
        *("topic", "partition", "offset", "value", "log_time", "received_at", "source", "imported", "schema_known"),
        F.coalesce(read("event_id", clicks), read("transaction_id", sales), read("rejection_id", refused)).alias(
            "event_id"
        ),
        *(read(name, clicks, sales).alias(name) for name in SHARED_FIELDS),
        *(read(name, clicks).alias(name) for name in CLICK_FIELDS),
        *(read(name, sales).alias(name) for name in SALE_FIELDS),
        F.struct(*(read(name, refused).alias(name) for name in REJECTED_FIELDS)).alias("rejected"),
    )
    is_rejected = F.col("topic") == REJECTED.name
    judged = fields.withColumn("quarantine", F.when(is_rejected, _rejected_verdict()).otherwise(_verdict(shop)))
    values = [F.to_json("properties") if name == "properties" else F.col(name) for name in EVENT_FIELDS]
    # The hash passes over nulls: without their places, a text that moved to the next field would not show.
    payload = [*values, *(value.isNull() for value in values)]
    return judged.select(
        *("topic", "partition", "offset", "log_time", "received_at", "source", "imported", *EVENT_FIELDS, "quarantine"),
        F.when(F.col("quarantine").isNotNull(), _kept()).alias("raw"),
        F.unhex(F.md5(F.concat_ws(":", "topic", "event_id").cast("binary"))).alias("id_hash"),
        F.xxhash64(*payload).alias("payload_hash"),
        F.when(is_rejected & F.col("quarantine").isNull(), F.col("rejected")).alias("rejected"),
    )
