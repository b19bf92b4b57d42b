"""Decoding in Spark: golden samples come out as they are, poison is told by its reason, and nothing throws."""

import json
import random
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from contracts.rejections import Reason
from contracts.settings import PostgresSettings, ShopSettings
from contracts.topics import CLICKSTREAM, REJECTED, TRANSACTIONS
from processing.batch import event_rows, sort_records
from processing.decode import decode
from processing.dedupe import deduplicate
from processing.deltas import DuckDeltas
from processing.event_log import EventLog
from processing.judge import EVENT_FIELDS, RAW_KEPT_BYTES, Judge
from processing.kept import keep_quarantined, keep_rejected
from processing.projections import build_projections
from processing.recent_ids import RecentIds
from processing.store import Store
from schemas_avro import RegisteredSchema, load_registry
from schemas_avro.golden import sample_records
from tests.processing.builders import (
    DECODED,
    START_MS,
    Event,
    Record,
    click,
    framed,
    headers,
    records_table,
    rejection,
    sale,
    topic_of,
)

pytestmark = pytest.mark.integration

REGISTRY = load_registry()
JUDGE = Judge(REGISTRY, ShopSettings())
YEAR_10000_MS = 253_402_300_800_000
IN_10_MINUTES_MS = START_MS + 600_000


def materialised(spark: SparkSession, records: Iterable[Record]) -> DataFrame:
    """Records as the executors get them. A local table would be decoded by the optimizer, row by row, uncompiled."""
    return spark.createDataFrame(records_table(records)).localCheckpoint()


def decoded(
    spark: SparkSession, records: Iterable[Record], columns: Sequence[str] = DECODED.names
) -> list[dict[str, Any]]:
    """Decoded rows, in the order of the records."""
    numbered = [Record(r.topic, r.value, n, r.partition, r.log_ms, r.headers) for n, r in enumerate(records)]
    frame = materialised(spark, numbered)
    table = JUDGE.judge(decode(frame, REGISTRY).toArrow())
    assert [(field.name, field.type) for field in table.schema] == [(field.name, field.type) for field in DECODED]
    rows: list[dict[str, Any]] = sorted(table.select(columns).to_pylist(), key=lambda row: row["offset"])
    assert len(rows) == len(numbered)
    return rows


def record(event: Event, **rest: Any) -> Record:
    return Record(topic_of(event), framed(event), **rest)


def at_end_of_time(schema: RegisteredSchema) -> list[Record]:
    """Every golden sample under its own version's bytes; the broker's clock stands at the year 9999."""
    return [
        Record(schema.subject, framed(sample, schema.version), log_ms=YEAR_10000_MS - 1000)
        for sample in sample_records(schema)
    ]


@pytest.mark.parametrize(
    "schema",
    [schema for schema in REGISTRY.schemas if schema.subject != REJECTED.name],
    ids=lambda schema: f"{schema.subject}-v{schema.version}",
)
def test_golden_samples_of_every_version_decode_to_their_values(spark: SparkSession, schema: RegisteredSchema) -> None:
    reader = REGISTRY.latest(schema.subject).definition["fields"]
    defaults = {field["name"]: field["default"] for field in reader if "default" in field}
    for sample, row in zip(sample_records(schema), decoded(spark, at_end_of_time(schema)), strict=True):
        whole = defaults | sample
        wanted = {("event_id" if name == "transaction_id" else name): whole[name] for name in whole}
        found = row | {"properties": None if row["properties"] is None else dict(row["properties"])}
        assert {name: found[name] for name in wanted} == wanted
        assert all(found[name] is None for name in set(EVENT_FIELDS) - set(wanted))
        accepted = wanted.get("currency", "USD") == "USD" and wanted.get("quantity", 1) <= 1_000_000
        assert (row["quarantine"] is None) == accepted


def test_golden_rejections_decode_to_their_values(spark: SparkSession) -> None:
    schema = REGISTRY.latest(REJECTED.name)
    for sample, row in zip(sample_records(schema), decoded(spark, at_end_of_time(schema)), strict=True):
        assert row["quarantine"] is None
        assert row["rejected"] == {name: sample[name] for name in row["rejected"]}


CLICK, SALE = framed(click()), framed(sale())
AMOUNT_AT = SALE.index(b"books") + 5


def id_frame(schema_id: int) -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big")


