"""Avro bodies to events. The framing is told from the first bytes: object container file, single object, Confluent.

`Obj 01`  object container file, one, codec null, deflate or zstandard; the writer schema must be a registered one
`C3 01`   single-object encoding: fingerprint (8 bytes, little-endian), datum; any number in a row
`00`      Confluent: schema id (4 bytes, big-endian), datum; any number in a row

A datum that does not decode makes the body unreadable as a whole: without it nobody knows where the next one starts.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from fastavro.schema import SchemaParseException, fingerprint, to_parsing_canonical_form

from contracts.rejections import Reason
from contracts.topics import CLICKSTREAM, TRANSACTIONS
from ingestion.decode_avro import Cursor, MalformedAvroError, read_bytes, read_long, read_map_of
from ingestion.decode_json import check_count
from ingestion.decompress import Limits, inflate_block
from ingestion.errors import BodyUnreadableError, EventRefusedError
from ingestion.events import Batch, Incoming
from ingestion.quick_avro import make_quick_decoder
from schemas_avro import RegisteredSchema, Registry

CONTAINER: Final = b"Obj\x01"
SINGLE_OBJECT: Final = b"\xc3\x01"
CONFLUENT: Final = b"\x00"
_TYPES: Final = {CLICKSTREAM.subject: "clickstream", TRANSACTIONS.subject: "transaction"}
_MAX_HEADER_BYTES: Final = 64 * 1024

Datum = tuple[RegisteredSchema, Incoming, bytes]
"""Writer schema, event, bytes."""


class AvroReader:
    """Reads Avro bodies against the registry. Made once at start; never fetches a schema from anywhere."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._decoders = {
            schema.id: make_quick_decoder(schema, Incoming, type=_TYPES[schema.subject])
            for schema in registry.schemas
            if schema.subject in _TYPES
        }

    def read(self, body: bytes, max_events: int, max_event_bytes: int, limits: Limits) -> Batch:
        """The events of a body. Raises BodyUnreadableError, or RequestRefusedError for an empty or too long one."""
        schema_ids: list[int] = []
        events: list[Incoming | EventRefusedError] = []
        raws: list[bytes] = []
        try:
            for schema, event, raw in self._data(body, max_events, limits):
                schema_ids.append(schema.id)
                raws.append(raw)
                events.append(event if len(raw) <= max_event_bytes else _too_large(raw, max_event_bytes))
                if len(events) > max_events:
                    break
        except MalformedAvroError as error:
            raise BodyUnreadableError(
                Reason.MALFORMED_AVRO, f"Event {len(events)}: {error}", schema_ids[-1] if schema_ids else None
            ) from error
        check_count(len(events), max_events)
        return Batch(events, raws.__getitem__, schema_ids)

    def _data(self, body: bytes, max_events: int, limits: Limits) -> Iterator[Datum]:
        if body.startswith(CONTAINER):
            return self._container(body, max_events, limits)
        if body.startswith(SINGLE_OBJECT):
            return self._framed(body, SINGLE_OBJECT, 8)
        if body.startswith(CONFLUENT):
            return self._framed(body, CONFLUENT, 4)
        raise BodyUnreadableError(
            Reason.MALFORMED_AVRO, "The body starts neither with Obj 01, C3 01 nor 00: none of the framings taken here."
        )

    def _framed(self, body: bytes, magic: bytes, size: int) -> Iterator[Datum]:
        cursor = Cursor(body)
        while cursor.position < cursor.end:
            start = cursor.position
            if cursor.take(len(magic)) != magic:
                raise MalformedAvroError(start, "bytes are left over after the datum")
            named = cursor.take(size)
            if magic == CONFLUENT:
                schema = self._registry.by_id(int.from_bytes(named, "big"))
                said = f"schema id {int.from_bytes(named, 'big')}"
            else:
                schema = self._registry.by_crc64(int.from_bytes(named, "little"))
                said = f"fingerprint {named.hex()}"
            yield self._datum(self._event_schema(schema, said), cursor, start)

    def _datum(self, schema: RegisteredSchema, cursor: Cursor, start: int) -> Datum:
        event = self._decoders[schema.id](cursor)
        return schema, event, cursor.body[start : cursor.position]

    def _event_schema(self, schema: RegisteredSchema | None, said: str) -> RegisteredSchema:
        if schema is None or schema.id not in self._decoders:
            known = "not registered" if schema is None else f"{schema.subject}, which is no event"
            raise BodyUnreadableError(Reason.UNKNOWN_SCHEMA, f"{said} is {known}.", schema.id if schema else None)
        return schema

    def _container(self, body: bytes, max_events: int, limits: Limits) -> Iterator[Datum]:
        cursor = Cursor(body, len(CONTAINER))
        metadata = read_map_of(read_bytes, cursor)
        sync = cursor.take(16)
        if cursor.position > _MAX_HEADER_BYTES:
            raise MalformedAvroError(0, f"a file header of more than {_MAX_HEADER_BYTES} bytes")
        schema = self._event_schema(self._written_with(metadata.get("avro.schema", b"")), "the file's schema")
        codec = metadata.get("avro.codec", b"null").decode("ascii", "replace")
        room = limits.max_bytes
        while cursor.position < cursor.end:
            count, block_start = read_long(cursor), cursor.position
            if not 0 <= count <= max_events + 1:
                raise MalformedAvroError(
                    block_start, f"a block of {count} events, of which at most {max_events} are taken"
                )
            data = inflate_block(codec, read_bytes(cursor), Limits(room, limits.max_ratio))
            room -= len(data)
            block = Cursor(data)
            for _ in range(count):
                yield self._datum(schema, block, block.position)
            if block.position != block.end:
                raise MalformedAvroError(block_start, "bytes are left over after the block's last datum")
            if cursor.take(16) != sync:
                raise MalformedAvroError(cursor.position - 16, "a wrong sync marker")

    def _written_with(self, text: bytes) -> RegisteredSchema | None:
        """The registered schema with the same Parsing Canonical Form as the file's."""
        try:
            canonical = to_parsing_canonical_form(msgspec.json.decode(text))
            return self._registry.by_crc64(
                int.from_bytes(bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO")), "little")
            )
        except (msgspec.DecodeError, UnicodeError, SchemaParseException, RecursionError, LookupError, TypeError,
                ValueError, AttributeError):  # fmt: skip
            return None  # whatever it is, it is not one of ours


def _too_large(raw: bytes, max_event_bytes: int) -> EventRefusedError:
    return EventRefusedError(Reason.EVENT_TOO_LARGE, "", f"{len(raw)} bytes; at most {max_event_bytes} are taken.")
