"""What a rule can be about: the numbers that GraphQL serves and that can be told of a window that slides by minutes.

A measure is summed up from the rows of each minute; a ratio is one measure divided by another. A test holds them
against contracts/schema.graphql: a number that is served and that no rule can name is there with the reason.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, Literal

from contracts.projections import (
    ACTION_COUNTS,
    carts,
    category_minutes,
    conversions,
    delays,
    orders,
    product_minutes,
    sessions,
    site_minutes,
)
from contracts.tables import epochs

Axis = Literal["events", "arrivals"]
"""Minutes of what: of event time, or of when records arrived and were committed."""
Scope = Literal["site", "category", "product", "device", "medium"]


@dataclass(frozen=True, eq=False)
class Source:
    """Rows that are summed up by minute."""

    axis: Axis
    scopes: Mapping[str, tuple[str, str]]
    """By scope: the table, and the column that says which one it is about; `''` of the one site."""
    time: str
    where: str
    """Which rows count; `{minutes}` stands for how many are looked at."""
    measures: Mapping[str, str]
    """By name: the aggregate. `$3` is the time before which an addition to a cart is bought or abandoned."""
    users: Mapping[str, str] = field(default_factory=dict)
    """By name: the column of a sketch, which is united and counted instead."""


_SITE: Final = "''"
_MONEY: Final = ("revenue", "refunded")


def _on(table: str, **subjects: str) -> dict[str, tuple[str, str]]:
    return {"site": (table, _SITE)} | {scope: (table, subject) for scope, subject in subjects.items()}


def _sums(*names: str) -> dict[str, str]:
    return {name: f"sum({name})" for name in names}


def _sessions_that(**conditions: str) -> dict[str, str]:
    return {name: f"count(*) FILTER (WHERE {condition})" for name, condition in conditions.items()}


SOURCES: Final = (
    Source(
        "events",
        {
            "site": (site_minutes.name, _SITE),
            "category": (category_minutes.name, "category"),
            "product": (product_minutes.name, "product_id"),
        },
        "minute",
        "NOT bot",
        {**_sums(*ACTION_COUNTS, "refunds", *_MONEY), "late_events": "sum(late)"},
        {"unique_users": "users", "unique_buyers": "buyers"},
    ),
    Source(
        "events",
        _on(
            sessions.name,
            category="coalesce(category, '')",
            device="coalesce(device, '')",
            medium="coalesce(medium, '')",
        ),
        "started_at",
        "NOT bot",
        {
            "sessions": "count(*)",
            "session_events": "sum(events)",
            "session_seconds": "sum(extract(epoch FROM ended_at - started_at))",
            **_sessions_that(
                bounces="events = 1",
                converted_sessions="purchases > 0",
                cart_sessions="adds > 0",
                cart_sessions_left="adds > 0 AND purchases = 0",
                sessions_viewed="viewed_at IS NOT NULL",
                sessions_added="added_at IS NOT NULL",
                sessions_checkout="checkout_at IS NOT NULL",
                sessions_purchased="purchased_at IS NOT NULL",
            ),
            "purchase_seconds": "sum(extract(epoch FROM purchased_at - viewed_at))",
        },
    ),
    Source(
        "events",
        _on(conversions.name, category="category", product="product_id"),
        "happened_at",
        "NOT bot AND NOT is_purchase",
        {"product_clicks": "count(*)", "converted_clicks": "count(purchase_id)"},
    ),
    Source(
        "events",
        _on(carts.name, category="category", product="product_id"),
        "happened_at",
        "NOT bot AND NOT is_purchase",
        {
            "additions": "count(*)",
            "bought_additions": "count(purchase_id)",
            "abandoned_additions": "count(*) FILTER (WHERE purchase_id IS NULL AND happened_at < $3)",
            "open_additions": "count(*) FILTER (WHERE purchase_id IS NULL AND happened_at >= $3)",
            "decided_additions": "count(*) FILTER (WHERE purchase_id IS NOT NULL OR happened_at < $3)",
        },
    ),
    Source("events", _on(orders.name), "ordered_at", "NOT bot", {"orders": "count(*)"}),
    Source(
        "arrivals",
        _on(epochs.name),
        "committed_at",
        "epoch > (SELECT max(epoch) FROM epochs) - 500 * {minutes}",
        {
            **_sums("records", "applied", "duplicates", "conflicts", "quarantined", "rejected", "late", "imported"),
            "epochs": "count(*)",
            "commit_seconds": "sum(extract(epoch FROM committed_at - newest_log_time))",
            "epoch_seconds": "sum(extract(epoch FROM committed_at - started_at))",
        },
    ),
    Source(
        "arrivals",
        _on(delays.name),
        "minute",
        "true",
        {"arrivals": "sum(events)", "late_arrivals": "sum(late)"},
    ),
)

SECONDS: Final = "seconds"
"""Of the window: what is divided by it is a rate."""

RATIOS: Final = {
    "average_purchase": ("revenue", "purchases"),
    "average_order": ("revenue", "orders"),
    "conversion_rate": ("unique_buyers", "unique_users"),
    "click_conversion_rate": ("converted_clicks", "product_clicks"),
    "session_conversion_rate": ("converted_sessions", "sessions"),
    "cart_abandonment_rate": ("cart_sessions_left", "cart_sessions"),
    "addition_abandonment_rate": ("abandoned_additions", "decided_additions"),
    "bounce_rate": ("bounces", "sessions"),
    "session_duration": ("session_seconds", "sessions"),
    "time_to_purchase": ("purchase_seconds", "sessions_purchased"),
    "events_per_second": ("events", SECONDS),
    "late_share": ("late_arrivals", "arrivals"),
    "freshness_seconds": ("commit_seconds", "epochs"),
    "epoch_duration": ("epoch_seconds", "epochs"),
}
"""Those that have a name. Any other is written `one / another`."""

MEASURES: Final[dict[str, Source]] = {name: source for source in SOURCES for name in (*source.measures, *source.users)}
"""Where each measure is read from."""
_VOLUMES: Final[dict[Axis, tuple[str, ...]]] = {"events": ("events", "session_events"), "arrivals": ("records",)}
"""What a rule's minimum is held against: the first of these that its scope has."""


