"""The shop's events as Kafka records, as the gateway would write them, made ready ahead so that sending costs little.

Only the timestamp is put in when a record is sent: it is a varint in the middle of the Avro datum, so a record is kept
as the bytes before it and the bytes after it.
"""

import io
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import fastavro

from contracts.topics import CLICKSTREAM, TRANSACTIONS
from loadtest.visits import ShopEvent
from schemas_avro import Registry

_MONEY: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class RecordInWaiting:
    """A record without its time."""

    at_ms: int
    """Milliseconds after the start of the run."""
    topic: str
    key: bytes
    head: bytes
    tail: bytes

    def value(self, start_ms: int) -> bytes:
        """The record's value, its time counted from `start_ms` (epoch milliseconds)."""
        return self.head + _long(start_ms + self.at_ms) + self.tail


class RecordMaker:
    """Makes records of the latest schemas."""

    def __init__(self, registry: Registry) -> None:
        self._schemas = {topic: registry.latest(topic) for topic in (CLICKSTREAM.name, TRANSACTIONS.name)}

    def make(self, event: ShopEvent) -> RecordInWaiting:
        """The record of an event."""
        body = dict(event.body)
        topic = TRANSACTIONS.name if body.pop("type") == "transaction" else CLICKSTREAM.name
        if "amount" in body:
            body["amount"] = Decimal(str(body["amount"])).quantize(_MONEY)
        schema = self._schemas[topic]
        fields = {field["name"]: field.get("default") for field in schema.definition["fields"]} | body
        if topic == CLICKSTREAM.name:
            fields["properties"] = {name: str(value) for name, value in (fields["properties"] or {}).items()}
        head, tail = _datum(schema.parsed, fields | {"timestamp": _MARK}).split(_MARKED)
        prefix = bytes([0]) + schema.id.to_bytes(4, "big")
        return RecordInWaiting(event.at_ms, topic, body["user_id"].encode(), prefix + head, tail)


def _long(value: int) -> bytes:
    """Zig-zag varint (Avro specification, "Binary encoding")."""
    rest, out = value << 1, bytearray()
    while rest > 0x7F:
        out.append((rest & 0x7F) | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_MARK: Final = 2**62
_MARKED: Final = _long(_MARK)
"""Nine bytes that no text has: no UTF-8 is as long a run of continuation bytes."""


def _datum(schema: Any, fields: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, fields)
    return out.getvalue()
