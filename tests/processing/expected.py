"""What the projections' tables must hold of a log, in plain Python and from the definitions in `contracts.projections`;
and what tables do hold, in the same spelling.

Left out on both sides: columns that only merges read (`*_key`, `bot_evidence`). They cannot be wrong without a value
that is read off them being wrong in some order of epochs.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

import pyarrow as pa

from contracts import projections
from contracts.tables import metadata
from processing import sketches
from tests.processing.log_rows import Row

Key: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = dict[Key, dict[str, Any]]
"""Row by primary key, without the key's columns."""

SESSION_GAP: Final = timedelta(minutes=30)
CONVERSION_WINDOW: Final = timedelta(minutes=10)
CART_WINDOW: Final = timedelta(minutes=60)
FIRST_MONDAY: Final = datetime(1969, 12, 29, tzinfo=UTC)
PATH_STEPS: Final = 50
DELAY_BUCKETS: Final = (1, 5, 15, 60, 300, 900, 3600, 21_600, 86_400, 604_800)

_MONEY: Final = ("revenue", "refunded")
_FUNNEL: Final = (
    ("viewed_at", ("page_view", "view")),
    ("added_at", ("add_to_cart",)),
    ("checkout_at", ("checkout_start",)),
    ("purchased_at", ("purchase",)),
)


def expected(log: Iterable[Row]) -> dict[str, Rows]:
    """The rows of every projection. `log` is deduplicated."""
    rows = sorted(log, key=_moment)
    with_product = [row for row in rows if row["product_id"] is not None]
    sales = [row for row in rows if row["kind"] is not None]
    return {
        "product_minutes": _grouped(
            with_product,
            lambda row: (_minute(row["timestamp"]), row["product_id"], row["category"] or "", row["bot"]),
            _measures,
        ),
        "category_minutes": _grouped(
            rows, lambda row: (_minute(row["timestamp"]), row["category"] or "", row["bot"]), _measures
        ),
        "site_minutes": _grouped(rows, lambda row: (_minute(row["timestamp"]), row["bot"]), _measures),
        "sessions": dict(
            _session(island) for one in _groups(rows, lambda row: row["session_id"]).values() for island in islands(one)
        ),
        "conversions": pairs(with_product, "click", CONVERSION_WINDOW),
        "carts": pairs(with_product, "add_to_cart", CART_WINDOW),
        "orders": _grouped(sales, lambda row: (row["order_id"] or row["event_id"], row["user_id"]), _order),
        "users": _grouped(rows, lambda row: (row["user_id"],), _user),
        "user_categories": _grouped(
            [row for row in rows if row["category"]],
            lambda row: (row["user_id"], row["category"]),
            lambda met: {"events": len(met), "last_epoch": _last_epoch(met)},
        ),
        "delays": _grouped(
            [row for row in rows if not row["imported"]],
            lambda row: (_minute(row["log_time"]), _bucket(row["log_time"] - row["timestamp"])),
            lambda arrived: {"events": len(arrived), **_bookkeeping(arrived)},
        ),
    }


def islands(rows: Sequence[Row]) -> Iterable[list[Row]]:
    """Rows in the order of time, parted where the session gap lies between two of them."""
    island: list[Row] = []
    for row in rows:
        if island and row["timestamp"] - island[-1]["timestamp"] >= SESSION_GAP:
            yield island
            island = []
        island.append(row)
    yield island


def pairs(rows: Iterable[Row], action: str, window: timedelta) -> Rows:
    """Every event of the action and every purchase, the former with the first purchase of the window after them."""
    kept = [row for row in rows if row["action"] == action or row["kind"] == "purchase"]
    together = _groups(kept, lambda row: (row["user_id"], row["product_id"], row["kind"] == "purchase"))
    found: Rows = {}
    for row in kept:
        led_to = [
            purchase
            for purchase in together.get((row["user_id"], row["product_id"], True), ())
            if row["action"] == action and timedelta(0) <= purchase["timestamp"] - row["timestamp"] <= window
        ]
        purchase = min(led_to, key=lambda each: (each["timestamp"], each["event_id"]), default=None)
        key = (row["user_id"], row["product_id"], row["timestamp"], row["event_id"], row["kind"] == "purchase")
        found[key] = {
            "category": row["category"] or "",
            "bot": row["bot"],
            "purchased_at": purchase and purchase["timestamp"],
            "purchase_id": purchase and purchase["event_id"],
            "late": row["late"],
            "last_epoch": max(row["epoch"], purchase["epoch"] if purchase else 0),
        }
    return found


def spelled(name: str, rows: pa.Table) -> Rows:
    """Rows of a table in the spelling of `expected`."""
    table = metadata.tables[name]
    keys = [column.name for column in table.primary_key]
    wanted = [c.name for c in table.columns if not c.name.endswith("_key") and c.name not in (*keys, "bot_evidence")]
    found: Rows = {}
    for row in rows.to_pylist():
        key = tuple(row[name] for name in keys)
        assert key not in found
        found[key] = {name: _spelled(name, row[name]) for name in wanted}
    return found


def without_epochs(rows: dict[str, Rows]) -> dict[str, Rows]:
    """The same without `last_epoch`, which says when a row was touched and not what is in it."""
    return {
        name: {key: {c: v for c, v in row.items() if c != "last_epoch"} for key, row in by_key.items()}
        for name, by_key in rows.items()
    }


