"""The figures of a report, as they are kept, told and served. What bots did is left out, but for faults of the data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Totals:
    """Sums of a stretch of time."""

    events: int
    views: int
    users: int
    """Different people, estimated: exact up to 4,096."""
    buyers: int
    sessions: int
    orders: int
    units: int
    revenue: Decimal
    refunded: Decimal

    @property
    def average_order(self) -> Decimal | None:
        return (self.revenue / self.orders).quantize(Decimal("0.01")) if self.orders else None

    @property
    def conversion(self) -> float | None:
        """Share of the people who bought."""
        return min(1.0, self.buyers / self.users) if self.users else None


@dataclass(frozen=True)
class Step:
    """A step of the funnel: sessions that got as far."""

    step: str
    sessions: int


@dataclass(frozen=True)
class Product:
    """One of the most viewed."""

    product_id: str
    category: str
    """The one it was viewed in most; empty where no event named one."""
    views: int
    units: int
    revenue: Decimal


@dataclass(frozen=True)
class Shoppers:
    """Everyone who came, by whether they bought."""

    group: str
    """buyers or window_shoppers"""
    users: int
    sessions: int
    views: int
    minutes: float
    """In sessions, all together."""
    revenue: Decimal


@dataclass(frozen=True)
class Customers:
    """Everyone who ever bought, by how lately, how often and for how much."""

    group: str
    users: int
    orders: int
    revenue: Decimal
    """Refunds taken off."""


@dataclass(frozen=True)
class Oddity:
    """A window that a detector flagged."""

    window_start: str
    window_end: str
    metric: str
    scope: str
    subject: str
    direction: str
    severity: str
    expected: float
    observed: float


@dataclass(frozen=True)
class Carts:
    """What was put into carts, by what became of it."""

    additions: int
    bought: int
    abandoned: int


@dataclass(frozen=True)
class Quality:
    """Whether the numbers can be trusted."""

    rejected: int
    quarantined: int
    duplicates: int
    conflicts: int
    late: int
    residue: int
    """Records that are not accounted for, of all time; 0: the books close."""
    verifications: int
    mismatches: int
    """Rows that verifications of that day found to differ from the event log."""


@dataclass(frozen=True)
class Report:
    """A day."""

    day: str
    time_zone: str
    since: str
    until: str
    """The day's end, or how far its events are known."""
    epoch: int
    is_final: bool
    """Whether nothing on time can change it any more."""
    currency: str
    totals: Totals
    week_before: Totals
    """The same stretch of the same weekday, a week before."""
    funnel: Sequence[Step]
    top_products: Sequence[Product]
    shoppers: Sequence[Shoppers]
    customers: Sequence[Customers]
    carts: Carts
    oddities: int
    """Windows flagged, all methods of one counted once."""
    oddest: Sequence[Oddity]
    quality: Quality

    def as_json(self) -> dict[str, Any]:
        """In JSON's types; money as text."""
        told: dict[str, Any] = _plain(asdict(self))
        return told


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Decimal) else value
