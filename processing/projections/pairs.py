"""Pairs: something a user did to a product, and the user's first purchase of it within a while.

A table keeps such events and the purchases of products side by side. What one led to depends on nothing but those
rows, so whichever of the two comes first, late or twice, the pairs end up as in one join over the whole log: the left
outer interval join of events with purchases, the earliest purchase (ties: by event id) of each event.
"""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from sqlalchemy import Table

from processing.duck import Duck
from processing.projection import Projection

_DELTA: Final = """
    SELECT user_id, product_id, timestamp AS happened_at, event_id, kind IS NOT NULL AS is_purchase,
      coalesce(category, '') AS category, bot,
      CAST(NULL AS timestamp) AS purchased_at, CAST(NULL AS string) AS purchase_id, late, epoch AS last_epoch
    FROM events WHERE product_id IS NOT NULL AND (action = '{action}' OR kind = 'purchase')
"""

_COMBINED: Final = """
    WITH pairs AS (
      SELECT user_id, product_id, happened_at, event_id, is_purchase, purchased_at, purchase_id, last_epoch
      FROM rows WHERE purchased_at IS NOT NULL
      UNION ALL
      SELECT c.user_id, c.product_id, c.happened_at, c.event_id, c.is_purchase, p.happened_at, p.event_id, p.last_epoch
      FROM rows c JOIN rows p ON p.user_id = c.user_id AND p.product_id = c.product_id
        AND p.happened_at BETWEEN c.happened_at AND c.happened_at + INTERVAL ({window_ms}) MILLISECONDS
      WHERE p.is_purchase AND NOT c.is_purchase
    ), earliest AS (
      SELECT user_id, product_id, happened_at, event_id, is_purchase, min(purchased_at) AS purchased_at,
        arg_min(purchase_id, (purchased_at, purchase_id)) AS purchase_id,
        arg_min(last_epoch, (purchased_at, purchase_id)) AS paired_epoch
      FROM pairs GROUP BY ALL
    )
    SELECT r.* EXCLUDE (purchased_at, purchase_id, last_epoch), e.purchased_at, e.purchase_id,
      greatest(r.last_epoch, e.paired_epoch) AS last_epoch
    FROM rows r LEFT JOIN earliest e USING (user_id, product_id, happened_at, event_id, is_purchase)
"""


@dataclass(frozen=True)
class PairFold:
    """Events meet the purchases after them, purchases the events before them."""

    window_ms: int
    """A purchase exactly this long after the event still counts."""
    meeting: tuple[str, ...] = ("user_id", "product_id", "happened_at", "is_purchase")
    common: tuple[str, ...] = ("user_id", "product_id")

    @property
    def met(self) -> str:
        window = f"interval '{self.window_ms} ms'"
        return (
            "t.user_id = d.user_id AND t.product_id = d.product_id AND t.is_purchase <> d.is_purchase"
            f" AND t.happened_at BETWEEN d.happened_at - CASE WHEN d.is_purchase THEN {window} ELSE interval '0' END"
            f" AND d.happened_at + CASE WHEN d.is_purchase THEN interval '0' ELSE {window} END"
        )

    def combine(self, duck: Duck, rows: pa.Table) -> pa.Table:
        """Each event with its purchase; the purchases as they are."""
        return duck.query(_COMBINED.format(window_ms=self.window_ms), rows=rows)


def pairs(table: Table, action: str, window_ms: int) -> Projection:
    """Events of an action on products, and purchases of products."""
    return Projection(table, _DELTA.format(action=action), PairFold(window_ms))
