"""The rows that processing would write for a set of events, made from the contract of the tables alone."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from datasketches import update_theta_sketch

from tests.serving.events import Agent, Event, Referral, by_bot, islands

Rows = list[dict[str, Any]]

CONVERTS_WITHIN = timedelta(minutes=10)
BOUGHT_WITHIN = timedelta(minutes=60)
PATH_STEPS = 50
DELAY_BOUNDS = (1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400)
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
_FUNNEL = {
    "viewed_at": {"page_view", "view"},
    "added_at": {"add_to_cart"},
    "checkout_at": {"checkout_start"},
    "purchased_at": {"purchase"},
}
_FIRST_MONDAY = datetime(1969, 12, 29, tzinfo=UTC)


def projection_rows(events: list[Event], epoch: int) -> dict[str, Rows]:
    """Every projection's rows, by table."""
    products = [event for event in events if event.product]
    rows = {
        "product_minutes": _minutes(products, "product_id category", lambda one: (one.product, one.category or "")),
        "category_minutes": _minutes(events, "category", lambda one: (one.category or "",)),
        "site_minutes": _minutes(events, "", lambda _: ()),
        "sessions": [_session(island) for island in islands(events)],
        "conversions": _pairs(events, "click", CONVERTS_WITHIN),
        "carts": _pairs(events, "add_to_cart", BOUGHT_WITHIN),
        "orders": _orders(events),
        "users": [_user(own) for own in _grouped(events, lambda one: one.user).values()],
        "user_categories": _user_categories(events),
        "delays": _delays(events),
    }
    return {name: [{**row, "last_epoch": epoch} for row in found] for name, found in rows.items()}


def _grouped(events: Iterable[Event], key: Callable[[Event], Any]) -> dict[Any, list[Event]]:
    groups: dict[Any, list[Event]] = defaultdict(list)
    for event in events:
        groups[key(event)].append(event)
    return groups


def _minutes(events: list[Event], names: str, key: Callable[[Event], tuple[Any, ...]]) -> Rows:
    return [
        {
            **dict(zip(["minute", *names.split(), "bot"], group, strict=True)),
            **_counts(own),
            "revenue": _money(own, "purchase"),
            "refunded": _money(own, "refund"),
            "users": sketch(event.user for event in own),
            "buyers": sketch(event.user for event in own if event.action == "purchase"),
            "late": sum(event.late for event in own),
        }
        for group, own in _grouped(events, lambda one: (one.minute, *key(one), one.bot)).items()
    ]


def _session(island: list[Event]) -> dict[str, Any]:
    in_order = sorted(island, key=lambda event: (event.at, event.id))
    pages = [event.page for event in in_order if event.page]
    agent = next((event.agent for event in in_order if event.agent), None)
    referral = next((event.referral for event in in_order if event.referral), None)
    counts = _counts(island)
    del counts["refunds"]
    score = max(event.bot_score for event in island)
    reason = "http_library" if score else ""
    return {
        **counts,
        "session_id": in_order[0].session,
        "started_at": in_order[0].at,
        "ended_at": in_order[-1].at,
        "first_key": in_order[0].millis + in_order[0].id,
        "user_id": in_order[0].user,
        "revenue": _money(island, "purchase"),
        "entry_page": pages[0] if pages else None,
        "exit_page": pages[-1] if pages else None,
        # Of the event that is chosen, what it does not tell is an empty text.
        **dict(zip(Agent._fields, _texts(agent, Agent), strict=True)),
        **dict(zip(Referral._fields, _texts(referral, Referral), strict=True)),
        "category": next((event.category for event in in_order if event.category), None),
        "bot_evidence": f"{score:03d}{reason}",
        "bot_score": score,
        "bot_reason": reason or None,
        "bot": by_bot(island),
        **_funnel(island),
        "path": [step(event) for event in island[:PATH_STEPS]],
        "late": sum(event.late for event in island),
    }


def _texts(chosen: Agent | Referral | None, kind: type[Agent] | type[Referral]) -> list[str | None]:
    return [value or "" for value in chosen] if chosen else [None for _ in kind._fields]


