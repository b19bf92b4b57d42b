"""Request bodies at next to no cost: encoded once, then only id, session and time are put in anew.

Encoding each event would make the generator the bottleneck. What differs between two sendings of one template is
three fields; the bytes between them are kept. Ids are unique over all processes and laps of the pool, and each lap
has sessions of its own.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from io import BytesIO
from itertools import islice
from typing import Any, Final

import orjson
from fastavro import parse_schema, schemaless_writer

from loadtest.facts import Fact, to_fact
from loadtest.invalid import id_field
from loadtest.load.segment_calls import as_call, as_taken
from loadtest.shop import Shop
from schemas_avro import RegisteredSchema, load_registry

_ID, _SESSION, _TIME = "\0id", "\0session", "\0time"
"""Stand for what is put in anew; no event has a NUL in it."""
_SUBJECTS: Final = {"clickstream": "clickstream", "transaction": "transactions"}


@dataclass(frozen=True, slots=True)
class _Template:
    """Constant parts of one event, in both encodings; the gaps are id, session and time, in each encoding's order."""

    json_head: bytes
    """Up to the value of the id."""
    avro_head: bytes
    """The framing: the id follows."""
    avro_user: bytes
    """Between id and session."""
    avro_middle: bytes
    """Between session and time."""
    avro_tail: bytes
    segment: tuple[bytes, bytes, bytes, bytes]
    """Parts of a call of Segment's API: between them id, time and session. Empty for a transaction."""


