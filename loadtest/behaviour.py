"""What visitors did, by the oracle: conversions, funnel, orders, users, journeys, each by the plainest way to count."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Final

from loadtest.facts import Fact, from_epoch_ms
from loadtest.oracle import Session

CONVERSION_MS: Final = 10 * 60 * 1000
"""A purchase so long after the click, or sooner, converts it."""
CLICK_WINDOW_MS: Final = 5 * 60 * 1000

FUNNEL: Final = (("page_view", "view"), ("add_to_cart",), ("checkout_start",), ("purchase",))
"""Actions that reach each step."""


@dataclass(frozen=True)
class Conversions:
    """A product in a window of clicks."""

    clicks: int
    converted: int
    purchases: int
    """Different purchases that the converted clicks are credited with: each click with the first one after it."""


def conversions(facts: Iterable[Fact]) -> dict[tuple[datetime, str], Conversions]:
    """By start of the window and product."""
    purchases: dict[tuple[str, str | None], list[tuple[int, str]]] = defaultdict(list)
    clicks = []
    for fact in facts:
        if fact.action == "purchase":
            purchases[fact.user_id, fact.product_id].append((fact.at_ms, fact.event_id))
        elif fact.action == "click" and fact.product_id is not None:
            clicks.append(fact)
    found: dict[tuple[datetime, str], list[str | None]] = defaultdict(list)
    for click in clicks:
        after = [
            (at_ms, event_id)
            for at_ms, event_id in purchases[click.user_id, click.product_id]
            if 0 <= at_ms - click.at_ms <= CONVERSION_MS
        ]
        start = from_epoch_ms(click.at_ms - click.at_ms % CLICK_WINDOW_MS)
        found[start, click.product_id or ""].append(min(after)[1] if after else None)
    return {
        key: Conversions(
            len(credited), sum(c is not None for c in credited), len({c for c in credited if c is not None})
        )
        for key, credited in found.items()
    }


def funnel(sessions: Iterable[Session]) -> list[int]:
    """How many sessions reached each step, one after the other."""
    reached = Counter[int]()
    for session in sessions:
        since = -1
        for step, actions in enumerate(FUNNEL):
            times = [at_ms for at_ms, action, *_ in session.path if action in actions and at_ms >= since]
            if not times:
                break
            since = min(times)
            reached[step] += 1
    return [reached[step] for step in range(len(FUNNEL))]


def orders(facts: Iterable[Fact]) -> dict[tuple[str, str], datetime]:
    """When each order (by order id and user) was placed: at its first purchase line."""
    placed: dict[tuple[str, str], datetime] = {}
    for fact in facts:
        if fact.action == "purchase":
            key = (fact.order_id or fact.event_id, fact.user_id)
            placed[key] = min(placed.get(key, fact.at), fact.at)
    return placed


@dataclass(frozen=True)
class User:
    """Somebody, over all that was sent."""

    first_seen: datetime
    last_seen: datetime
    events: int
    revenue: Decimal
    favourite_category: str | None
    """The category of most events; ties go by name."""


def users(facts: Iterable[Fact]) -> dict[str, User]:
    """Everyone by user id."""
    by_user: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        by_user[fact.user_id].append(fact)
    return {user_id: _user(own) for user_id, own in by_user.items()}


def _user(facts: Sequence[Fact]) -> User:
    met = Counter(fact.category for fact in facts if fact.category)
    return User(
        first_seen=min(fact.at for fact in facts),
        last_seen=max(fact.at for fact in facts),
        events=len(facts),
        revenue=sum((fact.amount for fact in facts if fact.action == "purchase"), Decimal(0)),
        favourite_category=min(met, key=lambda name: (-met[name], name)) if met else None,
    )


@dataclass
class Visits:
    """What journeys did at one action."""

    visits: int = 0
    """Arrivals; staying is the same visit."""
    sessions: int = 0
    repeats: int = 0
    """How often it followed itself."""
    entries: int = 0
    exits: int = 0


@dataclass
class Journeys:
    """How sessions went from action to action within their first 50 events."""

    journeys: int = 0
    cut: int = 0
    """Sessions with more events: where they left is unknown."""
    nodes: dict[str, Visits] = field(default_factory=lambda: defaultdict(Visits))
    moves: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """How often one action came next after another, and in how many sessions."""


def journeys(sessions: Iterable[Session]) -> Journeys:
    """All places added up."""
    found = Journeys()
    for session in sessions:
        steps = [action for _, action, *_ in session.path]
        turns = [action for number, action in enumerate(steps) if number == 0 or steps[number - 1] != action]
        cut = session.measures.events > len(steps)
        found.journeys += 1
        found.cut += cut
        for action in turns:
            found.nodes[action].visits += 1
        for action in set(turns):
            found.nodes[action].sessions += 1
            found.nodes[action].repeats += steps.count(action) - turns.count(action)
        found.nodes[turns[0]].entries += 1
        found.nodes[turns[-1]].exits += not cut
        for move, count in Counter(pairwise(turns)).items():
            times, of_sessions = found.moves.get(move, (0, 0))
            found.moves[move] = (times + count, of_sessions + 1)
    return found