def _funnel(island: list[Event]) -> dict[str, datetime | None]:
    reached: dict[str, datetime | None] = {}
    since: datetime | None = datetime.min.replace(tzinfo=UTC)
    for name, actions in _FUNNEL.items():
        times = [one.at for one in island[:PATH_STEPS] if since and one.action in actions and one.at >= since]
        reached[name] = since = min(times, default=None)
    return reached


def _pairs(events: list[Event], action: str, within: timedelta) -> Rows:
    rows = []
    sold = _grouped((one for one in events if one.action == "purchase"), lambda one: (one.user, one.product))
    for event in events:
        if event.product and event.action in {action, "purchase"}:
            found = [
                (one.at, one.id)
                for one in sold[event.user, event.product]
                if event.action == action and event.at <= one.at <= event.at + within
            ]
            purchased_at, purchase_id = min(found, default=(None, None))
            rows.append(
                {
                    "user_id": event.user,
                    "product_id": event.product,
                    "happened_at": event.at,
                    "event_id": event.id,
                    "is_purchase": event.action == "purchase",
                    "category": event.category or "",
                    "bot": event.bot,
                    "purchased_at": purchased_at,
                    "purchase_id": purchase_id,
                    "late": event.late,
                }
            )
    return rows


def _orders(events: list[Event]) -> Rows:
    lines = _grouped(
        (one for one in events if one.action in {"purchase", "refund"}), lambda one: (one.order or one.id, one.user)
    )
    return [
        {
            "order_id": order_id,
            "user_id": user,
            "ordered_at": min((one.at for one in own if one.action == "purchase"), default=None),
            "session_id": min(one.session for one in own),
            "lines": sum(one.action == "purchase" for one in own),
            "units": sum(one.quantity for one in own if one.action == "purchase"),
            "refunds": sum(one.action == "refund" for one in own),
            "revenue": _money(own, "purchase"),
            "refunded": _money(own, "refund"),
            "bot": by_bot(own),
            "late": sum(one.late for one in own),
        }
        for (order_id, user), own in lines.items()
    ]


def _user(own: list[Event]) -> dict[str, Any]:
    counts = _counts(own)
    del counts["refunds"]
    return {
        **counts,
        "user_id": own[0].user,
        "first_seen": min(one.at for one in own),
        "last_seen": max(one.at for one in own),
        "revenue": _money(own, "purchase"),
        "refunded": _money(own, "refund"),
        "weeks": sorted({(one.at - _FIRST_MONDAY) // timedelta(weeks=1) for one in own}),
        "bot_score": max(one.bot_score for one in own),
        "late": sum(one.late for one in own),
    }


def _user_categories(events: list[Event]) -> Rows:
    met = Counter((one.user, one.category) for one in events if one.category)
    return [{"user_id": user, "category": category, "events": count} for (user, category), count in met.items()]


def _delays(events: list[Event]) -> Rows:
    def bucket(event: Event) -> tuple[datetime, int]:
        arrived = (event.at + event.delay).replace(second=0, microsecond=0)
        seconds = event.delay.total_seconds()
        return arrived, next((bound for bound in DELAY_BOUNDS if seconds <= bound), -1)

    return [
        {"minute": minute, "up_to_seconds": up_to, "events": len(own), "late": sum(one.late for one in own)}
        for (minute, up_to), own in _grouped(events, bucket).items()
    ]


def sketch(users: Iterable[str]) -> bytes:
    """A compact theta sketch of the users."""
    made = update_theta_sketch(12)
    for user in users:
        made.update(user)
    serialized: bytes = made.compact().serialize()
    return serialized


def step(event: Event) -> str:
    """A step of a path as the table keeps it."""
    told = [event.millis, event.action, event.id, event.product, event.page]
    return json.dumps(told, separators=(",", ":"))


def _counts(events: list[Event]) -> dict[str, int]:
    counts = dict.fromkeys(_COUNTS, 0)
    for event in events:
        counts["events"] += 1
        if event.action in _COUNTED:
            counts[_COUNTED[event.action]] += 1
        if event.action == "purchase":
            counts["units"] += event.quantity
    return counts


def _money(events: Iterable[Event], action: str) -> Decimal:
    return sum((event.amount for event in events if event.action == action), Decimal(0))
