"""Rows of the store's tables as they were: SQL of DuckDB's over `log` that folds the events applied by an epoch.

What processing keeps is folded otherwise, event by event; a test holds the two equal. A fold has those columns of its
table that statements read, and leaves out rows that none of the questions it is for can be about.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Table

from contracts import projections
from serving.event_log import Reading
from serving.queries.logged import MEASURES
from serving.windows import Span, joined

_PATH_STEPS: Final = 50
_REACH: Final = timedelta(hours=6)
"""How long after a range its sessions are looked for at first: few last so long."""
_FIRST, _LAST = (each.replace(tzinfo=UTC) for each in (datetime.min, datetime.max))  # noqa: DTZ901 - they have one
_FUNNEL: Final = {
    "viewed": ("page_view", "view"),
    "added": ("add_to_cart",),
    "checkout": ("checkout_start",),
    "purchased": ("purchase",),
}
_COUNTS: Final = {name: sql for name, sql in MEASURES.items() if name not in {"refunds", "revenue", "refunded"}}
_MONEY: Final = {name: f"({MEASURES[name]})::VARCHAR" for name in ("revenue", "refunded")}
"""As text: a number of JSON would be a float on its way."""


def _chosen(column: str, needed: str = "", least: str = "min") -> str:
    """Of the first event (by its key) that has what is needed; an empty text where it has not."""
    such = f" FILTER (WHERE {needed} IS NOT NULL)" if needed else ""
    return f"arg_{least}(coalesce({column}, ''), key){such}"


_SESSION: Final = {
    "started_at": 'min("timestamp")',
    "ended_at": 'max("timestamp")',
    **_COUNTS,
    "revenue": _MONEY["revenue"],
    "path": f"list_slice(list_sort(list(step)), 1, {_PATH_STEPS})",
    "user_id": _chosen("user_id"),
    "entry_page": _chosen("page_url", "page_url"),
    "exit_page": _chosen("page_url", "page_url", "max"),
    **{name: _chosen(name, "device") for name in ("device", "browser", "os")},
    **{name: _chosen(name, "medium") for name in ("medium", "referrer_source", "campaign_source", "campaign")},
    "category": _chosen("category", "nullif(category, '')"),
    "evidence": "max(lpad(bot_score::VARCHAR, 3, '0') || coalesce(bot_reason, ''))",
}
_BEGINS: Final = (
    'epoch_ms("timestamp") - lag(epoch_ms("timestamp")) OVER (PARTITION BY session_id ORDER BY "timestamp") < $gap_ms'
)


def _with_funnel(sql: str) -> str:
    """When each step was reached, one after another: of a step's text the time is at 3 to 17, the action in quotes."""
    since = "''"
    for name, actions in _FUNNEL.items():
        listed = ", ".join(f"'{action}'" for action in actions)
        reached = f"step[3:17] >= {since} AND split_part(step, '\"', 4) IN ({listed})"
        sql = f"SELECT *, list_filter(path, lambda step: {reached})[1][3:17] AS {name}_ms FROM ({sql})"
        since = f"{name}_ms"
    times = ", ".join(f"make_timestamptz({name}_ms::BIGINT * 1000) AS {name}_at" for name in _FUNNEL)
    return f"SELECT *, {times} FROM ({sql})"


_ISLANDS: Final = f"""
    SELECT session_id, {", ".join(f"{sql} AS {name}" for name, sql in _SESSION.items())}
    FROM (
        SELECT *, lpad(epoch_ms("timestamp")::VARCHAR, 15, '0') AS ms,
            ms || event_id || CASE WHEN kind IS NULL THEN '' ELSE chr(31) END AS key,
            to_json([ms, coalesce(action, kind), event_id, product_id, page_url])::VARCHAR AS step,
            sum(begins) OVER (PARTITION BY session_id ORDER BY "timestamp") AS island
        FROM (
            SELECT *, CASE WHEN {_BEGINS} THEN 0 ELSE 1 END AS begins FROM log
            WHERE epoch <= $epoch
                AND ($read_from::TIMESTAMPTZ IS NULL OR ("timestamp" >= $read_from AND "timestamp" < $read_until))
                AND session_id IN (
                    SELECT session_id FROM log WHERE epoch <= $epoch
                        AND ($start::TIMESTAMPTZ IS NULL OR ("timestamp" >= $start AND "timestamp" < $end))
                        AND ($ids::VARCHAR[] IS NULL OR list_contains($ids, session_id))
                        AND ($users::VARCHAR[] IS NULL OR list_contains($users, user_id)))))
    GROUP BY session_id, island
    HAVING $start::TIMESTAMPTZ IS NULL OR (started_at >= $start AND started_at < $end)"""
_SESSIONS: Final = f"""
    SELECT *, evidence[1:3]::SMALLINT AS bot_score, nullif(evidence[4:], '') AS bot_reason, evidence >= '050' AS bot
    FROM ({_with_funnel(_ISLANDS)})"""
_USERS: Final = f"""
    SELECT user_id, min("timestamp") AS first_seen, max("timestamp") AS last_seen,
        {", ".join(f"{sql} AS {name}" for name, sql in (_COUNTS | _MONEY).items())},
        list_sort(list(DISTINCT (floor((epoch_ms("timestamp") / 1000 + 3 * 86400) / (7 * 86400)))::INTEGER)) AS weeks,
        max(bot_score) AS bot_score
    FROM log WHERE epoch <= $epoch AND ($ids::VARCHAR[] IS NULL OR list_contains($ids, user_id))
    GROUP BY user_id
    HAVING ($first_from::TIMESTAMPTZ IS NULL OR (first_seen >= $first_from AND first_seen < $first_until))
        AND ($last_from::TIMESTAMPTZ IS NULL OR (last_seen >= $last_from AND last_seen < $last_until))"""
