"""Events for tests: one plain dict per event, as an Arrow table of the log, as decoded records, as Kafka records.

The dict has Avro's field names, times in epoch milliseconds and money as Decimal, so that the same object goes into a
record (fastavro) and into the oracle (`loadtest.facts.to_fact`).
"""

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

import fastavro
import pyarrow as pa
from hypothesis import strategies as st

from contracts.topics import CLICKSTREAM, HEADER_IMPORT, HEADER_RECEIVED_AT, HEADER_SOURCE, REJECTED, TRANSACTIONS
from processing.batch import EVENT_LOG
from schemas_avro import load_registry

Event: TypeAlias = dict[str, Any]

START_MS: Final = 1_772_366_400_000
"""2026-03-01T12:00:00Z."""
GAP_MS: Final = 30 * 60 * 1000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_EVENT_COLUMNS: Final = EVENT_LOG.names[EVENT_LOG.names.index("event_id") :]

_REJECTED: Final = pa.struct(
    [
        ("rejection_id", pa.string()),
        ("received_at", pa.timestamp("us", "UTC")),
        ("source", pa.string()),
        ("reason", pa.string()),
        ("pointer", pa.string()),
        ("detail", pa.string()),
        ("content_type", pa.string()),
        ("event_id", pa.string()),
        ("raw", pa.binary()),
        ("truncated", pa.bool_()),
    ]
)

DECODED: Final = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("log_time", pa.timestamp("us", "UTC")),
        ("received_at", pa.int64()),
        ("source", pa.string()),
        ("imported", pa.bool_()),
        *(
            (name, EVENT_LOG.field(name).type)
            for name in (
                *("event_id", "user_id", "session_id", "product_id", "category", "timestamp"),
                *("action", "page_url", "referrer", "user_agent", "search_query", "properties"),
                *("amount", "quantity", "payment_method", "order_id", "currency", "kind"),
            )
        ),
        ("quarantine", pa.string()),
        ("raw", pa.binary()),
        ("id_hash", pa.binary()),
        ("payload_hash", pa.int64()),
        ("rejected", _REJECTED),
    ]
)
"""What `processing.decode.decode` gives; a test of it against Spark holds this to it."""


def at(ms: int) -> datetime:
    """Epoch milliseconds as a datetime."""
    return EPOCH + timedelta(milliseconds=ms)


def click(event_id: str = "e1", **changes: Any) -> Event:
    """A clickstream event of the latest version."""
    event: Event = {
        "event_id": event_id,
        "user_id": "u1",
        "session_id": "s1",
        "product_id": "p1",
        "category": "books",
        "action": "view",
        "timestamp": START_MS,
        "page_url": "/p1",
        "referrer": None,
        "user_agent": None,
        "search_query": None,
        "properties": {},
    }
    assert changes.keys() <= event.keys()
    return event | changes


def sale(event_id: str = "t1", **changes: Any) -> Event:
    """A transaction of the latest version."""
    event: Event = {
        "transaction_id": event_id,
        "user_id": "u1",
        "session_id": "s1",
        "product_id": "p1",
        "category": "books",
        "amount": Decimal("9.9900"),
        "quantity": 1,
        "timestamp": START_MS,
        "payment_method": "card",
        "order_id": None,
        "currency": "USD",
        "kind": "purchase",
    }
    assert changes.keys() <= event.keys()
    return event | changes


def rejection(rejection_id: str = "r1", **changes: Any) -> Event:
    """What the gateway writes of an event that it refused."""
    event: Event = {
        "rejection_id": rejection_id,
        "received_at": START_MS,
        "source": "demo",
        "reason": "invalid_id",
        "pointer": "/event_id",
        "detail": "The id is empty.",
        "content_type": "application/json",
        "schema_id": None,
        "event_id": None,
        "traceparent": None,
        "raw": b'{"event_id":""}',
        "truncated": False,
    }
    assert changes.keys() <= event.keys()
    return event | changes


def topic_of(event: Event) -> str:
    """The topic that the event belongs in."""
    if "rejection_id" in event:
        return REJECTED.name
    return TRANSACTIONS.name if "transaction_id" in event else CLICKSTREAM.name


def id_of(event: Event) -> str:
    """The event's own id."""
    return str(event.get("event_id") or event["transaction_id"])


def framed(event: Event, version: int | None = None) -> bytes:
    """The event as a record's value: Confluent framing of the latest schema version, or of the one given."""
    registry = load_registry()
    subject = topic_of(event)
    schema = registry.latest(subject) if version is None else registry.versions(subject)[version - 1]
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, event)
    return b"\x00" + schema.id.to_bytes(4, "big") + out.getvalue()


@dataclass(frozen=True)
class Record:
    """A Kafka record as the source hands it over."""

    topic: str
    value: bytes | None
    offset: int = 0
    partition: int = 0
    log_ms: int = START_MS
    headers: Sequence[tuple[str, bytes]] = field(
        default=((HEADER_SOURCE, b"demo"), (HEADER_RECEIVED_AT, str(START_MS).encode()))
    )


