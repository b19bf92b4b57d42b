"""What the tables of pairs must hold: an as-of join of each event with the first purchase not before it."""

from collections.abc import Iterable

from sqlalchemy import Table

from contracts import projections
from processing.verification.check import Cells, Check, within


def pair_checks() -> Iterable[Check]:
    """Clicks, additions to carts, and purchases of the span."""
    yield _check(projections.conversions, "click", minutes="10")
    yield _check(projections.carts, "add_to_cart", minutes="{cart_minutes}")


def pair_members(action: str, of_span: str) -> str:
    """SELECT of the purchases, and the events of that action, whose `timestamp` meets the condition."""
    return f"""
        SELECT *, timestamp AS happened_at, kind = 'purchase' AND kind IS NOT NULL AS is_purchase
        FROM log WHERE {of_span} AND product_id IS NOT NULL AND (action = '{action}' OR kind = 'purchase')
    """


def pair_rows(minutes: str, beyond: str) -> str:
    """SELECT of what became of them within so many minutes, over the view `members`.

    Purchases count that are as many minutes behind the span, and `beyond` more.
    """
    return f"""
        WITH bought AS (
          SELECT user_id, product_id, timestamp AS instant, min(event_id) AS purchase,
            arg_min(epoch, event_id) AS of_epoch, arg_min(late, event_id) AS is_late
          FROM log WHERE kind = 'purchase' AND timestamp >= TIMESTAMPTZ '{{since}}'
            AND timestamp <= TIMESTAMPTZ '{{until}}' + INTERVAL {minutes} MINUTES + INTERVAL {beyond} MINUTES
          GROUP BY ALL
        ), met AS (
          SELECT m.*, b.* EXCLUDE (user_id, product_id),
            NOT is_purchase AND coalesce(b.instant - m.happened_at <= INTERVAL {minutes} MINUTES, false) AS led
          FROM members m ASOF LEFT JOIN bought b
            ON b.user_id = m.user_id AND b.product_id = m.product_id AND b.instant >= m.happened_at
        )
        SELECT user_id, product_id, happened_at, event_id, is_purchase, coalesce(category, '') AS category, bot,
          if(led, instant, NULL) AS purchased_at, if(led, purchase, NULL) AS purchase_id, late,
          led AND is_late AS purchase_late, if(led, greatest(epoch, of_epoch), epoch) AS last_epoch
        FROM met
    """


def _check(table: Table, action: str, minutes: str) -> Check:
    members, expected = pair_members(action, within("timestamp")), pair_rows(minutes, beyond="0")
    by, cells = ("user_id", "user_id"), Cells("conversion_hour", "happened_at")
    return Check(table, members, expected, within("happened_at"), by, cells)
