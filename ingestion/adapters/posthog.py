"""PostHog's capture protocols, for its SDKs: `/batch`, `/i/v0/e`, `/e`, and version 1 at `/i/v1/analytics/events`.

The write key is the project's key (`api_key` or `token`) in the body, or in `Authorization`. Bodies come as JSON, as
gzip that only its first bytes tell, as a form with Base64 in `data`, or as the query string's `data`. What becomes of
an event is in `posthog_events`. Version 0 is told success whatever is refused, as PostHog's own server does with what
it drops; version 1 has a result per event.

Source: PostHog's `capture` service and posthog-python.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, unquote_plus

from contracts.rejections import Reason
from ingestion.adapters import bodies, loose
from ingestion.adapters.posthog_events import PosthogMapper, pointer
from ingestion.answers import Answer, Verdict, document, problem_for_sdks
from ingestion.cors import Cors
from ingestion.decode_json import check_commas, check_parts
from ingestion.decompress import Limits, decompress
from ingestion.errors import BodyUnreadableError, RequestRefusedError
from ingestion.events import Admit, Batch
from ingestion.request import Request
from ingestion.settings import GatewaySettings

_PATHS: Final = ("/batch", "/e", "/i/v0/e")
_FORM: Final = "application/x-www-form-urlencoded"
_GZIP: Final = b"\x1f\x8b"
_MAX_FIELDS: Final = 20
_TOKENS: Final = ("token", "$token", "api_key")


class PosthogAdapter:
    """Version 0: success or failure of the whole request."""

    routes: Mapping[str, Sequence[str]] = {path: ("POST", "GET") for base in _PATHS for path in (base, f"{base}/")}
    names_key = True

    def __init__(self, settings: GatewaySettings) -> None:
        self.cors = Cors(settings.origins, credentials=True)
        self._max_events = settings.max_events
        self._limits = Limits(settings.max_decompressed_bytes, settings.max_compression_ratio)
        self._mapper = PosthogMapper(settings.max_event_bytes, int(settings.clock_tolerance_seconds * 1000))

    def media_type(self, content_type: str | None) -> str:
        """JSON by any of the names it comes under, or a form with it."""
        stated = (content_type or "").partition(";")[0].strip().lower()
        known = stated in (_FORM, "application/octet-stream")
        return bodies.json_media_type(None if known else content_type, "posthog")

    def read(self, request: Request, _media_type: str, body: bytes, admit: Admit) -> Batch:
        """One event, an array, or an envelope with the array `batch`."""
        query = parse_qs(request.scope.query_string)
        content = self._content(request, query, body)
        envelope: Mapping[str, bytes] = {}
        if content.lstrip()[:1] == b"[":
            check_commas(content, self._max_events)
            pieces = bodies.read_elements(content, "The body", self._max_events)
        else:
            envelope = bodies.read_members(content, self._max_events)
            pieces = [content]
            if "batch" in envelope:
                pieces = bodies.read_elements(envelope["batch"], "batch", self._max_events)
        admit(_token(envelope) or next((found for piece in pieces if (found := _token_of(piece))), ""))
        sent_at = bodies.read_value(envelope.get("sent_at")) if "batch" in envelope else None
        events = self._mapper.events(
            pieces,
            sent_at_ms=loose.time_ms(sent_at if sent_at is not None else _first_number(query, "_")),
            received_at_ms=request.received_at_ms,
            user_agent=request.scope.headers.get("user-agent"),
        )
        check_parts(events, self._max_events)
        historical = bodies.read_value(envelope.get("historical_migration")) is True
        return Batch(events, pieces.__getitem__, pointer=pointer, historical=historical)

    def answer(self, _verdicts: Sequence[Verdict], _rejected: int) -> Answer:
        """What PostHog's server answers."""
        return document(200, {"status": "Ok"})

    def problem(self, refused: RequestRefusedError, retry_after_seconds: int) -> Answer:
        """A problem document; the SDKs read its `detail`."""
        return problem_for_sdks(refused, retry_after_seconds)

    def _content(self, request: Request, query: Mapping[str, list[str]], body: bytes) -> bytes:
        """The JSON of a request, out of all its wrappings. Raises RequestRefusedError."""
        if request.scope.method == "GET":
            return _unwrapped(query.get("data", [""])[0])
        if body.startswith(_GZIP):
            return decompress("gzip", body, self._limits)
        stated = (request.scope.headers.get("content-type") or "").partition(";")[0].strip().lower()
        if stated == _FORM or body.startswith(b"data="):
            return _unwrapped(_form_field(body, "data"))
        if query.get("compression") == ["base64"]:
            return _unwrapped(body.decode("ascii", "replace"))
        return body


class PosthogV1Adapter(PosthogAdapter):
    """Version 1: a result per event, so that a client repeats only what can succeed."""

    routes: Mapping[str, Sequence[str]] = {"/i/v1/analytics/events": ("POST",)}

    def answer(self, verdicts: Sequence[Verdict], _rejected: int) -> Answer:
        """`ok` or `drop` by the event's uuid."""
        results = {v.event_id: _result(v) for v in verdicts if v.event_id is not None}
        return document(200, {"results": results})


def _result(verdict: Verdict) -> dict[str, str]:
    if verdict.error is None:
        return {"result": "ok"}
    error = verdict.error
    return {"result": "drop", "details": f"{error.code} {error.pointer}: {error.message}"}


def _form_field(body: bytes, name: str) -> str:
    """A field of a form; empty if it is not there. Nothing is split that would be a million fields."""
    wanted = f"{name}=".encode()
    field = next((part for part in body.split(b"&", _MAX_FIELDS) if part.startswith(wanted)), wanted)
    return unquote_plus(field[len(wanted) :].decode("utf-8", "replace"))


def _unwrapped(data: str) -> bytes:
    """JSON as it is or in Base64. Raises BodyUnreadableError."""
    if data.lstrip()[:1] in ("{", "["):
        return data.encode()
    try:
        return base64.b64decode(data.replace(" ", "+") + "=" * (-len(data) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BodyUnreadableError(Reason.MALFORMED_JSON, "`data` is neither JSON nor Base64.") from error


def _token(members: Mapping[str, bytes]) -> str:
    for name in _TOKENS:
        token = bodies.read_value(members.get(name))
        if isinstance(token, str) and token:
            return token
    return ""


def _token_of(piece: bytes) -> str:
    """The token of an event that stands by itself: its own, or among its properties."""
    event: Any = bodies.read_value(piece)
    if not isinstance(event, dict):
        return ""
    properties = event.get("properties")
    places = [event.get(name) for name in _TOKENS]
    places.append(properties.get("token") if isinstance(properties, dict) else None)
    return next((token for token in places if isinstance(token, str) and token), "")


def _first_number(query: Mapping[str, list[str]], name: str) -> int | None:
    stated = query.get(name, [""])[0]
    return int(stated) if stated.isdecimal() and len(stated) < 20 else None