_CATEGORIES: Final = """
    SELECT user_id, category, count(*) AS events FROM log
    WHERE epoch <= $epoch AND category <> '' AND ($category::VARCHAR IS NULL OR category = $category)
        AND ($ids::VARCHAR[] IS NULL OR list_contains($ids, user_id))
    GROUP BY user_id, category"""
_ORDERS: Final = """
    SELECT coalesce(order_id, event_id) AS order_id, user_id,
        min("timestamp") FILTER (WHERE kind = 'purchase') AS ordered_at
    FROM log WHERE epoch <= $epoch AND kind IS NOT NULL AND list_contains($ids, user_id) GROUP BY ALL"""
_ADDITIONS: Final = """
    SELECT a.user_id, a.product_id, a."timestamp" AS happened_at, a.event_id, false AS is_purchase, a.bot,
        min(p."timestamp") AS purchased_at, arg_min(p.event_id, (p."timestamp", p.event_id)) AS purchase_id
    FROM log AS a LEFT JOIN log AS p ON p.kind = 'purchase' AND p.epoch <= $epoch
        AND p."timestamp" >= $start AND p."timestamp" <= $bought_until
        AND p.user_id = a.user_id AND p.product_id = a.product_id
        AND p."timestamp" >= a."timestamp" AND p."timestamp" <= a."timestamp" + $within::INTERVAL
    WHERE a.epoch <= $epoch AND a.action = 'add_to_cart' AND a.product_id IS NOT NULL
        AND a."timestamp" >= $start AND a."timestamp" < $end
    GROUP BY ALL"""


@dataclass(frozen=True)
class Fold:
    """Some rows of a table, from the events of a span of event time; None for all events."""

    table: Table
    sql: str
    parameters: dict[str, Any]
    narrowed_by: str
    """The argument that makes its rows fewer."""
    span: Span | None = None
    open_from: str = "false"
    """SQL of a row: that events after the span could still belong to it."""

    def reading(self, columns: Collection[str], epoch: int, most: int) -> Reading:
        """One row: as of the epoch, its `rows` as JSON with these columns, parted by commas, and how many there are,
        counted up to one over the most; and whether any is `open`."""
        listed = ", ".join(f"'{name}': {name}" for name in sorted(columns)) or "'none': 0"
        sql = f"""SELECT count(*) AS number, coalesce(bool_or(open), false) AS open,
                coalesce(string_agg(json, ','), '') AS rows
            FROM (
                SELECT to_json({{{listed}}})::VARCHAR AS json, {self.open_from} AS open
                FROM ({self.sql}) LIMIT $most)"""
        return Reading(sql, self.parameters | {"epoch": epoch, "most": most + 1}, range(1, epoch + 1), self.span)

    def wider(self) -> "Fold":
        """The same with twice as many events after the span that it is of."""
        assert self.span is not None
        until = _shifted(self.span.end, max(_REACH, self.span.end - self.parameters["end"]))
        return replace(self, span=Span(self.span.start, until), parameters=self.parameters | {"read_until": until})


def sessions(
    spans: Iterable[Span] | None,
    gap: timedelta,
    *,
    ids: Sequence[str] | None = None,
    users: Sequence[str] | None = None,
) -> list[Fold]:
    """Sessions that started in one of the spans, of these session ids, of ids that one of these users had.

    An event that has none in the gap before it begins a session: so nothing earlier needs to be read. How long the
    sessions of a span go on, nobody knows: where one is `open`, read `wider`.
    """
    told = {"gap_ms": gap // timedelta(milliseconds=1), "ids": ids, "users": users}
    if spans is None:
        none = dict.fromkeys(("start", "end", "read_from", "read_until"))
        return [Fold(projections.sessions, _SESSIONS, told | none, "range")]
    found = []
    for span in joined(spans):
        read = Span(_shifted(span.start, -gap), _shifted(span.end, max(gap, _REACH)))
        times = {"start": span.start, "end": span.end, "read_from": read.start, "read_until": read.end}
        open_from = "epoch_ms(ended_at) > epoch_ms($read_until) - $gap_ms"
        found.append(Fold(projections.sessions, _SESSIONS, told | times, "range", read, open_from))
    return found


def additions(spans: Iterable[Span], within: timedelta) -> list[Fold]:
    """What was put into carts in one of the spans, of `carts`."""
    found = []
    for span in joined(spans):
        bought_until = _shifted(span.end, within)
        times = {"start": span.start, "end": span.end, "within": within, "bought_until": bought_until}
        found.append(Fold(projections.carts, _ADDITIONS, times, "range", Span(span.start, bought_until)))
    return found


def users(
    *, first_seen: Span | None = None, last_seen: Span | None = None, ids: Sequence[str] | None = None
) -> list[Fold]:
    """Users who were first seen, and last seen, in a span; of these ids."""
    told: dict[str, Any] = {"ids": ids}
    for name, span in (("first", first_seen), ("last", last_seen)):
        told |= {f"{name}_from": span and span.start, f"{name}_until": span and span.end}
    return [Fold(projections.users, _USERS, told, "firstSeen")]


def user_categories(*, category: str | None = None, ids: Sequence[str] | None = None) -> list[Fold]:
    """How often users met a category, or each."""
    return [Fold(projections.user_categories, _CATEGORIES, {"category": category, "ids": ids}, "category")]


def orders(ids: Sequence[str]) -> list[Fold]:
    """The orders of users."""
    return [Fold(projections.orders, _ORDERS, {"ids": ids}, "first")]


def _shifted(instant: datetime, by: timedelta) -> datetime:
    """So much later or earlier, as far as the calendar goes."""
    try:
        return instant + by
    except OverflowError:
        return _LAST if by > timedelta(0) else _FIRST
