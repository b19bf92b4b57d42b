"""Protocol adapters: one file each, registered in `make_adapters` and nowhere else.

An adapter says which paths it serves, turns a body into events and verdicts into an answer. Everything between (keys,
limits, validation, delivery, the topic `rejected`) is the same for all of them.
"""

from collections.abc import Sequence
from typing import Protocol

from ingestion.adapters.native import NativeAdapter
from ingestion.answers import Answer, Verdict
from ingestion.events import Batch
from ingestion.settings import GatewaySettings
from schemas_avro import Registry

__all__ = ["Adapter", "make_adapters"]


class Adapter(Protocol):
    """One way to send events. Stateless: one instance serves all requests."""

    @property
    def paths(self) -> Sequence[str]:
        """Paths this adapter takes POST requests on."""

    def media_type(self, content_type: str | None) -> str:
        """The supported media type of a request. Raises RequestRefusedError; called before the body is read."""

    def read(self, media_type: str, body: bytes) -> Batch:
        """The events of a decompressed body. Raises BodyUnreadableError or RequestRefusedError."""

    def answer(self, verdicts: Sequence[Verdict], rejected: int) -> Answer:
        """The answer once every event is acknowledged, whether accepted or kept in `rejected`."""


def make_adapters(settings: GatewaySettings, registry: Registry) -> tuple[Adapter, ...]:
    """All adapters there are."""
    return (NativeAdapter(settings, registry),)
