"""Snowplow's tracker protocol: `POST /com.snowplowanalytics.snowplow/tp2`, and `GET /i` for pages that send pictures.

Trackers have no place for a key but `aid`, the application id: the write key stands there, or in `Authorization`. What
becomes of an event is in `snowplow_events`. A refused event is kept in the topic `rejected`; the tracker is told `ok`,
as by Snowplow's collector. No cookie is set: a page's event without any id of a visitor gets one by
`Senders.visitor`, unless the page asks to be anonymous (`SP-Anonymous`): then each such event has a visitor of its own.

Source: snowplow/documentation, `events/http-requests`.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from ingestion.adapters import bodies
from ingestion.adapters.snowplow_events import SnowplowMapper, pointer
from ingestion.answers import Answer, Verdict, pixel, problem_for_sdks
from ingestion.cors import Cors
from ingestion.decode_json import check_parts
from ingestion.errors import RequestRefusedError
from ingestion.events import Admit, Batch
from ingestion.request import Request
from ingestion.sender import Senders
from ingestion.settings import GatewaySettings

_OK: Final = Answer(200, (("content-type", "text/plain; charset=utf-8"),), b"ok")


class SnowplowAdapter:
    """Events of Snowplow's trackers, many at once."""

    routes: Mapping[str, Sequence[str]] = {"/com.snowplowanalytics.snowplow/tp2": ("POST",)}
    names_key = True

    def __init__(self, settings: GatewaySettings, senders: Senders) -> None:
        self.cors = Cors(settings.origins, credentials=True)
        self._max_events = settings.max_events
        self._senders = senders
        self._mapper = SnowplowMapper(settings.max_event_bytes, int(settings.clock_tolerance_seconds * 1000))

    def media_type(self, content_type: str | None) -> str:
        """JSON by any of the names it comes under."""
        return bodies.json_media_type(content_type, "snowplow")

    def read(self, request: Request, _media_type: str, body: bytes, admit: Admit) -> Batch:
        """The array `data` of a self-describing `payload_data`."""
        envelope = bodies.read_members(body, self._max_events)
        pieces = bodies.read_elements(envelope.get("data", b"[]"), "data", self._max_events)
        return self._batch(request, pieces, admit)

    def answer(self, _verdicts: Sequence[Verdict], _rejected: int) -> Answer:
        """What Snowplow's collector answers."""
        return _OK

    def problem(self, refused: RequestRefusedError, retry_after_seconds: int) -> Answer:
        """A problem document."""
        return problem_for_sdks(refused, retry_after_seconds)

    def _batch(self, request: Request, pieces: list[bytes], admit: Admit) -> Batch:
        header = request.scope.headers.get
        user_agent = header("user-agent")
        key = next((found for piece in pieces if (found := _app_id(piece))), "")
        admit(key)
        in_head = header("authorization") is not None
        anonymous = header("sp-anonymous") is not None

        def visitor() -> str:
            if anonymous:
                return str(uuid.uuid4())
            return self._senders.visitor(request.sender, user_agent or "", request.received_at_ms, key)

        events = [
            self._mapper.event(piece, request.received_at_ms, user_agent, visitor, is_app_id=in_head)
            for piece in pieces
        ]
        check_parts(events, self._max_events)
        return Batch(events, pieces.__getitem__, pointer=pointer, anonymous=anonymous)


class SnowplowPixel(SnowplowAdapter):
    """One event of Snowplow's trackers in the address of a picture."""

    routes: Mapping[str, Sequence[str]] = {"/i": ("GET",), "/ice.png": ("GET",)}

    def media_type(self, _content_type: str | None) -> str:
        """That of the event as JSON, which is how a refused one is kept."""
        return bodies.json_media_type(None, "snowplow")

    def read(self, request: Request, _media_type: str, _body: bytes, admit: Admit) -> Batch:
        """The query string's parameters; the last one of a name counts."""
        event = dict(parse_qsl(request.scope.query_string, keep_blank_values=True))
        return self._batch(request, [msgspec.json.encode(event)], admit)

    def answer(self, _verdicts: Sequence[Verdict], _rejected: int) -> Answer:
        """A picture."""
        return pixel()


def _app_id(piece: bytes) -> str:
    """The application id, which is the write key; empty if there is none."""
    found = bodies.read_value(piece)
    app_id = found.get("aid") if isinstance(found, dict) else None
    return app_id if isinstance(app_id, str) else ""
