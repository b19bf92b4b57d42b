"""The shop as a stream: visits arrive, overlap and merge into one sequence of events in time order.

Everything comes from one seed. The same seed and options give the same events byte for byte, whenever and however
fast they are sent: times are relative to the start of the run.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from faker import Faker

from loadtest.catalogue import Catalogue
from loadtest.people import Population
from loadtest.rhythm import PEAK, busyness
from loadtest.visits import ShopEvent, Visit

_BOT_SHARE: Final = 0.01
"""Share of visits, not of events: a bot's visit is long."""
_CALIBRATION_VISITS: Final = 4_000
_WARM_MS: Final = 12 * 60 * 1000
"""Visits that began this long before the start are still running at it; longer ones are rare."""

Arrival = tuple[int, int, ShopEvent, Iterator[ShopEvent]]
"""Heap entry: time, tie-breaker, next event, the rest of its visit."""


class MixNotReachableError(ValueError):
    """The asked share of transactions is outside of what visitors can do."""


@dataclass(frozen=True)
class Mix:
    """How visits are made up, and what an average one yields."""

    reorder_share: float
    """Share of human visits by customers with a list."""
    events_per_visit: float


class Shop:
    """A catalogue, a population and their habits, all from one seed.

    `transactions_share` is the wanted share of events that are transactions, None for the natural one (about 0.01).
    Raises MixNotReachableError.
    """

    def __init__(
        self, seed: int, *, transactions_share: float | None = None, products: int = 400, regulars: int = 2_000
    ) -> None:
        self._dice = Random(seed)
        fake = Faker("en_US", use_weighting=False)
        fake.seed_instance(seed)
        self.catalogue = Catalogue(self._dice, fake, products)
        self.people = Population(self._dice, fake, regulars)
        self.mix = self._calibrated(transactions_share)

    def events(
        self, rate: float, *, seconds: float | None = None, rhythm_from_ms: int | None = None
    ) -> Iterator[ShopEvent]:
        """The stream: `rate` events per second on average, endless unless `seconds` ends it.

        It starts warm, with visitors already inside, so that purchases happen at once. With `rhythm_from_ms` (the
        start in epoch milliseconds) arrivals follow the hours of the day and `rate` is the day's average.
        """
        arrivals = self._arrivals(rate / self.mix.events_per_visit, rhythm_from_ms)
        heap: list[Arrival] = []
        number = 0
        next_at = next(arrivals)
        while next_at < 0:
            number += 1
            _enter(heap, number, self._visit(self._dice, self.mix.reorder_share, next_at))
            next_at = next(arrivals)
        return self._merged(heap, number, next_at, arrivals, None if seconds is None else int(seconds * 1000))

    def visit(self, at_ms: int = 0) -> Iterator[ShopEvent]:
        """One visit from its first event to its last."""
        return self._visit(self._dice, self.mix.reorder_share, at_ms)

    def _merged(
        self, heap: list[Arrival], number: int, next_at: int, arrivals: Iterator[int], end_ms: int | None
    ) -> Iterator[ShopEvent]:
        while True:
            while heap and heap[0][0] <= next_at:
                at_ms, tie, event, rest = heap[0]
                if end_ms is not None and at_ms >= end_ms:
                    return
                yield event
                following = next(rest, None)
                if following is None:
                    heapq.heappop(heap)
                else:
                    heapq.heapreplace(heap, (following.at_ms, tie, following, rest))
            if end_ms is not None and next_at >= end_ms:
                return
            number += 1
            _enter(heap, number, self._visit(self._dice, self.mix.reorder_share, next_at))
            next_at = next(arrivals)

    def _arrivals(self, visits_per_second: float, rhythm_from_ms: int | None) -> Iterator[int]:
        """Poisson arrivals; with a rhythm, thinned from its peak."""
        peak = 1.0 if rhythm_from_ms is None else PEAK
        at_ms = float(-_WARM_MS)
        while True:
            at_ms += self._dice.expovariate(visits_per_second * peak) * 1000
            if rhythm_from_ms is None or self._dice.random() * PEAK < busyness(rhythm_from_ms + int(at_ms)):
                yield int(at_ms)

    def _visit(self, dice: Random, reorder_share: float, at_ms: int) -> Iterator[ShopEvent]:
        if dice.random() < _BOT_SHARE:
            return Visit(dice, self.catalogue, self.people.bot(dice), at_ms).crawl()
        visit = Visit(dice, self.catalogue, self.people.visitor(dice), at_ms)
        return visit.reorder() if dice.random() < reorder_share else visit.browse()

    def _calibrated(self, transactions_share: float | None) -> Mix:
        """Measure both kinds of visit, then solve for the share of reorders that gives the asked mix."""
        events, lines = self._measured(0.0)
        if transactions_share is None:
            return Mix(0.0, events)
        list_events, list_lines = self._measured(1.0)
        # share w of reorders: (lines + w·Δlines) / (events + w·Δevents) = asked
        slope = (list_lines - lines) - transactions_share * (list_events - events)
        reorders = (transactions_share * events - lines) / slope if slope else -1.0
        if not 0 <= reorders <= 1:
            low, high = lines / events, list_lines / list_events
            raise MixNotReachableError(
                f"a transaction share of {transactions_share:.1%} is out of reach: {low:.1%} (natural) to {high:.1%}"
            )
        return Mix(reorders, events + reorders * (list_events - events))

    def _measured(self, reorder_share: float) -> tuple[float, float]:
        """Mean events and mean transactions per visit. Has its own dice: measuring must not move the shop's."""
        dice = Random(0)
        kinds = [
            event.body["type"] for _ in range(_CALIBRATION_VISITS) for event in self._visit(dice, reorder_share, 0)
        ]
        return len(kinds) / _CALIBRATION_VISITS, kinds.count("transaction") / _CALIBRATION_VISITS


def _enter(heap: list[Arrival], number: int, visit: Iterator[ShopEvent]) -> None:
    """Put a visit into the heap at its first event of the run; what came before the start is not sent."""
    for event in visit:
        if event.at_ms >= 0:
            heapq.heappush(heap, (event.at_ms, number, event, visit))
            return
