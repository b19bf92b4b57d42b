"""What an accepted event says, and what a set of events adds up to: the oracle's two nouns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Fact:
    """One event in one spelling: two events are the same if and only if their facts are equal."""

    topic: str
    event_id: str
    user_id: str
    session_id: str
    product_id: str | None
    category: str | None
    action: str
    """The clickstream action, or `purchase` or `refund`."""
    at_ms: int
    """Event time, epoch milliseconds."""
    page: str | None = None
    amount: Decimal = Decimal(0)
    quantity: int = 0
    order_id: str | None = None
    rest: tuple[tuple[str, str], ...] = ()
    """All other fields, sorted: part of the payload, counted in nothing."""

    @property
    def at(self) -> datetime:
        """Event time in UTC."""
        return from_epoch_ms(self.at_ms)


@dataclass
class Measures:
    """The columns of the minute tables; sets of users where those keep sketches."""

    events: int = 0
    views: int = 0
    clicks: int = 0
    searches: int = 0
    adds: int = 0
    removes: int = 0
    checkouts: int = 0
    purchases: int = 0
    units: int = 0
    refunds: int = 0
    revenue: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    users: set[str] = field(default_factory=set)
    buyers: set[str] = field(default_factory=set)

    def add(self, fact: Fact) -> None:
        """Count one event."""
        self.events += 1
        self.users.add(fact.user_id)
        column = _COUNTED_AS.get(fact.action)
        if column:
            setattr(self, column, getattr(self, column) + 1)
        if fact.action == "purchase":
            self.units += fact.quantity
            self.revenue += fact.amount
            self.buyers.add(fact.user_id)
        elif fact.action == "refund":
            self.refunded += fact.amount


_COUNTED_AS: Final = {
    "page_view": "views",
    "view": "views",
    "click": "clicks",
    "search": "searches",
    "add_to_cart": "adds",
    "remove_from_cart": "removes",
    "checkout_start": "checkouts",
    "purchase": "purchases",
    "refund": "refunds",
}
"""Scrolls and other actions are events and nothing else."""


def measured(facts: Iterable[Fact]) -> Measures:
    """What these events add up to."""
    total = Measures()
    for fact in facts:
        total.add(fact)
    return total


def to_fact(event: Mapping[str, Any]) -> Fact:
    """Read an accepted event in the JSON form of `POST /v1/events`."""
    rest = dict(event)
    sale = rest.pop("type", None) == "transaction" or "transaction_id" in event
    event_id = rest.pop("transaction_id" if sale else "event_id")
    taken = {name: rest.pop(name, None) for name in ("user_id", "session_id", "product_id", "category", "page_url")}
    return Fact(
        topic="transactions" if sale else "clickstream",
        event_id=_id(event_id),
        user_id=_id(taken["user_id"]),
        session_id=_id(taken["session_id"]),
        product_id=taken["product_id"],
        category=taken["category"],
        action=rest.pop("kind", "purchase") if sale else rest.pop("action"),
        at_ms=_epoch_ms(rest.pop("timestamp")),
        page=taken["page_url"],
        amount=Decimal(str(rest.pop("amount"))) if sale else Decimal(0),
        quantity=rest.pop("quantity") if sale else 0,
        order_id=rest.pop("order_id", None) if sale else None,
        rest=tuple(sorted((name, repr(value)) for name, value in rest.items() if value is not None)),
    )


def from_epoch_ms(epoch_ms: int) -> datetime:
    """Exact, unlike `fromtimestamp` of a float."""
    return datetime.fromtimestamp(epoch_ms // 1000, UTC).replace(microsecond=epoch_ms % 1000 * 1000)


def _id(value: str) -> str:
    """Ids are opaque, but a UUID is lower-cased."""
    try:
        return value.lower() if str(UUID(value)) == value.lower() else value
    except ValueError:
        return value


def _epoch_ms(timestamp: int | str) -> int:
    """Epoch milliseconds, or ISO 8601; without a zone it is UTC. Fractions below a millisecond are cut off."""
    if isinstance(timestamp, int):
        return timestamp
    moment = datetime.fromisoformat(timestamp)
    since = moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
