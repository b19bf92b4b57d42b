"""Sessions: islands of one session id's events that are less than the gap apart in event time.

An island is its interval and sums, plus first and last steps as sortable texts, so that islands can be joined in any
order: a late event may extend one island or join two, and the result is what one pass over all events would give.
Two events exactly the gap apart belong to two sessions, as in Spark's `session_window`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts import projections
from contracts.settings import ShopSettings
from processing.islands import Numbers, in_order_of_islands
from processing.paths import funnel_times, joined
from processing.projection import Projection
from processing.projections.measures import COUNTS, LAST_EPOCH, LATE, REVENUE

MAX_PATH_STEPS: Final = 50

_MS: Final = "lpad(CAST(unix_millis(timestamp) AS string), 15, '0')"
_ACTION: Final = "coalesce(action, kind)"
_STEP: Final = f"json_texts({_MS}, {_ACTION}, event_id, product_id, page_url)"
_KEY: Final = f"concat({_MS}, event_id, CASE WHEN kind IS NULL THEN '' ELSE chr(31) END)"
"""A text whose order is the order of events: by time, then id, and a click before a sale of the same id.

What tells the two apart is lower than any character of an id, so that an id still goes before those it begins.
"""

_SUMS: Final = {**COUNTS, "revenue": REVENUE, "late": LATE}
_FIRST_OF: Final[dict[str, tuple[str | None, dict[str, str]]]] = {
    "first_key": (None, {"user_id": "user_id"}),
    "entry_key": ("page_url", {"entry_page": "page_url"}),
    "agent_key": ("device", {"device": "device", "browser": "browser", "os": "os"}),
    "referral_key": (
        "medium",
        {name: name for name in ("medium", "referrer_source", "campaign_source", "campaign")},
    ),
    "category_key": ("nullif(category, '')", {"category": "category"}),
}
"""Order key, the value that an event must have to count, and what is read off the first such event."""
_LAST_OF: Final[dict[str, tuple[str | None, dict[str, str]]]] = {"exit_key": ("page_url", {"exit_page": "page_url"})}
_SCORE_DIGITS: Final = 3
_BOT_FROM: Final = "050"
_MAXIMA: Final = {
    "bot_evidence": f"max(concat(lpad(CAST(bot_score AS string), {_SCORE_DIGITS}, '0'), coalesce(bot_reason, '')))",
    "last_epoch": LAST_EPOCH,
}

_OF_AN_ISLAND: Final = [
    *("session_id", "started_at", "ended_at", *_SUMS),
    *(name for key, (_, values) in (_FIRST_OF | _LAST_OF).items() for name in (key, *values)),
    *(*_MAXIMA, "path"),
]
"""The columns of the delta; those that the table has beside them are made of these."""


def _chosen(choices: dict[str, tuple[str | None, dict[str, str]]], least: str) -> dict[str, str]:
    """Delta SQL of what is read off the first (`least` is min) or last (max) event of some kind; '' stands for null."""
    columns = {}
    for key, (needed, values) in choices.items():
        such = f" FILTER (WHERE {needed} IS NOT NULL)" if needed else ""
        columns[key] = f"{least}(event_key){such}"
        columns |= {name: f"{least}_by(coalesce({sql}, ''), event_key){such}" for name, sql in values.items()}
    return columns


FUNNEL: Final = {
    "viewed_at": ("page_view", "view"),
    "added_at": ("add_to_cart",),
    "checkout_at": ("checkout_start",),
    "purchased_at": ("purchase",),
}
"""The funnel's steps by the actions that reach them: each is the first such action not before the step ahead of it."""
_DELTA: Final = """
    WITH spread AS (
      SELECT session_id FROM events GROUP BY session_id
      HAVING max(unix_millis(timestamp)) - min(unix_millis(timestamp)) >= {gap_ms}
    ), marked AS (
      SELECT session_id, timestamp, CASE WHEN unix_millis(timestamp)
          - lag(unix_millis(timestamp)) OVER (PARTITION BY session_id ORDER BY timestamp) < {gap_ms}
        THEN 0 ELSE 1 END AS begins
      FROM (SELECT DISTINCT session_id, timestamp FROM events JOIN spread USING (session_id))
    ), numbered AS (
      SELECT session_id, timestamp, sum(begins) OVER (PARTITION BY session_id ORDER BY timestamp) AS island
      FROM marked
    )
    SELECT session_id, min(timestamp) AS started_at, max(timestamp) AS ended_at,
      {aggregates},
      slice(array_sort(collect_list({step})), 1, {steps}) AS path
    FROM (SELECT *, {key} AS event_key FROM events) LEFT JOIN numbered USING (session_id, timestamp)
    GROUP BY session_id, island
"""
"""Most sessions are shorter than the gap; they need no windows."""


