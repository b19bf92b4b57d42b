"""Opaque names for a row: cursors of pages and global ids share one form.

base64url of one byte for the kind, the value that the list is ordered by as a signed number, then the row's own id in
UTF-8, slashes between its parts. Clients must not look inside; every byte is checked when one comes back, so a name
that was made up, or that belongs to a list in another order, is an error and never SQL.
"""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Generic, NamedTuple, TypeVar

from serving.errors import BadCursor

V = TypeVar("V")

_ORIGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MAX_TEXT: Final = 1024


class Key(NamedTuple, Generic[V]):
    """A row's place in a list: what the list is ordered by, then the row's own id, a tuple unless it has one part."""

    value: V
    id: Any

    @property
    def columns(self) -> tuple[Any, ...]:
        """Both, as the columns of the list have them."""
        return (self.value, *_parts(self.id))


class Part(NamedTuple):
    """One column of a row's id: the form of its text, and what is to be read off that."""

    form: str
    read: Callable[[str], Any] = str
    write: Callable[[Any], str] = str


def _parts(row_id: Any) -> tuple[Any, ...]:
    return row_id if isinstance(row_id, tuple) else (row_id,)


_TEXT: Final = Part(r".+")


class Naming(Generic[V]):
    """One kind of opaque name. Its values are numbered, so that each row has exactly one name."""

    def __init__(
        self,
        kind: bytes,
        number: Callable[[V], int],
        value: Callable[[int], V],
        number_bytes: int = 8,
        row_id: tuple[Part, ...] = (_TEXT,),
    ) -> None:
        self.kind = kind
        self._number, self._value = number, value
        self._number_bytes = number_bytes
        self._row_id = row_id
        self._form = re.compile("/".join(f"({part.form})" for part in row_id), re.ASCII | re.DOTALL)

    def encode(self, key: Key[V]) -> str:
        """The opaque text for a row."""
        number = self._number(key.value).to_bytes(self._number_bytes, "big", signed=True)
        row_id = "/".join(part.write(value) for part, value in zip(self._row_id, _parts(key.id), strict=True))
        return base64.urlsafe_b64encode(self.kind + number + row_id.encode()).rstrip(b"=").decode("ascii")

    def decode(self, text: str, argument: str) -> Key[V]:
        """The row that the text names.

        Raises:
            BadCursor: the text is not one that `encode` gives for this kind.
        """
        try:
            key = self._decode(text)
            spelling = self.encode(key)
        except (ArithmeticError, ValueError, binascii.Error) as error:
            raise BadCursor(argument, "not one that belongs here; start from the first page") from error
        if spelling != text:  # one name per row: no second spelling slips through
            raise BadCursor(argument, "not one that belongs here; start from the first page")
        return key

    def _decode(self, text: str) -> Key[V]:
        if len(text) > _MAX_TEXT:
            raise ValueError("too long")
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        head = len(self.kind) + self._number_bytes
        row_id = raw[head:].decode()
        found = self._form.fullmatch(row_id)
        if not raw.startswith(self.kind) or found is None or "\x00" in row_id:
            raise ValueError("another kind")
        parts = tuple(part.read(text) for part, text in zip(self._row_id, found.groups(), strict=True))
        value = self._value(int.from_bytes(raw[len(self.kind) : head], "big", signed=True))
        return Key(value, parts[0] if len(parts) == 1 else parts)


def _micros(moment: datetime) -> int:
    return (moment - _ORIGIN) // _MICROSECOND


def _moment(micros: int) -> datetime:
    return _ORIGIN + micros * _MICROSECOND


def _ten_thousandths(money: Decimal) -> int:
    return int(Fraction(money) * 10_000)  # exact, as Decimal's own arithmetic is not beyond 28 digits


def _money(ten_thousandths: int) -> Decimal:
    return Decimal(f"{ten_thousandths}E-4")


def _day_number(day: str) -> int:
    return date.fromisoformat(day).toordinal()


def _day(number: int) -> str:
    return date.fromordinal(number).isoformat()


_NUMBER: Final = Part(r"\d{1,18}", int)
_WORD: Final = Part(r"[a-z0-9_]{1,40}")
_MOMENT: Final = Part(r"-?\d{1,18}", lambda text: _moment(int(text)), lambda moment: str(_micros(moment)))
_PLACE: Final = (Part(r"[a-z]{1,40}"), Part(r"\d{1,9}", int), _NUMBER)
"""Topic, partition and offset of a record in Kafka."""

SESSION: Final = Naming(b"s", _micros, _moment)
"""Global id of a session: its start and its session id."""
SESSIONS_BY_START: Final = Naming(b"c", _micros, _moment)
USERS_BY_LAST_SEEN: Final = Naming(b"l", _micros, _moment)
USERS_BY_EVENTS: Final[Naming[int]] = Naming(b"e", int, int)
USERS_BY_REVENUE: Final = Naming(b"r", _ten_thousandths, _money, number_bytes=16)
ARRIVALS: Final[Naming[int]] = Naming(b"a", int, int, row_id=_PLACE)
"""Events in the order in which they came to count: the epoch, and the record's place in Kafka."""
REJECTIONS: Final = Naming(b"j", _micros, _moment, row_id=_PLACE)
QUARANTINE: Final = Naming(b"q", _micros, _moment, row_id=_PLACE)
DUPLICATES: Final[Naming[int]] = Naming(b"d", int, int, row_id=_PLACE)
ALERTS: Final = Naming(b"w", _micros, _moment, row_id=(_NUMBER,))
ANOMALIES: Final = Naming(b"o", _micros, _moment, row_id=(_MOMENT, _WORD, _WORD, _WORD, Part(r".*")))
"""By the window's end, then its start, scope, metric, method and subject."""
EPOCHS: Final[Naming[int]] = Naming(b"k", int, int, row_id=())
REQUESTS: Final[Naming[int]] = Naming(b"t", int, int, row_id=())
VERIFICATIONS: Final[Naming[int]] = Naming(b"v", int, int, row_id=())
REPORT_DAYS: Final = Naming(b"y", _day_number, _day, row_id=())
