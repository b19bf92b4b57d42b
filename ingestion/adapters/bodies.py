"""JSON bodies of other protocols: an envelope with events in it, of which a bad one is refused by itself.

Numbers with a fraction keep their text (`float_hook`), so that money and properties lose nothing.
"""

from typing import Any, Final

import msgspec

from contracts.problems import Problem
from contracts.rejections import Reason
from ingestion.decode_json import MALFORMED, check_commas, check_count, explain
from ingestion.errors import BodyUnreadableError, EventRefusedError, RequestRefusedError

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw])
_value: Final = msgspec.json.Decoder(float_hook=str)

JSON_TYPES: Final = ("application/json", "text/plain")
"""`text/plain` is what browsers may send across origins without asking first."""


def json_media_type(content_type: str | None, protocol: str) -> str:
    """The kept media type of a protocol's JSON. Raises RequestRefusedError unless the content may be JSON."""
    stated = (content_type or "").partition(";")[0].strip().lower()
    if stated not in ("", *JSON_TYPES):
        raise RequestRefusedError(Problem.UNSUPPORTED_MEDIA_TYPE, f"Send {' or '.join(JSON_TYPES)}.")
    return f"application/json; protocol={protocol}"


def read_members(body: bytes, max_events: int) -> dict[str, bytes]:
    """The members of an object, as JSON texts. Raises BodyUnreadableError or RequestRefusedError."""
    check_commas(body, max_events)
    try:
        return {name: bytes(raw) for name, raw in _members.decode(body).items()}
    except msgspec.ValidationError as error:
        raise BodyUnreadableError(Reason.MALFORMED_JSON, "The body is not a JSON object.") from error
    except MALFORMED as error:
        raise BodyUnreadableError(Reason.MALFORMED_JSON, explain(error)) from error


def read_elements(array: bytes, name: str, max_events: int, *, may_be_empty: bool = False) -> list[bytes]:
    """The elements of a JSON array, as JSON texts. Raises BodyUnreadableError or RequestRefusedError."""
    try:
        pieces = [bytes(raw) for raw in _elements.decode(array)]
    except msgspec.ValidationError as error:
        raise BodyUnreadableError(Reason.MALFORMED_JSON, f"{name} is not an array.") from error
    except MALFORMED as error:
        raise BodyUnreadableError(Reason.MALFORMED_JSON, explain(error)) from error
    if pieces or not may_be_empty:
        check_count(len(pieces), max_events)
    return pieces


def read_value(text: bytes | None) -> Any:
    """A small member of an envelope; None where there is none or it is no JSON."""
    try:
        return None if text is None else _value.decode(text)
    except MALFORMED:
        return None


def read_event(piece: bytes, max_event_bytes: int) -> dict[str, Any]:
    """One event. Raises EventRefusedError."""
    if len(piece) > max_event_bytes:
        detail = f"{len(piece)} bytes; at most {max_event_bytes} are taken."
        raise EventRefusedError(Reason.EVENT_TOO_LARGE, "", detail)
    try:
        event = _value.decode(piece)
    except MALFORMED as error:
        raise EventRefusedError(Reason.MALFORMED_JSON, "", explain(error)) from error
    if not isinstance(event, dict):
        raise EventRefusedError(Reason.WRONG_TYPE, "", "An event is a JSON object.")
    return event
