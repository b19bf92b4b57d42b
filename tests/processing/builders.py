"""Events for tests: one plain dict per event, as Kafka records, and as what decoding and judging make of those.

The dict has Avro's field names, times in epoch milliseconds and money as Decimal. As rows of the log: `log_rows`.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

import fastavro
import pyarrow as pa
from hypothesis import strategies as st

from contracts.settings import ShopSettings
from contracts.topics import CLICKSTREAM, HEADER_IMPORT, HEADER_RECEIVED_AT, HEADER_SOURCE, REJECTED, TRANSACTIONS
from processing.batch import Batch
from processing.decode import Decoder
from processing.judge import Judge
from processing.source import RECORDS
from schemas_avro import load_registry

Event: TypeAlias = dict[str, Any]

START_MS: Final = 1_772_366_400_000
"""2026-03-01T12:00:00Z."""
GAP_MS: Final = 30 * 60 * 1000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

REGISTRY: Final = load_registry()
_DECODER: Final = Decoder(REGISTRY)
_JUDGE: Final = Judge(ShopSettings())


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
    subject = topic_of(event)
    schema = REGISTRY.latest(subject) if version is None else REGISTRY.versions(subject)[version - 1]
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
    headers: Sequence[tuple[str, bytes | None]] = field(
        default=((HEADER_SOURCE, b"demo"), (HEADER_RECEIVED_AT, str(START_MS).encode()))
    )


def headers(received_ms: int = START_MS, *, imported: bool = False) -> list[tuple[str, bytes]]:
    """The gateway's headers."""
    import_flag = [(HEADER_IMPORT, b"1")] if imported else []
    return [(HEADER_SOURCE, b"demo"), (HEADER_RECEIVED_AT, str(received_ms).encode()), *import_flag]


def record(event: Event, **rest: Any) -> Record:
    """The event's record, in the topic that it belongs in."""
    return Record(topic_of(event), framed(event), **rest)


def records_table(records: Iterable[Record]) -> pa.Table:
    """Records in the columns of Spark's Kafka source."""
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
    return pa.Table.from_pylist(rows, schema=RECORDS)


def batch_of(records: Iterable[Record]) -> Batch:
    """Records decoded and judged."""
    return _JUDGE.judge(_DECODER.decode(records_table(records)))


def decoded_table(events: Iterable[Event], first_offset: int = 0, log_ms: int = START_MS) -> pa.Table:
    """Events as decoded and judged records at consecutive offsets of partition 0, in their order. All must be valid."""
    records = [record(event, offset=number, log_ms=log_ms) for number, event in enumerate(events, first_offset)]
    valid: pa.Table = batch_of(records or [record(click())]).events
    assert valid.num_rows == max(len(records), 1)
    return valid.sort_by("offset").slice(0, len(records))


AGENTS: Final = (None, None, "phone", "laptop", "library", "crawler", "scanner")
REFERRERS: Final = (None, None, "search", "ad", "site")
"""What made-up user agents and referrers come to: `log_rows`."""
_ACTIONS: Final = (
    *("page_view", "view", "click", "scroll", "search", "add_to_cart", "remove_from_cart", "checkout_start", "other"),
)
_FUNNEL: Final = ("view", "click", "click", "add_to_cart", "checkout_start")
_PAGES: Final = st.one_of(
    st.none(),
    st.sampled_from(("/", "/p1", "", '/a"b\\c', "/ünï/日本/🛒")),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6),
)


@st.composite
def _instants(draw: st.DrawFn) -> int:
    """Few distinct times, many of them half a session gap, or just under, exactly or just over a whole one, apart.

    The next ISO week begins twelve hours after `START_MS`.
    """
    steps = draw(st.integers(0, 8)) * (GAP_MS // 2) + draw(st.integers(0, 1)) * 60_000
    later = draw(st.sampled_from((0, 0, 0, 0, 0, 12 * 3_600_000, 7 * 86_400_000)))
    return START_MS + steps + later + draw(st.sampled_from((-1, 0, 0, 0, 1, 59_999, 777)))


@st.composite
def _near_instants(draw: st.DrawFn) -> int:
    """Times of which many are just under, exactly or just over ten minutes apart."""
    return START_MS + draw(st.integers(0, 10)) * 150_000 + draw(st.sampled_from((-1, 0, 0, 0, 1)))


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
            referrer=draw(st.sampled_from(REFERRERS)),
            user_agent=draw(st.sampled_from(AGENTS)),
        )
    return sale(
        f"e{number}",  # the same id in both topics is two events
        **shared,
        product_id=draw(products),
        category=draw(categories),
        amount=Decimal(draw(st.integers(0, 10**9))).scaleb(-4),
        quantity=draw(st.integers(1, 5)),
        kind=draw(st.sampled_from(("purchase", "purchase", "refund"))),
        order_id=draw(st.sampled_from((None, "o1", "o2", "e1"))),  # an order may be called as an event is
    )


@st.composite
def _purchases_of_one_user(draw: st.DrawFn) -> Event:
    """Clicks, steps of the funnel and purchases close together."""
    number, instant, product = (
        draw(st.integers(0, 40)),
        draw(_near_instants()),
        draw(st.sampled_from(("p1", "p1", "p2"))),
    )
    if draw(st.booleans()):
        return click(f"e{number}", timestamp=instant, product_id=product, action=draw(st.sampled_from(_FUNNEL)))
    return sale(f"e{number}", timestamp=instant, product_id=product)


def streams(max_size: int = 30) -> st.SearchStrategy[list[Event]]:
    """Events as they arrive: few users, sessions and products, ties, gaps at the boundary; ids repeat at times."""
    return st.lists(_events(), min_size=1, max_size=max_size)


def unique_streams(max_size: int = 30) -> st.SearchStrategy[list[Event]]:
    """What is left after dedupe, every id once per topic: of a whole shop, or of one user who clicks and buys."""
    return st.one_of(_unique(_events(), max_size), _unique(_purchases_of_one_user(), max_size))


def _unique(events: st.SearchStrategy[Event], max_size: int) -> st.SearchStrategy[list[Event]]:
    return st.lists(events, min_size=min(10, max_size), max_size=max_size, unique_by=lambda e: (topic_of(e), id_of(e)))