def with_text(text: bytes) -> bytes:
    """A click whose page is raw bytes."""
    marked = framed(click(page_url="MARKER"))
    return marked.replace(b"\x0cMARKER", bytes([2 * len(text)]) + text)


POISON = {
    "no value": (CLICKSTREAM, None, Reason.UNKNOWN_SCHEMA),
    "an empty value": (CLICKSTREAM, b"", Reason.UNKNOWN_SCHEMA),
    "one byte": (CLICKSTREAM, b"\x00", Reason.UNKNOWN_SCHEMA),
    "half a frame": (CLICKSTREAM, CLICK[:4], Reason.UNKNOWN_SCHEMA),
    "a frame and nothing else": (CLICKSTREAM, CLICK[:5], Reason.MALFORMED_AVRO),
    "JSON": (CLICKSTREAM, b'{"event_id":"e1"}', Reason.UNKNOWN_SCHEMA),
    "another magic byte": (CLICKSTREAM, b"\x01" + CLICK[1:], Reason.UNKNOWN_SCHEMA),
    "an unknown schema id": (CLICKSTREAM, id_frame(99) + CLICK[5:], Reason.UNKNOWN_SCHEMA),
    "the greatest schema id": (CLICKSTREAM, b"\x00\xff\xff\xff\xff" + CLICK[5:], Reason.UNKNOWN_SCHEMA),
    "a sale among clicks": (CLICKSTREAM, SALE, Reason.UNKNOWN_SCHEMA),
    "a click among sales": (TRANSACTIONS, CLICK, Reason.UNKNOWN_SCHEMA),
    "a click among rejections": (REJECTED, CLICK, Reason.UNKNOWN_SCHEMA),
    "a truncated click": (CLICKSTREAM, CLICK[:-3], Reason.MALFORMED_AVRO),
    "a truncated sale": (TRANSACTIONS, SALE[:-3], Reason.MALFORMED_AVRO),
    "a truncated rejection": (REJECTED, framed(rejection())[:-3], Reason.MALFORMED_AVRO),
    "random bytes under a good frame": (CLICKSTREAM, CLICK[:5] + b"\xff" * 40, Reason.MALFORMED_AVRO),
    "a length of 2^40": (CLICKSTREAM, CLICK[:5] + b"\x80\x80\x80\x80\x80\x80\x01", Reason.MALFORMED_AVRO),
    "a length of a gigabyte": (CLICKSTREAM, CLICK[:5] + b"\x80\x80\x80\x80\x07", Reason.MALFORMED_AVRO),
    "an amount of a gigabyte": (
        TRANSACTIONS,
        SALE[:AMOUNT_AT] + b"\x80\x80\x80\x80\x07" + SALE[AMOUNT_AT + 1 :],
        Reason.MALFORMED_AVRO,
    ),
    "2^30 properties": (CLICKSTREAM, CLICK[:-1] + b"\x80\x80\x80\x80\x08\x02a\x02b", Reason.MALFORMED_AVRO),
    "a negative length": (CLICKSTREAM, CLICK[:5] + b"\x09", Reason.MALFORMED_AVRO),
    "an empty id": (CLICKSTREAM, framed(click("")), Reason.INVALID_ID),
    "an id of 129 characters": (CLICKSTREAM, framed(click("e" * 129)), Reason.INVALID_ID),
    "an id with a line feed": (CLICKSTREAM, framed(click("e\n1")), Reason.INVALID_ID),
    "an id with a NUL": (CLICKSTREAM, framed(click("e\0")), Reason.INVALID_ID),
    "a user id with a delete": (TRANSACTIONS, framed(sale(user_id="u\x7f")), Reason.INVALID_ID),
    "an empty session id": (TRANSACTIONS, framed(sale(session_id="")), Reason.INVALID_ID),
    "an id that is no UTF-8": (CLICKSTREAM, CLICK.replace(b"\x04e1", b"\x04\xc3\x28"), Reason.MALFORMED_AVRO),
    "a NUL in a text": (CLICKSTREAM, framed(click(page_url="/a\0b")), Reason.INVALID_TEXT),
    "a NUL in the category": (TRANSACTIONS, framed(sale(category="\0")), Reason.INVALID_TEXT),
    "a NUL in a property": (CLICKSTREAM, framed(click(properties={"k": "\0"})), Reason.INVALID_TEXT),
    "a NUL in a property's name": (CLICKSTREAM, framed(click(properties={"\0": "v"})), Reason.INVALID_TEXT),
    "a text that is no UTF-8": (CLICKSTREAM, with_text(b"\xff\xfe"), Reason.MALFORMED_AVRO),
    "a surrogate in a text": (CLICKSTREAM, with_text(b"\xed\xa0\x80"), Reason.MALFORMED_AVRO),
    "a NUL in a rejection": (REJECTED, framed(rejection(pointer="/\0")), Reason.INVALID_TEXT),
    "a rejection from the year 10000": (
        REJECTED,
        framed(rejection(received_at=YEAR_10000_MS)),
        Reason.INVALID_TIMESTAMP,
    ),
    "before 1970": (CLICKSTREAM, framed(click(timestamp=-1)), Reason.INVALID_TIMESTAMP),
    "the year 10000": (CLICKSTREAM, framed(click(timestamp=YEAR_10000_MS)), Reason.INVALID_TIMESTAMP),
    "2^62 milliseconds": (CLICKSTREAM, framed(click(timestamp=2**62)), Reason.MALFORMED_AVRO),
    "too far in the future": (CLICKSTREAM, framed(click(timestamp=IN_10_MINUTES_MS + 1)), Reason.TIMESTAMP_IN_FUTURE),
    "a negative amount": (TRANSACTIONS, framed(sale(amount=Decimal("-0.0001"))), Reason.INVALID_AMOUNT),
    "an amount of 20 digits": (TRANSACTIONS, SALE[:AMOUNT_AT] + b"\x14" + b"\x7f" * 10 + SALE[AMOUNT_AT + 4 :], None),
    "quantity 0": (TRANSACTIONS, framed(sale(quantity=0)), Reason.INVALID_QUANTITY),
    "a negative quantity": (TRANSACTIONS, framed(sale(quantity=-1)), Reason.INVALID_QUANTITY),
    "quantity 1,000,001": (TRANSACTIONS, framed(sale(quantity=1_000_001)), Reason.INVALID_QUANTITY),
    "another currency": (TRANSACTIONS, framed(sale(currency="EUR")), Reason.CURRENCY_NOT_ACCEPTED),
}
"""Topic, value and reason; without a reason the record only has to be quarantined."""


