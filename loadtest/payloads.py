"""Request bodies at next to no cost: encoded once, then only id, session and time are put in anew.

Encoding each event would make the generator the bottleneck. What differs between two sendings of one template is
three fields; the bytes between them are kept. Ids are unique over all processes and laps of the pool, and each lap
has sessions of its own.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from io import BytesIO
from itertools import count
from typing import Any, Final

import orjson
from fastavro import parse_schema, schemaless_writer

from loadtest.invalid import id_field
from schemas_avro import RegisteredSchema, load_registry

_SUBJECTS: Final = {"clickstream": "clickstream", "transaction": "transactions"}


@dataclass(frozen=True, slots=True)
class _Template:
    """Constant parts of one event, in both encodings; the gaps are id, session and time, in each encoding's order."""

    session_id: str
    json_head: bytes
    """Up to the value of the id."""
    avro_head: bytes
    """The framing: the id follows."""
    avro_user: bytes
    """Between id and session."""
    avro_middle: bytes
    """Between session and time."""
    avro_tail: bytes


class Pool:
    """An endless supply of events made from a few. `run` sets this process's ids apart from all others'."""

    def __init__(self, events: Iterable[Mapping[str, Any]], run: str) -> None:
        self._templates = [_template(event) for event in events]
        self._run = run
        self._next = self._endless()

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

    def _take(self, events: int) -> Iterator[tuple[_Template, bytes, bytes]]:
        return (next(self._next) for _ in range(events))

    def _endless(self) -> Iterator[tuple[_Template, bytes, bytes]]:
        number = count()
        for lap in count():
            for template in self._templates:
                event_id = f"{self._run}-{next(number):x}".encode()
                yield template, event_id, f"{template.session_id}-{self._run}-{lap:x}".encode()


def _template(event: Mapping[str, Any]) -> _Template:
    """Take an event apart. Raises KeyError for one without the fields of its schema."""
    schema = load_registry().latest(_SUBJECTS[event["type"]])
    named = id_field(dict(event))
    names = [field["name"] for field in schema.definition["fields"]]
    id_at, session_at, time_at = (names.index(name) for name in (named, "session_id", "timestamp"))
    constant = {name: value for name, value in event.items() if name not in {named, "session_id", "timestamp"}}
    return _Template(
        session_id=event["session_id"],
        json_head=orjson.dumps(constant)[:-1] + f',"{named}":"'.encode(),
        avro_head=struct.pack(">bI", 0, schema.id) + _encoded(schema, 0, id_at, event),
        avro_user=_encoded(schema, id_at + 1, session_at, event),
        avro_middle=_encoded(schema, session_at + 1, time_at, event),
        avro_tail=_encoded(schema, time_at + 1, len(names), event),
    )


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
