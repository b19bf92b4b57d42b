"""Judging: every record is an event, a rejected event, or quarantined with the reason of the gateway's table.

Through the decoder, as in an epoch: what a reason is given for are bytes.
"""

import random
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.rejections import Reason
from contracts.settings import ShopSettings
from contracts.topics import CLICKSTREAM, REJECTED, TRANSACTIONS
from ingestion import values
from processing.batch import Batch
from processing.decode import EVENT_FIELDS, Decoder
from processing.judge import LAST_MILLISECOND, LONGEST, MAX_QUANTITY, RAW_KEPT_BYTES, Judge
from tests.processing.builders import (
    REGISTRY,
    START_MS,
    Record,
    batch_of,
    click,
    framed,
    record,
    records_table,
    rejection,
    sale,
)
from tests.processing.mutations import mutated

pytestmark = pytest.mark.unit

YEAR_10000_MS = 253_402_300_800_000
IN_10_MINUTES_MS = START_MS + 600_000


def numbered(records: Iterable[Record]) -> list[Record]:
    return [replace(each, offset=number) for number, each in enumerate(records)]


def reasons(records: Iterable[Record]) -> list[str | None]:
    """The reason for which each record is quarantined, None for an event or a rejection."""
    records = numbered(records)
    batch = batch_of(records)
    found = dict(zip(batch.quarantined["offset"].to_pylist(), batch.quarantined["quarantine"].to_pylist(), strict=True))
    assert batch.records == len(records)
    return [found.get(each.offset) for each in records]


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
    "a NUL in a payment method": (TRANSACTIONS, framed(sale(payment_method="\0")), Reason.INVALID_TEXT),
    "a NUL in an order id": (TRANSACTIONS, framed(sale(order_id="o\0")), Reason.INVALID_TEXT),
    "a NUL in a product id": (TRANSACTIONS, framed(sale(product_id="\0")), Reason.INVALID_TEXT),
    "a NUL in a referrer": (CLICKSTREAM, framed(click(referrer="\0")), Reason.INVALID_TEXT),
    "a NUL in a user agent": (CLICKSTREAM, framed(click(user_agent="\0")), Reason.INVALID_TEXT),
    "a NUL in a search": (CLICKSTREAM, framed(click(search_query="\0")), Reason.INVALID_TEXT),
    "a NUL in a rejection": (REJECTED, framed(rejection(pointer="/\0")), Reason.INVALID_TEXT),
    "a rejection from the year 10000": (
        REJECTED,
        framed(rejection(received_at=YEAR_10000_MS)),
        Reason.INVALID_TIMESTAMP,
    ),
    "before 1970": (CLICKSTREAM, framed(click(timestamp=-1)), Reason.INVALID_TIMESTAMP),
    "the year 10000": (CLICKSTREAM, framed(click(timestamp=YEAR_10000_MS)), Reason.INVALID_TIMESTAMP),
    "2^62 milliseconds": (CLICKSTREAM, framed(click(timestamp=2**62)), Reason.INVALID_TIMESTAMP),
    "-2^63 milliseconds": (TRANSACTIONS, framed(sale(timestamp=-(2**63))), Reason.INVALID_TIMESTAMP),
    "a rejection after 2^63 - 1": (REJECTED, framed(rejection(received_at=2**63 - 1)), Reason.INVALID_TIMESTAMP),
    "a sale before 1970": (TRANSACTIONS, framed(sale(timestamp=-1)), Reason.INVALID_TIMESTAMP),
    "too far in the future": (CLICKSTREAM, framed(click(timestamp=IN_10_MINUTES_MS + 1)), Reason.TIMESTAMP_IN_FUTURE),
    "a negative amount": (TRANSACTIONS, framed(sale(amount=Decimal("-0.0001"))), Reason.INVALID_AMOUNT),
    "an amount of 20 digits": (
        TRANSACTIONS,
        SALE[:AMOUNT_AT] + b"\x14" + b"\x7f" * 10 + SALE[AMOUNT_AT + 4 :],
        Reason.MALFORMED_AVRO,
    ),
    "quantity 0": (TRANSACTIONS, framed(sale(quantity=0)), Reason.INVALID_QUANTITY),
    "a negative quantity": (TRANSACTIONS, framed(sale(quantity=-1)), Reason.INVALID_QUANTITY),
    "quantity 1,000,001": (TRANSACTIONS, framed(sale(quantity=1_000_001)), Reason.INVALID_QUANTITY),
    "another currency": (TRANSACTIONS, framed(sale(currency="EUR")), Reason.CURRENCY_NOT_ACCEPTED),
}
"""Topic, value and reason."""