def test_poison_is_quarantined_with_its_reason_and_its_bytes(spark: SparkSession) -> None:
    poison = (Record(topic.name, value) for topic, value, _ in POISON.values())
    rows = decoded(spark, poison, ("offset", "quarantine", "raw"))  # the fields may be no UTF-8
    found = {name: row["quarantine"] for name, row in zip(POISON, rows, strict=True)}
    wanted = {name: found[name] if reason is None else str(reason) for name, (_, _, reason) in POISON.items()}
    assert found == wanted
    assert None not in found.values()
    assert [row["raw"] for row in rows] == [value or b"" for _, value, _ in POISON.values()]


VALID = {
    "10 minutes ahead": click(timestamp=IN_10_MINUTES_MS),
    "the first instant": click(timestamp=0),
    "an id of 128 characters": click("é" * 128),
    "a backslash that looks like an escaped NUL": click(properties={"k": "\\u0000"}, page_url="\\u0000"),
    "an amount of nothing": sale(amount=Decimal("0.0000")),
    "quantity 1,000,000": sale(quantity=1_000_000),
    "texts beyond ASCII": click(page_url="/日本/🛒", properties={"ü": "ß"}),
}


def test_what_is_just_within_the_limits_is_valid(spark: SparkSession) -> None:
    rows = decoded(spark, map(record, VALID.values()))
    assert {name: row["quarantine"] for name, row in zip(VALID, rows, strict=True)} == dict.fromkeys(VALID)
    assert {row["raw"] for row in rows} == {None}


def test_headers_come_through_and_odd_ones_stop_nothing(spark: SparkSession) -> None:
    cases: list[tuple[list[tuple[str, bytes]], tuple[int | None, str, bool]]] = [
        (headers(START_MS + 5), (START_MS + 5, "demo", False)),
        (headers(START_MS, imported=True), (START_MS, "demo", True)),
        ([("import", b"0"), ("other", b"\xff")], (None, "", False)),
        ([], (None, "", False)),
        ([("received_at", b"yesterday")], (None, "", False)),
        ([("received_at", b"9" * 30)], (None, "", False)),
        ([("received_at", str(2**63 - 1).encode())], (None, "", False)),
        ([("received_at", str(-(2**63)).encode())], (None, "", False)),
        ([("received_at", b"")], (None, "", False)),
        ([("source", b"\xff\xfe")], (None, "", False)),
    ]
    rows = decoded(spark, (record(click(), headers=given) for given, _ in cases))
    assert [(row["received_at"], row["source"], row["imported"]) for row in rows] == [wanted for _, wanted in cases]
    assert {row["quarantine"] for row in rows} == {None}