class Pool:
    """An endless supply of events, numbered from 0, made from a few. `run` sets its ids apart from all others'."""

    def __init__(self, events: Iterable[Mapping[str, Any]], run: str) -> None:
        self._events = list(events)
        self._templates: list[_Template | None] = [None] * len(self._events)
        self._facts: dict[int, Fact] = {}
        self._run = run
        self.position = 0
        """Number of the next event."""

    def event(self, number: int, at_ms: int) -> dict[str, Any]:
        """An event in the JSON form of `/v1/events`."""
        event = dict(self._events[number % len(self._events)])
        event_id, session_id = self._named(number)
        return event | {id_field(event): event_id, "session_id": session_id, "timestamp": at_ms}

    def fact(self, number: int, at_ms: int, *, segment: bool) -> Fact:
        """What an event says once it is accepted; with `segment` as the gateway has to take it from that API."""
        at = number % len(self._events)
        told = self._facts.get(at)
        if told is None:
            event = {**self._events[at], "timestamp": 0}
            told = self._facts[at] = to_fact(as_taken(event) if segment else event)
        event_id, session_id = self._named(number)
        return replace(told, event_id=event_id, session_id=session_id, at_ms=at_ms)

    def json(self, events: int, now_ms: int) -> bytes:
        """A JSON object, or an array for more than one event. All carry this time."""
        bodies = [
            b'%b%b","session_id":"%b","timestamp":%d}' % (template.json_head, event_id, session_id, now_ms)
            for template, event_id, session_id in self._take(events)
        ]
        return bodies[0] if events == 1 else b"[" + b",".join(bodies) + b"]"

    def avro(self, events: int, now_ms: int) -> bytes:
        """Events in Confluent framing, one after the other (`application/avro`). All carry this time."""
        time = _long(now_ms)
        parts: list[bytes] = []
        for template, event_id, session_id in self._take(events):
            parts += (
                template.avro_head,
                _long(len(event_id)),
                event_id,
                template.avro_user,
                _long(len(session_id)),
                session_id,
                template.avro_middle,
                time,
                template.avro_tail,
            )
        return b"".join(parts)

    def segment(self, events: int, now_ms: int) -> bytes:
        """A body of Segment's `/v1/batch`. All carry this time."""
        time = datetime.fromtimestamp(now_ms // 1000, UTC).strftime(f"%Y-%m-%dT%H:%M:%S.{now_ms % 1000:03d}Z").encode()
        calls = [
            b"%b%b%b%b%b%b%b" % (parts[0], event_id, parts[1], time, parts[2], session_id, parts[3])
            for parts, event_id, session_id in (
                (template.segment, event_id, session_id) for template, event_id, session_id in self._take(events)
            )
        ]
        return b'{"batch":[' + b",".join(calls) + b'],"sentAt":"' + time + b'"}'

    def _take(self, events: int) -> Iterator[tuple[_Template, bytes, bytes]]:
        first, self.position = self.position, self.position + events
        for number in range(first, first + events):
            event_id, session_id = self._named(number)
            yield self._template(number % len(self._events)), event_id.encode(), session_id.encode()

    def _template(self, at: int) -> _Template:
        """Made when it is first needed: who only reads a log needs none."""
        template = self._templates[at]
        if template is None:
            template = self._templates[at] = _template(self._events[at])
        return template

    def _named(self, number: int) -> tuple[str, str]:
        """Ids of an event and of its session: each lap of the pool has sessions of its own."""
        lap, at = divmod(number, len(self._events))
        return f"{self._run}-{number:x}", f"{self._events[at]['session_id']}-{self._run}-{lap:x}"


def shop_pools(seed: int, run: str, size: int) -> tuple[Pool, Pool]:
    """The pools of a load: of `size` events, and of those that Segment's API can carry, with ids of their own."""
    events = [event.stamped(0) for event in islice(Shop(seed).events(50), size)]
    return Pool(events, run), Pool([event for event in events if event["type"] == "clickstream"], f"{run}s")


def _template(event: Mapping[str, Any]) -> _Template:
    """Take an event apart. Raises KeyError for one without the fields of its schema."""
    schema = load_registry().latest(_SUBJECTS[event["type"]])
    named = id_field(dict(event))
    names = [field["name"] for field in schema.definition["fields"]]
    id_at, session_at, time_at = (names.index(name) for name in (named, "session_id", "timestamp"))
    constant = {name: value for name, value in event.items() if name not in {named, "session_id", "timestamp"}}
    return _Template(
        json_head=orjson.dumps(constant)[:-1] + f',"{named}":"'.encode(),
        avro_head=struct.pack(">bI", 0, schema.id) + _encoded(schema, 0, id_at, event),
        avro_user=_encoded(schema, id_at + 1, session_at, event),
        avro_middle=_encoded(schema, session_at + 1, time_at, event),
        avro_tail=_encoded(schema, time_at + 1, len(names), event),
        segment=_segment(event),
    )


def _segment(event: Mapping[str, Any]) -> tuple[bytes, bytes, bytes, bytes]:
    if event["type"] == "transaction":
        return b"", b"", b"", b""
    text = orjson.dumps(as_call({**event, "event_id": _ID, "session_id": _SESSION}, _TIME))
    parts = []
    for gap in (_ID, _TIME, _SESSION):
        part, _, text = text.partition(orjson.dumps(gap)[1:-1])
        parts.append(part)
    return parts[0], parts[1], parts[2], text


def _encoded(schema: RegisteredSchema, start: int, end: int, event: Mapping[str, Any]) -> bytes:
    """Some consecutive fields of a record: Avro puts nothing between, before or after them."""
    part = _part(schema, start, end)
    record = {field["name"]: event.get(field["name"], field.get("default")) for field in part["fields"]}
    if "amount" in record:
        record["amount"] = Decimal(record["amount"])
    out = BytesIO()
    schemaless_writer(out, part, record)
    return out.getvalue()


@cache
def _part(schema: RegisteredSchema, start: int, end: int) -> Any:
    """A record schema of these fields alone, as fastavro wants it."""
    return parse_schema({"type": "record", "name": "Part", "fields": schema.definition["fields"][start:end]})


def _long(value: int) -> bytes:
    """Avro's zig-zag varint of a number that is not negative."""
    value <<= 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
