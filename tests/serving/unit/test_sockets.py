"""graphql-transport-ws as its protocol has it, message by message, over ASGI and without a database."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.settings import LogSettings, PostgresSettings, ShopSettings
from serving.app import Application, build_app
from serving.settings import ServingSettings
from tests.serving.unit.test_guarded import Write, keys

pytestmark = pytest.mark.unit
__all__ = ["keys"]

INIT: dict[str, Any] = {"type": "connection_init"}


class Peer:
    """The client's end of one socket."""

    def __init__(self, beside: "Peer | None" = None, **settings: Any) -> None:
        nowhere = PostgresSettings(url=SecretStr("postgresql://127.0.0.1:1/none"))
        new = build_app(ServingSettings(**settings), nowhere, ShopSettings(), LogSettings())
        self._app: Application = new if beside is None else beside._app
        self.to: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        self.closing = asyncio.Event()

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.close":
            self.closing.set()
        await self.reads.wait()
        self.sent.put_nowait(message)

    async def __aenter__(self) -> "Peer":
        scope = {
            "type": "websocket", "path": "/graphql", "headers": [(b"host", b"h")], "client": ("1.2.3.4", 5),
            "subprotocols": ["graphql-transport-ws"],
        }  # fmt: skip
        self.to.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(self._app(scope, self.to.get, self._send))  # type: ignore[arg-type]
        assert (await self.sent.get())["subprotocol"] == "graphql-transport-ws"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.to.put_nowait({"type": "websocket.disconnect", "code": 1000})
        async with asyncio.timeout(10):
            await self._task

    def say(self, *messages: object) -> None:
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            self.to.put_nowait({"type": "websocket.receive", "text": text})

    async def heard(self) -> dict[str, Any]:
        """The next message, or `{"close": code}`."""
        async with asyncio.timeout(10):
            message = await self.sent.get()
        if message["type"] == "websocket.close":
            return {"close": message["code"]}
        told: dict[str, Any] = json.loads(message["text"])
        return told


def subscribe(query: str, id_: object = "1") -> dict[str, Any]:
    return {"type": "subscribe", "id": id_, "payload": {"query": query}}


async def test_a_query_is_answered_once_and_completed() -> None:
    async with Peer() as peer:
        peer.say(INIT, {"type": "ping"}, {"type": "pong"}, subscribe("{ __typename }"), subscribe("{ nope }", "2"))
        assert [await peer.heard() for _ in range(2)] == [{"type": "connection_ack"}, {"type": "pong"}]
        told = [await peer.heard() for _ in range(3)]
        assert {"id": "1", "type": "next", "payload": {"data": {"__typename": "Query"}}} in told
        assert {"id": "1", "type": "complete"} in told
        (error,) = [message for message in told if message["type"] == "error"]
        assert (error["id"], error["payload"][0]["extensions"]["code"]) == ("2", "BAD_REQUEST")


WAITING = "subscription { epochs { epoch } }"


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["{"], 4400),
        (["[]"], 4400),
        ([{"type": "nope"}], 4400),
        ([{"type": "start"}], 4400),
        ([subscribe("{ __typename }")], 4401),
        ([INIT, INIT], 4429),
        ([INIT, subscribe(WAITING), subscribe(WAITING)], 4409),
        ([INIT, subscribe(WAITING, 7)], 4400),
        ([INIT, {"type": "subscribe", "id": "1", "payload": {"query": 5}}], 4400),
        ([INIT, *(subscribe(WAITING, f"{n}") for n in range(21))], 4400),
        (["x" * 300_000], 1009),
    ],
)
async def test_who_does_not_keep_to_the_protocol_is_told_by_a_code(messages: list[object], code: int) -> None:
    async with Peer() as peer:
        peer.say(*messages)
        while "close" not in (told := await peer.heard()):
            assert told["type"] == "connection_ack"
        assert told == {"close": code}


async def test_who_says_nothing_is_let_go() -> None:
    async with Peer(connection_init_seconds=0.05) as peer:
        assert await peer.heard() == {"close": 4408}


async def test_who_does_not_read_is_let_go() -> None:
    async with Peer(slow_reader_seconds=1) as peer:
        peer.say(INIT)
        await peer.heard()
        peer.reads.clear()
        peer.say(subscribe("{ __typename }"))
        await asyncio.wait_for(peer.closing.wait(), 10)
        peer.reads.set()
        assert await peer.heard() == {"close": 1013}


async def test_who_does_not_even_read_why_is_not_waited_for() -> None:
    async with Peer(slow_reader_seconds=0.05) as peer:
        peer.say(INIT)
        await peer.heard()
        peer.reads.clear()
        peer.say(subscribe("{ __typename }"))
        await asyncio.wait_for(peer.closing.wait(), 10)


async def test_who_answers_pings_stays_and_who_does_not_is_let_go() -> None:
    async with Peer(sign_of_life_seconds=0.5) as peer:
        peer.say(INIT)
        assert (await peer.heard())["type"] == "connection_ack"
        for _ in range(2):
            assert await peer.heard() == {"type": "ping"}
            peer.say({"type": "pong"})
        assert [await peer.heard() for _ in range(2)] == [{"type": "ping"}, {"close": 4408}]


async def test_a_silent_socket_ends_with_its_key(keys: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.access._LOOK_EVERY_SECONDS", 0)
    async with Peer(sign_of_life_seconds=0.2, keys_file=keys(numbers=["analytics"])) as peer:
        peer.say(INIT | {"payload": {"authorization": "Bearer numbers"}})
        assert (await peer.heard())["type"] == "connection_ack"
        keys()
        while (told := await peer.heard()) == {"type": "ping"}:
            peer.say({"type": "pong"})
        assert told == {"close": 4403}


async def test_a_socket_too_many_is_told_so_until_another_one_ends() -> None:
    async with Peer(streams_per_client=1) as first:
        first.say(INIT)
        assert (await first.heard())["type"] == "connection_ack"
        async with Peer(first) as second:
            second.say(INIT)
            assert await second.heard() == {"close": 4429}
    async with Peer(first) as third:
        third.say(INIT)
        assert (await third.heard())["type"] == "connection_ack"


async def test_a_completed_subscription_ends_and_its_name_is_free() -> None:
    async with Peer() as peer:
        peer.say(INIT, subscribe(WAITING), {"type": "complete", "id": "1"}, {"type": "complete", "id": "unknown"})
        peer.say(subscribe("{ __typename }"))
        told = [await peer.heard() for _ in range(3)]
        assert [message["type"] for message in told] == ["connection_ack", "next", "complete"]


async def test_a_key_comes_with_the_initialisation(keys: Write) -> None:
    path = keys(numbers=["analytics"])
    async with Peer(keys_file=path) as peer:
        peer.say(INIT)
        assert await peer.heard() == {"close": 4403}
    async with Peer(keys_file=path) as peer:
        peer.say(INIT | {"payload": {"authorization": "Bearer numbers"}}, subscribe("{ users { nodes { id } } }"))
        assert (await peer.heard())["type"] == "connection_ack"
        refused = await peer.heard()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "FORBIDDEN")