def test_a_large_poison_record_is_kept_up_to_the_limit(spark: SparkSession) -> None:
    (row,) = decoded(spark, [Record(CLICKSTREAM.name, b"x" * (RAW_KEPT_BYTES + 1))])
    assert row["raw"] == b"x" * RAW_KEPT_BYTES


def test_the_payload_hash_tells_payloads_apart_and_the_id_hash_topics(spark: SparkSession) -> None:
    changes: list[dict[str, Any]] = [
        *({}, {"user_id": "u2"}, {"session_id": "s2"}, {"timestamp": START_MS + 1}, {"action": "click"}),
        *({"product_id": None}, {"category": None}, {"product_id": "books", "category": None}),
        *({"product_id": None, "category": "p1"}, {"category": "p1", "product_id": "books"}),
        *({"page_url": None}, {"page_url": None, "referrer": "/p1"}, {"properties": {"a": "b"}}),
        {"properties": {"a": "c"}},
    ]
    again, *rows = decoded(
        spark, [record(click()), *(record(click(**change)) for change in changes), record(sale("e1"))]
    )
    assert len({row["payload_hash"] for row in rows}) == len(rows)
    assert again["payload_hash"] == rows[0]["payload_hash"]
    assert [row["id_hash"] == again["id_hash"] for row in rows] == [True] * len(changes) + [False]
    assert len(again["id_hash"]) == 16


def mutated(dice: random.Random) -> Record:
    """A good record with a few bytes changed, inserted or cut, sometimes in the wrong topic."""
    event = dice.choice(
        [
            click(f"e{dice.randrange(50)}", properties={"key": "value"}, search_query="shoes"),
            sale(f"t{dice.randrange(50)}", order_id="o1"),
            rejection(event_id="e1"),
        ]
    )
    value = bytearray(framed(event, dice.choice((1, None))))
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(5, len(value) + 1) if dice.random() < 0.9 else dice.randrange(len(value) + 1)
        match dice.randrange(4):
            case 0:
                value[place : place + 1] = bytes([dice.randrange(256)])
            case 1:
                value[place:place] = bytes(dice.randrange(256) for _ in range(dice.randint(1, 4)))
            case 2:
                del value[place : place + dice.randint(1, 4)]
            case _:
                value[place : place + 1] = dice.choice((b"\x00", b"\x01", b"\x80", b"\xff", b"\xff" * 9))
    topic = topic_of(event) if dice.random() < 0.95 else dice.choice((CLICKSTREAM, TRANSACTIONS, REJECTED)).name
    return Record(topic, bytes(value))


def test_whatever_mutation_passes_as_valid_goes_through_every_later_step(
    spark: SparkSession, store: Store, postgres: PostgresSettings, tmp_path: Any
) -> None:
    dice = random.Random(20260301)
    records = [mutated(dice) for _ in range(6_000)]
    numbered = [Record(r.topic, r.value, n, r.partition, r.log_ms, r.headers) for n, r in enumerate(records)]
    table = JUDGE.judge(decode(materialised(spark, numbered), REGISTRY).toArrow())
    batch = sort_records(table)
    assert batch.records == len(records)
    assert min(batch.events.num_rows, batch.quarantined.num_rows, batch.rejected.num_rows) > 100
    projections = build_projections(ShopSettings())
    with store.transaction() as transaction:
        told = deduplicate(RecentIds(), batch.events, 1)
        rows = event_rows(told.first, 1, None)
        for projection, delta in DuckDeltas().deltas(rows, projections):
            projection.merge.apply(transaction, delta, 1)
        keep_quarantined(transaction, batch.quarantined, 1)
        keep_rejected(transaction, batch.rejected, 1)
        events = transaction.query("SELECT sum(events)::bigint AS n FROM site_minutes").to_pylist()[0]["n"]
    event_log = EventLog(tmp_path, 0)
    event_log.open()
    event_log.add(1, rows)
    appended = event_log.flush()
    assert appended is not None
    assert events == rows.num_rows == appended.rows
    json.dumps(rows.drop_columns(["date"]).to_pylist(), default=str)
