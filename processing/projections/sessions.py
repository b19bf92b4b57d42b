"""Sessions: islands of one session id's events that are less than the gap apart in event time.

An island is its interval and sums, plus first and last steps as sortable texts, so that islands can be joined in any
order: a late event may extend one island or join two, and the result is what one pass over all events would give.
Two events exactly the gap apart belong to two sessions, as in Spark's `session_window`.
"""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from contracts import projections
from contracts.settings import ShopSettings
from processing.duck import Duck
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
_MAXIMA: Final = {
    "bot_evidence": "max(concat(lpad(CAST(bot_score AS string), 3, '0'), coalesce(bot_reason, '')))",
    "last_epoch": LAST_EPOCH,
}


def _chosen(choices: dict[str, tuple[str | None, dict[str, str]]], least: str) -> dict[str, str]:
    """Delta SQL of what is read off the first (`least` is min) or last (max) event of some kind; '' stands for null."""
    columns = {}
    for key, (needed, values) in choices.items():
        such = f" FILTER (WHERE {needed} IS NOT NULL)" if needed else ""
        columns[key] = f"{least}(event_key){such}"
        columns |= {name: f"{least}_by(coalesce({sql}, ''), event_key){such}" for name, sql in values.items()}
    return columns


def _rechosen(choices: dict[str, tuple[str | None, dict[str, str]]], least: str) -> dict[str, str]:
    """The same over islands: each carries its key with its values."""
    columns = {}
    for key, (_, values) in choices.items():
        columns[key] = f"{least}({key})"
        columns |= {name: f"{least}_by({name}, {key})" for name in values}
    return columns


FUNNEL: Final = {
    "viewed_at": ("page_view", "view"),
    "added_at": ("add_to_cart",),
    "checkout_at": ("checkout_start",),
    "purchased_at": ("purchase",),
}
"""The funnel's steps by the actions that reach them: each is the first such action not before the step ahead of it."""
_COUNTS: Final = ("views", "adds", "checkouts", "purchases")
"""The measures that count those actions, step by step."""

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

_COMBINED: Final = """
    WITH several AS (
      SELECT session_id FROM rows GROUP BY session_id HAVING count(*) > 1
    ), marked AS (
      SELECT session_id, started_at, ended_at, CASE
          WHEN epoch_ms(started_at) < max(epoch_ms(ended_at)) OVER earlier + {gap_ms} THEN 0 ELSE 1 END AS begins
      FROM (SELECT DISTINCT session_id, started_at, ended_at FROM rows SEMI JOIN several USING (session_id))
      WINDOW earlier AS (PARTITION BY session_id ORDER BY started_at, ended_at
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), numbered AS (
      SELECT session_id, started_at, ended_at, sum(begins) OVER (PARTITION BY session_id
        ORDER BY started_at, ended_at ROWS UNBOUNDED PRECEDING) AS island
      FROM marked
    ), islands AS (
      SELECT session_id, min(started_at) AS started_at, max(ended_at) AS ended_at, {aggregates},
        list_slice(list_sort(flatten(list(path))), 1, {steps}) AS path
      FROM rows JOIN numbered USING (session_id, started_at, ended_at) GROUP BY session_id, island
      UNION ALL BY NAME SELECT session_id, started_at, ended_at, {columns}, path
      FROM rows ANTI JOIN several USING (session_id)
    ), {funnel}
    SELECT *, CAST(bot_evidence[1:3] AS smallint) AS bot_score, nullif(bot_evidence[4:], '') AS bot_reason,
      bot_evidence >= '050' AS bot
    FROM {last_step}
"""
"""Windows are taken over the intervals alone: sorting whole rows costs several times as much."""


def _funnel() -> tuple[str, str]:
    """Common table expressions that add the funnel's columns one after another, and the name of the last of them.

    In a step's text the time takes the places 3 to 17 and the action begins at place 21, so neither needs parsing.
    """
    steps, previous, since = [], "islands", "''"
    for (name, actions), count in zip(FUNNEL.items(), _COUNTS, strict=True):
        reached = " OR ".join(f"starts_with(step[21:], '{action}\"')" for action in actions)
        first = f"list_filter(path, lambda step: step[3:17] >= {since} AND ({reached}))[1][3:17]"
        # Few sessions get far, and the paths of the others need not be read.
        first = f"CASE WHEN {count} > 0 AND {since} IS NOT NULL THEN {first} END"
        steps.append(f"{name}_step AS (SELECT *, {first} AS {name}_ms FROM {previous})")
        previous, since = f"{name}_step", f"{name}_ms"
    times = ", ".join(f"make_timestamptz(CAST({name}_ms AS BIGINT) * 1000) AS {name}" for name in FUNNEL)
    texts = ", ".join(f"{name}_ms" for name in FUNNEL)
    steps.append(f"funnel AS (SELECT * EXCLUDE ({texts}), {times} FROM {previous})")
    return ", ".join(steps), "funnel"


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

    def combine(self, duck: Duck, rows: pa.Table) -> pa.Table:
        """See `Fold.combine`."""
        funnel, last_step = _funnel()
        aggregates = {name: f"sum({name})" for name in _SUMS}
        aggregates |= _rechosen(_FIRST_OF, "min") | _rechosen(_LAST_OF, "max")
        aggregates |= {name: f"max({name})" for name in _MAXIMA}
        sql = _COMBINED.format(
            gap_ms=self.gap_ms,
            columns=", ".join(aggregates),
            aggregates=", ".join(f"{sql} AS {name}" for name, sql in aggregates.items()),
            steps=MAX_PATH_STEPS,
            funnel=funnel,
            last_step=last_step,
        )
        return duck.query(sql, rows=rows)


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
