"""Decoded records judged: an event, a rejected event, or a quarantined record with its reason.

The gateway has checked all of this before. It is checked again because Kafka has other doors, and one value that
Postgres cannot store would stop every epoch.
"""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from contracts.rejections import Reason
from contracts.settings import ShopSettings
from contracts.topics import HEADER_CLIENT_IP, HEADER_IMPORT, HEADER_RECEIVED_AT, HEADER_SOURCE, TRANSACTIONS
from processing.batch import Batch, span_of
from processing.decode import EVENT_FIELDS, HEADERS, Decoded
from processing.duck import Duck

RAW_KEPT_BYTES: Final = 64 * 1024
MAX_QUANTITY: Final = 1_000_000
LAST_MILLISECOND: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last instant that Postgres, Python and Avro agree on how to print."""

REJECTED_TEXTS: Final = ("rejection_id", "source", "reason", "pointer", "detail", "content_type", "event_id")
REJECTED_FIELDS: Final = ("rejection_id", *REJECTED_TEXTS[1:], "schema_id", "raw", "truncated")

LONGEST: Final = {
    "product_id": 128,
    "order_id": 128,
    "category": 256,
    "payment_method": 64,
    "page_url": 8192,
    "referrer": 8192,
    "user_agent": 1024,
    "search_query": 1024,
}
"""The gateway's limits, in characters. A key beyond 2.7 kB is one that Postgres cannot index, ever."""

_VALID_ID: Final = "coalesce(length({0}) BETWEEN 1 AND 128, false) AND NOT regexp_matches({0}, '[\\x00-\\x1f\\x7f]')"

_EVENTS: Final = """
    WITH read AS (
      SELECT *,
        TRY_CAST(TRY(decode(header_{received_at})) AS BIGINT) AS header_ms,
        replace(coalesce(TRY(decode(header_{source})), ''), chr(0), '') AS source,
        replace(TRY(decode(header_{client_ip})), chr(0), '') AS client_ip,
        coalesce(header_{imported} = '1'::BLOB, false) AS imported
      FROM records
    )
    SELECT source, client_ip, imported,
      CASE WHEN at_ms BETWEEN 0 AND {last_ms} THEN make_timestamptz(at_ms * 1000) END AS "timestamp",
      CASE WHEN header_ms BETWEEN 0 AND {last_ms} THEN header_ms END AS received_at,
      CASE
        WHEN fault IS NOT NULL THEN fault
        WHEN NOT ({valid_ids}) THEN '{r.INVALID_ID}'
        WHEN {too_long} OR contains(concat({texts}), chr(0)) {nul_in_properties} THEN '{r.INVALID_TEXT}'
        WHEN coalesce(at_ms NOT BETWEEN 0 AND {last_ms}, true) THEN '{r.INVALID_TIMESTAMP}'
        WHEN at_ms > epoch_ms(log_time) + {tolerance_ms} THEN '{r.TIMESTAMP_IN_FUTURE}'
        WHEN topic = '{sales}' THEN CASE
          WHEN product_id IS NULL OR category IS NULL THEN '{r.MISSING_FIELD}'
          WHEN coalesce(amount < 0, true) THEN '{r.INVALID_AMOUNT}'
          WHEN coalesce(quantity NOT BETWEEN 1 AND {max_quantity}, true) THEN '{r.INVALID_QUANTITY}'
          WHEN currency IS DISTINCT FROM '{currency}' THEN '{r.CURRENCY_NOT_ACCEPTED}' END
      END AS quarantine,
      CASE WHEN quarantine IS NOT NULL THEN coalesce(array_slice(value, 1, {raw_kept}), ''::BLOB) END AS raw,
      {identity}
    FROM read
"""
"""What is found out of each record, in the records' order. What a hash is may be another thing in another version of
DuckDB: copies of an event from before that change are told as conflicts then.
"""

_NUL_IN_PROPERTIES: Final = "OR contains(array_to_string(map_keys(properties) || map_values(properties), ' '), chr(0))"
"""Dear, and true of hardly any record."""

_REJECTED: Final = """
    SELECT topic, partition, "offset", log_time, {fields},
      CASE WHEN received_at_ms BETWEEN 0 AND {last_ms} THEN make_timestamptz(received_at_ms * 1000) END AS received_at,
      CASE
        WHEN fault IS NOT NULL THEN fault
        WHEN contains(concat({texts}), chr(0)) THEN '{r.INVALID_TEXT}'
        WHEN coalesce(received_at_ms NOT BETWEEN 0 AND {last_ms}, true) THEN '{r.INVALID_TIMESTAMP}'
      END AS quarantine,
      coalesce(array_slice(value, 1, {raw_kept}), ''::BLOB) AS bytes
    FROM records
"""

