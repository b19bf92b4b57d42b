"""One request to the gateway, and what its answer means for each event in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson
from pydantic import SecretStr

from contracts.rejections import Reason
from loadtest.client_log import Verdict

_JSON: Final = {"content-type": "application/json"}
_RETRY: Final = frozenset({408, 425, 429})


class RefusedError(Exception):
    """The gateway will not take anything from us (write key, scope, route). Retrying is useless; fix the call."""


@dataclass(frozen=True)
class EventVerdict:
    """About one event."""

    verdict: Verdict
    code: str | None = None


@dataclass(frozen=True)
class Answer:
    """About one request: a verdict per event, or `retry_after` seconds (None: no hint) and no verdicts."""

    status: int | None
    verdicts: Sequence[EventVerdict] = ()
    retry_after: float | None = None


class GatewayClient:
    """Posts events over one client's kept-alive connections, which its maker closes."""

    def __init__(self, http: httpx.AsyncClient, *, import_history: bool) -> None:
        self._http = http
        self._params = {"import": "true"} if import_history else {}
        self.imports = import_history

    async def post(self, bodies: Sequence[Any]) -> Answer:
        """Post events as one JSON array; a single `bytes` goes out as it is. Raises RefusedError."""
        raw = bodies[0] if len(bodies) == 1 and isinstance(bodies[0], bytes) else orjson.dumps(bodies)
        try:
            response = await self._http.post("/v1/events", content=raw, headers=_JSON, params=self._params)
        except httpx.TransportError:
            return Answer(None)
        return interpret(response.status_code, response.headers.get("retry-after"), response.content, len(bodies))


def http_client(url: str, write_key: SecretStr, *, timeout_seconds: float = 30) -> httpx.AsyncClient:
    """An HTTP client for the gateway at `url`. The key goes into a header and nowhere else."""
    key = write_key.get_secret_value()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout_seconds, trust_env=False)


def interpret(status: int, retry_after: str | None, content: bytes, count: int) -> Answer:
    """Read an answer to `count` events. Raises RefusedError where none of them was even looked at."""
    if status in _RETRY or status >= 500:
        return Answer(status, retry_after=_seconds(retry_after))
    body = _parsed(content)
    if status in {200, 207, 422} and isinstance(body, dict) and "results" in body:
        return Answer(status, _per_event(body["results"], count))
    if status == 400 and count == 1 and isinstance(body, dict) and body.get("code") == "malformed_body":
        # We send JSON only, so this is what the rejected record says.
        return Answer(status, [EventVerdict(Verdict.REJECTED, Reason.MALFORMED_JSON)])
    raise RefusedError(f"the gateway answered {status}: {content[:300].decode(errors='replace')}")


def _per_event(results: list[dict[str, Any]], count: int) -> list[EventVerdict]:
    verdicts = [EventVerdict(Verdict.UNKNOWN)] * count
    for result in results:
        error = result.get("error") or {}
        verdicts[result["index"]] = EventVerdict(Verdict(result["status"]), error.get("code"))
    return verdicts


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in its seconds form (RFC 9110, 10.2.3); a date form is taken as no hint."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else None
