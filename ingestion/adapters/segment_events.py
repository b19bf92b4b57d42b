"""One event of Segment's as one event of ours, or as several: an order has lines.

| Segment | here |
|---|---|
| messageId | event id; without one a hash of an event that has a timestamp, else a new id |
| userId, else anonymousId | user id |
| context.sessionId, else anonymousId, else userId | session id; of the latter the 30-minute gap makes sessions |
| originalTimestamp, timestamp, sentAt | timestamp, by `loose.event_time` |
| page, screen | page_view |
| track | by its name, see `segment_commerce`; `other` if that does not know it |
| identify, group, alias | other |
| context.page.url, .referrer, context.userAgent | page_url, referrer, user_agent |
| context.campaign | properties utm_campaign, utm_source, … |
| name, properties, traits, groupId, previousId | properties |

Source: segment-docs, `spec/common`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.rejections import Reason
from ingestion.adapters import bodies, loose
from ingestion.adapters.segment_commerce import Visit, commerce, commerce_pointer, plain
from ingestion.errors import EventRefusedError
from ingestion.events import Event, Incoming
from ingestion.values import MAX_TEXT

TYPES: Final = ("track", "page", "screen", "identify", "group", "alias")

_AT: Final = "/properties"
_UTM: Final = {"name": "utm_campaign", **{name: f"utm_{name}" for name in ("source", "medium", "term", "content")}}
_POINTERS: Final = {
    "/event_id": "/messageId",
    "/transaction_id": "/messageId",
    "/user_id": "/userId",
    "/session_id": "/context/sessionId",
    "/page_url": "/context/page/url",
    "/referrer": "/context/page/referrer",
    "/user_agent": "/context/userAgent",
}
_NOT_THE_EVENT: Final = ("sentAt", "writeKey", "_metadata")
"""What a repeated request says anew."""


def pointer(_index: int, part: int, ours: str) -> str | None:
    """Where Segment's event has what our field `ours` (a JSON Pointer) of its part holds."""
    return commerce_pointer(part, ours, _AT) or _POINTERS.get(ours)


class SegmentMapper:
    """Maps events. `tolerance_ms` is how far a sender's clock may be off before it is corrected."""

    def __init__(self, max_event_bytes: int, tolerance_ms: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._tolerance_ms = tolerance_ms

    def events(
        self,
        pieces: Sequence[bytes],
        *,
        context: Mapping[str, Any],
        sent_at_ms: int | None,
        received_at_ms: int,
        user_agent: str | None,
    ) -> list[Event]:
        """An event per JSON text. `context` holds for all; `user_agent` fills in where the event has none."""
        events: list[Event] = []
        for piece in pieces:
            event_id = None
            try:
                event = bodies.read_event(piece, self._max_event_bytes)
                event_id = loose.text(event.get("messageId"), "/messageId")
                event["context"] = {**context, **loose.members(event.get("context"), "/context")}
                stated = event.get("originalTimestamp") or event.get("timestamp")
                at = loose.event_time(stated, "/timestamp", sent_at_ms, received_at_ms, self._tolerance_ms)
                events.append(_mapped(event, event_id or loose.make_id(event, stated, _NOT_THE_EVENT), at, user_agent))
            except EventRefusedError as refused:
                refused.event_id = event_id
                events.append(refused)
        return events


def _mapped(event: dict[str, Any], event_id: str, at: int, user_agent: str | None) -> tuple[Incoming, ...]:
    kind = event.get("type")
    if kind not in TYPES:
        raise EventRefusedError(Reason.UNKNOWN_TYPE, "/type", f"One of {', '.join(TYPES)}.")
    context = event["context"]
    properties = loose.members(event.get("properties"), _AT)
    anonymous = loose.text(event.get("anonymousId"), "/anonymousId")
    user = loose.text(event.get("userId"), "/userId") or anonymous
    if user is None:
        raise EventRefusedError(Reason.MISSING_FIELD, "/userId", "userId or anonymousId is required.")
    page = loose.members(context.get("page"), "/context/page")
    if kind in ("page", "screen"):
        page = {name: page.get(name) or properties.pop(name, None) for name in ("url", "referrer")}
    name_at = "event" if kind == "track" else "name"
    name = loose.text(event.get(name_at), f"/{name_at}")
    campaign = loose.members(context.get("campaign"), "/context/campaign")
    visit = Visit(
        event_id=event_id,
        user_id=user,
        session_id=_session(context, anonymous or user),
        timestamp=at,
        page_url=loose.text(page.get("url"), "/context/page/url"),
        referrer=loose.text(page.get("referrer"), "/context/page/referrer"),
        user_agent=loose.text(context.get("userAgent"), "/context/userAgent")
        or (user_agent and user_agent[: MAX_TEXT["user_agent"]]),
        named={
            "event": name,
            "event_type": kind,
            **{ours: loose.text(campaign.get(theirs), f"/context/campaign/{theirs}") for theirs, ours in _UTM.items()},
            "group_id": loose.text(event.get("groupId"), "/groupId"),
            "previous_id": loose.text(event.get("previousId"), "/previousId"),
        },
    )
    if kind == "track":
        if name is None:
            raise EventRefusedError(Reason.MISSING_FIELD, "/event", "A tracked event has a name.")
        return commerce(name, properties, visit, _AT)
    traits = {"traits": event.get("traits")}
    return (plain("page_view" if kind in ("page", "screen") else "other", visit, properties, traits),)


def _session(context: Mapping[str, Any], visitor: str) -> str:
    """The client's own session, else one per visitor. A bare number is a time: two visitors may have the same."""
    stated = loose.text(context.get("sessionId"), "/context/sessionId")
    if stated is None:
        return visitor
    return f"{visitor}.{stated}" if stated.isdecimal() else stated