def test_poison_is_quarantined_with_its_reason_and_its_bytes() -> None:
    poison = numbered(Record(topic.name, value) for topic, value, _ in POISON.values())
    batch = batch_of(poison)
    assert (batch.events.num_rows, batch.rejected.num_rows) == (0, 0)
    rows = batch.quarantined.sort_by("offset").to_pylist()
    found = {name: row["quarantine"] for name, row in zip(POISON, rows, strict=True)}
    assert found == {name: str(reason) for name, (_, _, reason) in POISON.items()}
    assert [row["raw"] for row in rows] == [value or b"" for _, value, _ in POISON.values()]
    assert {row["topic"] for row in rows} == {CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name}


@pytest.mark.parametrize("name", LONGEST)
def test_a_text_may_be_as_long_as_the_gateway_lets_it_be(name: str) -> None:
    event, changed = (click(), "🛒") if name in click() else (sale(), "é")
    just, over = (record(event | {name: changed * (LONGEST[name] + more)}) for more in (0, 1))
    assert reasons([just, over]) == [None, Reason.INVALID_TEXT]


def test_the_limits_are_the_gateways() -> None:
    assert values.MAX_TEXT | dict.fromkeys(("product_id", "order_id"), values.MAX_ID) == LONGEST
    assert (MAX_QUANTITY, LAST_MILLISECOND) == (values.MAX_QUANTITY, values.MAX_TIMESTAMP_MS)


def test_every_reason_that_a_record_can_have_is_among_the_poison() -> None:
    only_at_the_gateway = {
        *(Reason.MALFORMED_JSON, Reason.UNKNOWN_TYPE, Reason.WRONG_TYPE, Reason.UNKNOWN_FIELD, Reason.INVALID_ENUM),
        *(Reason.TIMESTAMP_TOO_OLD, Reason.TOO_MANY_PROPERTIES, Reason.EVENT_TOO_LARGE),
        Reason.MISSING_FIELD,  # no registered schema lets a field be missing that an event needs: see below
        "user_erased",  # a matter of the store and not of the record
    }
    assert {reason for _, _, reason in POISON.values()} == {*Reason} - only_at_the_gateway


@pytest.mark.parametrize("name", ["product_id", "category"])
def test_a_sale_must_name_what_was_sold_whatever_a_later_schema_says(name: str) -> None:
    decoded = Decoder(REGISTRY).decode(records_table([record(sale())]))
    place = decoded.events.schema.get_field_index(name)
    events = decoded.events.set_column(place, name, pa.nulls(1, pa.string()))
    batch = Judge(ShopSettings()).judge(replace(decoded, events=events))
    assert batch.quarantined["quarantine"].to_pylist() == [Reason.MISSING_FIELD]


VALID = {
    "10 minutes ahead": click(timestamp=IN_10_MINUTES_MS),
    "the first instant": click(timestamp=0),
    "an id of 128 characters": click("é" * 128),
    "an id of one": click("e"),
    "a backslash that looks like an escaped NUL": click(properties={"k": "\\u0000"}, page_url="\\u0000"),
    "an amount of nothing": sale(amount=Decimal("0.0000")),
    "the largest amount": sale(amount=Decimal("99999999999999.9999")),
    "quantity 1,000,000": sale(quantity=1_000_000),
    "texts beyond ASCII": click(page_url="/日本/🛒", properties={"ü": "ß"}),
    "a click on no product": click(product_id=None, category=None),
    "a rejection": rejection(),
    "a rejection of long ago": rejection(received_at=0),
}


def test_what_is_just_within_the_limits_is_valid() -> None:
    assert dict(zip(VALID, reasons(map(record, VALID.values())), strict=True)) == dict.fromkeys(VALID)


def test_the_last_instant_is_valid_once_the_broker_is_there() -> None:
    last = record(click(timestamp=YEAR_10000_MS - 1), log_ms=YEAR_10000_MS - 1000)
    assert reasons([last]) == [None]


