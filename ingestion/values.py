"""Checks of single values: ids, texts, symbols, times, money, counts, properties. Each returns the value or refuses.

The limits exist because something downstream has them: Postgres refuses NUL in text, Java reads 32-bit ints, the
page and Python share the year 9999.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import partial
from typing import Any, Final

from contracts.rejections import Reason
from ingestion.encode import LENGTHS, Check, Remembered, map_of, text_bytes
from ingestion.errors import EventRefusedError

MAX_ID: Final = 128
MAX_PROPERTIES: Final = 64
MAX_QUANTITY: Final = 1_000_000
MAX_TEXT: Final = {
    "category": 256, "payment_method": 64, "page_url": 8192, "referrer": 8192, "user_agent": 1024, "search_query": 1024,
}  # fmt: skip
"""Longest text of a field, in characters."""
MAX_PROPERTY_NAME: Final = 128
MAX_PROPERTY_VALUE: Final = 8192
MAX_TIMESTAMP_MS: Final = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last time Python, Postgres and the page agree on."""

_SHORT: Final = 10
"""Characters of a property's text that is likely to come again: a country, a plan, a count; an id is longer."""
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_AMOUNT_LIMIT: Final = Decimal(10**14)
_EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])


def parse_iso_8601(stated: str) -> int | None:
    """Epoch milliseconds of a date and time, UTC unless a zone is given; None if it is not one.

    A leap second (`:60`) counts as the first instant of the next minute, as POSIX time does.
    """
    if len(stated) < 16 or stated[10] not in "Tt ":
        return None
    leap = stated[16:19] == ":60"
    if leap:
        stated = f"{stated[:16]}:59{stated[19:]}"
    try:
        at = datetime.fromisoformat(stated)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - _EPOCH) // _MILLISECOND + (1000 if leap else 0)


def iso_8601(at_ms: int) -> str:
    """Epoch milliseconds as people write them, UTC."""
    return (_EPOCH + at_ms * _MILLISECOND).isoformat(timespec="milliseconds")


def checked_id(field: str, value: str | None) -> str:
    if value is None:
        raise missing(field)
    if not 0 < len(value) <= MAX_ID or not value.isprintable():
        raise EventRefusedError(Reason.INVALID_ID, f"/{field}", "An id has 1 to 128 printable characters.")
    if len(value) == 36 and value[8] == "-" and _UUID.fullmatch(value):
        return value.lower()
    return value


def id_check(field: str, *, repeats: bool = False) -> Check:
    fine = f"{{0}} is not None and 0 < len({{0}}) <= {MAX_ID} and len({{0}}) != 36 and {{0}}.isprintable()"
    return Check(partial(checked_id, field), fine, repeats)


def text(field: str, value: str | None) -> str | None:
    if value is not None and (len(value) > MAX_TEXT[field] or "\0" in value):
        raise EventRefusedError(
            Reason.INVALID_TEXT, f"/{field}", f"Up to {MAX_TEXT[field]} characters, none of them NUL."
        )
    return value


def text_check(field: str) -> Check:
    return Check(partial(text, field), repeats=True)


def required_text(field: str, value: str | None) -> str:
    if value is None:
        raise missing(field)
    text(field, value)
    return value


def required_text_check(field: str) -> Check:
    return Check(partial(required_text, field), repeats=True)


def symbol(field: str, symbols: frozenset[str], value: str | None) -> str:
    if value is None:
        raise missing(field)
    if value not in symbols:
        raise EventRefusedError(Reason.INVALID_ENUM, f"/{field}", f"One of {', '.join(sorted(symbols))}.")
    return value


def symbol_check(field: str, symbols: frozenset[str]) -> Check:
    return Check(partial(symbol, field, symbols), repeats=True)


def amount(value: Decimal | None) -> int:
    """The amount in ten-thousandths, which is the unscaled value of decimal(18,4)."""
    if value is None:
        raise missing("amount")
    if value.is_finite() and 0 <= value < _AMOUNT_LIMIT:
        try:
            scaled = _EXACT.scaleb(value, 4)
            if scaled == (unscaled := int(scaled)):
                return unscaled
        except Inexact:
            pass  # more digits than fit: refused as well
    raise EventRefusedError(
        Reason.INVALID_AMOUNT, "/amount", "Not negative, up to 14 digits before and 4 after the point."
    )


def quantity(value: int | None) -> int:
    if value is None:
        raise missing("quantity")
    if not 1 <= value <= MAX_QUANTITY:
        raise EventRefusedError(Reason.INVALID_QUANTITY, "/quantity", f"A whole number from 1 to {MAX_QUANTITY}.")
    return value


def property_text(name: str, value: Any) -> str | None:
    """A text as it is, a number or boolean as its JSON text, None for null."""
    if value is None:
        return None
    if isinstance(value, bool):
        written = "true" if value else "false"
    elif isinstance(value, str | int):
        written = str(value)
    else:
        raise EventRefusedError(
            Reason.WRONG_TYPE, _property_pointer(name), "A property is a text, a number or a boolean."
        )
    if len(written) > MAX_PROPERTY_VALUE or "\0" in written:
        raise _invalid_property(name)
    return written


def property_name(name: str) -> str:
    if len(name) > MAX_PROPERTY_NAME or "\0" in name:
        raise _invalid_property(name)
    return name


_names: Final = Remembered(lambda name: text_bytes(property_name(name)))
_short_texts: Final = Remembered(text_bytes)


def properties(entries: dict[str, Any] | None) -> dict[str, str]:
    """The properties of an event, nulls left out."""
    if len(entries or {}) > MAX_PROPERTIES:
        raise EventRefusedError(Reason.TOO_MANY_PROPERTIES, "/properties", f"{len(entries or {})} properties.")
    texts = {}
    for name, value in (entries or {}).items():
        if (written := property_text(name, value)) is not None:
            texts[property_name(name)] = written
    return texts


def _encode_properties(entries: dict[str, Any] | None) -> bytes:
    """The map of `properties` in one pass; most entries cost no call."""
    if not entries:
        return b"\0"
    if len(entries) > MAX_PROPERTIES:
        return map_of(properties(entries))
    parts = [b""]
    for name, value in entries.items():
        if value.__class__ is str and len(value) <= _SHORT and "\0" not in value:
            parts += (_names[name], _short_texts[value])
        elif (written := property_text(name, value)) is not None:
            parts += (_names[name], text_bytes(written))
    if len(parts) == 1:
        return b"\0"
    parts[0] = LENGTHS[len(parts) // 2]
    parts.append(b"\0")
    return b"".join(parts)


PROPERTIES_CHECK: Final = Check(properties, encode=_encode_properties)


def _invalid_property(name: str) -> EventRefusedError:
    return EventRefusedError(
        Reason.INVALID_TEXT,
        _property_pointer(name),
        f"Up to {MAX_PROPERTY_NAME} characters of name and {MAX_PROPERTY_VALUE} of text, none of them NUL.",
    )


def _property_pointer(name: str) -> str:
    return f"/properties/{pointer_token(name)}"


def pointer_token(name: str) -> str:
    """A name as a JSON Pointer token (RFC 6901), cut to a length fit for an answer."""
    return name[:MAX_PROPERTY_NAME].replace("~", "~0").replace("/", "~1")


def missing(field: str) -> EventRefusedError:
    return EventRefusedError(Reason.MISSING_FIELD, f"/{field}", f"{field} is required.")
