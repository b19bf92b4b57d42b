"""CloudEvents 1.0 over HTTP: `POST /cloudevents` in the binary, the structured and the batched content mode.

`data` is an event of ours as JSON; `type` says which: `millrace.clickstream` or `millrace.transaction`. What the data
leave out is taken from the event's attributes: `time`, and an event id made of `source` and `id`, which together name
an event. A UUID does so by itself and is taken as it is.

Source: cloudevents/spec, `bindings/http-protocol-binding`, `formats/json-format`, `http-webhook`.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec

from contracts.problems import Problem
from contracts.rejections import Reason
from ingestion import decode_json
from ingestion.adapters import bodies
from ingestion.answers import Answer, Verdict, problem, results
from ingestion.cors import Cors, Pairs
from ingestion.errors import EventRefusedError, RequestRefusedError
from ingestion.events import Admit, Batch, Event, Incoming
from ingestion.request import Headers, Request
from ingestion.settings import GatewaySettings
from ingestion.values import MAX_ID, checked_id, parse_iso_8601

STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"
TYPES: Final = {"millrace.clickstream": "clickstream", "millrace.transaction": "transaction"}

_IDS: Final = {"clickstream": "event_id", "transaction": "transaction_id"}
_REQUIRED: Final = ("specversion", "id", "source", "type")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_JSON: Final = re.compile(r"application/(?:[\w.-]+\+)?json|")


class WebhookCors(Cors):
    """Also answers a webhook's question whether it may deliver here (`http-webhook`, section 4)."""

    def preflight(self, request: Headers, methods: Iterable[str]) -> Pairs:
        """What answers an OPTIONS request."""
        granted = super().preflight(request, methods)
        origin = request.get("webhook-request-origin")
        if origin is None:
            return granted
        return (*granted, ("webhook-allowed-origin", origin), ("webhook-allowed-rate", "*"))


class CloudEventsAdapter:
    """CloudEvents whose data are our events."""

    routes: Mapping[str, Sequence[str]] = {"/cloudevents": ("POST",)}
    names_key = True

    def __init__(self, settings: GatewaySettings) -> None:
        self.cors = WebhookCors(settings.origins)
        self._max_events = settings.max_events
        self._max_event_bytes = settings.max_event_bytes

    def media_type(self, content_type: str | None) -> str:
        """Always that of one structured event, since that is how a refused one is kept."""
        stated = _stated(content_type)
        known = stated in (STRUCTURED, BATCHED)
        if not known and (stated.startswith("application/cloudevents") or not _JSON.fullmatch(stated)):
            accepted = f"{STRUCTURED}, {BATCHED}, application/json"
            raise RequestRefusedError(Problem.UNSUPPORTED_MEDIA_TYPE, f"Send {accepted}.", (("accept", accepted),))
        return STRUCTURED

    def read(self, request: Request, _media_type: str, body: bytes, admit: Admit) -> Batch:
        """One event, or an array of any length."""
        admit(parse_qs(request.scope.query_string).get("access_token", [""])[0])
        stated = _stated(request.scope.headers.get("content-type"))
        if stated == BATCHED:
            decode_json.check_commas(body, self._max_events)
            pieces = bodies.read_elements(body, "The batch", self._max_events, may_be_empty=True)
        elif stated == STRUCTURED:
            bodies.read_members(body, self._max_events)
            pieces = [body]
        else:
            pieces = [_structured(request.scope.headers, body)]
        events: list[Event] = []
        from_data: list[bool] = []
        for piece in pieces:
            event, in_data = self._event(piece)
            events.append(event)
            from_data.append(in_data)

        def pointer(index: int, _part: int, ours: str) -> str:
            return f"/data{ours}" if from_data[index] or ours != "/timestamp" else "/time"

        return Batch(events, pieces.__getitem__, pointer=pointer)

    def answer(self, verdicts: Sequence[Verdict], rejected: int) -> Answer:
        """A verdict per event, as on `/v1/events`."""
        return results(verdicts, rejected)

    def problem(self, refused: RequestRefusedError, retry_after_seconds: int) -> Answer:
        """A problem document."""
        return problem(refused, retry_after_seconds)

    def _event(self, piece: bytes) -> tuple[Event, bool]:
        """The event, and whether its timestamp is the data's."""
        event_id = None
        try:
            attributes = bodies.read_event(piece, self._max_event_bytes)
            texts = _checked(attributes)
            event_id = _event_id(texts["source"], texts["id"])
            event = _with_attributes(self._data(piece, attributes), texts, event_id)
        except EventRefusedError as refused:
            refused.event_id = refused.event_id or event_id
            return refused, True
        in_data = event.timestamp is not None
        if not in_data:
            event.timestamp = texts.get("time")
        return (event,), in_data

    def _data(self, piece: bytes, attributes: Mapping[str, Any]) -> Incoming:
        """The data as an event. Raises EventRefusedError."""
        data = attributes.get("data")
        encoded = attributes.get("data_base64")
        if (data is None) == (encoded is None):
            raise EventRefusedError(Reason.MISSING_FIELD, "/data", "Either data or data_base64 is required.")
        if encoded is None:
            text = bodies.read_members(piece, self._max_events)["data"]
        else:
            try:
                text = base64.b64decode(encoded, validate=True)
            except (TypeError, ValueError) as error:
                raise EventRefusedError(Reason.WRONG_TYPE, "/data_base64", "Not Base64.") from error
        event = decode_json.read_event(text, self._max_event_bytes)
        if isinstance(event, EventRefusedError):
            event.pointer = f"/data{event.pointer}"
            raise event
        return event


