"""The few questions the load side asks GraphQL."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import orjson
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from contracts.settings import NO_KEY, bearer


class GraphqlError(Exception):
    """GraphQL did not answer, or answered with errors; the message says which."""


class GraphqlClient:
    """Asks over one client's kept-alive connections, which its maker closes. An empty key is not sent."""

    def __init__(self, http: httpx.AsyncClient, url: str, read_key: SecretStr = NO_KEY) -> None:
        self._http, self._url, self._headers = http, url, bearer(read_key)

    async def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The `data` of an answer. Raises GraphqlError."""
        try:
            response = await self._http.post(
                self._url, json={"query": query, "variables": variables or {}}, headers=self._headers
            )
            body = response.json()
        except (httpx.TransportError, ValueError) as error:
            raise GraphqlError(f"{self._url}: {error!r}") from error
        if not isinstance(body, dict) or body.get("errors") or not isinstance(body.get("data"), dict):
            raise GraphqlError(f"{self._url} answered {response.status_code}: {str(body)[:300]}")
        data: dict[str, Any] = body["data"]
        return data

    async def epoch(self) -> int | None:
        """Number of the newest epoch, None before the first."""
        as_of = (await self.ask("{ asOf { epoch } }"))["asOf"]
        return None if as_of is None else int(as_of["epoch"])

    async def epochs(self) -> AsyncIterator[int]:
        """Epochs as they are pushed by a subscription. Raises GraphqlError when it ends."""
        url = self._url.replace("http", "ws", 1)
        protocols = [Subprotocol("graphql-transport-ws")]
        subscribe = {"id": "1", "type": "subscribe", "payload": {"query": "subscription { epochs { epoch } }"}}
        try:
            async with connect(url, subprotocols=protocols, additional_headers=self._headers, proxy=None) as socket:
                await socket.send('{"type":"connection_init"}')
                await socket.send(orjson.dumps(subscribe).decode())
                async for message in socket:
                    told = orjson.loads(message)
                    if told["type"] == "ping":
                        await socket.send('{"type":"pong"}')
                    elif told["type"] == "next" and told["payload"].get("data"):
                        yield int(told["payload"]["data"]["epochs"]["epoch"])
                    elif told["type"] in {"next", "error", "complete"}:
                        raise GraphqlError(f"{url} pushed {str(told)[:300]}")
        except (WebSocketException, OSError) as error:
            raise GraphqlError(f"{url}: {error!r}") from error
        raise GraphqlError(f"{url} ended the subscription")

    async def books(self) -> dict[str, Any] | None:
        """`close` and `residue`, None before the first epoch."""
        books: dict[str, Any] | None = (await self.ask("{ books { close residue } }"))["books"]
        return books

    async def visible_sessions(self, session_ids: list[str]) -> set[str]:
        """Which of these sessions an answer shows."""
        declared = ", ".join(f"$s{n}: String!" for n in range(len(session_ids)))
        fields = " ".join(
            f"s{n}: sessions(sessionId: $s{n}, first: 1) {{ edges {{ cursor }} }}" for n in range(len(session_ids))
        )
        variables = {f"s{n}": session_id for n, session_id in enumerate(session_ids)}
        data = await self.ask(f"query({declared}) {{ {fields} }}", variables)
        return {session_id for n, session_id in enumerate(session_ids) if data[f"s{n}"]["edges"]}
