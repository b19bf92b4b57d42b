"""Decoded records judged: one row per record, an event, a rejected event, or a quarantined record with its reason.

The gateway has checked all of this before. It is checked again because Kafka has other doors, and one value that
Postgres cannot store would stop every epoch.
"""

from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from contracts.rejections import Reason
from contracts.settings import ShopSettings
from contracts.topics import HEADER_IMPORT, HEADER_RECEIVED_AT, HEADER_SOURCE, REJECTED, TRANSACTIONS
from processing.decode import SUBJECTS, confluent_prefix, schema_column
from schemas_avro import Registry

RAW_KEPT_BYTES: Final = 64 * 1024
MAX_QUANTITY: Final = 1_000_000
LAST_MILLISECOND: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last instant that Postgres, Python and Avro agree on how to print."""

SHARED_FIELDS: Final = ("user_id", "session_id", "product_id", "category", "timestamp")
CLICK_FIELDS: Final = ("action", "page_url", "referrer", "user_agent", "search_query", "properties")
SALE_FIELDS: Final = ("amount", "quantity", "payment_method", "order_id", "currency", "kind")
EVENT_FIELDS: Final = ("event_id", *SHARED_FIELDS, *CLICK_FIELDS, *SALE_FIELDS)
REJECTED_TEXTS: Final = ("rejection_id", "source", "reason", "pointer", "detail", "content_type", "event_id")
REJECTED_FIELDS: Final = ("rejection_id", "received_at", *REJECTED_TEXTS[1:], "raw", "truncated")

_TEXTS: Final = (
    "product_id",
    "category",
    "page_url",
    "referrer",
    "user_agent",
    "search_query",
    "payment_method",
    "order_id",
)

_MACROS: Final = (
    "CREATE MACRO header(headers, name) AS list_filter(headers, lambda h: h.key = name)[1].value",
    "CREATE MACRO header_text(headers, name) AS TRY(decode(header(headers, name)))",
    "CREATE MACRO valid_id(id) AS coalesce(length(id) BETWEEN 1 AND 128, false)"
    r" AND NOT regexp_matches(id, '[\x00-\x1f\x7f]')",
)

_SQL: Final = """
    WITH read AS (
      SELECT topic, partition, "offset", log_time, value,
        TRY_CAST(header_text(headers, '{received_at}') AS BIGINT) AS received_at,
        replace(coalesce(header_text(headers, '{source}'), ''), chr(0), '') AS source,
        coalesce(header_text(headers, '{imported}') = '1', false) AS imported,
        {known} AS schema_known,
        {fields},
        {rejected} AS rejected
      FROM records
    ), timed AS (
      SELECT *, TRY(epoch_ms("timestamp")) AS at_ms, TRY(epoch_ms(rejected.received_at)) AS rejected_at_ms FROM read
    ), judged AS (
      SELECT *, CASE
          WHEN NOT schema_known THEN '{r.UNKNOWN_SCHEMA}'
          WHEN event_id IS NULL THEN '{r.MALFORMED_AVRO}'
          WHEN topic = '{rejected_topic}' THEN CASE
            WHEN contains(concat({rejected_texts}), chr(0)) THEN '{r.INVALID_TEXT}'
            WHEN coalesce(rejected_at_ms NOT BETWEEN 0 AND {last_ms}, true) THEN '{r.INVALID_TIMESTAMP}' END
          WHEN NOT (valid_id(event_id) AND valid_id(user_id) AND valid_id(session_id)) THEN '{r.INVALID_ID}'
          WHEN contains(concat({texts}), chr(0)) OR contains(
              array_to_string(map_keys(properties) || map_values(properties), ' '), chr(0))
            THEN '{r.INVALID_TEXT}'
          WHEN coalesce(at_ms NOT BETWEEN 0 AND {last_ms}, true) THEN '{r.INVALID_TIMESTAMP}'
          WHEN at_ms > epoch_ms(log_time) + {tolerance_ms} THEN '{r.TIMESTAMP_IN_FUTURE}'
          WHEN topic = '{sales_topic}' THEN CASE
            WHEN product_id IS NULL OR category IS NULL THEN '{r.MISSING_FIELD}'
            WHEN coalesce(amount < 0, true) THEN '{r.INVALID_AMOUNT}'
            WHEN coalesce(quantity NOT BETWEEN 1 AND {max_quantity}, true) THEN '{r.INVALID_QUANTITY}'
            WHEN currency IS DISTINCT FROM '{currency}' THEN '{r.CURRENCY_NOT_ACCEPTED}' END
        END AS quarantine
      FROM timed
    )
    SELECT topic, partition, "offset", log_time,
      CASE WHEN received_at BETWEEN 0 AND {last_ms} THEN received_at END AS received_at,
      source, imported, {names}, quarantine,
      CASE WHEN quarantine IS NOT NULL THEN coalesce(array_slice(value, 1, {raw_kept}), ''::BLOB) END AS raw,
      unhex(md5(topic || ':' || event_id)) AS id_hash,
      md5_number_lower(CAST(to_json([{payload}]) AS VARCHAR)) AS payload_hash,
      CASE WHEN topic = '{rejected_topic}' AND quarantine IS NULL THEN rejected END AS rejected
    FROM judged
