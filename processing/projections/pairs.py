"""Pairs: something a user did to a product, and the user's first purchase of it within a while.

A table keeps such events and the purchases of products side by side. What one led to depends on nothing but those
rows, so whichever of the two comes first, late or twice, the pairs end up as in one join over the whole log: the left
outer interval join of events with purchases, the earliest purchase (ties: by event id) of each event.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Table

from processing.islands import US_PER_MS, Numbers, as_numbers, microseconds
from processing.projection import Projection

_DELTA: Final = """
    SELECT user_id, product_id, timestamp AS happened_at, event_id, kind IS NOT NULL AS is_purchase,
      coalesce(category, '') AS category, bot,
      CAST(NULL AS timestamp) AS purchased_at, CAST(NULL AS string) AS purchase_id, late, epoch AS last_epoch
    FROM events WHERE product_id IS NOT NULL AND (action = '{action}' OR kind = 'purchase')
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

    def combine(self, rows: pa.Table) -> pa.Table:
        """Each event with its purchase; the purchases as they are."""
        if not rows.num_rows:
            return rows
        time, purchase = microseconds(rows["happened_at"]), np.asarray(rows["is_purchase"].to_numpy())
        # Rows of a user and product one after another, purchases by time and id: an event's is the first not before it.
        of_both = as_numbers(rows["user_id"]) * rows.num_rows + as_numbers(rows["product_id"])
        times, moment = np.unique(time, return_inverse=True)
        place = np.unique(of_both, return_inverse=True)[1] * len(times) + moment
        by_id = pc.rank(rows["event_id"], tiebreaker="dense").to_numpy()
        sold = np.flatnonzero(purchase)
        sold = sold[np.lexsort((by_id[sold], place[sold]))]
        seen = np.flatnonzero(~purchase)
        found = np.searchsorted(place[sold], place[seen])
        seen, found = seen[found < len(sold)], found[found < len(sold)]
        first = sold[found]
        is_its = (of_both[seen] == of_both[first]) & (time[first] - time[seen] <= self.window_ms * US_PER_MS)
        return _paired(rows, seen[is_its], first[is_its])


def _paired(rows: pa.Table, seen: Numbers, first: Numbers) -> pa.Table:
    """Rows with their purchase, which is the one they have or, if that is earlier, the one found among the rows.

    `first` has the places of the purchases that were found for the events at the places `seen`.
    """
    of_event = np.full(rows.num_rows, -1)
    of_event[seen] = first
    choice = pa.array(of_event, mask=of_event < 0)
    time, name, epoch = (rows[column].take(choice) for column in ("happened_at", "event_id", "last_epoch"))
    had_time, had_name = rows["purchased_at"], rows["purchase_id"]
    sooner = pc.or_(pc.less(time, had_time), pc.and_(pc.equal(time, had_time), pc.less(name, had_name)))
    taken = pc.and_(pc.is_valid(choice), pc.or_(pc.is_null(had_time), sooner.fill_null(False)))
    columns = {
        "purchased_at": pc.if_else(taken, time, had_time),
        "purchase_id": pc.if_else(taken, name, had_name),
        "last_epoch": pc.if_else(taken, pc.max_element_wise(rows["last_epoch"], epoch), rows["last_epoch"]),
    }
    for column, values in columns.items():
        rows = rows.set_column(rows.schema.get_field_index(column), column, values)
    return rows


def pairs(table: Table, action: str, window_ms: int) -> Projection:
    """Events of an action on products, and purchases of products."""
    return Projection(table, _DELTA.format(action=action), PairFold(window_ms))
