"""Refused events of other protocols, read by the protocols' own adapters as if they came alone.

What is kept of a refused event is the event, not its request: what a header or an envelope filled in (a browser's name,
a context for all) is not there any more. A visitor who was known by address alone cannot be known again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ingestion.adapters import Adapter, make_adapters
from ingestion.adapters.cloudevents import STRUCTURED
from ingestion.errors import EventRefusedError, RequestRefusedError
from ingestion.events import Incoming
from ingestion.request import Request
from ingestion.sender import Senders
from ingestion.settings import GatewaySettings
from schemas_avro import Registry
from stack.errors import NotReplayableError
from stack.patch_filters import to_json


@dataclass(frozen=True)
class _Door:
    """Where a protocol takes one event, and how."""

    path: str
    id_field: str
    body: str
    """`%s` is the event."""


_DOORS: Final = {
    "application/json; protocol=segment": _Door("/v1/batch", "messageId", '{"batch":[%s]}'),
    "application/json; protocol=posthog": _Door("/batch", "uuid", '{"batch":[%s]}'),
    "application/json; protocol=snowplow": _Door("/com.snowplowanalytics.snowplow/tp2", "eid", '{"data":[%s]}'),
    STRUCTURED: _Door("/cloudevents", "id", "%s"),
}
"""By the media type that is kept with the event."""


class _Headers(dict[str, str]):
    def get_all(self, key: str) -> list[str]:
        return [self[key]] if key in self else []


@dataclass
class _Scope:
    """The head of a request that brings an event again."""

    path: str
    headers: Any
    proto: str = "http"
    scheme: str = "http"
    method: str = "POST"
    query_string: str = ""
    client: str = ""
    authority: str | None = None


class _NobodysAddress(Senders):
    """Knows no address, so no visitor."""

    def __init__(self) -> None:
        super().__init__("off", (), b"")

    def visitor(self, *_: object) -> str:
        raise NotReplayableError("its visitor was known by the address it came from, which is not kept")


class Protocols:
    """The adapters of a gateway as it is set here. Made once per command."""

    def __init__(self, registry: Registry) -> None:
        adapters = make_adapters(GatewaySettings(), registry, _NobodysAddress())
        self._by_path: Mapping[str, Adapter] = {path: adapter for adapter in adapters for path in adapter.routes}

    @staticmethod
    def knows(media_type: str) -> bool:
        """Whether events of this kept media type can be read."""
        return media_type in _DOORS

    @staticmethod
    def with_id(media_type: str, event: dict[str, Any], event_id: str) -> dict[str, Any]:
        """The event, with this id where it has none."""
        field = _DOORS[media_type].id_field
        return event if event.get(field) else {**event, field: event_id}

    def events(self, media_type: str, event: dict[str, Any], received_at_ms: int) -> tuple[Incoming, ...]:
        """The events of ours that it is. Raises NotReplayableError."""
        door = _DOORS[media_type]
        headers = _Headers({"content-type": media_type.partition(";")[0], "authorization": "Bearer -"})
        request = Request(received_at_ms, _Scope(door.path, headers), "")
        body = (door.body % to_json(event).decode()).encode()
        try:
            (read,) = self._by_path[door.path].read(request, media_type, body, _admit).events
        except RequestRefusedError as refused:
            raise NotReplayableError(f"still {refused.problem}: {refused.detail}") from refused
        if isinstance(read, EventRefusedError):
            raise NotReplayableError(f"still {read.reason} {read.pointer}: {read.detail}")
        return read if isinstance(read, tuple) else (read,)


def _admit(_: str) -> None:
    """The key was valid when the event came."""
