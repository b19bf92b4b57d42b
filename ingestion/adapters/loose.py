"""Values as loosely typed clients send them: ids that are numbers, prices that are texts, clocks that are wrong.

Whatever cannot be read without guessing is refused with its place. Numbers with a fraction arrive as texts (see
`bodies`), so both spellings of a number are read alike.
"""

import hashlib
import re
import uuid
from collections.abc import Collection, Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

import msgspec

from contracts.rejections import Reason
from ingestion.errors import EventRefusedError
from ingestion.values import MAX_PROPERTIES, MAX_PROPERTY_NAME, MAX_PROPERTY_VALUE, parse_iso_8601

LEFT_OUT: Final = "properties_left_out"
"""Property that counts what had no room."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{0,40})?(?:[eE][+-]?[0-9]{1,3})?")
_UNIT: Final = Decimal("0.0001")
_NOISE: Final = Decimal("0.000000001")
_EXACT: Final = Context(prec=60)
_LIMIT: Final = Decimal(10) ** 15
_MAX_DEPTH: Final = 6


def text(value: Any, pointer: str) -> str | None:
    """A text or a number as text; None for null, absent and empty. Raises EventRefusedError (wrong_type)."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise EventRefusedError(Reason.WRONG_TYPE, pointer, "Not a text.")


def first_text(pointed: Mapping[str, Any]) -> str | None:
    """The first text of several places, by their pointers."""
    return next((found for pointer, value in pointed.items() if (found := text(value, pointer)) is not None), None)


def members(value: Any, pointer: str) -> dict[str, Any]:
    """An object; empty for null and absent. Raises EventRefusedError (wrong_type)."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise EventRefusedError(Reason.WRONG_TYPE, pointer, "Not an object.")
    return value


def money(value: Any, pointer: str) -> Decimal:
    """An amount, exactly; only the noise of binary fractions is taken off: 17.990000000000002 is 17.99.

    Raises EventRefusedError: missing_field, invalid_amount.
    """
    if value is None or value == "":
        raise EventRefusedError(Reason.MISSING_FIELD, pointer, "An amount is required.")
    number = decimal(value)
    if number is None or abs(number) >= _LIMIT:
        raise EventRefusedError(Reason.INVALID_AMOUNT, pointer, "Not a decimal number.")
    rounded = number.quantize(_UNIT, ROUND_HALF_EVEN, _EXACT)
    return rounded if rounded != number and abs(rounded - number) <= _NOISE else number


def whole(value: Any, pointer: str) -> int:
    """A count: 2, "2" or 2.0. Raises EventRefusedError (invalid_quantity)."""
    number = decimal(value)
    if number is None or abs(number) >= _LIMIT or number != int(number):
        raise EventRefusedError(Reason.INVALID_QUANTITY, pointer, "Not a whole number.")
    return int(number)


def decimal(value: Any) -> Decimal | None:
    """A number or the text of one; None for anything else."""
    stated = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return Decimal(stated) if _NUMBER.fullmatch(stated) else None


def time_ms(value: Any) -> int | None:
    """Epoch milliseconds of an ISO 8601 text or of such a number; None if it is neither."""
    if isinstance(value, str):
        return parse_iso_8601(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def event_time(stated: Any, pointer: str, sent_at_ms: int | None, received_at_ms: int, tolerance_ms: int) -> int:
    """When it happened by a clock that may be wrong: epoch milliseconds. Raises EventRefusedError (invalid_timestamp).

    `received - (sent - stated)` where the sender's clock and ours differ by more than the tolerance. Within it the
    difference may as well be the way, which varies: correcting it would give each repetition of a request another time
    and could put one device's events out of order. Without `stated` it happened when it was received.
    """
    if stated is None or stated == "":
        return received_at_ms
    at = time_ms(stated)
    if at is None:
        raise EventRefusedError(Reason.INVALID_TIMESTAMP, pointer, "ISO 8601 or epoch milliseconds, within 1970-9999.")
    if sent_at_ms is None or abs(received_at_ms - sent_at_ms) <= tolerance_ms:
        return at
    return received_at_ms - (sent_at_ms - at)


def make_id(event: Mapping[str, Any], stated: object, passing: Collection[str]) -> str:
    """An id for an event without one: a repetition gets the same, if the time stated tells it from a second such event.

    `passing` are the members that a repetition has anew.
    """
    if stated is None:
        return str(uuid.uuid4())
    lasting = {name: value for name, value in event.items() if name not in passing}
    return "sha256:" + hashlib.sha256(msgspec.json.encode(lasting, order="sorted")).hexdigest()[:32]


def properties(named: Mapping[str, str | None], *nested: Mapping[str, Any]) -> dict[str, str]:
    """Our own properties, then the client's: nested ones flattened (`filters.0.value`), as many as there is room for.

    A client's property that is named like one of ours goes by `properties.<name>`. Texts are cut to the longest that is
    taken; what has no room, a name too long or too deep a nesting is counted in `properties_left_out`.
    """
    found = {name: value[:MAX_PROPERTY_VALUE] for name, value in named.items() if value is not None}
    left_out = 0
    for entries in nested:
        for path, value in _leaves(entries, "", 0):
            name = f"properties.{path}" if path in named or path == LEFT_OUT else path
            if value is _TOO_DEEP or len(name) > MAX_PROPERTY_NAME or len(found) >= MAX_PROPERTIES - 1:
                left_out += 1
            else:
                found[name] = value[:MAX_PROPERTY_VALUE]
    if left_out:
        found[LEFT_OUT] = str(left_out)
    return found


_TOO_DEEP: Final = "\0too deep"


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list):
        if depth == _MAX_DEPTH:
            yield path, _TOO_DEEP
            return
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for name, entry in entries:
            yield from _leaves(entry, f"{path}.{name}" if path else str(name), depth + 1)
    elif isinstance(value, bool):
        yield path, "true" if value else "false"
    elif value is not None:
        yield path, str(value)
