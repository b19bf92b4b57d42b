"""The gateway in one process, from the head of a request to the records it becomes; only the network is left out."""

import asyncio
import hashlib
import io
import json
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import fastavro
from prometheus_client import CollectorRegistry

from contracts.metrics import GATEWAY, Instruments
from ingestion.adapters import make_adapters, make_pages
from ingestion.answers import Answer
from ingestion.http import Application
from ingestion.intake import Intake
from ingestion.keys import KeyRing
from ingestion.request import Headers
from ingestion.sender import Senders
from ingestion.settings import GatewaySettings
from ingestion.validate import Record, Rules, Validator
from schemas_avro import load_registry

KEY = "mr_" + "k" * 32
WRITE_ONLY_KEY = "mr_" + "w" * 32
WEEK_MS = 7 * 86_400_000


class Recorder:
    """Stands where the broker does: everything is acknowledged at once and can be looked at."""

    def __init__(self) -> None:
        self.unavailable: str | None = None
        self.sent: list[tuple[str, bytes | None, bytes, dict[str, Any]]] = []
        self.queued = 0

    async def deliver(self, records: Sequence[Record], headers: list[tuple[str, Any]]) -> None:
        assert records, "a delivery of nothing is never done"
        self.sent += [(record.topic, record.key, record.value, dict(headers)) for record in records]
        await asyncio.sleep(0)


class Head:
    """Request headers, names in lower case."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def get(self, key: str, default: None = None) -> str | None:
        return self._headers.get(key, default)

    def get_all(self, key: str) -> list[str]:
        return [self._headers[key]] if key in self._headers else []

    def items(self) -> list[tuple[str, str]]:
        return list(self._headers.items())


class Exchange:
    """A body, and what is answered."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.answer: Answer | None = None

    async def __call__(self) -> bytes:
        return self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answer = Answer(status, tuple(headers), body)


class Scope:
    """The head of a request."""

    proto = "http"
    scheme = "http"
    authority: str | None = None

    def __init__(self, method: str, target: str, headers: dict[str, str], client: str) -> None:
        self.method = method
        self.path, _, self.query_string = target.partition("?")
        self.headers: Headers = Head(
            {"host": "gateway.example", **{name.lower(): value for name, value in headers.items()}}
        )
        self.client = client


class Door:
    """A gateway; `settings` are those of the real one."""

    def __init__(self, home: Path, **settings: Any) -> None:
        keys = [
            {"source": source, "sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": scopes}
            for source, key, scopes in (("demo", KEY, ["write", "import"]), ("shop", WRITE_ONLY_KEY, ["write"]))
        ]
        (home / "keys.json").write_text(json.dumps(keys))
        self.settings = GatewaySettings(keys_file=home / "keys.json", workers=1, **settings)
        self.registry = load_registry()
        self.broker = Recorder()
        ring = KeyRing(self.settings.keys_file)
        senders = Senders(self.settings.client_ip, self.settings.trusted_proxies, b"s" * 32)
        prometheus = CollectorRegistry()
        instruments = Instruments(GATEWAY, prometheus)
        broker: Any = self.broker
        intake = Intake(
            settings=self.settings,
            registry=self.registry,
            keys=ring,
            senders=senders,
            validator=Validator(Rules("USD", 300_000, WEEK_MS), self.registry),
            broker=broker,
            instruments=instruments,
        )
        self.application = Application(
            adapters=make_adapters(self.settings, self.registry, senders),
            pages=make_pages(self.settings, ring),
            intake=intake,
            senders=senders,
            broker=broker,
            instruments=instruments,
            collect=lambda: prometheus,
            retry_after_seconds=2,
        )

    def send(
        self, method: str, target: str, body: Any = b"", *, client: str = "203.0.113.7:5000", **headers: str
    ) -> Answer:
        """Answer of a request; a body that is not bytes is sent as JSON, `_` in names of headers stands for `-`."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        exchange = Exchange(content)
        scope = Scope(method, target, {"content-length": str(len(content)), **sent}, client)
        asyncio.run(self.application.__rsgi__(scope, exchange))
        assert exchange.answer is not None
        return exchange.answer

    def records(self, topic: str) -> list[dict[str, Any]]:
        """The values of a topic's records so far."""
        return [self._value(value) for name, _, value, _ in self.broker.sent if name == topic]

    def _value(self, value: bytes) -> dict[str, Any]:
        schema = self.registry.by_id(int.from_bytes(value[1:5], "big"))
        assert schema is not None
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema.parsed, None)
        found: dict[str, Any] = record
        return found


def now_ms() -> int:
    return time.time_ns() // 1_000_000