"""


class Judge:
    """Judges batches for one shop. Built once; holds a DuckDB connection of its own."""

    def __init__(self, registry: Registry, shop: ShopSettings) -> None:
        self._schemas = [schema.id for schema in registry.schemas if schema.subject in SUBJECTS]
        self._sql = _sql(registry, shop)
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        for macro in _MACROS:
            self._connection.execute(macro)

    def judge(self, decoded: pa.Table) -> pa.Table:
        """What `processing.decode.decode` gives, as rows with the columns of an event.

        topic, partition, offset, log_time, received_at (ms), source, imported, the fields of `EVENT_FIELDS`,
        `quarantine` (reason or null), `raw` (only of quarantined records, capped), `id_hash` (16 bytes), `payload_hash`
        (64 bit), `rejected` (struct, only of the rejected topic).
        """
        self._connection.register("records", self._without_broken_text(decoded))
        judged = self._connection.sql(self._sql).to_arrow_table()
        position = judged.schema.get_field_index("payload_hash")
        signed = pa.chunked_array([chunk.view(pa.int64()) for chunk in judged["payload_hash"].chunks], pa.int64())
        return judged.set_column(position, "payload_hash", signed)

    def _without_broken_text(self, decoded: pa.Table) -> pa.Table:
        """Spark passes on texts that are not UTF-8. Records with such a text lose their value: they did not decode."""
        try:
            decoded.validate(full=True)
        except pa.ArrowInvalid:
            broken = pa.array([_is_broken(decoded.take([row])) for row in range(decoded.num_rows)])
            sound, rest = decoded.filter(pc.invert(broken)), decoded.filter(broken)
            for name in map(schema_column, self._schemas):
                at = rest.schema.get_field_index(name)
                rest = rest.set_column(at, rest.schema.field(at), pa.nulls(rest.num_rows, rest.schema.field(at).type))
            return pa.concat_tables([sound, rest])
        return decoded


def _is_broken(row: pa.Table) -> bool:
    try:
        row.validate(full=True)
    except pa.ArrowInvalid:
        return True
    return False


def _sql(registry: Registry, shop: ShopSettings) -> str:
    """The statement for these schemas and this shop. It is put together from our own names; no value is in it."""
    clicks, sales, refused = ([schema.id for schema in registry.versions(subject)] for subject in SUBJECTS)

    def read(name: str, ids: list[int]) -> str:
        return f"coalesce({', '.join(f'{schema_column(id)}.{name}' for id in ids)})"

    def known(subject: str) -> str:
        prefixes = ", ".join(f"'{_blob(confluent_prefix(schema.id))}'::BLOB" for schema in registry.versions(subject))
        return f"(topic = '{subject}' AND value[1:5] IN ({prefixes}))"

    identity = [read("event_id", clicks), read("transaction_id", sales), read("rejection_id", refused)]
    fields = {"event_id": f"coalesce({', '.join(identity)})"}
    fields |= {name: read(name, clicks + sales) for name in SHARED_FIELDS}
    fields |= {name: read(name, clicks) for name in CLICK_FIELDS} | {name: read(name, sales) for name in SALE_FIELDS}
    payload = [f"CAST({name} AS VARCHAR)" for name in EVENT_FIELDS]
    return _SQL.format(
        received_at=HEADER_RECEIVED_AT,
        source=HEADER_SOURCE,
        imported=HEADER_IMPORT,
        known="coalesce(" + " OR ".join(map(known, SUBJECTS)) + ", false)",
        fields=", ".join(f'{sql} AS "{name}"' for name, sql in fields.items()),
        rejected="{" + ", ".join(f"'{name}': {read(name, refused)}" for name in REJECTED_FIELDS) + "}",
        r=Reason,
        rejected_topic=REJECTED.name,
        sales_topic=TRANSACTIONS.name,
        rejected_texts=", ".join(f"rejected.{name}" for name in REJECTED_TEXTS),
        texts=", ".join(_TEXTS),
        last_ms=LAST_MILLISECOND,
        # Twice the gateway's tolerance: what it accepted must not be refused for a clock that differs a little.
        tolerance_ms=2000 * shop.future_tolerance_seconds,
        max_quantity=MAX_QUANTITY,
        currency=shop.currency,
        names=", ".join(f'"{name}"' for name in EVENT_FIELDS),
        raw_kept=RAW_KEPT_BYTES,
        payload=", ".join(payload),
    )


def _blob(content: bytes) -> str:
    return "".join(f"\\x{byte:02X}" for byte in content)
