"""Events that are nearly right: Avro bodies with broken bytes, JSON with broken texts and odd values. Seeded."""

import json
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from ingestion.encode import make_encoder, varint
from schemas_avro import RegisteredSchema, load_registry
from schemas_avro.golden import sample_datums

_REGISTRY: Final = load_registry()
_EVENTS: Final = [s for s in _REGISTRY.schemas if s.subject in ("clickstream", "transactions")]
_ENCODERS: Final = {s.id: make_encoder(s) for s in _EVENTS}
_TEXTS: Final = (
    "", "a", "\0", "a\0b", "\x7f", "\x1b[31m", "é", "日本🛒", "\U0010ffff", "\ufeffx", "\u200b", "\u202e", "\\u0000",
    "x" * 128, "x" * 129, "é" * 128, "y" * 257, "z" * 1025, "w" * 8193, "2F1E9A6C-8F0E-4F0B-9D5A-0C1A52C8C1DE",
    "'; DROP TABLE x; --", "${jndi:ldap://x}", "\r\nSet-Cookie: a", "=cmd()", "null", "NaN", "Infinity", "\n", " ",
    "%00", "{}",
)  # fmt: skip
_WHOLE: Final = (0, 1, -1, 2, 127, 128, 2**31 - 1, 2**31, -(2**31), 2**40, 2**53, 2**62, 2**63 - 1, -(2**63))
_TIMES: Final = (0, -1, 1, 253_402_300_799_999, 253_402_300_800_000, 2**62)
_UNSCALED: Final = (0, 1, 599_000, 10**18 - 1, 10**18, -1, 2**63, 10**30)
_ODD_JSON: Final[tuple[Any, ...]] = (
    None, True, False, 1.5, 1e308, 1e-7, -0.0, [], [1], {}, {"a": 1}, 2**64, 10**30,
)  # fmt: skip
_AVRO_PIECES: Final = (
    *map(varint, _WHOLE), b"\xff", b"\x80", b"\x00\x00", b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x00", b"\x80\x00",
    b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
)  # fmt: skip
_JSON_PIECES: Final = (b'"', b"\\", b"{", b"\\ud800", b"\\u0000", b"1e400", b"NaN")
_ACTIONS: Final = ("page_view", "view", "click", "scroll", "search", "add_to_cart", "checkout_start", "other")


class Mutator:
    """Makes bodies; the same seed makes the same ones."""

    def __init__(self, seed: int, now_ms: int) -> None:
        self._dice = random.Random(seed)
        self._now_ms = now_ms
        self._golden = [self._framed(s, datum) for s in _EVENTS for datum in sample_datums(s)]

    def avro_bodies(self, count: int) -> Iterator[bytes]:
        """One or a few records in a framing, most with something wrong."""
        dice = self._dice
        for _ in range(count):
            body = dice.choice(self._golden) if dice.random() < 0.1 else self._avro_record()
            yield self._broken(body, _AVRO_PIECES) if dice.random() < 0.7 else body

    def json_bodies(self, count: int) -> Iterator[bytes]:
        """One event each, most with something wrong."""
        dice = self._dice
        for _ in range(count):
            event = self._event()
            for _ in range(dice.choice((0, 1, 1, 2))):
                field = dice.choice((*event, "properties", "unknown", "type", "currency"))
                event[field] = self._odd_value()
            body = json.dumps(event, ensure_ascii=dice.random() < 0.5, default=str).encode("utf-8", "surrogatepass")
            yield self._broken(body, _JSON_PIECES) if dice.random() < 0.3 else body

    def _odd_value(self) -> Any:
        dice = self._dice
        kind = dice.randrange(6)
        if kind == 0:
            return dice.choice(_TEXTS)
        if kind == 1:
            return dice.choice(_WHOLE + _TIMES)
        if kind == 2:
            return str(Decimal(dice.choice(_UNSCALED)).scaleb(-dice.randrange(6)))
        if kind == 3:
            return {dice.choice(_TEXTS): dice.choice(_TEXTS + _ODD_JSON) for _ in range(dice.randrange(70))}
        return dice.choice(_ODD_JSON)

    def _event(self) -> dict[str, Any]:
        dice = self._dice
        common: dict[str, Any] = {"user_id": self._id(), "session_id": self._id(), "timestamp": self._time()}
        if dice.random() < 0.5:
            return {"event_id": self._id(), "action": dice.choice(_ACTIONS), "page_url": self._text(), **common,
                    "properties": {self._text(): self._text() for _ in range(dice.randrange(4))}}  # fmt: skip
        return {"transaction_id": self._id(), "product_id": self._id(), "category": self._text(), **common,
                "amount": str(Decimal(dice.choice(_UNSCALED)).scaleb(-4)), "quantity": dice.choice((1, 2, 1_000_000)),
                "payment_method": "card"}  # fmt: skip

    def _avro_record(self) -> bytes:
        dice = self._dice
        schema = dice.choice(_EVENTS)
        values: list[Any]
        if schema.subject == "clickstream":
            values = [
                self._id(),
                self._id(),
                self._id(),
                dice.choice((None, self._id())),
                dice.choice((None, self._text())),
            ]
            values += [dice.choice(_ACTIONS), self._time(), None, dice.choice((None, self._text()))]
            values += [None, self._text(), {self._text(): self._text() for _ in range(dice.randrange(3))}]
        else:
            values = [self._id(), self._id(), self._id(), self._id(), self._text(), dice.choice(_UNSCALED)]
            values += [dice.choice((1, 2, 1_000_000, 0, -1)), self._time(), "card"]
            values += [dice.choice((None, self._id())), "USD", dice.choice(("purchase", "refund"))]
        return self._framed(schema, _ENCODERS[schema.id](*values[: len(schema.definition["fields"])])[5:])

    def _framed(self, schema: RegisteredSchema, datum: bytes) -> bytes:
        if self._dice.random() < 0.5:
            return b"\0" + schema.id.to_bytes(4, "big") + datum
        return b"\xc3\x01" + schema.crc64.to_bytes(8, "little") + datum

    def _broken(self, body: bytes, pieces: tuple[bytes, ...]) -> bytes:
        dice, broken = self._dice, bytearray(body)
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            place = dice.randrange(len(broken) + 1)
            match dice.randrange(6):
                case 0 if place < len(broken):
                    broken[place] ^= 1 << dice.randrange(8)
                case 1:
                    broken[place:place] = dice.choice(pieces)
                case 2:
                    del broken[place : place + dice.randint(1, 4)]
                case 3:
                    broken[place : place + 1] = dice.choice(pieces)
                case 4:
                    broken[place : place + 1] = bytes([dice.randrange(256)])
                case _:
                    broken[place:place] = broken[dice.randrange(len(broken) + 1) :][: dice.randint(1, 8)]
        return bytes(broken)

    def _id(self) -> str:
        return self._dice.choice(_TEXTS) if self._dice.random() < 0.03 else f"id-{self._dice.randrange(10**6)}"

    def _text(self) -> str:
        return self._dice.choice(_TEXTS) if self._dice.random() < 0.3 else f"text {self._dice.randrange(100)}"

    def _time(self) -> int:
        return self._dice.choice(_TIMES) if self._dice.random() < 0.03 else self._now_ms - self._dice.randrange(10**8)
