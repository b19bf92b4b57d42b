"""What the event log is asked: SQL of DuckDB's over `log`, constants and parameters only.

The rows have the columns of the statements that ask the store's tables the same, so that one answer is made of either.
An event counts from the epoch that applied it on; so what was told as of an epoch is what its events and those of
earlier ones add up to.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pyarrow as pa

from serving.cursors import Key
from serving.event_log import Reading
from serving.queries.compared import BEFORE
from serving.windows import MINUTE, Span, Windows

_PURCHASE: Final = "kind = 'purchase'"
_REFUND: Final = "kind = 'refund'"
MEASURES: Final = {
    "events": "count(*)",
    "views": "count(*) FILTER (WHERE action IN ('page_view', 'view'))",
    "clicks": "count(*) FILTER (WHERE action = 'click')",
    "searches": "count(*) FILTER (WHERE action = 'search')",
    "adds": "count(*) FILTER (WHERE action = 'add_to_cart')",
    "removes": "count(*) FILTER (WHERE action = 'remove_from_cart')",
    "checkouts": "count(*) FILTER (WHERE action = 'checkout_start')",
    "purchases": f"count(*) FILTER (WHERE {_PURCHASE})",
    "units": f"coalesce(sum(quantity) FILTER (WHERE {_PURCHASE}), 0)::BIGINT",
    "refunds": f"count(*) FILTER (WHERE {_REFUND})",
    "late": "count(*) FILTER (WHERE late)",
    "revenue": f"coalesce(sum(amount) FILTER (WHERE {_PURCHASE}), 0)",
    "refunded": f"coalesce(sum(amount) FILTER (WHERE {_REFUND}), 0)",
}
_SKETCHES: Final = {"users": "list(DISTINCT user_id)", "buyers": f"list(DISTINCT user_id) FILTER (WHERE {_PURCHASE})"}
_MONEY: Final = ("purchases", "units", "revenue", "refunds", "refunded", "late")
_EVENT: Final = (
    'topic, "partition", "offset", epoch, log_time, received_at, source, imported, late, event_id, "timestamp", '
    "user_id, session_id, product_id, category, action, page_url, amount, quantity, order_id, currency, kind, bot, "
    "bot_score, bot_reason"
)
_EVENTS: Final = """(
    SELECT *, date_trunc('minute', "timestamp") AS minute, coalesce(category, '') AS named FROM log
    WHERE epoch > $after AND epoch <= $epoch AND "timestamp" >= $start AND "timestamp" < $end
      AND ($bot::BOOLEAN IS NULL OR bot = $bot)
      AND ($session::VARCHAR IS NULL OR session_id = $session)
      AND ($products::VARCHAR[] IS NULL OR list_contains($products, product_id))
      AND ($categories::VARCHAR[] IS NULL OR list_contains($categories, coalesce(category, ''))))"""
_PURCHASES: Final = f"""(
    SELECT user_id, product_id, "timestamp", event_id, late FROM log
    WHERE {_PURCHASE} AND epoch <= $epoch AND "timestamp" >= $start AND "timestamp" <= $end + $within::INTERVAL)"""
_ORDERS: Final = f"""(SELECT count(*) FROM (
    SELECT min("timestamp") FILTER (WHERE {_PURCHASE}) AS ordered_at, bool_or(bot) AS of_bot FROM log
    WHERE kind IS NOT NULL AND epoch <= $epoch GROUP BY coalesce(order_id, event_id), user_id)
  WHERE ordered_at >= w."start" AND ordered_at < w."end" AND ($bot::BOOLEAN IS NULL OR of_bot = $bot))"""


@dataclass(frozen=True)
class Of:
    """Which events: None of a field means any."""

    bot: bool | None = None
    products: Sequence[str] | None = None
    categories: Sequence[str] | None = None
    session: str | None = None

    def parameters(self, span: Span, last: int, after: int = 0) -> dict[str, Any]:
        """Those of `_EVENTS`: of the epochs after one through another, in a span of event time."""
        names = {"bot": self.bot, "products": self.products, "categories": self.categories, "session": self.session}
        return {**names, "start": span.start, "end": span.end, "epoch": last, "after": after}


@dataclass(frozen=True)
class News:
    """Events of a span of event time that came with the epochs after one through another."""

    span: Span
    which: Of
    after: int
    through: int

    def reading(self, sql: str, **more: Any) -> Reading:
        """A question about them: `sql` reads from `_EVENTS`."""
        parameters = self.which.parameters(self.span, self.through, self.after) | more
        return Reading(sql, parameters, range(self.after + 1, self.through + 1), self.span)


def applied(event_id: str, epoch: int) -> Reading:
    """The events of this id, whole: none, one, or one of each topic."""
    sql = f"SELECT {_EVENT} FROM log WHERE event_id = $id AND epoch <= $epoch ORDER BY topic"
    return Reading(sql, {"id": event_id, "epoch": epoch}, range(1, epoch + 1))


def added(news: News) -> Reading:
    """One row: what they add up to."""
    return news.reading(f"SELECT {_listed(MEASURES)} FROM {_EVENTS}")


def arrivals(news: News, after: Key[int] | None, limit: int) -> Reading:
    """A page of them, in the order in which they came to count."""
    place = zip(("epoch", "topic", "partition", "offset"), after.columns if after else (0, "", 0, 0), strict=True)
    sql = f"""SELECT {_EVENT} FROM {_EVENTS}
        WHERE (epoch, topic, "partition", "offset") > ($at_epoch, $at_topic, $at_partition, $at_offset)
        ORDER BY epoch, topic, "partition", "offset" LIMIT $limit"""
    return news.reading(sql, limit=limit, **{f"at_{name}": value for name, value in place})


def product_windows(
    starts: Span,
    windows: Windows,
    which: Of,
    *,
    earlier: Span | None = None,
    epoch: int,
    wanted_sketches: Collection[str],
    limit: int,
) -> Reading:
    """`windows.product_windows`, as of an epoch."""
    measures = {**MEASURES, **{name: _SKETCHES[name] for name in wanted_sketches}}
    rows = f"""SELECT w."start" AS window_start, product_id, named AS category, {_listed(measures)}
        {_windowed(_EVENTS)} WHERE product_id IS NOT NULL GROUP BY ALL"""
    sql = _beside(rows, ("window_start", "product_id", "category"), measures, compares=earlier is not None)
    sketches = {side + name for side in ("", BEFORE) for name in wanted_sketches}
    return _of_windows(sql, starts, earlier, windows, which, epoch=epoch, sketches=sketches, limit=limit)


def revenue_windows(
    starts: Span, windows: Windows, which: Of, *, earlier: Span | None = None, epoch: int, limit: int
) -> Reading:
    """`windows.revenue_windows`, as of an epoch."""
    measures = {name: MEASURES[name] for name in _MONEY}
    rows = f"""SELECT w."start" AS window_start, named AS category, {_listed(measures)}
        {_windowed(_EVENTS)} GROUP BY ALL HAVING purchases > 0 OR refunds > 0"""
    sql = _beside(rows, ("window_start", "category"), measures, compares=earlier is not None)
    return _of_windows(sql, starts, earlier, windows, which, epoch=epoch, limit=limit)


def top_products(now: Span, earlier: Span | None, which: Of, *, epoch: int, measure: str, first: int) -> Reading:
    """`top_products.top_products`, as of an epoch; the spans are whole minutes."""
    rows = f"""SELECT w."start" AS window_start, product_id,
            row_number() OVER (PARTITION BY w."start" ORDER BY {MEASURES[measure]} DESC, product_id) AS rank,
            list_filter(list(DISTINCT named), lambda name: name <> '') AS categories, {_listed(MEASURES)}
        {_windowed(_EVENTS)} WHERE product_id IS NOT NULL
        GROUP BY w."start", product_id HAVING {MEASURES[measure]} > 0"""
    told = ("rank", "categories", *MEASURES)
    sql = _beside(rows, ("window_start", "product_id"), told, compares=earlier is not None, order="rank")
    back: dict[str, Any] = {} if earlier is None else {"first": now.start, "back": now.start - earlier.start}
    spans = [now] if earlier is None else [earlier, now]
    return _reading(sql, spans, which, epoch=epoch, limit=first, **back)


def conversion_windows(
    starts: Span,
    windows: Windows,
    which: Of,
    *,
    earlier: Span | None = None,
    within: timedelta,
    epoch: int,
    limit: int,
) -> Reading:
    """`conversions.conversion_windows`, as of an epoch. What a click led to may be `within` so long after the range."""
    rows = f"""SELECT window_start, product_id, count(*) AS clicks, count(led_to) AS converted_clicks,
            count(DISTINCT led_to.event_id) AS purchases,
            count(*) FILTER (WHERE late) + count(DISTINCT led_to.event_id) FILTER (WHERE led_to.late) AS late
        FROM (
            SELECT w."start" AS window_start, e.product_id, e.event_id, e.late,
                min({{'at': p."timestamp", 'event_id': p.event_id, 'late': p.late}})
                    FILTER (WHERE p.event_id IS NOT NULL) AS led_to
            {_windowed(_EVENTS)} LEFT JOIN {_PURCHASES} AS p ON p.user_id = e.user_id AND p.product_id = e.product_id
                AND p."timestamp" >= e."timestamp" AND p."timestamp" <= e."timestamp" + $within::INTERVAL
            WHERE e.action = 'click' AND e.product_id IS NOT NULL GROUP BY ALL)
        GROUP BY window_start, product_id"""
    told = ("clicks", "converted_clicks", "purchases", "late")
    sql = _beside(rows, ("window_start", "product_id"), told, compares=earlier is not None)
    return _of_windows(sql, starts, earlier, windows, which, epoch=epoch, limit=limit, within=within)


def sales(
    buckets: Sequence[Span], which: Of, *, epoch: int, wanted_sketches: Collection[str], wants_orders: bool
) -> Reading:
    """`sales.sales`, as of an epoch. An order's first line may be of any time: for orders all of the log is read."""
    measures = {name: MEASURES[name] for name in _MONEY} | {name: _SKETCHES[name] for name in wanted_sketches}
    orders = _ORDERS if wants_orders else "NULL"
    sql = f"""SELECT *, {orders} AS orders FROM (
        SELECT w."start", w."end", {_listed(measures)} {_windowed(_EVENTS, "LEFT")} GROUP BY w."start", w."end") AS w
        ORDER BY w."start", w."end" """
    return _reading(sql, buckets, which, epoch=epoch, sketches=wanted_sketches, everywhere=wants_orders)


