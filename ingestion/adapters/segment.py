"""Segment's tracking API: the documented paths, and the short ones of its browser SDK.

An event that is refused is kept in the topic `rejected` and told in the answer, which is 200 all the same, as Segment's
is: a client could do no more than send the same again. What becomes of an event is in `segment_events`.

Source: segment-docs, `http-api`; the SDKs analytics-next, analytics-node and analytics-python.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from ingestion.adapters import bodies, loose
from ingestion.adapters.segment_events import TYPES, SegmentMapper, pointer
from ingestion.answers import Answer, Verdict, document, problem_for_sdks
from ingestion.cors import Cors
from ingestion.decode_json import check_parts
from ingestion.errors import RequestRefusedError
from ingestion.events import Admit, Batch
from ingestion.request import Request
from ingestion.settings import GatewaySettings

SINGLE: Final = {f"/v1/{name}": name for name in TYPES} | {f"/v1/{name[0]}": name for name in TYPES}
"""Type of the one event by path; the browser SDK sends to the first letter."""
BATCH: Final = ("/v1/batch", "/v1/b")
_FROM_BROWSERS: Final = frozenset(f"/v1/{name[0]}" for name in (*TYPES, "batch"))
"""Only the browser SDK uses these, so their `User-Agent` is the visitor's."""


class SegmentAdapter:
    """Events of Segment's SDKs."""

    routes: Mapping[str, Sequence[str]] = dict.fromkeys((*SINGLE, *BATCH), ("POST",))
    names_key = True

    def __init__(self, settings: GatewaySettings, cors: Cors) -> None:
        self.cors = cors
        self._max_events = settings.max_events
        self._mapper = SegmentMapper(settings.max_event_bytes, int(settings.clock_tolerance_seconds * 1000))

    def media_type(self, content_type: str | None) -> str:
        """JSON by any of the names it comes under."""
        return bodies.json_media_type(content_type, "segment")

    def read(self, request: Request, _media_type: str, body: bytes, admit: Admit) -> Batch:
        """One event, or the array `batch` in an envelope whose `context` holds for all of them."""
        envelope = bodies.read_members(body, self._max_events)
        key = bodies.read_value(envelope.get("writeKey"))
        admit(key if isinstance(key, str) else "")
        kind = SINGLE.get(request.scope.path)
        if kind is not None:
            pieces, context = [_typed(body, kind, envelope)], None
        else:
            pieces = bodies.read_elements(envelope.get("batch", b"[]"), "batch", self._max_events)
            context = bodies.read_value(envelope.get("context"))
        in_browser = request.scope.path in _FROM_BROWSERS
        events = self._mapper.events(
            pieces,
            context=context if isinstance(context, dict) else {},
            sent_at_ms=loose.time_ms(bodies.read_value(envelope.get("sentAt"))),
            received_at_ms=request.received_at_ms,
            user_agent=request.scope.headers.get("user-agent") if in_browser else None,
        )
        check_parts(events, self._max_events)
        return Batch(events, pieces.__getitem__, pointer=pointer)

    def answer(self, verdicts: Sequence[Verdict], rejected: int) -> Answer:
        """What Segment answers, and which events were refused, if any."""
        if not rejected:
            return document(200, {"success": True})
        return document(200, {"success": True, "rejected": [v for v in verdicts if v.status == "rejected"]})

    def problem(self, refused: RequestRefusedError, retry_after_seconds: int) -> Answer:
        """A problem document with the members that the SDKs read."""
        return problem_for_sdks(refused, retry_after_seconds)


def _typed(body: bytes, kind: str, envelope: Mapping[str, bytes]) -> bytes:
    """The event with the type that its path says: what is kept of a refused one must stand alone."""
    if "type" in envelope:
        return body
    return b'{"type":"%s"%s%s' % (kind.encode(), b"," if envelope else b"", body.lstrip()[1:])
