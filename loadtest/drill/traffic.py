"""The traffic of a drill: a shop's events with what clients do to them, and if asked one user who does most of it."""

from collections.abc import Iterator
from random import Random
from typing import Final

from loadtest.drill.catalogue import Drill
from loadtest.faults import Sending, inject
from loadtest.shop import Shop
from loadtest.visits import ShopEvent

_SALES_SHARE: Final = 0.2
"""More sales than a shop has, so that money is at stake."""
_HOT: Final = "drill-hot"


def traffic(drill: Drill, *, seed: int, rate: float, start_ms: int) -> Iterator[Sending]:
    """Endless, from now on. Ids depend on the seed alone: it must be a fresh one on each stack."""
    shop = Shop(seed, transactions_share=_SALES_SHARE)
    # Endless for the shop: the one who sends says when it is over.
    return inject(_heated(shop.events(rate), drill.hot_share, seed), drill.rates, seed, start_ms)


def _heated(events: Iterator[ShopEvent], share: float, seed: int) -> Iterator[ShopEvent]:
    dice = Random(f"hot {seed}")
    for event in events:
        if dice.random() < share:
            event.body |= {"user_id": _HOT, "session_id": f"{_HOT}-{seed}"}
        yield event
