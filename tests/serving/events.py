"""What happens in the shop of the tests: people and bots who browse and sometimes buy, event by event."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

MINUTE = timedelta(minutes=1)
GAP = timedelta(minutes=30)
CATALOGUE = {
    "p-kettle": ("kitchen", "34.90"),
    "p-mug": ("kitchen", "8.50"),
    "p-lamp": ("home", "59.00"),
    "p-rug": ("home", "129.99"),
    "p-tent": ("outdoor", "219.00"),
    "p-bottle": ("outdoor", "17.25"),
    "p-novel": ("books", "12.3333"),
    "p-atlas": ("books", "44.00"),
}


class Agent(NamedTuple):
    device: str
    browser: str
    os: str


class Referral(NamedTuple):
    medium: str
    referrer_source: str | None = None
    campaign_source: str | None = None
    campaign: str | None = None


_AGENTS = (Agent("mobile", "Safari", "iOS"), Agent("desktop", "Firefox", "Linux"), Agent("tablet", "Chrome", "Android"))
_REFERRALS = (
    Referral("direct"),
    Referral("search", "google"),
    Referral("social", "instagram"),
    Referral("email", None, "newsletter", "spring"),
    Referral("paid", "google", "google-ads", "spring"),
)


@dataclass(frozen=True)
class Event:
    """An event of either kind; `action` is `purchase` or `refund` for a transaction."""

    at: datetime
    id: str
    user: str
    session: str
    action: str
    product: str | None = None
    category: str | None = None
    page: str | None = None
    amount: Decimal = Decimal(0)
    quantity: int = 0
    order: str | None = None
    agent: Agent | None = None
    referral: Referral | None = None
    bot_score: int = 0
    late: bool = False
    delay: timedelta = timedelta(milliseconds=400)
    """From the event's time to its arrival in the log."""

    @property
    def minute(self) -> datetime:
        return self.at.replace(second=0, microsecond=0)

    @property
    def bot(self) -> bool:
        return self.bot_score >= 50

    @property
    def millis(self) -> str:
        """Epoch milliseconds as processing writes them into sortable texts."""
        return f"{round(self.at.timestamp() * 1000):015d}"


@dataclass
class Refusal:
    """An event the gateway refused, or with `source` None one that went into the quarantine."""

    at: datetime
    reason: str
    source: str | None = "web"
    raw: bytes = b"{}"
    pointer: str = ""
    detail: str = ""
    event_id: str | None = None
    epoch: int | None = None
    """That read it; None for the newest."""


@dataclass(frozen=True)
class Repeat:
    """A record whose event had come before, with the same payload or, in conflict, another."""

    event_id: str
    conflict: bool = False
    epoch: int | None = None
    """That read it; None for the newest."""


def islands(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Sessions: events of one session id less than the gap apart, each in the order of its path."""
    by_session: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: (event.at, event.action, event.id)):
        by_session[event.session].append(event)
    for one in by_session.values():
        island = one[:1]
        for event in one[1:]:
            if event.at - island[-1].at >= GAP:
                yield island
                island = []
            island.append(event)
        yield island


def by_bot(island: Iterable[Event]) -> bool:
    """A session is a bot's when one of its events is."""
    return any(event.bot for event in island)


def visits(seed: int, start: datetime, end: datetime, per_minute: float = 3, users: int = 60) -> list[Event]:
    """People and bots browsing and sometimes buying, at times from start to before end."""
    dice = random.Random(seed)
    events: list[Event] = []
    begun = start.replace(microsecond=start.microsecond // 1000 * 1000)
    while (begun := begun + timedelta(milliseconds=round(dice.expovariate(per_minute / 60) * 1000))) < end:
        events += _visit(dice, f"{seed}-{len(events)}", f"u-{dice.randrange(users)}", begun)
    return [event for event in events if event.at < end]


def _visit(dice: random.Random, name: str, user: str, at: datetime) -> list[Event]:
    events = list(_browse(dice, name, user, at))
    kind = dice.random()
    if kind < 0.08:
        return [replace(event, user=f"b-{dice.randrange(5)}", bot_score=90) for event in events]
    if kind < 0.09:  # one event of a person's visit looks like a bot's
        place = dice.randrange(len(events))
        events[place] = replace(events[place], bot_score=50)
    elif kind < 0.13:  # somebody who never comes again
        return [replace(event, user=f"w-{name}") for event in events]
    return events


def _browse(dice: random.Random, name: str, user: str, at: datetime) -> Iterator[Event]:
    session = f"s-{name}"
    agent, referral = dice.choice([None, *_AGENTS]), dice.choice([None, *_REFERRALS])
    order = dice.choice([None, f"o-{name}"])
    number = 0

    def event(action: str, **more: Any) -> Event:
        nonlocal at, number
        at += timedelta(milliseconds=dice.randrange(2_000, 45_000))
        number += 1
        return Event(at, f"e-{name}-{number}", user, session, action, agent=agent, referral=referral, **more)

    yield event("page_view", page="https://shop.example/?utm=1")
    while dice.random() < 0.75:
        product = dice.choice(list(CATALOGUE))
        category, price = CATALOGUE[product]
        about = {"product": product, "category": category}
        yield event("view", page=f"/p/{product}", **about)
        if dice.random() < 0.5:
            yield event("click", page=f"/p/{product}", **about)
        if dice.random() < 0.35:
            yield event("add_to_cart", page="/cart", **about)
            if dice.random() < 0.6:
                quantity = dice.randint(1, 3)
                yield event("checkout_start", page="/checkout", **about)
                yield event("purchase", **about, amount=Decimal(price) * quantity, quantity=quantity, order=order)
                if dice.random() < 0.1:
                    yield event("refund", **about, amount=Decimal(price), quantity=1, order=order)
