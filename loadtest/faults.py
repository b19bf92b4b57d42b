"""From events to sendings: what a real client does to a clean stream - repeats, delays, wrong clocks, broken events.

The faults have dice of their own: whatever is asked for, the shop's valid events stay the same (a late one has its
time moved, nothing else).
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Any, Final

from contracts.rejections import Reason
from loadtest import invalid
from loadtest.visits import ShopEvent

_MINUTE_MS: Final = 60_000
LATE_BY_MS: Final = (6 * _MINUTE_MS, 60 * _MINUTE_MS)
"""Beyond the shop's allowed lateness of five minutes, up to an hour."""
HELD_BACK_MS: Final = (0, 120_000)
_STORM: Final = 1_000


class Kind(StrEnum):
    """Why something is sent."""

    VALID = "valid"
    LATE = "late"
    OUT_OF_ORDER = "out_of_order"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    INVALID = "invalid"
    REPLAY = "replay"


@dataclass(frozen=True)
class FaultRates:
    """How often each fault strikes, as a share of events, 0 to 1."""

    duplicates: float = 0.0
    """The same event again: half of them at once, half later in another request."""
    conflicts: float = 0.0
    """The same id again with another payload, after the first was acknowledged."""
    late: float = 0.0
    """The timestamp lies 6-60 minutes back."""
    out_of_order: float = 0.0
    """Sent up to two minutes after its timestamp."""
    invalid: float = 0.0
    """An additional event that has to be rejected."""
    storms: float = 0.0
    """The same event a thousand times, at once."""
    resent_after_ms: tuple[int, int] = (1_000, 30_000)
    """How much later duplicates and conflicts come that do not come at once."""


@dataclass(slots=True)
class Sending:
    """One event to be sent once, retries aside."""

    due_ms: int
    """Intended send time, milliseconds after the start."""
    kind: Kind
    event_id: str
    """Id of the event; for an invalid one the id it would have had."""
    body: Any
    """JSON value of the event, or bytes to be sent as they are in a request of their own."""
    expected: Reason | None = None
    """Why it must be rejected; None where it must be accepted."""
    fault: str = ""
    """Name of the bad kind."""

    @property
    def waits_for_first(self) -> bool:
        """Must not overtake the event it repeats: the first one in the log wins."""
        return self.kind is Kind.CONFLICT


def inject(events: Iterable[ShopEvent], rates: FaultRates, seed: int, start_ms: int) -> Iterator[Sending]:
    """The stream as it is sent, in order of intended send time. What is held back at the end is sent at the end."""
    dice = Random(f"faults {seed}")
    held: list[tuple[int, int, Sending]] = []
    number = 0
    last_ms = 0
    for event in events:
        last_ms = event.at_ms
        while held and held[0][0] <= last_ms:
            yield heapq.heappop(held)[2]
        for sending in _sendings(event, rates, dice, start_ms):
            if sending.due_ms <= last_ms:
                yield sending
            else:
                number += 1
                heapq.heappush(held, (sending.due_ms, number, sending))
    while held:
        sending = heapq.heappop(held)[2]
        sending.due_ms = last_ms
        yield sending


def _sendings(event: ShopEvent, rates: FaultRates, dice: Random, start_ms: int) -> Iterator[Sending]:
    body = event.stamped(start_ms)
    event_id: str = body[invalid.id_field(body)]
    kind, due_ms = Kind.VALID, event.at_ms
    if dice.random() < rates.late:
        kind = Kind.LATE
        body["timestamp"] -= dice.randint(*LATE_BY_MS)
    elif dice.random() < rates.out_of_order:
        kind = Kind.OUT_OF_ORDER
        due_ms += dice.randint(*HELD_BACK_MS)
    yield Sending(due_ms, kind, event_id, body)
    if dice.random() < rates.duplicates:
        again_ms = due_ms if dice.random() < 0.5 else due_ms + dice.randint(*rates.resent_after_ms)
        yield Sending(again_ms, Kind.DUPLICATE, event_id, body)
    if dice.random() < rates.conflicts:
        yield Sending(due_ms + dice.randint(*rates.resent_after_ms), Kind.CONFLICT, event_id, _altered(body))
    if dice.random() < rates.invalid:
        yield _spoilt(body, event.at_ms, dice)
    if rates.storms and dice.random() < rates.storms:
        for _ in range(_STORM - 1):
            yield Sending(due_ms, Kind.DUPLICATE, event_id, body)


def _altered(body: dict[str, Any]) -> dict[str, Any]:
    """Another payload under the same id."""
    if "amount" in body:
        return {**body, "amount": str(Decimal(body["amount"]) + Decimal("0.01"))}
    return {**body, "page_url": f"{body.get('page_url', '')}#altered"}


def _spoilt(body: dict[str, Any], due_ms: int, dice: Random) -> Sending:
    bad = dice.choice([kind for kind in invalid.KINDS if kind.only in {None, body["type"]}])
    fresh_id = f"bad-{dice.getrandbits(96):024x}"
    fresh = {**body, invalid.id_field(body): fresh_id}
    return Sending(due_ms, Kind.INVALID, fresh_id, bad.spoil(fresh), bad.reason, bad.name)
