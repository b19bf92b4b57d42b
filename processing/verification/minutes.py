"""What the tables of minutes must hold."""

from collections.abc import Iterable

from sqlalchemy import Table

from contracts import projections
from processing.verification.check import MEASURES, Check, within


def minute_checks() -> Iterable[Check]:
    """Of products, categories, the site, and of delays."""
    yield _minutes(projections.product_minutes, ["product_id", "category"], "product_id IS NOT NULL")
    yield _minutes(projections.category_minutes, ["category"])
    yield _minutes(projections.site_minutes, [])
    yield _delays()


def _minutes(table: Table, by: list[str], counted: str = "true") -> Check:
    members = f"""
        SELECT * REPLACE (coalesce(category, '') AS category), time_bucket(INTERVAL 1 MINUTE, timestamp) AS minute
        FROM log WHERE {within("timestamp")} AND {counted}
    """
    expected = f"""
        SELECT {", ".join(("minute", *by, "bot"))}, {MEASURES},
          count(CASE WHEN kind = 'refund' THEN 1 END) AS refunds,
          sum(if(kind = 'refund', amount, 0)) AS refunded,
          list(DISTINCT user_id) AS users,
          list(DISTINCT user_id) FILTER (kind = 'purchase') AS buyers,
          count(CASE WHEN late THEN 1 END) AS late, max(epoch) AS last_epoch
        FROM members GROUP BY ALL
    """
    hashed = ("time_bucket(INTERVAL 1 MINUTE, timestamp)", "minute")
    return Check(table, members, expected, within("minute"), hashed, ("hour", "minute"))


def _delays() -> Check:
    members = f"""
        SELECT *, time_bucket(INTERVAL 1 MINUTE, log_time) AS minute,
          coalesce(list_filter([1, 5, 15, 60, 300, 900, 3600, 21600, 86400, 604800],
            lambda bound: log_time - timestamp <= to_seconds(bound))[1], -1) AS up_to_seconds
        FROM log WHERE {within("log_time")} AND NOT imported
    """
    expected = """
        SELECT minute, up_to_seconds, count(*) AS events, count(CASE WHEN late THEN 1 END) AS late,
          max(epoch) AS last_epoch
        FROM members GROUP BY ALL
    """
    by = ("time_bucket(INTERVAL 1 MINUTE, log_time)", "minute")
    return Check(projections.delays, members, expected, within("minute"), by, ("delay_hour", "minute"))
