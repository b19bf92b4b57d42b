"""An hour of sessions: those that began in it, by device, medium and bot, the moves between the steps they took, and
what was viewed together in them.

Sessions are added a bounded number at a time; each is in exactly one slice, so the slices' sums add up.
"""

from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Final

from contracts.rollups import TABLES
from processing.maintenance.cells import Cell
from processing.maintenance.making import Piece
from processing.store import Transaction

_SLICE_SESSIONS: Final = 5_000

_SESSIONS: Final = """
    INSERT INTO session_hours AS h (hour, device, medium, bot, sessions, bounces, events, duration_ms, revenue,
      viewed, added, checkouts, purchased, convert_ms, late, last_epoch)
    SELECT $1::timestamptz, coalesce(device, ''), coalesce(medium, ''), bot,
      count(*), count(*) FILTER (WHERE events = 1), sum(events),
      sum(extract(epoch FROM ended_at - started_at) * 1000), sum(revenue),
      count(viewed_at), count(added_at), count(checkout_at), count(purchased_at),
      coalesce(sum(extract(epoch FROM purchased_at - viewed_at) * 1000), 0), sum(late), max(last_epoch)
    FROM sessions WHERE started_at >= $2 AND started_at < $3 GROUP BY 2, 3, 4
    ON CONFLICT (hour, device, medium, bot) DO UPDATE SET sessions = h.sessions + excluded.sessions,
      bounces = h.bounces + excluded.bounces, events = h.events + excluded.events,
      duration_ms = h.duration_ms + excluded.duration_ms, revenue = h.revenue + excluded.revenue,
      viewed = h.viewed + excluded.viewed, added = h.added + excluded.added,
      checkouts = h.checkouts + excluded.checkouts, purchased = h.purchased + excluded.purchased,
      convert_ms = h.convert_ms + excluded.convert_ms, late = h.late + excluded.late,
      last_epoch = greatest(h.last_epoch, excluded.last_epoch)
"""

_STEPS: Final = """
    WITH begun AS (
      SELECT row_number() OVER () AS session, bot, path, events > cardinality(path) AS cut
      FROM sessions WHERE started_at >= $2 AND started_at < $3
    ), labelled AS (
      SELECT session, bot, cut, place, split_part(step, '"', 4) AS step
      FROM begun, unnest(path) WITH ORDINALITY AS steps (step, place)
    ), turns AS MATERIALIZED (
      SELECT session, bot, cut, step, lag(step) OVER (PARTITION BY session ORDER BY place) AS before,
        lead(step) OVER (PARTITION BY session ORDER BY place) AS after
      FROM labelled
    ), moves AS (
      INSERT INTO journey_hours AS h (hour, bot, from_step, to_step, transitions, sessions)
      SELECT $1::timestamptz, bot, step, after, count(*), count(DISTINCT session) FROM turns WHERE after <> step
      GROUP BY 2, 3, 4
      ON CONFLICT (hour, bot, from_step, to_step) DO UPDATE SET transitions = h.transitions + excluded.transitions,
        sessions = h.sessions + excluded.sessions
    )
    INSERT INTO step_hours AS h (hour, bot, step, visits, sessions, entries, exits, repeats)
    SELECT $1::timestamptz, bot, step, count(*) FILTER (WHERE before IS DISTINCT FROM step), count(DISTINCT session),
      count(*) FILTER (WHERE before IS NULL), count(*) FILTER (WHERE after IS NULL AND NOT cut),
      count(*) FILTER (WHERE before = step)
    FROM turns GROUP BY 2, 3
    ON CONFLICT (hour, bot, step) DO UPDATE SET visits = h.visits + excluded.visits,
      sessions = h.sessions + excluded.sessions, entries = h.entries + excluded.entries,
      exits = h.exits + excluded.exits, repeats = h.repeats + excluded.repeats
"""
"""A step's text is a JSON array of time, action, event id and more; neither of the first two ever holds a quote."""

_PAIRS: Final = """
    INSERT INTO pair_hours AS h (hour, product_id, other_id, sessions)
    SELECT $1::timestamptz, one, other, count(*)
    FROM sessions,
      LATERAL (
        SELECT array_agg(DISTINCT step::json ->> 3) AS products
        FROM unnest(path) AS step WHERE split_part(step, '"', 4) IN ('view', 'page_view')
      ) viewed,
      unnest(products) AS one, unnest(products) AS other
    WHERE started_at >= $2 AND started_at < $3 AND views > 0 AND NOT bot AND one IS NOT NULL AND other IS NOT NULL
    GROUP BY 2, 3
    ON CONFLICT (hour, product_id, other_id) DO UPDATE SET sessions = h.sessions + excluded.sessions
"""
"""No join: the writing connection knows only those that look single rows up."""


def plan(transaction: Transaction, cell: Cell) -> list[Piece]:
    """See `processing.maintenance.making.Plan`."""
    for table in TABLES[cell.grain]:
        transaction.execute(f"DELETE FROM {table.name} WHERE hour = $1", (cell.starts_at,))
    rows = transaction.query(
        "SELECT DISTINCT started_at FROM (SELECT started_at, row_number() OVER (ORDER BY started_at) AS place"
        " FROM sessions WHERE started_at > $1 AND started_at < $2) numbered WHERE place % $3 = 0 ORDER BY started_at",
        (cell.starts_at, cell.ends_at, _SLICE_SESSIONS),
    )
    cuts = [cell.starts_at, *rows["started_at"].to_pylist(), cell.ends_at]
    return [partial(make, cell, *span) for span in pairwise(cuts) for make in (_make, _pair)]


def _make(cell: Cell, since: datetime, until: datetime, transaction: Transaction) -> datetime | None:
    """The sessions that began from `since` on and before `until`, if all of them are over."""
    for statement in (_SESSIONS, _STEPS):
        transaction.execute(statement, (cell.starts_at, since, until))
    newest = transaction.query(
        "SELECT max(ended_at) AS ended_at FROM sessions WHERE started_at >= $1 AND started_at < $2", (since, until)
    )
    ended_at: datetime | None = newest["ended_at"][0].as_py()
    return ended_at


def _pair(cell: Cell, since: datetime, until: datetime, transaction: Transaction) -> None:
    """What was viewed together in those sessions: a piece of its own, since it takes longer than all the rest."""
    transaction.execute(_PAIRS, (cell.starts_at, since, until))
