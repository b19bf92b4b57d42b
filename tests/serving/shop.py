"""A small shop written into the serving store as processing would write it, and its events kept for the oracle.

The rows are made here from the contract of the tables alone; tests count the events afresh, so that neither serving's
SQL nor this module's sums are taken on trust.
"""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
from datasketches import update_theta_sketch
from sqlalchemy import delete, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from contracts import tables

MINUTE = timedelta(minutes=1)
GAP = timedelta(minutes=30)
LATENESS = timedelta(minutes=5)
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
_COUNTED = {
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
_COUNTS = ("events", *dict.fromkeys(_COUNTED.values()), "units")


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
    late: bool = False

    @property
    def minute(self) -> datetime:
        return self.at.replace(second=0, microsecond=0)


@dataclass
class Refusal:
    """An event the gateway refused, or with `source` None one that went into the quarantine."""

    at: datetime
    reason: str
    source: str | None = "web"
    raw: bytes = b"{}"
    pointer: str = ""
    detail: str = ""


@dataclass
class Shop:
    """What has happened so far; `commit` makes it the state of the store as of one more epoch."""

    events: list[Event] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    duplicates: int = 0
    epoch: int = 0
    committed_at: datetime | None = None
    """Of the epochs to come; None for the database's clock."""

    @property
    def watermark(self) -> datetime | None:
        return max(event.at for event in self.events) - LATENESS if self.events else None

    async def commit(self, connection: AsyncConnection) -> None:
        """Write everything as one epoch and tell, within the caller's transaction."""
        self.epoch += 1
        for table in reversed(tables.metadata.sorted_tables):
            if table.name != "epochs":
                await connection.execute(delete(table))
        for name, rows in self._rows().items():
            if rows:
                await connection.execute(insert(tables.metadata.tables[name]), rows)
        await connection.execute(
            text("SELECT pg_notify(:channel, :epoch)"), {"channel": tables.NOTIFY_CHANNEL, "epoch": str(self.epoch)}
        )

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "product_minutes": self._minutes(
                lambda event: (event.product, event.category or ""), "product_id category"
            ),
            "category_minutes": self._minutes(lambda event: (event.category or "",), "category"),
            "site_minutes": self._minutes(lambda _: (), ""),
            "sessions": [self._session(island) for island in islands(self.events)],
            "rejected_events": [self._rejected(n, one) for n, one in enumerate(self.refusals) if one.source],
            "quarantine": [self._quarantined(n, one) for n, one in enumerate(self.refusals) if not one.source],
            **self._ledger(),
        }

    def _minutes(self, key: Callable[[Event], tuple[Any, ...]], names: str) -> list[dict[str, Any]]:
        groups: dict[tuple[Any, ...], list[Event]] = defaultdict(list)
        for event in self.events:
            if "product_id" not in names or event.product:
                groups[event.minute, *key(event)].append(event)
        return [
            {**dict(zip(["minute", *names.split()], group, strict=True)), **self._measures(events)}
            for group, events in groups.items()
        ]

    def _measures(self, events: list[Event]) -> dict[str, Any]:
        return {
            **_counts(events),
            "revenue": sum((event.amount for event in events if event.action == "purchase"), Decimal(0)),
            "refunded": sum((event.amount for event in events if event.action == "refund"), Decimal(0)),
            "users": sketch(event.user for event in events),
            "buyers": sketch(event.user for event in events if event.action == "purchase"),
            "late": sum(event.late for event in events),
            "revision": int(any(event.late for event in events)),
            "last_epoch": self.epoch,
        }

    def _session(self, island: list[Event]) -> dict[str, Any]:
        pages = [event.page for event in island if event.page]
        counts = _counts(island)
        del counts["refunds"]
        return {
            **counts,
            "session_id": island[0].session,
            "started_at": island[0].at,
            "ended_at": island[-1].at,
            "user_id": island[0].user,
            "revenue": sum((event.amount for event in island if event.action == "purchase"), Decimal(0)),
            "entry_page": pages[0] if pages else None,
            "exit_page": pages[-1] if pages else None,
            "path": [_step(event) for event in island[:50]],
            "late": sum(event.late for event in island),
            "revision": int(any(event.late for event in island)),
            "last_epoch": self.epoch,
        }

    def _ledger(self) -> dict[str, list[dict[str, Any]]]:
        rejected = sum(one.source is not None for one in self.refusals)
        sums = {
            "records": len(self.events) + len(self.refusals) + self.duplicates,
            "applied": len(self.events),
            "duplicates": self.duplicates,
            "conflicts": 0,
            "quarantined": len(self.refusals) - rejected,
            "rejected": rejected,
            "late": sum(event.late for event in self.events),
            "imported": 0,
        }
        now = self.committed_at or datetime.now(UTC)
        epoch: dict[str, Any] = {
            "epoch": self.epoch,
            "started_at": now - timedelta(milliseconds=800),
            "committed_at": now,
            "offsets": {},
            "newest_log_time": now - timedelta(milliseconds=900),
            "event_time_by_partition": {},
            "watermark": self.watermark,
            **sums,
        }
        return {
            "epochs": [epoch],
            "totals": [{"epoch": self.epoch, **sums, "log_rows": sums["applied"], "log_epoch": self.epoch}],
            "books": [
                {
                    "topic": "clickstream",
                    "partition": 0,
                    "first_offset": 7,
                    "next_offset": 7 + sums["records"],
                    "records": sums["records"],
                }
            ],
        }

    def _rejected(self, number: int, one: Refusal) -> dict[str, Any]:
        return {
            "topic": "rejected",
            "partition": 0,
            "offset": number,
            "epoch": self.epoch,
            "rejection_id": f"r-{number}",
            "received_at": one.at,
            "source": one.source,
            "reason": one.reason,
            "pointer": one.pointer,
            "detail": one.detail,
            "content_type": "application/json",
            "event_id": None,
            "raw": one.raw,
            "truncated": False,
        }

    def _quarantined(self, number: int, one: Refusal) -> dict[str, Any]:
        return {
            "topic": "clickstream",
            "partition": 0,
            "offset": number,
            "epoch": self.epoch,
            "log_time": one.at,
            "reason": one.reason,
            "raw": one.raw,
        }


