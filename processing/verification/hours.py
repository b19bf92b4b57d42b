"""What the hours of sessions and of clicks must hold, which readers read in the place of sessions and clicks.

A row of theirs is made of many sessions or clicks, so these are gathered first, for whole hours and windows.
"""

from contracts import rollups
from processing.verification.check import Cells, Check, Gathering, within
from processing.verification.pairs import pair_members, pair_rows
from processing.verification.sessions import session_members, session_rows

_HOUR = "time_bucket(INTERVAL 1 HOUR, started_at)"
_WINDOW = f"INTERVAL {rollups.WINDOW_MINUTES} MINUTES"
_NEAR = "timestamp >= TIMESTAMPTZ '{since}' AND timestamp < TIMESTAMPTZ '{until}' + INTERVAL 1 HOUR"

_SESSIONS = f"""
    WITH members AS ({session_members(_NEAR)})
    SELECT {_HOUR} AS hour, coalesce(device, '') AS device, coalesce(medium, '') AS medium, bot, session_id, started_at,
      ended_at, events, revenue, viewed_at, added_at, checkout_at, purchased_at, path, late, last_epoch,
      started_at AS timestamp, rtrim(substr(first_key, 16), chr(31)) AS event_id, last_epoch AS epoch
    FROM ({session_rows(within(_HOUR))})
"""
_SESSION_HOURS = """
    SELECT hour, device, medium, bot, count(*) AS sessions, count(CASE WHEN events = 1 THEN 1 END) AS bounces,
      sum(events)::BIGINT AS events, sum(epoch_ms(ended_at) - epoch_ms(started_at))::BIGINT AS duration_ms,
      sum(revenue) AS revenue, count(viewed_at) AS viewed, count(added_at) AS added, count(checkout_at) AS checkouts,
      count(purchased_at) AS purchased,
      coalesce(sum(epoch_ms(purchased_at) - epoch_ms(viewed_at)), 0)::BIGINT AS convert_ms,
      sum(late)::BIGINT AS late, max(last_epoch) AS last_epoch
    FROM members GROUP BY ALL
"""

_STEPS = """
    SELECT hour, bot, session_id, started_at, timestamp, event_id, epoch, events > len(path) AS cut,
      unnest(path)::JSON AS told, told ->> 1 AS step, told ->> 3 AS product_id, generate_subscripts(path, 1) AS place
    FROM gathered
"""
_TURNS = f"""
    SELECT *, lag(step) OVER whole AS before, lead(step) OVER whole AS after
    FROM ({_STEPS}) WINDOW whole AS (PARTITION BY session_id, started_at ORDER BY place)
"""
_MOVES = f"SELECT *, step AS from_step, after AS to_step FROM ({_TURNS}) WHERE after <> step"
_JOURNEY_HOURS = """
    SELECT hour, bot, from_step, to_step, count(*) AS transitions,
      count(DISTINCT (session_id, started_at)) AS sessions
    FROM members GROUP BY ALL
"""
_STEP_HOURS = """
    SELECT hour, bot, step, count(CASE WHEN before IS DISTINCT FROM step THEN 1 END) AS visits,
      count(DISTINCT (session_id, started_at)) AS sessions, count(CASE WHEN before IS NULL THEN 1 END) AS entries,
      count(CASE WHEN after IS NULL AND NOT cut THEN 1 END) AS exits,
      count(CASE WHEN before = step THEN 1 END) AS repeats
    FROM members GROUP BY ALL
"""
_SEEN_TOGETHER = f"""
    WITH seen AS (
      SELECT DISTINCT hour, session_id, started_at, timestamp, event_id, epoch, product_id FROM ({_STEPS})
      WHERE NOT bot AND step IN ('view', 'page_view') AND product_id IS NOT NULL
    )
    SELECT one.*, other.product_id AS other_id FROM seen one JOIN seen other USING (session_id, started_at)
"""
_PAIR_HOURS = "SELECT hour, product_id, other_id, count(*) AS sessions FROM members GROUP BY ALL"

_CLICKS = f"""
    WITH members AS ({pair_members("click", within(f"time_bucket({_WINDOW}, timestamp)"))})
    SELECT time_bucket({_WINDOW}, happened_at) AS window_start, product_id, bot, purchase_id, late, purchase_late,
      last_epoch, happened_at AS timestamp, event_id, last_epoch AS epoch
    FROM ({pair_rows("10", beyond=str(rollups.WINDOW_MINUTES))}) WHERE NOT is_purchase
"""
_CONVERSION_HOURS = """
    SELECT window_start, product_id, bot, count(*) AS clicks, count(purchase_id) AS converted,
      count(DISTINCT purchase_id) AS purchases,
      count(CASE WHEN late THEN 1 END) + count(DISTINCT CASE WHEN purchase_late THEN purchase_id END) AS late,
      max(last_epoch) AS last_epoch
    FROM members GROUP BY ALL
"""


def hour_checks() -> tuple[Gathering, ...]:
    """Of sessions that begin, and clicks that happen, in hours and windows that begin in the span."""
    cells, windows = (
        Cells("session_hour", "hour", are_rows=True),
        Cells("conversion_hour", "window_start", are_rows=True),
    )
    of_sessions = (
        Check(rollups.session_hours, "FROM gathered", _SESSION_HOURS, within("hour"), cells=cells),
        Check(rollups.journey_hours, _MOVES, _JOURNEY_HOURS, within("hour"), cells=cells),
        Check(rollups.step_hours, _TURNS, _STEP_HOURS, within("hour"), cells=cells),
        Check(rollups.pair_hours, _SEEN_TOGETHER, _PAIR_HOURS, within("hour"), cells=cells),
    )
    of_clicks = Check(
        rollups.conversion_hours, "FROM gathered", _CONVERSION_HOURS, within("window_start"), cells=windows
    )
    return Gathering(_SESSIONS, "session_id", of_sessions), Gathering(_CLICKS, "user_id", (of_clicks,))
