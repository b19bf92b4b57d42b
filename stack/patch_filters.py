"""What the filters of repair rules do to a value. Texts, whole numbers, exact decimals, objects; null is None."""

from collections.abc import Callable, Mapping
from decimal import Decimal, DecimalException
from typing import Any, Final

import msgspec

from stack.errors import PatchError

_plain: Final = msgspec.json.Decoder(float_hook=Decimal)
_json: Final = msgspec.json.Encoder(decimal_format="number")


def member(value: Any, key: str) -> Any:
    """A member of an object; null has any member, and it is null."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise PatchError(f"{told(value)} has no member {key!r}.")
    return value.get(key)


def replace(value: Any, keys: tuple[str, ...], change: Callable[[Any], Any]) -> Any:
    """A copy with what is at the path changed; objects on the way are made where there is null."""
    if not keys:
        return change(value)
    changed = replace(member(value, keys[0]), keys[1:], change)
    return {**(value or {}), keys[0]: changed}


def remove(value: Any, keys: tuple[str, ...]) -> Any:
    """A copy without what is at the path."""
    inner = member(value, keys[0])
    if inner is not None and len(keys) > 1:
        return {**value, keys[0]: remove(inner, keys[1:])}
    return {name: kept for name, kept in value.items() if name != keys[0]} if value and len(keys) == 1 else value


def slice_of(value: Any, start: int | None, stop: int | None) -> Any:
    """Part of a text, in characters."""
    return None if value is None else _text(value, "sliced")[start:stop]


def is_nothing(value: Any) -> bool:
    """Whether `//` goes on to the other value."""
    return value is None or value is False


def told(value: Any) -> str:
    """A value as a message shows it."""
    text = to_json(value).decode()
    return text if len(text) <= 60 else f"{text[:60]}…"


def from_json(text: str | bytes) -> Any:
    """A JSON value, its numbers exact. Raises PatchError."""
    try:
        return _plain.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise PatchError("That is not JSON.") from None


def to_json(value: Any) -> bytes:
    """A value as JSON, numbers digit by digit."""
    return _json.encode(value)


def _text(value: Any, doing: str) -> str:
    if not isinstance(value, str):
        raise PatchError(f"{told(value)} cannot be {doing}: it is no text.")
    return value


def _to_number(value: Any) -> Any:
    if _is_number(value):
        return value
    number = from_json(_text(value, "a number"))
    if not _is_number(number):
        raise PatchError(f"{told(value)} is no number.")
    return number


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _add(left: Any, right: Any) -> Any:
    if left is None or right is None:
        return right if left is None else left
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(left, dict) and isinstance(right, dict):
        return left | right
    return _computed("added to", left, right, lambda a, b: a + b)


def _computed(doing: str, left: Any, right: Any, compute: Callable[[Any, Any], Any]) -> Any:
    if not (_is_number(left) and _is_number(right)):
        raise PatchError(f"{told(left)} and {told(right)}: only numbers can be {doing} one another.")
    try:
        result = compute(left, right)
    except (DecimalException, ZeroDivisionError):
        raise PatchError(f"{told(left)} cannot be {doing} {told(right)}.") from None
    return int(result) if isinstance(result, Decimal) and result == result.to_integral_value() else result


FILTERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "trim": lambda value: _text(value, "trimmed").strip(),
    "ascii_downcase": lambda value: "".join(c.lower() if c.isascii() else c for c in _text(value, "in lower case")),
    "ascii_upcase": lambda value: "".join(c.upper() if c.isascii() else c for c in _text(value, "in upper case")),
    "tonumber": _to_number,
    "tostring": lambda value: value if isinstance(value, str) else to_json(value).decode(),
    "fromjson": lambda value: from_json(_text(value, "read as JSON")),
}
WITH_TEXT: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "ltrimstr": lambda value, cut: (
        value.removeprefix(cut) if isinstance(value, str) and isinstance(cut, str) else value
    ),
    "rtrimstr": lambda value, cut: (
        value.removesuffix(cut) if isinstance(value, str) and isinstance(cut, str) else value
    ),
}
OPERATIONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": _add,
    "-": lambda left, right: _computed("subtracted from", left, right, lambda a, b: a - b),
    "*": lambda left, right: _computed("multiplied by", left, right, lambda a, b: a * b),
    "/": lambda left, right: _computed("divided by", left, right, lambda a, b: Decimal(a) / b),
}
