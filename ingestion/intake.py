"""One request from its head to its answer: key, body, events, verdicts, delivery.

The answer is given after the broker has acknowledged every record the request became, the refused ones included.
"""

import asyncio
import uuid
from functools import cache, partial
from typing import Final

import msgspec

from contracts.keys import Key as WriteKey
from contracts.metrics import Instruments
from contracts.problems import Problem
from contracts.rejections import Reason
from contracts.topics import REJECTED
from ingestion.adapters import Adapter
from ingestion.adapters.native import JSON, NDJSON
from ingestion.answers import Answer, Verdict, refusal
from ingestion.body import BodySource, Budget, read_body
from ingestion.decompress import Limits, decompress
from ingestion.encode import make_encoder
from ingestion.errors import BodyUnreadableError, EventRefusedError, RequestRefusedError
from ingestion.events import Batch, Event, Incoming
from ingestion.grace import Grace, Mended
from ingestion.kafka import Broker
from ingestion.keys import KeyRing, presented_key
from ingestion.once import Once
from ingestion.origin import Origin, valid_traceparent, wants_import
from ingestion.patience import Patience
from ingestion.rate_limit import RateLimiter
from ingestion.request import Request
from ingestion.sender import Senders
from ingestion.settings import GatewaySettings
from ingestion.validate import Record, Validator, id_of
from schemas_avro import Registry

_MASK: Final = b"[write key]"
_YIELD_EVERY: Final = 500
"""Events validated before other requests get their turn."""


