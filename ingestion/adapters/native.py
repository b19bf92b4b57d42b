"""Millrace's own protocol: `POST /v1/events` with JSON, NDJSON or Avro, one event or many."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from contracts.problems import Problem
from ingestion.answers import Answer, Verdict, problem, results
from ingestion.cors import Cors
from ingestion.decode_json import read_json, read_ndjson
from ingestion.decompress import Limits
from ingestion.errors import RequestRefusedError
from ingestion.events import Admit, Batch
from ingestion.framing import AvroReader
from ingestion.once import stated_key
from ingestion.request import Request
from ingestion.settings import GatewaySettings
from schemas_avro import Registry

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
AVRO: Final = "application/avro"
MEDIA_TYPES: Final = (JSON, NDJSON, AVRO)


class NativeAdapter:
    """Events in the shape of the schemas themselves."""

    routes: Mapping[str, Sequence[str]] = {"/v1/events": ("POST",)}
    names_key = False

    def __init__(self, settings: GatewaySettings, registry: Registry, cors: Cors) -> None:
        self.cors = cors
        self._avro = AvroReader(registry)
        self._max_events = settings.max_events
        self._max_event_bytes = settings.max_event_bytes
        self._limits = Limits(settings.max_decompressed_bytes, settings.max_compression_ratio)

    def media_type(self, content_type: str | None) -> str:
        """One of `MEDIA_TYPES`; parameters such as charset are ignored, since JSON is UTF-8."""
        stated = (content_type or "").partition(";")[0].strip().lower()
        if stated not in MEDIA_TYPES:
            raise RequestRefusedError(
                Problem.UNSUPPORTED_MEDIA_TYPE, f"Send {', '.join(MEDIA_TYPES)}.", (("accept", ", ".join(MEDIA_TYPES)),)
            )
        return stated

    def read(self, request: Request, media_type: str, body: bytes, _admit: Admit) -> Batch:
        """The events of a body."""
        once = stated_key(request.scope.headers.get("idempotency-key"))
        batch = self._read(media_type, body)
        return batch if once is None else replace(batch, once=once)

    def _read(self, media_type: str, body: bytes) -> Batch:
        if media_type == JSON:
            return read_json(body, self._max_events, self._max_event_bytes)
        if media_type == NDJSON:
            return read_ndjson(body, self._max_events, self._max_event_bytes)
        return self._avro.read(body, self._max_events, self._max_event_bytes, self._limits)

    def answer(self, verdicts: Sequence[Verdict], rejected: int) -> Answer:
        """A verdict per event, in the order of the events."""
        return results(verdicts, rejected)

    def problem(self, refused: RequestRefusedError, retry_after_seconds: int) -> Answer:
        """A problem document."""
        return problem(refused, retry_after_seconds)
