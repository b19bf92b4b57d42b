"""Events as rows of the event log: plain dicts with the columns of `EVENT_LOG`, as an epoch would have written them.

Enrichment is made up, a function of user agent and referrer: folds only carry it, and what it truly is has tests of
its own.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import pyarrow as pa
from hypothesis import strategies as st

from processing.batch import EVENT_LOG
from processing.enrichment.enrich import ENRICHED, Enricher
from tests.processing.builders import START_MS, Event, at, id_of, topic_of, unique_streams

Row: TypeAlias = dict[str, Any]

_AGENTS: Final[dict[str | None, tuple[object, ...]]] = {
    None: (None, None, None, 0, None, False),
    "phone": ("mobile", "Firefox", "Android", 0, None, False),
    "laptop": ("desktop", "Safari", "Mac OS X", 0, None, False),
    "library": ("mobile", "Other", "Android", 49, "http_library", False),
    "crawler": ("bot", "Other", "Other", 50, "known_crawler", True),
    "scanner": ("bot", "Other", "Other", 50, "scanner", True),
}
"""device, browser, os, bot_score, bot_reason, bot"""
_REFERRALS: Final[dict[str | None, tuple[object, ...]]] = {
    "search": ("search", "google", None, None, None, None, None),
    "ad": ("paid", None, "adwords", "cpc", "spring", "shoes", "a1"),
    "site": ("referral", "blog.example", None, None, None, None, None),
}
"""medium, referrer_source, campaign_source, campaign_medium, campaign, campaign_term, campaign_content"""


def logged(event: Event, **changes: Any) -> Row:
    """The event's row. Without `changes` it is of epoch 1, on time, and reached the log in the instant it happened."""
    agent = _AGENTS.get(event.get("user_agent"), _AGENTS["laptop"])
    direct = ("direct" if event.get("page_url") else None, *(None,) * 6)
    row: Row = {name: event.get(name) for name in EVENT_LOG.names}
    row |= {
        "date": at(event["timestamp"]).date(),
        "epoch": 1,
        "topic": topic_of(event),
        "partition": 0,
        "offset": 0,
        "log_time": at(event["timestamp"]),
        "received_at": at(event["timestamp"]),
        "source": "demo",
        "imported": False,
        "late": False,
        "event_id": id_of(event),
        "timestamp": at(event["timestamp"]),
        "properties": list(event["properties"].items()) if "properties" in event else None,
        **dict(zip(ENRICHED.names, (*agent, *_REFERRALS.get(event.get("referrer"), direct)), strict=True)),
    }
    assert changes.keys() <= row.keys()
    return row | changes


def log_table(rows: Iterable[Row]) -> pa.Table:
    """Rows as the log's table."""
    return pa.Table.from_pylist(list(rows), schema=EVENT_LOG)


def event_table(events: Iterable[Event], epoch: int = 1, late: frozenset[str] = frozenset()) -> pa.Table:
    """Events of one epoch; `late` holds the ids of those to label so."""
    return log_table(
        logged(event, epoch=epoch, offset=number, late=id_of(event) in late) for number, event in enumerate(events)
    )


def truly_enriched(rows: Iterable[Row]) -> list[Row]:
    """The rows with the columns that processing itself would have added."""
    enriched: list[Row] = Enricher().enrich(log_table(rows).drop_columns(ENRICHED.names)).to_pylist()
    return enriched


_DELAYS_MS: Final = (-5_000, 0, 0, 1_000, 1_001, 60_000, 300_001, 86_400_000, 7 * 86_400_000 + 1)


@st.composite
def logs(draw: st.DrawFn, max_size: int = 40) -> list[Row]:
    """A log after dedupe: `unique_streams`, some of it late, imported, or long on its way."""
    events = draw(unique_streams(max_size))
    rows = []
    for number, event in enumerate(events):
        late, imported = draw(st.sampled_from(((False, False), (False, False), (True, False), (False, True))))
        log_ms = max(event["timestamp"] + draw(st.sampled_from(_DELAYS_MS)), START_MS - 60_000)
        rows.append(logged(event, offset=number, log_time=at(log_ms), late=late, imported=imported))
    return rows


@st.composite
def epochs(draw: st.DrawFn, max_size: int = 40, count: int = 4) -> list[list[Row]]:
    """A log, its events dealt out to epochs 1 to `count` in any way; an epoch may have none."""
    rows = draw(logs(max_size))
    places = draw(st.lists(st.integers(1, count), min_size=len(rows), max_size=len(rows)))
    return in_epochs(rows, places, count)


def in_epochs(rows: Iterable[Row], places: Sequence[int], count: int) -> list[list[Row]]:
    """The rows by the epoch that each is given to, from 1 to `count`."""
    dealt = [row | {"epoch": place} for row, place in zip(rows, places, strict=True)]
    return [[row for row in dealt if row["epoch"] == epoch] for epoch in range(1, count + 1)]
