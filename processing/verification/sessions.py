"""What the table of sessions must hold: every event in its place by windows over the whole of each session id."""

from contracts import projections
from processing.verification.check import MEASURES, Cells, Check, within


def session_members(near: str) -> str:
    """SELECT of all events of the session ids that have an event which meets the condition, each with its session."""
    return f"""
    WITH asked AS (
      SELECT DISTINCT session_id FROM log WHERE {near}
    ), apart AS (
      SELECT session_id, timestamp, event_id, user_id, product_id, category, action, kind, quantity, amount, page_url,
        device, browser, os, medium, referrer_source, campaign_source, campaign, bot_score, bot_reason, late, epoch,
        timestamp - lag(timestamp) OVER (PARTITION BY session_id ORDER BY timestamp) >= to_seconds({{gap}}) AS parted
      FROM log SEMI JOIN asked USING (session_id)
    ), counted AS (
      SELECT *, count(CASE WHEN parted THEN 1 END) OVER (PARTITION BY session_id ORDER BY timestamp) AS island
      FROM apart
    )
    SELECT *, min(timestamp) OVER (PARTITION BY session_id, island) AS started_at,
      format('{{{{:015d}}}}{{{{}}}}{{{{}}}}', epoch_ms(timestamp), event_id, if(kind IS NULL, '', chr(31))) AS moment,
      format('{{{{:03d}}}}{{{{}}}}', bot_score, coalesce(bot_reason, '')) AS evidence,
      json_array(format('{{{{:015d}}}}', epoch_ms(timestamp)), coalesce(action, kind), event_id, product_id, page_url)
        ::VARCHAR AS step
    FROM counted
"""


def session_rows(of_span: str) -> str:
    """SELECT of the sessions that meet the condition, over the view `members`."""
    return f"""
    WITH found AS (
      SELECT * FROM members WHERE {of_span}
    ), steps AS (
      SELECT session_id, started_at, step, timestamp AS instant, coalesce(action, kind) AS did FROM found
      QUALIFY row_number() OVER (PARTITION BY session_id, started_at ORDER BY step) <= 50
    ), viewed AS (
      SELECT session_id, started_at, min(instant) AS viewed_at FROM steps
      WHERE did IN ('view', 'page_view') GROUP BY ALL
    ), added AS (
      SELECT session_id, started_at, min(instant) AS added_at FROM steps JOIN viewed USING (session_id, started_at)
      WHERE did = 'add_to_cart' AND instant >= viewed_at GROUP BY ALL
    ), checked_out AS (
      SELECT session_id, started_at, min(instant) AS checkout_at FROM steps JOIN added USING (session_id, started_at)
      WHERE did = 'checkout_start' AND instant >= added_at GROUP BY ALL
    ), bought AS (
      SELECT session_id, started_at, min(instant) AS purchased_at
      FROM steps JOIN checked_out USING (session_id, started_at)
      WHERE did = 'purchase' AND instant >= checkout_at GROUP BY ALL
    ), paths AS (
      SELECT session_id, started_at, list(step ORDER BY step) AS path FROM steps GROUP BY ALL
    ), islands AS (
      SELECT session_id, started_at, max(timestamp) AS ended_at, {MEASURES},
        min(moment) AS first_key, first(user_id ORDER BY moment) AS user_id,
        min(moment) FILTER (page_url IS NOT NULL) AS entry_key,
        first(page_url ORDER BY moment) FILTER (page_url IS NOT NULL) AS entry_page,
        max(moment) FILTER (page_url IS NOT NULL) AS exit_key,
        last(page_url ORDER BY moment) FILTER (page_url IS NOT NULL) AS exit_page,
        min(moment) FILTER (device IS NOT NULL) AS agent_key,
        first(device ORDER BY moment) FILTER (device IS NOT NULL) AS device,
        first(coalesce(browser, '') ORDER BY moment) FILTER (device IS NOT NULL) AS browser,
        first(coalesce(os, '') ORDER BY moment) FILTER (device IS NOT NULL) AS os,
        min(moment) FILTER (medium IS NOT NULL) AS referral_key,
        first(medium ORDER BY moment) FILTER (medium IS NOT NULL) AS medium,
        first(coalesce(referrer_source, '') ORDER BY moment) FILTER (medium IS NOT NULL) AS referrer_source,
        first(coalesce(campaign_source, '') ORDER BY moment) FILTER (medium IS NOT NULL) AS campaign_source,
        first(coalesce(campaign, '') ORDER BY moment) FILTER (medium IS NOT NULL) AS campaign,
        min(moment) FILTER (category <> '') AS category_key,
        first(category ORDER BY moment) FILTER (category <> '') AS category,
        max(evidence) AS bot_evidence, max(bot_score) AS bot_score,
        nullif(last(coalesce(bot_reason, '') ORDER BY evidence), '') AS bot_reason, max(bot_score) >= 50 AS bot,
        count(CASE WHEN late THEN 1 END) AS late, max(epoch) AS last_epoch
      FROM found GROUP BY ALL
    )
    FROM islands JOIN paths USING (session_id, started_at) LEFT JOIN viewed USING (session_id, started_at)
      LEFT JOIN added USING (session_id, started_at) LEFT JOIN checked_out USING (session_id, started_at)
      LEFT JOIN bought USING (session_id, started_at)
"""


def session_check() -> Check:
    """Sessions that begin in the span, of all events of their ids."""
    by, cells = ("session_id", "session_id"), Cells("session_hour", "started_at")
    members, expected = session_members(within("timestamp")), session_rows(within("started_at"))
    return Check(projections.sessions, members, expected, within("started_at"), by, cells)