@dataclass(frozen=True)
class IslandFold:
    """Islands that are less than the gap apart become one."""

    gap_ms: int
    meeting: tuple[str, ...] = ("session_id", "started_at", "ended_at")
    common: tuple[str, ...] = ("session_id",)

    @property
    def met(self) -> str:
        gap = f"interval '{self.gap_ms} ms'"
        return (
            f"t.session_id = d.session_id AND t.started_at < d.ended_at + {gap} AND t.ended_at > d.started_at - {gap}"
        )

    def combine(self, rows: pa.Table) -> pa.Table:
        """See `Fold.combine`."""
        order, island = in_order_of_islands(rows["session_id"], rows["started_at"], rows["ended_at"], self.gap_ms)
        islands = _joined(rows.select(_OF_AN_ISLAND).take(pa.array(order)), island)
        for name, times in funnel_times(islands["path"], FUNNEL).items():
            islands = islands.append_column(name, times)
        evidence = islands["bot_evidence"]
        reason = pc.utf8_slice_codeunits(evidence, _SCORE_DIGITS)
        return (
            islands.append_column("bot_score", pc.utf8_slice_codeunits(evidence, 0, _SCORE_DIGITS).cast(pa.int16()))
            .append_column("bot_reason", pc.if_else(pc.equal(reason, ""), None, reason))
            .append_column("bot", pc.greater_equal(evidence, _BOT_FROM))
        )


def _joined(rows: pa.Table, island: Numbers) -> pa.Table:
    """Rows of one island as one; `island` has the number of each row's, which ascends. Most are alone in theirs."""
    size = np.bincount(island)[island]
    alone, several = rows.filter(pa.array(size == 1)), rows.filter(pa.array(size > 1))
    if not several.num_rows:
        return alone
    _, group = np.unique(island[size > 1], return_inverse=True)
    rules = [
        *((name, "sum") for name in _SUMS),
        *((name, "min") for name in ("session_id", "started_at", *_FIRST_OF)),
        *((name, "max") for name in ("ended_at", *_LAST_OF, *_MAXIMA)),
    ]
    # By one thread, so that the groups are in their order.
    grouped = several.append_column("group", pa.array(group)).group_by("group", use_threads=False).aggregate(rules)
    found = {name: grouped[f"{name}_{rule}"] for name, rule in rules}
    for key, (_, values) in (_FIRST_OF | _LAST_OF).items():
        chosen = _place_of(several[key], found[key], group)
        found |= {name: several[name].take(chosen) for name in values}
    found["path"] = joined(several["path"], group, grouped.num_rows, MAX_PATH_STEPS)
    return pa.concat_tables([alone, pa.table(found).select(alone.column_names).cast(alone.schema)])


def _place_of(keys: pa.ChunkedArray, chosen: pa.ChunkedArray, group: Numbers) -> pa.Array:
    """The place of a row that has the chosen key, for each group; null where its key is null."""
    has_it = np.asarray(pc.equal(keys, chosen.take(pa.array(group))).fill_null(False).to_numpy())
    place = np.full(len(chosen), -1)
    place[group[has_it]] = np.flatnonzero(has_it)
    return pa.array(place, mask=place < 0)


def sessions(shop: ShopSettings) -> Projection:
    """The projection for the shop's session gap."""
    gap_ms = shop.session_gap_seconds * 1000
    aggregates = _SUMS | _chosen(_FIRST_OF, "min") | _chosen(_LAST_OF, "max") | _MAXIMA
    delta = _DELTA.format(
        aggregates=", ".join(f"{sql} AS {name}" for name, sql in aggregates.items()),
        step=_STEP,
        key=_KEY,
        steps=MAX_PATH_STEPS,
        gap_ms=gap_ms,
    )
    return Projection(projections.sessions, delta, IslandFold(gap_ms))
