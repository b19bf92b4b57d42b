"""Visitors who share minutes, products and categories, and click and buy at random."""

import random
from typing import Final

from tests.processing.builders import START_MS, Event, click, sale

_MINUTE_MS: Final = 60_000
_ACTIONS: Final = ("page_view", "view", "click", "add_to_cart", "checkout_start", "search")


def visits(name: str, count: int, *, users: int, minutes: int) -> list[Event]:
    """So many events of users `u0`, `u1`, …, a session each, from `START_MS` on. `name` begins the ids, and seeds."""
    dice, events = random.Random(name), []
    for number in range(count):
        user = dice.randrange(users)
        shared: Event = {
            "user_id": f"u{user}",
            "session_id": f"s{user}",
            "timestamp": START_MS + dice.randrange(minutes) * _MINUTE_MS,
            "product_id": f"p{dice.randrange(3)}",
            "category": f"c{dice.randrange(2)}",
        }
        if dice.random() < 0.3:
            events.append(sale(f"{name}{number}", **shared))
        else:
            events.append(click(f"{name}{number}", **shared, action=dice.choice(_ACTIONS)))
    return events
