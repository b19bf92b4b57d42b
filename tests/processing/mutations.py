"""Damaged records: good ones with a few bytes changed, inserted or cut."""

import random

from contracts.topics import CLICKSTREAM, REJECTED, TRANSACTIONS
from tests.processing.builders import Record, click, framed, rejection, sale, topic_of


def mutated(dice: random.Random) -> Record:
    """A record, sometimes in the wrong topic. Some are good all the same."""
    event = dice.choice(
        [
            click(f"e{dice.randrange(50)}", properties={"key": "value"}, search_query="shoes"),
            sale(f"t{dice.randrange(50)}", order_id="o1"),
            rejection(event_id="e1"),
        ]
    )
    value = bytearray(framed(event, dice.choice((1, None))))
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(5, len(value) + 1) if dice.random() < 0.9 else dice.randrange(len(value) + 1)
        match dice.randrange(4):
            case 0:
                value[place : place + 1] = bytes([dice.randrange(256)])
            case 1:
                value[place:place] = bytes(dice.randrange(256) for _ in range(dice.randint(1, 4)))
            case 2:
                del value[place : place + dice.randint(1, 4)]
            case _:
                value[place : place + 1] = dice.choice((b"\x00", b"\x01", b"\x80", b"\xff", b"\xff" * 9))
    topic = topic_of(event) if dice.random() < 0.95 else dice.choice((CLICKSTREAM, TRANSACTIONS, REJECTED)).name
    return Record(topic, bytes(value))