def headers(received_ms: int = START_MS, *, imported: bool = False) -> list[tuple[str, bytes]]:
    """The gateway's headers."""
    import_flag = [(HEADER_IMPORT, b"1")] if imported else []
    return [(HEADER_SOURCE, b"demo"), (HEADER_RECEIVED_AT, str(received_ms).encode()), *import_flag]


def records_table(records: Iterable[Record]) -> pa.Table:
    """Records in the columns of Spark's Kafka source."""
    schema = pa.schema(
        [
            ("topic", pa.string()),
            ("partition", pa.int32()),
            ("offset", pa.int64()),
            ("value", pa.binary()),
            ("timestamp", pa.timestamp("us", "UTC")),
            ("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
        ]
    )
    rows = [
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "value": record.value,
            "timestamp": at(record.log_ms),
            "headers": [{"key": key, "value": value} for key, value in record.headers] or None,
        }
        for record in records
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def event_table(events: Iterable[Event], epoch: int = 1, late: frozenset[str] = frozenset()) -> pa.Table:
    """Deduplicated events as rows of the log; `late` holds the ids of those to label so."""
    rows = [
        {
            **_columns(event),
            "date": at(event["timestamp"]).date(),
            "epoch": epoch,
            "topic": topic_of(event),
            "partition": 0,
            "offset": number,
            "log_time": at(event["timestamp"]),
            "received_at": at(event["timestamp"]),
            "source": "demo",
            "imported": False,
            "late": id_of(event) in late,
        }
        for number, event in enumerate(events)
    ]
    return pa.Table.from_pylist(rows, schema=EVENT_LOG)


def decoded_table(events: Iterable[Event], first_offset: int = 0, log_ms: int = START_MS) -> pa.Table:
    """Events as decoded records at consecutive offsets of partition 0, valid all."""
    rows = [
        {
            **_columns(event),
            "topic": topic_of(event),
            "partition": 0,
            "offset": first_offset + number,
            "log_time": at(log_ms),
            "received_at": log_ms,
            "source": "demo",
            "imported": False,
            "id_hash": hashlib.md5(f"{topic_of(event)}:{id_of(event)}".encode()).digest(),
            "payload_hash": int.from_bytes(hashlib.sha256(framed(event)).digest()[:8], "big", signed=True),
        }
        for number, event in enumerate(events)
    ]
    return pa.Table.from_pylist(rows, schema=DECODED)


def _columns(event: Event) -> Event:
    properties = list(event["properties"].items()) if "properties" in event else None
    times = {"event_id": id_of(event), "timestamp": at(event["timestamp"]), "properties": properties}
    return dict.fromkeys(_EVENT_COLUMNS) | {k: v for k, v in event.items() if k in _EVENT_COLUMNS} | times


_PAGES: Final = st.one_of(
    st.none(),
    st.sampled_from(("/", "/p1", "", '/a"b\\c', "/ünï/日本/🛒")),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6),
)


@st.composite
def _instants(draw: st.DrawFn) -> int:
    """Few distinct times, many of them half a session gap, or just under, exactly or just over a whole one, apart."""
    steps = draw(st.integers(0, 8)) * (GAP_MS // 2) + draw(st.integers(0, 1)) * 60_000
    return START_MS + steps + draw(st.sampled_from((-1, 0, 0, 0, 1, 59_999, 777)))


@st.composite
def _events(draw: st.DrawFn) -> Event:
    number = draw(st.integers(0, 40))
    shared = {
        "user_id": draw(st.sampled_from(("u1", "u2", "ü3"))),
        "session_id": draw(st.sampled_from(("s1", "s2"))),
        "timestamp": draw(_instants()),
    }
    products, categories = st.sampled_from(("p1", "p2")), st.sampled_from(("books", "toys"))
    if draw(st.integers(0, 3)):
        return click(
            f"e{number}",
            **shared,
            product_id=draw(st.none() | products),
            category=draw(st.none() | categories | st.just("")),
            action=draw(st.sampled_from(_ACTIONS)),
            page_url=draw(_PAGES),
        )
    return sale(
        f"e{number}",  # the same id in both topics is two events
        **shared,
        product_id=draw(products),
        category=draw(categories),
        amount=Decimal(draw(st.integers(0, 10**9))).scaleb(-4),
        quantity=draw(st.integers(1, 5)),
        kind=draw(st.sampled_from(("purchase", "purchase", "refund"))),
    )


_ACTIONS: Final = (
    *("page_view", "view", "click", "scroll", "search", "add_to_cart", "remove_from_cart", "checkout_start", "other"),
)


def streams(max_size: int = 30) -> st.SearchStrategy[list[Event]]:
    """Events as they arrive: few users, sessions and products, ties, gaps at the boundary; ids repeat at times."""
    return st.lists(_events(), min_size=1, max_size=max_size)


def unique_streams(max_size: int = 30) -> st.SearchStrategy[list[Event]]:
    """The same, every id once per topic: what is left after dedupe."""
    return st.lists(_events(), min_size=1, max_size=max_size, unique_by=lambda event: (topic_of(event), id_of(event)))
