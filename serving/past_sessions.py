"""Sessions as they were, folded from the events of one session id. What processing keeps is folded otherwise.

The columns are those of the table `sessions`, so that one view of a session is made of either.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import orjson

from serving.queries import ResultRow, rows_of

_ORIGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_PATH_STEPS: Final = 50
_COUNTED: Final = {
    "views": {"page_view", "view"},
    "clicks": {"click"},
    "searches": {"search"},
    "adds": {"add_to_cart"},
    "removes": {"remove_from_cart"},
    "checkouts": {"checkout_start"},
}
_FUNNEL: Final = {
    "viewed_at": {"page_view", "view"},
    "added_at": {"add_to_cart"},
    "checkout_at": {"checkout_start"},
    "purchased_at": {"purchase"},
}
_OF_THE_FIRST: Final = (
    ("device", "browser", "os"),
    ("medium", "referrer_source", "campaign_source", "campaign"),
    ("category",),
)
"""What is read together off the first event that has the first of them."""


def sessions_of(events: Sequence[ResultRow], gap: timedelta) -> Sequence[ResultRow]:
    """The sessions of the events, which have one session id: in order, rows of the table `sessions`."""
    found = [_session(island) for island in _islands(sorted(events, key=_order), gap)]
    return rows_of(list(found[0]), [list(each.values()) for each in found]) if found else ()


def session_then(
    now: Sequence[ResultRow], then: Sequence[ResultRow], began: datetime, gap: timedelta
) -> ResultRow | None:
    """What the session that began at a time was, as of then: by the events of its session id, now and then.

    A late event may have moved the beginning since, and joined what was several: of those it is the first that had not
    ended by that time.
    """
    whole = [each for each in sessions_of(now, gap) if each.started_at <= began <= each.ended_at]
    parts = [
        part
        for each in whole
        for part in sessions_of(then, gap)
        if each.started_at <= part.started_at <= each.ended_at and part.ended_at >= began
    ]
    return parts[0] if parts else None


def _order(event: ResultRow) -> tuple[int, str]:
    """By time, then id; of click and sale with one id the click is first."""
    return _millis(event), event.event_id + ("\x1f" if event.kind is not None else "")


def _millis(event: ResultRow) -> int:
    since: timedelta = event.timestamp - _ORIGIN
    return since // _MILLISECOND


def _islands(events: Sequence[ResultRow], gap: timedelta) -> list[list[ResultRow]]:
    islands = [list(events[:1])] if events else []
    for before, event in pairwise(events):
        if (_millis(event) - _millis(before)) * _MILLISECOND >= gap:
            islands.append([])
        islands[-1].append(event)
    return islands


def _session(events: Sequence[ResultRow]) -> dict[str, Any]:
    bought = [event for event in events if event.kind == "purchase"]
    pages = [event.page_url for event in events if event.page_url is not None]
    steps = sorted(map(_step, events))[:_PATH_STEPS]
    evidence = max(f"{event.bot_score:03d}{event.bot_reason or ''}" for event in events)
    return {
        "session_id": events[0].session_id,
        "started_at": events[0].timestamp,
        "ended_at": events[-1].timestamp,
        "user_id": events[0].user_id,
        "events": len(events),
        **{name: sum(event.action in actions for event in events) for name, actions in _COUNTED.items()},
        "purchases": len(bought),
        "units": sum(event.quantity for event in bought),
        "revenue": sum((event.amount for event in bought), Decimal(0)),
        "entry_page": pages[0] if pages else None,
        "exit_page": pages[-1] if pages else None,
        "path": [step.decode() for step in steps],
        **_chosen(events),
        "bot_score": int(evidence[:3]),
        "bot_reason": evidence[3:] or None,
        "bot": evidence >= "050",
        **_funnel(steps),
        "late": sum(event.late for event in events),
    }


def _step(event: ResultRow) -> bytes:
    action = event.action or event.kind
    return orjson.dumps([f"{_millis(event):015d}", action, event.event_id, event.product_id, event.page_url])


def _chosen(events: Sequence[ResultRow]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for names in _OF_THE_FIRST:
        first = next((event for event in events if event._mapping[names[0]]), None)
        found |= {name: first._mapping[name] if first is not None else None for name in names}
    return found


def _funnel(steps: Sequence[bytes]) -> dict[str, datetime | None]:
    reached: dict[str, datetime | None] = {}
    told = [(int(millis), action) for millis, action, *_ in map(orjson.loads, steps)]
    since: int | None = 0
    for name, actions in _FUNNEL.items():
        at = since
        since = next((millis for millis, action in told if at is not None and millis >= at and action in actions), None)
        reached[name] = _ORIGIN + since * _MILLISECOND if since is not None else None
    return reached
