"""What the tables of orders, users and their categories must hold."""

from collections.abc import Iterable

from contracts import projections
from processing.verification.check import MEASURES, Check, within

_ORDER_LINES = f"""
    WITH lines AS (
      SELECT * REPLACE (coalesce(order_id, event_id) AS order_id) FROM log WHERE kind IS NOT NULL
    ), asked AS (
      SELECT DISTINCT order_id, user_id FROM lines WHERE {within("timestamp")}
    )
    SELECT lines.* FROM lines SEMI JOIN asked USING (order_id, user_id)
"""
_ORDERS = f"""
    SELECT order_id, user_id, min(timestamp) FILTER (kind = 'purchase') AS ordered_at, min(session_id) AS session_id,
      count(CASE WHEN kind = 'purchase' THEN 1 END) AS lines, sum(if(kind = 'purchase', quantity, 0))::BIGINT AS units,
      count(CASE WHEN kind = 'refund' THEN 1 END) AS refunds, sum(if(kind = 'purchase', amount, 0)) AS revenue,
      sum(if(kind = 'refund', amount, 0)) AS refunded, bool_or(bot) AS bot, count(CASE WHEN late THEN 1 END) AS late,
      max(epoch) AS last_epoch
    FROM members GROUP BY ALL HAVING {{whole}} OR {within("ordered_at")}
"""

_OF_USERS = f"""
    WITH asked AS (SELECT DISTINCT user_id FROM log WHERE {within("timestamp")})
    SELECT * FROM log SEMI JOIN asked USING (user_id)
"""
_USERS = f"""
    SELECT user_id, min(timestamp) AS first_seen, max(timestamp) AS last_seen, {MEASURES},
      sum(if(kind = 'refund', amount, 0)) AS refunded,
      list_sort(list(DISTINCT date_diff('week', TIMESTAMPTZ '1969-12-29', timestamp)::INTEGER)) AS weeks,
      max(bot_score) AS bot_score, count(CASE WHEN late THEN 1 END) AS late, max(epoch) AS last_epoch
    FROM members GROUP BY ALL HAVING {within("first_seen")}
"""
_USER_CATEGORIES = f"""
    WITH new AS (SELECT user_id FROM members GROUP BY ALL HAVING {within("min(timestamp)")})
    SELECT user_id, category, count(*) AS events, max(epoch) AS last_epoch
    FROM members SEMI JOIN new USING (user_id) WHERE category <> '' GROUP BY ALL
"""


def people_checks() -> Iterable[Check]:
    """Orders placed, and users first seen, in the span."""
    by = ("user_id", "user_id")
    yield Check(projections.orders, _ORDER_LINES, _ORDERS, f"({{whole}} OR {within('ordered_at')})", by)
    yield Check(projections.users, _OF_USERS, _USERS, within("first_seen"), by)
    new = f"user_id IN (SELECT user_id FROM users WHERE {within('first_seen')})"
    yield Check(projections.user_categories, _OF_USERS, _USER_CATEGORIES, f"({{whole}} OR {new})", by)
