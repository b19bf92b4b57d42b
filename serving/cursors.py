"""Opaque names for a session: the cursor of a page and the global id share one form.

base64url of one byte for the kind, eight for the start in microseconds, then the session id in UTF-8. Clients must
not look inside; every byte is checked when one comes back, so a name that was made up is an error and never SQL.
"""

import base64
import binascii
import struct
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from serving.errors import BadCursor

_HEAD: Final = struct.Struct(">cq")
_ORIGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MAX_TEXT: Final = 1024

CURSOR: Final = b"c"
SESSION: Final = b"s"


class SessionKey(NamedTuple):
    """The primary key of a session, in the order of the list."""

    started_at: datetime
    session_id: str


def encode(kind: bytes, key: SessionKey) -> str:
    """The opaque text for a session."""
    head = _HEAD.pack(kind, (key.started_at - _ORIGIN) // _MICROSECOND)
    return base64.urlsafe_b64encode(head + key.session_id.encode()).rstrip(b"=").decode("ascii")


def decode(kind: bytes, text: str, argument: str) -> SessionKey:
    """The session that the text names.

    Raises:
        BadCursor: the text is not one that `encode` gives for this kind.
    """
    try:
        key = _decode(kind, text)
    except (ValueError, OverflowError, struct.error, binascii.Error) as error:
        raise BadCursor(argument, "not one of this API's; start from the first page") from error
    if encode(kind, key) != text:  # one name per session: no second spelling slips through
        raise BadCursor(argument, "not one of this API's; start from the first page")
    return key


def _decode(kind: bytes, text: str) -> SessionKey:
    if len(text) > _MAX_TEXT:
        raise ValueError("too long")
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    found, micros = _HEAD.unpack_from(raw)
    session_id = raw[_HEAD.size :].decode()
    if found != kind or not session_id or "\x00" in session_id:
        raise ValueError("another kind")
    return SessionKey(_ORIGIN + micros * _MICROSECOND, session_id)