_SPENT: Final = ["fault", "value", "at_ms", *(f"header_{name}" for name in HEADERS)]
"""Columns of decoded events that nobody needs once they are judged."""

_QUARANTINED: Final = ("topic", "partition", "offset", "log_time", "quarantine", "raw")


class Judge:
    """Judges batches for one shop. Built once; not thread-safe."""

    def __init__(self, shop: ShopSettings) -> None:
        self._events_sql = {check: _events_sql(shop, check) for check in ("", _NUL_IN_PROPERTIES)}
        self._rejected_sql = _rejected_sql()
        self._duck = Duck()
        self._none_rejected: pa.Table | None = None

    def judge(self, decoded: Decoded) -> Batch:
        """Every record in exactly one of the batch's tables."""
        check = _NUL_IN_PROPERTIES if _has_nul(decoded.events["properties"]) else ""
        found = self._duck.query(self._events_sql[check], records=decoded.events)
        events = decoded.events.drop_columns(_SPENT)
        for name in found.column_names:
            events = events.append_column(name, found[name])
        signed = pa.chunked_array([chunk.view(pa.int64()) for chunk in found["payload_hash"].chunks], pa.int64())
        events = events.set_column(events.schema.get_field_index("payload_hash"), "payload_hash", signed)
        rejected = self._rejected(decoded.rejected)
        bad, bad_rejected = pc.is_valid(events["quarantine"]), pc.is_valid(rejected["quarantine"])
        kept = rejected.filter(bad_rejected)
        kept = kept.drop_columns(["raw"]).rename_columns({"bytes": "raw"})
        return Batch(
            events=events.filter(pc.invert(bad)),
            quarantined=pa.concat_tables([events.filter(bad).select(_QUARANTINED), kept.select(_QUARANTINED)]),
            rejected=rejected.filter(pc.invert(bad_rejected)).drop_columns(["log_time", "quarantine", "bytes"]),
            **span_of([decoded.events, decoded.rejected]),
        )

    def _rejected(self, records: pa.Table) -> pa.Table:
        """What is found out of records of rejections; to ask it of none, as most epochs have, is asked once."""
        if records.num_rows:
            return self._duck.query(self._rejected_sql, records=records)
        if self._none_rejected is None:
            self._none_rejected = self._duck.query(self._rejected_sql, records=records)
        return self._none_rejected


def identity(at_ms: str) -> str:
    """SQL of what dedupe knows of an event, `id_hash` and `payload_hash`; `at_ms`: SQL of its time in milliseconds."""
    payload = ", ".join(at_ms if name == "timestamp" else name for name in EVENT_FIELDS)
    return f"unhex(md5(topic || ':' || event_id)) AS id_hash, hash({payload}) AS payload_hash"


def _has_nul(properties: pa.ChunkedArray) -> bool:
    """Whether there is a NUL in any of the texts of the maps."""
    texts = [text for chunk in properties.chunks for text in (chunk.keys, chunk.items)]
    return any(pc.any(pc.match_substring(text, "\0")).as_py() for text in texts)


def _events_sql(shop: ShopSettings, nul_in_properties: str) -> str:
    """The statement for this shop, put together from our own names and settings; no value of an event is in it."""
    return _EVENTS.format(
        received_at=HEADER_RECEIVED_AT,
        source=HEADER_SOURCE,
        client_ip=HEADER_CLIENT_IP,
        imported=HEADER_IMPORT,
        nul_in_properties=nul_in_properties,
        valid_ids=" AND ".join(_VALID_ID.format(name) for name in ("event_id", "user_id", "session_id")),
        r=Reason,
        sales=TRANSACTIONS.name,
        texts=", ".join(LONGEST),
        too_long=" OR ".join(f"length({name}) > {longest}" for name, longest in LONGEST.items()),
        last_ms=LAST_MILLISECOND,
        # Twice the gateway's tolerance: what it accepted must not be refused for a clock that differs a little.
        tolerance_ms=2000 * shop.future_tolerance_seconds,
        max_quantity=MAX_QUANTITY,
        currency=shop.currency,
        raw_kept=RAW_KEPT_BYTES,
        identity=identity("at_ms"),
    )


def _rejected_sql() -> str:
    return _REJECTED.format(
        fields=", ".join(REJECTED_FIELDS),
        texts=", ".join(REJECTED_TEXTS),
        r=Reason,
        last_ms=LAST_MILLISECOND,
        raw_kept=RAW_KEPT_BYTES,
    )