def _stated(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _structured(headers: Headers, body: bytes) -> bytes:
    """A binary-mode request as the structured event it stands for, so that it can be kept whole."""
    attributes: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith("ce-") and name != "ce-datacontenttype":
            attributes[name[3:]] = _attribute(value)
    attributes["datacontenttype"] = "application/json"
    try:
        msgspec.json.decode(body)
        data: dict[str, Any] = {"data": msgspec.Raw(body)}
    except decode_json.MALFORMED:
        data = {"data_base64": base64.b64encode(body).decode()}
    return msgspec.json.encode({**attributes, **data})


def _attribute(value: str) -> str:
    """A header's value: quoted as in RFC 9110, section 5.6.4, or not, then percent-encoded (section 3.1.3.2)."""
    text = value.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    return unquote(text)


def _checked(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The attributes that count, all of them texts. Raises EventRefusedError."""
    texts = {}
    for name in (*_REQUIRED, "time", "datacontenttype"):
        value = attributes.get(name)
        if isinstance(value, str) and value:
            texts[name] = value
        elif name in _REQUIRED or value not in (None, ""):
            missing = value is None or value == ""
            reason = Reason.MISSING_FIELD if missing else Reason.WRONG_TYPE
            raise EventRefusedError(reason, f"/{name}", f"{name} is a text.")
    for name, text in texts.items():
        if "\ufffd" in text:  # what undecodable bytes become: two such ids would be one
            raise EventRefusedError(Reason.INVALID_TEXT, f"/{name}", "Not valid UTF-8.")
    if texts["specversion"] != "1.0":
        raise EventRefusedError(Reason.INVALID_ENUM, "/specversion", "Version 1.0 is taken.")
    if texts["type"] not in TYPES:
        raise EventRefusedError(Reason.UNKNOWN_TYPE, "/type", f"One of {', '.join(TYPES)}.")
    if not _JSON.fullmatch(_stated(texts.get("datacontenttype"))):
        raise EventRefusedError(Reason.WRONG_TYPE, "/datacontenttype", "The data must be JSON.")
    if "time" in texts and parse_iso_8601(texts["time"]) is None:
        raise EventRefusedError(Reason.INVALID_TIMESTAMP, "/time", "Not a time of RFC 3339.")
    return texts


def _event_id(source: str, own: str) -> str:
    checked_id("id", own)
    if _UUID.fullmatch(own):
        return own
    both = f"{source}#{own}"
    if len(both) <= MAX_ID and both.isprintable():
        return both
    return "sha256:" + hashlib.sha256(both.encode()).hexdigest()[:32]


def _with_attributes(event: Incoming, texts: Mapping[str, str], event_id: str) -> Incoming:
    """The data with what they leave out. Raises EventRefusedError if they contradict the attributes."""
    kind = TYPES[texts["type"]]
    if event.type not in (None, kind):
        raise EventRefusedError(Reason.UNKNOWN_TYPE, "/data/type", f"The event's type says {kind}.")
    event.type = kind
    if getattr(event, _IDS[kind]) is None:
        setattr(event, _IDS[kind], event_id)
    return event