class Intake:
    """Takes requests of any adapter. Made once per worker."""

    def __init__(
        self,
        *,
        settings: GatewaySettings,
        registry: Registry,
        keys: KeyRing,
        senders: Senders,
        validator: Validator,
        broker: Broker,
        instruments: Instruments,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._senders = senders
        self._validator = validator
        self._grace = Grace(validator)
        self._broker = broker
        self._encode_rejected = make_encoder(registry.latest("rejected"))
        self._limits = Limits(settings.max_decompressed_bytes, settings.max_compression_ratio)
        self.budget = Budget(settings.max_buffered_bytes)
        self._patience = Patience(settings.read_timeout_seconds)
        self._once = Once(settings.idempotency_hours * 3600)
        self._rate_limiter = RateLimiter(
            1 / settings.workers, instruments.counter("millrace_gateway_rate_limited_requests_total")
        )
        self._accepted = cache(instruments.counter("millrace_gateway_accepted_events_total").labels)
        self._rejected = instruments.counter("millrace_gateway_rejected_events_total")
        self._mended = instruments.counter("millrace_gateway_mended_events_total")
        self._body_bytes = instruments.counter("millrace_gateway_body_bytes_total")

    async def take(self, adapter: Adapter, request: Request, source: BodySource) -> Answer:
        """Answer one request. Raises RequestRefusedError where nothing of it was accepted."""
        header = request.scope.headers.get
        imported = wants_import(request.scope.query_string)
        presented = presented_key(header("authorization"))
        key = None
        if presented or not adapter.names_key:
            key = self._admit(presented, imported)
        media_type = adapter.media_type(header("content-type"))
        if self._broker.unavailable is not None:
            raise RequestRefusedError(Problem.BROKER_UNAVAILABLE, f"Not now: {self._broker.unavailable}.")
        sent = await read_body(
            source,
            header("content-length"),
            self._settings.max_body_bytes,
            self._patience,
            self.budget,
        )
        self._body_bytes.inc(len(sent))
        try:
            coding = (header("content-encoding") or "identity").strip().lower()
            body = sent if coding == "identity" else decompress(coding, sent, self._limits)

            def admit(named: str) -> None:
                nonlocal key, presented
                if key is None:
                    key, presented = self._admit(named, imported), named

            try:
                batch = adapter.read(request, media_type, body, admit)
            except BodyUnreadableError as unreadable:
                if key is not None:
                    self._rate_limiter.take(key, 1)
                    origin = self._origin(adapter, request, key, presented, imported=imported, media_type=media_type)
                    await self._keep_body(body, unreadable, origin)
                raise
            assert key is not None
            if batch.historical and not imported:
                self._keys.admit(presented, "import")
                imported = True
            origin = self._origin(adapter, request, key, presented, imported=imported, media_type=media_type)
            if batch.anonymous:
                origin = msgspec.structs.replace(origin, client_ip=None)
            work = partial(self._pay_and_deliver, adapter, batch, key, origin)
            if batch.once is None:
                return await work()
            request_bytes = b"%b;%d;%b" % (media_type.encode(), imported, body)
            return await self._once.do((key.source, batch.once), request_bytes, work)
        finally:
            self.budget.release(len(sent))

    async def _pay_and_deliver(self, adapter: Adapter, batch: Batch, key: WriteKey, origin: Origin) -> Answer:
        limits = self._rate_limiter.take(key, len(batch.events))
        answer = await self._deliver(adapter, batch, origin)
        return msgspec.structs.replace(answer, headers=(*answer.headers, *limits)) if limits else answer

    def _admit(self, presented: str, imported: bool) -> WriteKey:
        key = self._keys.admit(presented, "write")
        if imported:
            self._keys.admit(presented, "import")
        self._rate_limiter.check(key)
        return key

    def _origin(
        self, adapter: Adapter, request: Request, key: WriteKey, presented: str, *, imported: bool, media_type: str
    ) -> Origin:
        return Origin(
            key.source,
            request.received_at_ms,
            imported,
            media_type,
            valid_traceparent(request.scope.headers.get("traceparent")),
            self._senders.kept(request.sender),
            presented.encode(errors="surrogatepass") if adapter.names_key else b"",
            key.grace,
        )

    async def _deliver(self, adapter: Adapter, batch: Batch, origin: Origin) -> Answer:
        records: list[Record] = []
        verdicts: list[Verdict] = []
        reasons: list[Reason] = []
        faults: list[Reason] = []
        for index, event in enumerate(batch.events):
            try:
                if isinstance(event, Incoming):
                    record = self._validator.check(event, origin.received_at_ms, imported=origin.imported)
                    records.append(record)
                    verdicts.append(Verdict(index, record.event_id, "accepted"))
                else:
                    parts = self._check_parts(index, event, batch, origin)
                    records += parts
                    verdicts.append(Verdict(index, parts[0].event_id, "accepted"))
            except EventRefusedError as refused:
                if refused.event_id is None and isinstance(event, Incoming):
                    refused.event_id = id_of(event)
                if origin.grace and (mended := self._mend(index, event, refused, batch, origin)) is not None:
                    records.append(mended.record)
                    verdicts.append(Verdict(index, mended.record.event_id, "accepted"))
                    faults += mended.reasons
                    continue
                schema_id = batch.schema_ids[index] if batch.schema_ids else None
                records.append(self._rejected_record(refused, batch.raw(index), schema_id, origin))
                verdicts.append(refusal(index, refused))
                reasons.append(refused.reason)
            if index % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
        await self._send(records, origin)
        self._count(records, reasons, origin.source)
        for fault in faults:
            self._mended.labels(origin.source, fault.value).inc()
        return adapter.answer(verdicts, len(reasons))

    def _mend(
        self, index: int, event: Event, refused: EventRefusedError, batch: Batch, origin: Origin
    ) -> Mended | None:
        """The event as grace mode takes it, or None if it stays refused."""
        if isinstance(event, tuple):
            return None
        raw = partial(batch.raw, index) if origin.media_type in (JSON, NDJSON) else None
        return self._grace.mend(event, refused, raw, origin.received_at_ms, imported=origin.imported)

    def _check_parts(
        self, index: int, event: tuple[Incoming, ...] | EventRefusedError, batch: Batch, origin: Origin
    ) -> list[Record]:
        """The records of an event that is several; refused by the place in the client's own event."""
        if isinstance(event, EventRefusedError):
            raise event
        records = []
        for place, part in enumerate(event):
            try:
                records.append(self._validator.check(part, origin.received_at_ms, imported=origin.imported))
            except EventRefusedError as refused:
                refused.event_id = id_of(event[0])
                if batch.pointer is not None:
                    refused.pointer = batch.pointer(index, place, refused.pointer) or refused.pointer
                raise
        return records

    async def _keep_body(self, body: bytes, unreadable: BodyUnreadableError, origin: Origin) -> None:
        refused = EventRefusedError(unreadable.reason, "", unreadable.detail)
        await self._send([self._rejected_record(refused, body, unreadable.schema_id, origin)], origin)
        self._rejected.labels(origin.source, refused.reason.value).inc()

    async def _send(self, records: list[Record], origin: Origin) -> None:
        if records:  # some protocols allow a batch without events
            await self._broker.deliver(records, origin.headers())

    def _rejected_record(self, refused: EventRefusedError, raw: bytes, schema_id: int | None, origin: Origin) -> Record:
        limit = self._settings.max_rejected_bytes
        if origin.secret:
            raw = raw.replace(origin.secret, _MASK)
        value = self._encode_rejected(
            str(uuid.uuid4()),
            origin.received_at_ms,
            origin.source,
            refused.reason.value,
            refused.pointer,
            refused.detail,
            origin.media_type,
            schema_id,
            refused.event_id,
            origin.traceparent,
            raw[:limit],
            len(raw) > limit,
        )
        return Record(REJECTED.name, None, value, "")

    def _count(self, records: list[Record], reasons: list[Reason], source: str) -> None:
        topics: dict[str, int] = {}
        for record in records:
            topics[record.topic] = topics.get(record.topic, 0) + 1
        for topic, count in topics.items():
            if topic != REJECTED.name:
                self._accepted(source, topic).inc(count)
        for reason in reasons:
            self._rejected.labels(source, reason.value).inc()
