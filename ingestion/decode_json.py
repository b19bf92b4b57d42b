"""JSON and NDJSON bodies to events: one typed pass when all is well, event by event only when something is not.

The typed decoder says that a body is wrong, not always precisely what; `_diagnose` then finds the reason and the place
by walking the plain value. A repeated key is legal JSON (RFC 8259, section 4); the last value counts.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from contracts.problems import Problem
from contracts.rejections import Reason
from ingestion.errors import BodyUnreadableError, EventRefusedError, RequestRefusedError
from ingestion.events import FIELDS, Batch, Event, Incoming
from ingestion.values import MAX_ID, pointer_token

MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MAX_COMMAS_PER_EVENT: Final = 100
"""`[1,1,1,…]` of 20 MiB would be ten million objects before they are counted; commas bound them for nothing."""

# Numbers with a fraction keep their text, so that properties lose nothing; `amount` is typed and not touched by this.
_one: Final = msgspec.json.Decoder(Incoming, float_hook=str)
_many: Final = msgspec.json.Decoder(list[Incoming], float_hook=str)
_pieces: Final = msgspec.json.Decoder(list[msgspec.Raw])
_plain: Final = msgspec.json.Decoder()


def read_json(body: bytes, max_events: int, max_event_bytes: int) -> Batch:
    """One event or an array of them. Raises BodyUnreadableError, or RequestRefusedError if it is empty or too long."""
    if not body.lstrip(b" \t\r\n").startswith(b"["):
        return _read_object(body, max_event_bytes)
    if len(body) <= max_event_bytes:  # so no event can be too large, and the array may be decoded in one go
        try:
            events = _many.decode(body)
        except MALFORMED:
            pass
        else:
            check_count(len(events), max_events)
            return Batch(events, lambda index: bytes(_pieces.decode(body)[index]))
    check_commas(body, max_events)
    try:
        pieces = [bytes(piece) for piece in _pieces.decode(body)]
    except MALFORMED as error:
        raise _unreadable(error) from error
    return _read_pieces(pieces, max_events, max_event_bytes)


def read_ndjson(body: bytes, max_events: int, max_event_bytes: int) -> Batch:
    """One event per line; blank lines are skipped, a line that is not JSON is a refused event and no more."""
    if body.count(b"\n") > 2 * max_events:  # before splitting: twenty million blank lines would be a list first
        raise _too_many("More lines", max_events)
    return _read_pieces([line for line in body.split(b"\n") if line.strip()], max_events, max_event_bytes)


def check_count(events: int, max_events: int) -> None:
    """Refuse a body without events or with too many."""
    if events == 0:
        raise RequestRefusedError(Problem.EMPTY_BATCH, "Send at least one event.")
    if events > max_events:
        raise _too_many(f"{events} events", max_events)


def check_parts(events: Sequence[Event], max_events: int) -> None:
    """Refuse a body whose events consist of too many parts, such as the lines of orders."""
    parts = sum(len(event) for event in events if isinstance(event, tuple))
    if parts > max_events:
        raise _too_many(f"Events of {parts} parts", max_events)


def check_commas(body: bytes, max_events: int) -> None:
    """Refuse a body that would be far too many objects, before they are made."""
    if body.count(b",") > _MAX_COMMAS_PER_EVENT * max_events:
        raise _too_many("By its commas, far more", max_events)


def _too_many(what: str, max_events: int) -> RequestRefusedError:
    return RequestRefusedError(Problem.TOO_MANY_EVENTS, f"{what}; at most {max_events} events are taken at once.")


def _read_object(body: bytes, max_event_bytes: int) -> Batch:
    event = read_event(body, max_event_bytes)
    if isinstance(event, EventRefusedError) and event.reason is Reason.MALFORMED_JSON:
        raise BodyUnreadableError(event.reason, event.detail)
    return Batch([event], lambda _: body)


def _read_pieces(pieces: list[bytes], max_events: int, max_event_bytes: int) -> Batch:
    check_count(len(pieces), max_events)
    return Batch([read_event(piece, max_event_bytes) for piece in pieces], pieces.__getitem__)


def read_event(piece: bytes, max_event_bytes: int) -> Incoming | EventRefusedError:
    """One event's JSON text."""
    if len(piece) > max_event_bytes:
        return EventRefusedError(
            Reason.EVENT_TOO_LARGE, "", f"{len(piece)} bytes; at most {max_event_bytes} are taken."
        )
    try:
        return _one.decode(piece)
    except msgspec.ValidationError as error:
        return _diagnose(piece, error)
    except MALFORMED as error:
        return EventRefusedError(Reason.MALFORMED_JSON, "", explain(error))


def _diagnose(piece: bytes, error: msgspec.ValidationError) -> EventRefusedError:
    """Why an event that is valid JSON does not have the shape of an event."""
    try:
        value = _plain.decode(piece)
    except msgspec.ValidationError:
        value = {}  # a number beyond all bounds somewhere: the typed decoder's own words must do
    except MALFORMED as malformed:  # the typed decoder met the wrong type first
        return EventRefusedError(Reason.MALFORMED_JSON, "", explain(malformed))
    if not isinstance(value, dict):
        return EventRefusedError(Reason.WRONG_TYPE, "", "An event is a JSON object.")
    event_id = next((value[key] for key in ("event_id", "transaction_id") if isinstance(value.get(key), str)), None)
    event_id = event_id if event_id is not None and len(event_id) <= MAX_ID else None
    for name, content in value.items():
        if name not in FIELDS:
            return EventRefusedError(
                Reason.UNKNOWN_FIELD,
                f"/{pointer_token(name)}",
                "No such field; `properties` takes what has none.",
                event_id,
            )
        check = _CHECKS.get(name, _is_text)
        if content is not None and not check(content):
            if name == "amount" and isinstance(content, str):
                return EventRefusedError(
                    Reason.INVALID_AMOUNT, "/amount", "The text is not a decimal number.", event_id
                )
            return EventRefusedError(Reason.WRONG_TYPE, f"/{name}", f"Not a {_EXPECTED.get(name, 'text')}.", event_id)
    return EventRefusedError(Reason.WRONG_TYPE, "", str(error), event_id)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_decimal(value: Any) -> bool:
    try:
        return isinstance(value, str) and Decimal(value) is not None
    except InvalidOperation:
        return False


_CHECKS: Final[dict[str, Callable[[Any], bool]]] = {
    "timestamp": lambda value: _is_text(value) or _is_whole(value),
    "quantity": _is_whole,
    "amount": lambda value: _is_whole(value) or isinstance(value, float) or _is_decimal(value),
    "properties": lambda value: isinstance(value, dict),
}
_EXPECTED: Final = {
    "timestamp": "text or whole number",
    "quantity": "whole number",
    "amount": "number or text",
    "properties": "object",
}


def explain(error: Exception) -> str:
    """What one of `MALFORMED` says, for a person."""
    if isinstance(error, RecursionError):
        return "Nested too deeply."
    if isinstance(error, UnicodeDecodeError):
        return "Not valid UTF-8."
    return f"{error}." if "truncated" not in str(error) else "The text ends early, or an escape is not valid Unicode."


def _unreadable(error: Exception) -> BodyUnreadableError:
    if isinstance(error, msgspec.ValidationError):
        return BodyUnreadableError(Reason.MALFORMED_JSON, "The body is neither an object nor an array of objects.")
    return BodyUnreadableError(Reason.MALFORMED_JSON, explain(error))
