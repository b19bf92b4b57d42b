"""Sessions: islands of one session id's events that are less than the gap apart in event time.

An island is its interval and sums, plus first and last steps as sortable texts, so that islands can be merged in any
order: a late event may extend one island or join two, and the result is what one pass over all events would give.
Two events exactly the gap apart belong to two sessions, as in Spark's `session_window`.
"""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from contracts import tables
from contracts.settings import ShopSettings
from processing.projection import Projection
from processing.projections.measures import COUNTS, LATE, REVENUE
from processing.store import Transaction

MAX_PATH_STEPS: Final = 50

_AT: Final = "lpad(CAST(unix_millis(timestamp) AS string), 15, '0')"
_ACTION: Final = "coalesce(action, kind)"
_STEP: Final = f"json_texts({_AT}, event_id, {_ACTION}, product_id, page_url)"
_HAS_PAGE: Final = "FILTER (WHERE page_url IS NOT NULL)"

_DELTA: Final = """
    SELECT session_id,
      min(timestamp) AS started_at,
      max(timestamp) AS ended_at,
      {counts},
      {revenue} AS revenue,
      min(json_texts({at}, event_id, {action}, user_id, NULL)) AS first_event,
      min({step}) {has_page} AS entry_event,
      max({step}) {has_page} AS exit_event,
      slice(array_sort(collect_list({step})), 1, {steps}) AS path,
      {late} AS late
    FROM (
      SELECT *, sum(begins) OVER (PARTITION BY session_id ORDER BY timestamp) AS island
      FROM (
        SELECT *, CASE WHEN unix_millis(timestamp)
            - lag(unix_millis(timestamp)) OVER (PARTITION BY session_id ORDER BY timestamp) < {gap_ms}
          THEN 0 ELSE 1 END AS begins
        FROM events))
    GROUP BY session_id, island
"""

_SUMS: Final = (*COUNTS, "revenue", "late")

_TOUCHED: Final = """
    INSERT INTO touched_sessions
    SELECT {columns} FROM sessions s WHERE EXISTS (
      SELECT FROM delta_sessions d WHERE d.session_id = s.session_id
      AND s.started_at < d.ended_at + $1::bigint * interval '1 ms'
      AND s.ended_at > d.started_at - $1::bigint * interval '1 ms')
"""

_MERGED: Final = """
    INSERT INTO merged_sessions
    WITH parts AS (
      SELECT {columns} FROM touched_sessions UNION ALL SELECT {columns} FROM delta_sessions
    ), marked AS (
      SELECT *, CASE WHEN started_at < max(ended_at) OVER earlier + $1::bigint * interval '1 ms'
        THEN 0 ELSE 1 END AS begins
      FROM parts
      WINDOW earlier AS (PARTITION BY session_id ORDER BY started_at, ended_at
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), islands AS (
      SELECT *, sum(begins) OVER (PARTITION BY session_id ORDER BY started_at, ended_at
        ROWS UNBOUNDED PRECEDING) AS island
      FROM marked
    ), steps AS (
      SELECT session_id, island, (array_agg(step ORDER BY step COLLATE "C"))[1:{steps}] AS path
      FROM islands CROSS JOIN unnest(path) AS step GROUP BY session_id, island
    )
    SELECT session_id, min(started_at), max(ended_at), {sums},
      min(first_event COLLATE "C"), min(entry_event COLLATE "C"), max(exit_event COLLATE "C"), min(steps.path)
    FROM islands JOIN steps USING (session_id, island) GROUP BY session_id, island
"""

_KEY: Final = "json_build_object('session_id', s.session_id, 'started_at', s.started_at)::text"

_REPLACED: Final = """
    DELETE FROM sessions s USING touched_sessions t
    WHERE s.session_id = t.session_id AND s.started_at = t.started_at
      AND NOT EXISTS (SELECT FROM merged_sessions m WHERE m.session_id = t.session_id AND m.started_at = t.started_at)
    RETURNING {key} AS key, NULL AS row
"""

_WRITTEN: Final = """
    WITH changed AS (
      INSERT INTO sessions AS s ({columns}, user_id, entry_page, exit_page, revision, last_epoch)
      SELECT {columns}, first_event::jsonb ->> 3, entry_event::jsonb ->> 4, exit_event::jsonb ->> 4,
        (late > 0)::int, $1
      FROM merged_sessions ORDER BY session_id, started_at
      ON CONFLICT (session_id, started_at) DO UPDATE SET {updates},
        user_id = excluded.user_id, entry_page = excluded.entry_page, exit_page = excluded.exit_page,
        revision = s.revision + (excluded.late > s.late)::int, last_epoch = excluded.last_epoch
      RETURNING s.*)
    SELECT {key} AS key, (to_jsonb(s) - 'path' - 'first_event' - 'entry_event' - 'exit_event')::text AS row
    FROM changed s
"""

_COLUMNS: Final = (
    "session_id",
    "started_at",
    "ended_at",
    *_SUMS,
    "first_event",
    "entry_event",
    "exit_event",
    "path",
)


@dataclass(frozen=True)
class IslandMerge:
    """Join a delta's islands with the islands they touch."""

    gap_ms: int

    def apply(self, transaction: Transaction, delta: pa.Table, epoch: int) -> pa.Table:
        """Fold islands in; returns the changed sessions."""
        columns = ", ".join(_COLUMNS)
        ordered = delta.select(list(_COLUMNS))
        transaction.load("delta_sessions", ordered)
        transaction.load("touched_sessions", ordered.slice(0, 0))
        transaction.load("merged_sessions", ordered.slice(0, 0))
        transaction.execute(_TOUCHED.format(columns=columns), (self.gap_ms,))
        sums = ", ".join(f"sum({name})" for name in _SUMS)
        transaction.execute(_MERGED.format(columns=columns, sums=sums, steps=MAX_PATH_STEPS), (self.gap_ms,))
        gone = transaction.query(_REPLACED.format(key=_KEY))
        updates = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[2:])
        written = transaction.query(_WRITTEN.format(columns=columns, updates=updates, key=_KEY), (epoch,))
        return pa.concat_tables([gone, written])


def sessions(shop: ShopSettings) -> Projection:
    """The projection for the shop's session gap."""
    gap_ms = shop.session_gap_seconds * 1000
    delta = _DELTA.format(
        counts=",\n      ".join(f"{sql} AS {name}" for name, sql in COUNTS.items()),
        revenue=REVENUE,
        at=_AT,
        action=_ACTION,
        step=_STEP,
        has_page=_HAS_PAGE,
        steps=MAX_PATH_STEPS,
        late=LATE,
        gap_ms=gap_ms,
    )
    return Projection(tables.sessions, delta, IslandMerge(gap_ms))
