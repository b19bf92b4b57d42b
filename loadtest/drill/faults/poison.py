"""Records that no gateway would write: straight into the topics, as anybody with access to the broker could."""

import asyncio
import struct
import time
from dataclasses import dataclass
from random import Random
from typing import Final

from confluent_kafka import Producer

from contracts.topics import EVENT_TOPICS
from loadtest.drill.ground import DrillError, Ground

_ANSWER_SECONDS: Final = 30.0
_LARGEST_BYTES: Final = 2 * 1024 * 1024
"""What the topics take; the library's own limit is half of it."""


@dataclass(frozen=True)
class Poison:
    """Random bytes, unknown schemas, cut records, long strings, numbers too large; the same for the same seed."""

    records: int
    seed: int = 1

    async def strike(self, ground: Ground) -> None:
        left = await asyncio.to_thread(self._produce, ground)
        if left:
            raise DrillError(f"{left} records of poison were not taken")

    def _produce(self, ground: Ground) -> int:
        dice = Random(self.seed)
        producer = Producer(
            {"bootstrap.servers": ground.kafka.bootstrap, "acks": "all", "message.max.bytes": _LARGEST_BYTES}
        )
        for number in range(self.records):
            topic = dice.choice(EVENT_TOPICS).name
            producer.produce(ground.kafka.topic_prefix + topic, poison(number, dice), b"poison-%d" % number)
        return int(producer.flush(_ANSWER_SECONDS))


def poison(number: int, dice: Random) -> bytes:
    """A record that decodes to no event; each number in turn is of another kind."""
    framed = struct.pack(">bI", 0, dice.choice((1, 2, 4, 5)))
    in_ten_years = time.time_ns() // 1_000_000 + 10 * 365 * 86_400_000
    kinds = (
        b"",
        dice.randbytes(dice.randint(1, 200)),
        struct.pack(">bI", 0, 999_999) + b"\x02a",  # no such schema
        struct.pack(">bI", 7, 1) + b"\x02a",  # no such framing
        framed,
        framed + b"\x80" * 12,  # a number without an end
        framed + b"\xfe\xff\xff\xff\x0f",  # a string of two gigabytes
        framed + b"\x02\x00\x02u\x02s" + struct.pack(">q", in_ten_years),
        framed + b"\x80\x89\x7a" + b"x" * 1_000_000,  # a megabyte of text, and nothing after it
    )
    return kinds[number % len(kinds)]
