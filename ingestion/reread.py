"""A JSON event read once more, loosely: what has no field, and what no property can hold, becomes text properties."""

from typing import Any, Final

import msgspec

from contracts.rejections import Reason
from ingestion.events import FIELDS, Incoming
from ingestion.values import pointer_token

Faults = list[tuple[Reason, str]]
"""Reasons and JSON Pointers."""

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_event: Final = msgspec.json.Decoder(Incoming, float_hook=str)
_text: Final = msgspec.json.Decoder(str)


def reread_loosely(raw: bytes) -> tuple[Incoming, Faults] | None:
    """The event and what was done to it; None where it is wrong in another way, or a property has the name already."""
    try:
        members = _members.decode(raw)
        stated = bytes(members.get("properties", b"null"))
        properties: dict[str, Any] = {} if stated == b"null" else dict(_members.decode(stated))
        faults: Faults = []
        for name, value in properties.items():
            if bytes(value)[:1] in (b"{", b"["):
                properties[name] = bytes(value).decode()
                faults.append((Reason.WRONG_TYPE, f"/properties/{pointer_token(name)}"))
        for name in [name for name in members if name not in FIELDS]:
            if name in properties:
                return None
            if (told := _told(bytes(members.pop(name)))) is not None:
                properties[name] = told
            faults.append((Reason.UNKNOWN_FIELD, f"/{pointer_token(name)}"))
        return _event.decode(msgspec.json.encode({**members, "properties": properties or None})), faults
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _told(value: bytes) -> str | None:
    """A JSON value as a property holds it: a text as it is, else its JSON text; null is as good as absent."""
    if value == b"null":
        return None
    return _text.decode(value) if value.startswith(b'"') else value.decode()