def _beside(rows: str, keys: Sequence[str], columns: Collection[str], *, compares: bool, order: str = "") -> str:
    """`compared.beside`, of windows that start from `$first` on; in order of the keys, where no other is named."""
    order = order or ", ".join(keys)
    if not compares:
        return f"{rows} ORDER BY {order} LIMIT $limit"
    same = " AND ".join(f"before.{key} = now.{key}" for key in keys[1:])
    before = ", ".join(f"before.{name} AS {BEFORE}{name}" for name in (*keys, *columns))
    return f"""SELECT * FROM (WITH told AS MATERIALIZED ({rows}),
        now AS (SELECT * FROM told WHERE window_start >= $first ORDER BY {order} LIMIT $limit)
        SELECT now.*, {before} FROM now
        LEFT JOIN told AS before ON before.window_start = now.window_start - $back::INTERVAL AND {same})
        ORDER BY {order}"""


def _windowed(events: str, kind: str = "") -> str:
    return f'FROM windows AS w {kind} JOIN {events} AS e ON e.minute >= w."start" AND e.minute < w."end"'


def _listed(columns: dict[str, str]) -> str:
    return ", ".join(f"{sql} AS {name}" for name, sql in columns.items())


def _each(starts: Span, windows: Windows) -> list[Span]:
    """Each window that starts in `starts`."""
    count = (starts.end - starts.start) // windows.slide
    begins = [starts.start + number * windows.slide for number in range(count)]
    return [Span(begin, begin + windows.length) for begin in begins]


def _of_windows(sql: str, starts: Span, earlier: Span | None, windows: Windows, which: Of, **more: Any) -> Reading:
    if earlier is None:
        return _reading(sql, _each(starts, windows), which, **more)
    spans = sorted({*_each(earlier, windows), *_each(starts, windows)}, key=lambda span: span.start)
    return _reading(sql, spans, which, first=starts.start, back=starts.start - earlier.start, **more)


def _reading(
    sql: str,
    spans: Sequence[Span],
    which: Of,
    *,
    epoch: int,
    sketches: Collection[str] = (),
    everywhere: bool = False,
    **more: Any,
) -> Reading:
    whole = Span(min(span.start for span in spans), max(span.end for span in spans) + MINUTE)
    read = Span(whole.start, whole.end + more.get("within", timedelta(0)))
    times = pa.timestamp("us", "UTC")
    table = pa.table(
        {"start": pa.array([span.start for span in spans], times), "end": pa.array([span.end for span in spans], times)}
    )
    return Reading(
        sql,
        which.parameters(whole, epoch) | more,
        range(1, epoch + 1),
        None if everywhere else read,
        {"windows": table},
        sketches,
    )
