"""A rejected event made whole again: read from its bytes, changed by a rule, given an id, checked like any event."""

import time
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from contracts.settings import ShopSettings
from contracts.topics import EVENT_TOPICS
from ingestion.adapters.native import AVRO, JSON, NDJSON
from ingestion.decode_avro import Cursor, MalformedAvroError, make_decoder
from ingestion.decode_json import read_ndjson
from ingestion.errors import EventRefusedError
from ingestion.events import Incoming
from ingestion.framing import CONFLUENT, SINGLE_OBJECT
from ingestion.validate import Rules, Validator
from schemas_avro import RegisteredSchema, Registry
from stack.errors import NotReplayableError, PatchError
from stack.patch import Filter
from stack.patch_filters import from_json, to_json
from stack.protocols import Protocols
from stack.rejected import Rejection

_MAX_EVENT_BYTES: Final = 256 * 1024
_FRAMES: Final = ((CONFLUENT, 5), (SINGLE_OBJECT, 10))
_OF_TRANSACTIONS: Final = frozenset(
    {"transaction_id", "amount", "quantity", "payment_method", "order_id", "currency", "kind"}
)


@dataclass(frozen=True)
class Repaired:
    """An event that the gateway would accept; one of another protocol may be several, as an order is."""

    rejection_id: str
    source: str
    event_id: str
    contents: tuple[bytes, ...]
    """As JSON objects."""


class Repairer:
    """Repairs events by one rule, or by none: some are refused for a reason that does not hold for history."""

    def __init__(self, registry: Registry, shop: ShopSettings, rule: Filter | None) -> None:
        self._rule = rule
        subjects = {topic.subject for topic in EVENT_TOPICS}
        self._decoders = [(s, make_decoder(s)) for s in registry.schemas if s.subject in subjects]
        rules = Rules(shop.currency, shop.future_tolerance_seconds * 1000, max_age_ms=0)
        self._validator = Validator(rules, registry)
        self._protocols = Protocols(registry)

    def repair(self, rejection: Rejection) -> Repaired:
        """The event as it is to be sent. Raises NotReplayableError, whose text says what is still wrong."""
        event = self._read(rejection)
        if self._rule is not None:
            event = _changed(self._rule, event, rejection)
        events = self._identified(event, rejection)
        contents = tuple(map(to_json, events))
        for content in contents:
            self._check(content)
        event_id = events[0].get("event_id") or events[0]["transaction_id"]
        return Repaired(rejection.rejection_id, rejection.source, event_id, contents)

    def _identified(self, event: dict[str, Any], rejection: Rejection) -> list[dict[str, Any]]:
        """The events of ours, with ids that are the same each time."""
        given_id, media_type = f"rejected-{rejection.rejection_id}", rejection.content_type
        if self._protocols.knows(media_type):
            named = self._protocols.with_id(media_type, event, given_id)
            return [_told(part) for part in self._protocols.events(media_type, named, _epoch_ms(rejection))]
        id_field = "transaction_id" if _is_transaction(event) else "event_id"
        return [{**event, id_field: event.get(id_field) or given_id}]

    def _check(self, content: bytes) -> None:
        (event,) = read_ndjson(content, 1, _MAX_EVENT_BYTES).events
        try:
            if isinstance(event, Incoming):
                self._validator.check(event, time.time_ns() // 1_000_000, imported=True)
                return
        except EventRefusedError as refused:
            event = refused
        assert isinstance(event, EventRefusedError)
        raise NotReplayableError(f"still {event.reason} {event.pointer}: {event.detail}")

    def _read(self, rejection: Rejection) -> dict[str, Any]:
        media_type, _, parameters = rejection.content_type.partition(";")
        if rejection.truncated:
            raise NotReplayableError(f"only its first {len(rejection.raw)} bytes were kept")
        if media_type == AVRO:
            return self._read_avro(rejection.raw)
        native = media_type in (JSON, NDJSON) and "protocol" not in parameters
        if not native and not self._protocols.knows(rejection.content_type):
            raise NotReplayableError(f"its form is {rejection.content_type}, of which not enough is kept")
        try:
            event = from_json(rejection.raw)
        except PatchError:
            raise NotReplayableError("its bytes are not JSON; `rejected show ID --raw` writes them out") from None
        if not isinstance(event, dict):
            raise NotReplayableError("its bytes are not one JSON object; `rejected show ID --raw` writes them out")
        return event

    def _read_avro(self, raw: bytes) -> dict[str, Any]:
        """An event in one of the framings, or bare as in an object container file: that must fit one schema alone."""
        found = [event for magic, size in _FRAMES if raw.startswith(magic) for event in self._fitting(raw, size)]
        found = found or self._fitting(raw, 0)
        if len(found) != 1:
            raise NotReplayableError("its bytes are not one Avro event; `rejected show ID --raw` writes them out")
        return found[0]

    def _fitting(self, raw: bytes, start: int) -> list[dict[str, Any]]:
        fitting = []
        for schema, decode in self._decoders:
            if start and not _names(raw, schema):
                continue
            cursor = Cursor(raw, start)
            try:
                event = Incoming(type=schema.subject.removesuffix("s"), **decode(cursor))
            except MalformedAvroError:
                continue
            if cursor.position == len(raw):
                fitting.append(_told(event))
        return fitting


def _names(raw: bytes, schema: RegisteredSchema) -> bool:
    """Whether the frame names this schema."""
    if raw.startswith(CONFLUENT):
        return int.from_bytes(raw[1:5], "big") == schema.id
    return int.from_bytes(raw[2:10], "little") == schema.crc64


def _changed(rule: Filter, event: dict[str, Any], rejection: Rejection) -> dict[str, Any]:
    given = {
        "received_at": _epoch_ms(rejection),
        "rejection_id": rejection.rejection_id,
        "source": rejection.source,
        "reason": rejection.reason,
    }
    try:
        changed = rule(event, given)
    except PatchError as error:
        raise NotReplayableError(str(error)) from error
    if not isinstance(changed, dict):
        raise NotReplayableError("the rule leaves no object")
    return changed


def _epoch_ms(rejection: Rejection) -> int:
    return int(rejection.received_at.timestamp() * 1000)


def _told(event: Incoming) -> dict[str, Any]:
    """An event's fields as it would be sent."""
    return {name: value for name, value in msgspec.structs.asdict(event).items() if value is not None}


def _is_transaction(event: dict[str, Any]) -> bool:
    kind = event.get("type")
    if kind in ("clickstream", "transaction"):
        return bool(kind == "transaction")
    return event.get("event_id") is None and any(event.get(name) is not None for name in _OF_TRANSACTIONS)