def names() -> list[str]:
    """Every projection's table."""
    return [table.name for table in projections.ALL]


def _spelled(name: str, value: Any) -> Any:
    if name in _MONEY:
        return Decimal(value)  # Postgres's numeric arrives as text
    if name == "path":
        return [(int(ms), *rest) for ms, *rest in map(json.loads, value)]
    return value


def _moment(row: Row) -> tuple[Any, ...]:
    """The order of events; a click goes before a sale of the same id and instant."""
    return row["timestamp"], row["event_id"], row["kind"] is not None


def _groups(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _grouped(rows: Iterable[Row], key: Callable[[Row], Key], of: Callable[[list[Row]], dict[str, Any]]) -> Rows:
    return {group: of(members) for group, members in _groups(rows, key).items()}


def _minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def _bucket(delay: timedelta) -> int:
    return next((bound for bound in DELAY_BUCKETS if delay <= timedelta(seconds=bound)), -1)


def _last_epoch(rows: Iterable[Row]) -> int:
    return max(int(row["epoch"]) for row in rows)


def _bookkeeping(rows: Sequence[Row]) -> dict[str, Any]:
    return {"late": sum(row["late"] for row in rows), "last_epoch": _last_epoch(rows)}


def _counts(rows: Sequence[Row]) -> dict[str, Any]:
    def did(*actions: str) -> int:
        return sum(row["action"] in actions for row in rows)

    bought = [row for row in rows if row["kind"] == "purchase"]
    return {
        "events": len(rows),
        "views": did("page_view", "view"),
        "clicks": did("click"),
        "searches": did("search"),
        "adds": did("add_to_cart"),
        "removes": did("remove_from_cart"),
        "checkouts": did("checkout_start"),
        "purchases": len(bought),
        "units": sum(row["quantity"] for row in bought),
        "revenue": sum((row["amount"] for row in bought), Decimal(0)),
    }


def _refunds(rows: Iterable[Row]) -> list[Decimal]:
    return [row["amount"] for row in rows if row["kind"] == "refund"]


def _measures(rows: list[Row]) -> dict[str, Any]:
    return {
        **_counts(rows),
        "refunds": len(_refunds(rows)),
        "refunded": sum(_refunds(rows), Decimal(0)),
        "users": sketches.of({row["user_id"] for row in rows}),
        "buyers": sketches.of({row["user_id"] for row in rows if row["kind"] == "purchase"}),
        **_bookkeeping(rows),
    }


def _order(lines: list[Row]) -> dict[str, Any]:
    counts = _counts(lines)
    return {
        "ordered_at": min((line["timestamp"] for line in lines if line["kind"] == "purchase"), default=None),
        "session_id": min(line["session_id"] for line in lines),
        "lines": counts["purchases"],
        "units": counts["units"],
        "refunds": len(_refunds(lines)),
        "revenue": counts["revenue"],
        "refunded": sum(_refunds(lines), Decimal(0)),
        "bot": any(line["bot"] for line in lines),
        **_bookkeeping(lines),
    }


def _user(rows: list[Row]) -> dict[str, Any]:
    return {
        "first_seen": rows[0]["timestamp"],
        "last_seen": rows[-1]["timestamp"],
        **_counts(rows),
        "refunded": sum(_refunds(rows), Decimal(0)),
        "weeks": sorted({(row["timestamp"] - FIRST_MONDAY) // timedelta(weeks=1) for row in rows}),
        "bot_score": max(row["bot_score"] for row in rows),
        **_bookkeeping(rows),
    }


def _session(island: list[Row]) -> tuple[Key, dict[str, Any]]:
    def read_off(rows: list[Row], *names: str) -> dict[str, Any]:
        """Columns of the first row, empty texts for nothing; nulls without rows."""
        return {name: (rows[0][name] or "") if rows else None for name in names}

    paged = [row for row in island if row["page_url"] is not None]
    referred = [row for row in island if row["medium"] is not None]
    most_bot = max(island, key=lambda row: (row["bot_score"], row["bot_reason"] or ""))
    path = sorted(map(_step, island), key=lambda step: step[:3])[:PATH_STEPS]
    return (island[0]["session_id"], island[0]["timestamp"]), {
        "ended_at": island[-1]["timestamp"],
        **_counts(island),
        "path": path,
        "user_id": island[0]["user_id"],
        "entry_page": paged[0]["page_url"] if paged else None,
        "exit_page": paged[-1]["page_url"] if paged else None,
        **read_off([row for row in island if row["device"] is not None], "device", "browser", "os"),
        **read_off(referred, "medium", "referrer_source", "campaign_source", "campaign"),
        **read_off([row for row in island if row["category"]], "category"),
        "bot_score": most_bot["bot_score"],
        "bot_reason": most_bot["bot_reason"],
        "bot": most_bot["bot_score"] >= 50,
        **_funnel(path),
        **_bookkeeping(island),
    }


def _step(row: Row) -> tuple[Any, ...]:
    ms = (row["timestamp"] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return ms, row["action"] or row["kind"], row["event_id"], row["product_id"], row["page_url"]


def _funnel(path: list[tuple[Any, ...]]) -> dict[str, datetime | None]:
    reached: dict[str, datetime | None] = {}
    since: int | None = 0
    for name, actions in _FUNNEL:
        times = [ms for ms, action, *_ in path if action in actions and since is not None and ms >= since]
        since = min(times, default=None)
        reached[name] = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=since) if since is not None else None
    return reached
