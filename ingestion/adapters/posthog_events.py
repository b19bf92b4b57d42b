"""One event of PostHog's as one event of ours, or as several: an order has lines.

| PostHog | here |
|---|---|
| uuid | event id; without one as for Segment |
| distinct_id, $distinct_id, properties.distinct_id | user id |
| session_id, properties.$session_id, else the distinct id | session id |
| timestamp and sent_at, else offset | timestamp, by `loose.event_time` |
| $pageview, $screen | page_view |
| $autocapture of a click | click |
| a name of Segment's e-commerce specification | as from Segment |
| every other name | other |
| $current_url, $referrer, $raw_user_agent | page_url, referrer, user_agent |
| properties, $set, $set_once | properties, PostHog's own (`$…`) last |

Source: PostHog's `capture` service, posthog-js.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from contracts.rejections import Reason
from ingestion.adapters import bodies, loose
from ingestion.adapters.segment_commerce import ACTIONS, ORDERS, Visit, commerce, commerce_pointer, plain
from ingestion.errors import EventRefusedError
from ingestion.events import Event, Incoming
from ingestion.values import MAX_TEXT

_AT: Final = "/properties"
_ACTIONS: Final = {"$pageview": "page_view", "$screen": "page_view"}
_POINTERS: Final = {
    "/event_id": "/uuid",
    "/transaction_id": "/uuid",
    "/user_id": "/distinct_id",
    "/session_id": "/properties/$session_id",
    "/page_url": "/properties/$current_url",
    "/referrer": "/properties/$referrer",
    "/user_agent": "/properties/$raw_user_agent",
}
_TAKEN: Final = frozenset({
    "distinct_id", "token", "$session_id", "$current_url", "$referrer", "$raw_user_agent", "$user_agent", "$ip",
})  # fmt: skip
"""Properties that have a field, and those that nobody need keep: the key and the whole address."""
_PASSING: Final = ("sent_at", "token", "$token", "api_key")


def pointer(_index: int, part: int, ours: str) -> str | None:
    """Where PostHog's event has what our field `ours` (a JSON Pointer) of its part holds."""
    return commerce_pointer(part, ours, _AT) or _POINTERS.get(ours)


class PosthogMapper:
    """Maps events. `tolerance_ms` is how far a sender's clock may be off before it is corrected."""

    def __init__(self, max_event_bytes: int, tolerance_ms: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._tolerance_ms = tolerance_ms

    def events(
        self, pieces: Sequence[bytes], *, sent_at_ms: int | None, received_at_ms: int, user_agent: str | None
    ) -> list[Event]:
        """An event per JSON text. `user_agent` is the head's: it counts for what a browser's SDK sent."""
        events: list[Event] = []
        for piece in pieces:
            event_id = None
            try:
                event = bodies.read_event(piece, self._max_event_bytes)
                event_id = loose.text(event.get("uuid"), "/uuid")
                stated, at = self._time(event, sent_at_ms, received_at_ms)
                event_id = event_id or loose.make_id(event, stated, _PASSING)
                events.append(_mapped(event, event_id, at, user_agent))
            except EventRefusedError as refused:
                refused.event_id = event_id
                events.append(refused)
        return events

    def _time(self, event: Mapping[str, Any], sent_at_ms: int | None, received_at_ms: int) -> tuple[Any, int]:
        stated = event.get("timestamp")
        offset = event.get("offset")
        if stated is None and isinstance(offset, int) and not isinstance(offset, bool):
            return None, received_at_ms - offset
        return stated, loose.event_time(stated, "/timestamp", sent_at_ms, received_at_ms, self._tolerance_ms)


def _mapped(event: Mapping[str, Any], event_id: str, at: int, user_agent: str | None) -> tuple[Incoming, ...]:
    name = loose.text(event.get("event"), "/event")
    if name is None:
        raise EventRefusedError(Reason.MISSING_FIELD, "/event", "An event has a name.")
    said = loose.members(event.get("properties"), _AT)
    user = _distinct_id(event, said)
    session = loose.first_text(
        {"/session_id": event.get("session_id"), "/properties/$session_id": said.get("$session_id")}
    )
    referrer = loose.text(said.get("$referrer"), "/properties/$referrer")
    agent = loose.first_text({f"{_AT}/{member}": said.get(member) for member in ("$raw_user_agent", "$user_agent")})
    in_browser = said.get("$lib") == "web"
    visit = Visit(
        event_id=event_id,
        user_id=user,
        session_id=session or user,
        timestamp=at,
        page_url=loose.text(said.get("$current_url"), "/properties/$current_url"),
        referrer=None if referrer == "$direct" else referrer,
        user_agent=agent or (user_agent[: MAX_TEXT["user_agent"]] if in_browser and user_agent else None),
        named={"event": name},
    )
    own = {member: value for member, value in said.items() if member.startswith("$") and member not in _TAKEN}
    own |= {member: event[member] for member in ("$set", "$set_once") if member in event}
    rest = {member: value for member, value in said.items() if not member.startswith("$") and member not in _TAKEN}
    known = name.strip().lower()
    if known in ACTIONS or known in ORDERS:
        return commerce(name, {**rest, **own}, visit, _AT)
    action = _ACTIONS.get(name, "other")
    if name == "$autocapture" and said.get("$event_type") == "click":
        action = "click"
    return (plain(action, visit, rest, own),)


def _distinct_id(event: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """The visitor; what is no text is one as JSON, as PostHog takes it. Raises EventRefusedError."""
    for value in (event.get("distinct_id"), event.get("$distinct_id"), said.get("distinct_id")):
        if isinstance(value, dict | list | bool):
            return msgspec.json.encode(value).decode()
        if (found := loose.text(value, "/distinct_id")) is not None:
            return found
    raise EventRefusedError(Reason.MISSING_FIELD, "/distinct_id", "distinct_id is required.")