def islands(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Sessions: events of one session id less than the gap apart."""
    by_session: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: (event.at, event.id)):
        by_session[event.session].append(event)
    for one in by_session.values():
        island = one[:1]
        for event in one[1:]:
            if event.at - island[-1].at >= GAP:
                yield island
                island = []
            island.append(event)
        yield island


def visits(seed: int, start: datetime, end: datetime, per_minute: float = 3, users: int = 60) -> list[Event]:
    """People browsing and sometimes buying, at times from start to before end."""
    dice = random.Random(seed)
    events: list[Event] = []
    begun = start
    while (begun := begun + timedelta(seconds=dice.expovariate(per_minute / 60))) < end:
        events += _visit(dice, f"{seed}-{len(events)}", f"u-{dice.randrange(users)}", begun)
    return [event for event in events if event.at < end]


def _visit(dice: random.Random, name: str, user: str, at: datetime) -> Iterator[Event]:
    session = f"s-{name}"
    number = 0

    def event(action: str, **more: Any) -> Event:
        nonlocal at, number
        at += timedelta(milliseconds=dice.randrange(2_000, 45_000))
        number += 1
        return Event(at, f"e-{name}-{number}", user, session, action, **more)

    yield event("page_view", page="/")
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
                yield event("purchase", **about, amount=Decimal(price) * quantity, quantity=quantity)
                if dice.random() < 0.1:
                    yield event("refund", **about, amount=Decimal(price), quantity=1)


def sketch(users: Iterable[str]) -> bytes:
    """A compact theta sketch of the users."""
    made = update_theta_sketch(12)
    for user in users:
        made.update(user)
    serialized: bytes = made.compact().serialize()
    return serialized


def engine(url: str, schema: str) -> AsyncEngine:
    """A connection for the writer, with its schema as search path."""
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(url, server_settings={"search_path": schema}),
        pool_size=1,
    )


async def create_tables(url: str, schema: str) -> None:
    """A fresh schema with the tables of the contract."""
    writer = engine(url, schema)
    async with writer.begin() as connection:
        await connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
        await connection.run_sync(tables.metadata.create_all)
    await writer.dispose()


async def write(url: str, schema: str, shop: Shop) -> None:
    """Commit the shop's state as one more epoch."""
    writer = engine(url, schema)
    async with writer.begin() as connection:
        await shop.commit(connection)
    await writer.dispose()


def _counts(events: list[Event]) -> dict[str, int]:
    counts = dict.fromkeys(_COUNTS, 0)
    for event in events:
        counts["events"] += 1
        if event.action in _COUNTED:
            counts[_COUNTED[event.action]] += 1
        if event.action == "purchase":
            counts["units"] += event.quantity
    return counts


def _step(event: Event) -> str:
    millis = round(event.at.timestamp() * 1000)
    return json.dumps([f"{millis:015d}", event.id, event.action, event.product, event.page])