@pytest.mark.parametrize("tolerance", [0, 30])
def test_the_tolerance_is_twice_the_gateways_so_that_clocks_may_differ(tolerance: int) -> None:
    judge, decoder = Judge(ShopSettings(future_tolerance_seconds=tolerance)), Decoder(REGISTRY)
    ahead = [record(click(timestamp=START_MS + 2000 * tolerance + extra), offset=extra) for extra in (0, 1)]
    batch = judge.judge(decoder.decode(records_table(ahead)))
    assert (batch.events["offset"].to_pylist(), batch.quarantined["offset"].to_pylist()) == ([0], [1])


def test_the_currency_is_the_shops() -> None:
    judge, decoder = Judge(ShopSettings(currency="EUR")), Decoder(REGISTRY)
    sales = [record(sale(currency=currency), offset=n) for n, currency in enumerate(("EUR", "USD", ""))]
    assert judge.judge(decoder.decode(records_table(sales))).quarantined["offset"].to_pylist() == [1, 2]


def test_a_large_poison_record_is_kept_up_to_the_limit() -> None:
    batch = batch_of(Record(topic, b"x" * (RAW_KEPT_BYTES + 1)) for topic in (CLICKSTREAM.name, REJECTED.name))
    assert batch.quarantined["raw"].to_pylist() == [b"x" * RAW_KEPT_BYTES] * 2


CHANGES: list[dict[str, Any]] = [
    *({}, {"user_id": "u2"}, {"session_id": "s2"}, {"timestamp": START_MS + 1}, {"action": "click"}),
    *({"product_id": None}, {"category": None}, {"product_id": "books", "category": None}),
    *({"product_id": None, "category": "p1"}, {"category": "p1", "product_id": "books"}),
    *({"page_url": None}, {"page_url": None, "referrer": "/p1"}, {"page_url": "NULL"}, {"user_agent": "x"}),
    *({"search_query": "x"}, {"properties": {"a": "b"}}, {"properties": {"a": "c"}}, {"properties": {"a": "b, c=d"}}),
    {"properties": {"a": "b", "c": "d"}},
]
SALE_CHANGES: list[dict[str, Any]] = [
    *({}, {"amount": Decimal("9.9901")}, {"quantity": 2}, {"payment_method": "cash"}, {"order_id": "o"}),
    {"kind": "refund"},
]


def test_the_payload_hash_tells_payloads_apart_and_the_id_hash_topics() -> None:
    events = [*(click(**change) for change in CHANGES), *(sale("e1", **change) for change in SALE_CHANGES)]
    rows = batch_of(numbered(map(record, [*events, click()]))).events.sort_by("offset").to_pylist()
    *rows, again = rows
    assert len({row["payload_hash"] for row in rows}) == len(rows)
    assert again["payload_hash"] == rows[0]["payload_hash"]
    assert [row["id_hash"] == again["id_hash"] for row in rows] == [True] * len(CHANGES) + [False] * len(SALE_CHANGES)
    assert len(again["id_hash"]) == 16


def test_the_payload_hash_does_not_depend_on_the_batch_or_on_how_the_record_came() -> None:
    one = batch_of([record(sale(), headers=[], log_ms=START_MS + 5, partition=1)]).events
    among = batch_of(numbered(map(record, [click(), sale("other"), sale(), rejection()]))).events
    row = among.filter(pa.compute.equal(among["event_id"], "t1"))
    assert one["payload_hash"].to_pylist() == row["payload_hash"].to_pylist()


def places(batch: Batch) -> list[tuple[str, int, int]]:
    return [
        (row["topic"], row["partition"], row["offset"])
        for part in (batch.events, batch.quarantined, batch.rejected)
        for row in part.select(["topic", "partition", "offset"]).to_pylist()
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.randoms(use_true_random=False), min_size=1, max_size=40))
def test_every_record_is_exactly_one_of_event_quarantined_and_rejected(dice: list[random.Random]) -> None:
    records = numbered(map(mutated, dice))
    batch = batch_of(records)
    assert sorted(places(batch)) == sorted((each.topic, each.partition, each.offset) for each in records)
    assert batch.records == len(records)
    assert set(batch.events["quarantine"].to_pylist()) <= {None}
    assert set(batch.rejected["topic"].to_pylist()) <= {REJECTED.name}
    assert REJECTED.name not in batch.events["topic"].to_pylist()
    assert set(EVENT_FIELDS) <= set(batch.events.column_names)