def of_metric(metric: str) -> tuple[str, ...]:
    """A metric's measures: one, or two of which the first is divided by the second. ValueError where it is none."""
    names = RATIOS.get(metric) or tuple(part.strip() for part in metric.split("/"))
    if len(names) > 2:
        raise ValueError(f"{metric!r} divides more than once: a metric is a measure, or one / another")
    for name in names:
        if name not in MEASURES and name != SECONDS:
            raise ValueError(f"{name!r} is no metric{_meant(name)}: docs/alerts.md lists them")
    if names[0] == SECONDS:
        raise ValueError("seconds are the window's own length: they can only be divided by")
    return names


def check_scope(measures: Collection[str], scope: str) -> None:
    """ValueError where these can not be told of the scope, or not in one rule."""
    sources = {name: MEASURES[name] for name in measures if name != SECONDS}
    for name, source in sources.items():
        if scope not in source.scopes:
            raise ValueError(f"{name!r} is not known by {scope}, but of: {', '.join(source.scopes)}")
    by_axis = {source.axis: name for name, source in sources.items()}
    if len(by_axis) > 1:
        raise ValueError(
            f"{by_axis['events']!r} is of when things happened and {by_axis['arrivals']!r} of when records arrived:"
            " one rule can not have both"
        )


def axis_of(measures: Collection[str]) -> Axis:
    """Of which minutes these are; they agree in it."""
    return next(MEASURES[name].axis for name in measures if name != SECONDS)


def volume_of(axis: Axis, scope: str) -> str:
    """What a rule's minimum is held against."""
    return next(name for name in _VOLUMES[axis] if scope in MEASURES[name].scopes)


def _meant(name: str) -> str:
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    close = get_close_matches(snake, (*MEASURES, *RATIOS), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
