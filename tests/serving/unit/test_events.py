"""Server-sent events, over ASGI: what is sent, when it ends, and that no stream writes over GET."""

import asyncio
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from pydantic import SecretStr

from contracts.settings import LogSettings, PostgresSettings, ShopSettings
from serving.app import Application, build_app
from serving.settings import ServingSettings
from tests.serving.unit.test_guarded import Write, keys

pytestmark = pytest.mark.unit
__all__ = ["keys"]


def application(**settings: Any) -> Application:
    nowhere = PostgresSettings(url=SecretStr("postgresql://127.0.0.1:1/none"))
    return build_app(ServingSettings(**settings), nowhere, ShopSettings(), LogSettings())


class Reader:
    """Reads one stream until it ends or leaves it."""

    def __init__(self, app: Application, query: str, method: str = "POST", key: str = "") -> None:
        self.status = 0
        self.body = b""
        self.reads = asyncio.Event()
        self.reads.set()
        self._heard = asyncio.Event()
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        members = {"query": query}
        scope = {
            "type": "http", "path": "/graphql", "method": method, "client": ("1.2.3.4", 5),
            "query_string": urlencode(members).encode() if method == "GET" else b"",
            "headers": [
                (b"accept", b"text/event-stream"), (b"content-type", b"application/json"),
                (b"authorization", f"Bearer {key}".encode()),
            ],
        }  # fmt: skip
        if method == "POST":
            self._messages.put_nowait({"type": "http.request", "body": orjson.dumps(members)})
        self.task = asyncio.create_task(app(scope, self._messages.get, self._send))

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        await self.reads.wait()
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")
        self._heard.set()

    async def until(self, part: bytes) -> None:
        async with asyncio.timeout(10):
            while part not in self.body:
                self._heard.clear()
                await self._heard.wait()

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def end(self) -> None:
        async with asyncio.timeout(10):
            await self.task


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_query_is_one_event_and_the_end(method: str) -> None:
    reader = Reader(application(), "{ __typename }", method)
    await reader.end()
    assert reader.status == 200
    assert reader.body == b'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata:\n\n'


async def test_what_can_not_run_is_told_in_the_stream() -> None:
    reader = Reader(application(), "{ nope }")
    await reader.end()
    told, end = reader.body.split(b"\n\n", 1)
    assert b"BAD_REQUEST" in told
    assert end == b"event: complete\ndata:\n\n"
    assert reader.status == 200


async def test_a_stream_does_not_write_over_get() -> None:
    reader = Reader(application(), "mutation { __typename }", "GET")
    await reader.end()
    assert reader.status == 405


async def test_a_quiet_stream_gives_a_sign_of_life_until_its_reader_leaves() -> None:
    reader = Reader(application(sign_of_life_seconds=0.01), "subscription { epochs { epoch } }")
    await reader.until(b":\n\n:\n\n")
    reader.leave()
    await reader.end()


async def test_a_quiet_stream_ends_with_its_key(keys: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.access._LOOK_EVERY_SECONDS", 0)
    app = application(sign_of_life_seconds=0.01, keys_file=keys(a=["analytics"]))
    reader = Reader(app, "subscription { epochs { epoch } }", key="a")
    await reader.until(b":\n\n")
    keys()
    await reader.end()
    *_, told, end, nothing = reader.body.split(b"\n\n")
    assert b"UNAUTHENTICATED" in told
    assert (end, nothing) == (b"event: complete\ndata:", b"")


async def test_a_stream_too_many_is_refused_until_another_one_ends() -> None:
    app = application(streams_per_client=1, sign_of_life_seconds=0.01)
    first = Reader(app, "subscription { epochs { epoch } }")
    await first.until(b":\n\n")
    second = Reader(app, "{ __typename }")
    await second.end()
    assert second.status == 429
    assert orjson.loads(second.body)["errors"][0]["extensions"]["code"] == "TOO_MANY_REQUESTS"
    first.leave()
    await first.end()
    third = Reader(app, "{ __typename }")
    await third.end()
    assert third.status == 200


async def test_who_does_not_read_is_let_go() -> None:
    settings = {"sign_of_life_seconds": 0.01, "slow_reader_seconds": 0.05}
    reader = Reader(application(**settings), "subscription { epochs { epoch } }")
    await reader.until(b":\n\n")
    reader.reads.clear()
    await reader.end()
