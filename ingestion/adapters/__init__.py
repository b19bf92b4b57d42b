"""Protocol adapters: one file each, registered in `make_adapters` and nowhere else.

An adapter says which paths it serves, turns a body into events and verdicts into an answer. Everything between (keys,
limits, validation, delivery, the topic `rejected`) is the same for all of them.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ingestion.adapters.cloudevents import CloudEventsAdapter
from ingestion.adapters.native import NativeAdapter
from ingestion.adapters.pixel import PixelAdapter
from ingestion.adapters.posthog import PosthogAdapter, PosthogV1Adapter
from ingestion.adapters.segment import SegmentAdapter
from ingestion.adapters.segment_pages import SegmentPages
from ingestion.adapters.snowplow import SnowplowAdapter, SnowplowPixel
from ingestion.answers import Answer, Verdict
from ingestion.cors import Cors
from ingestion.errors import RequestRefusedError
from ingestion.events import Admit, Batch
from ingestion.keys import KeyRing
from ingestion.request import Request
from ingestion.routes import Route
from ingestion.sender import Senders
from ingestion.settings import GatewaySettings
from schemas_avro import Registry

__all__ = ["Adapter", "make_adapters", "make_pages"]


class Adapter(Protocol):
    """One way to send events. Stateless: one instance serves all requests."""

    @property
    def routes(self) -> Mapping[str, Sequence[str]]:
        """Paths, and the methods that carry events on them."""

    @property
    def cors(self) -> Cors:
        """What pages of other origins may do here."""

    @property
    def names_key(self) -> bool:
        """Whether body or query may name the write key: without `Authorization` the body is then read first."""

    def media_type(self, content_type: str | None) -> str:
        """The supported media type of a request. Raises RequestRefusedError; called before the body is read.

        It is kept with refused events; a protocol of its own adds its name as the parameter `protocol`.
        """

    def read(self, request: Request, media_type: str, body: bytes, admit: Admit) -> Batch:
        """The events of a decompressed body. Raises BodyUnreadableError or RequestRefusedError.

        Where body or query may name the write key, `admit` gets it before the events are looked at.
        """

    def answer(self, verdicts: Sequence[Verdict], rejected: int) -> Answer:
        """The answer once every event is acknowledged, whether accepted or kept in `rejected`."""

    def problem(self, refused: RequestRefusedError, retry_after_seconds: int) -> Answer:
        """The answer to a request that is refused as a whole."""


def make_adapters(settings: GatewaySettings, registry: Registry, senders: Senders) -> tuple[Adapter, ...]:
    """All adapters there are."""
    public = Cors(settings.origins)
    return (
        NativeAdapter(settings, registry, public),
        SegmentAdapter(settings, public),
        CloudEventsAdapter(settings),
        SnowplowAdapter(settings, senders),
        SnowplowPixel(settings, senders),
        PixelAdapter(public, senders),
        PosthogAdapter(settings),
        PosthogV1Adapter(settings),
    )


def make_pages(settings: GatewaySettings, keys: KeyRing) -> tuple[Route, ...]:
    """What the protocols' clients ask for besides sending events."""
    return SegmentPages(settings, keys, Cors(settings.origins)).routes()
