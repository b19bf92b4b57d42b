"""One POST to a guarded target: no redirects, no proxy of the environment, an answer read only so far."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import httpx

from processing.alerting.destinations.destination import NotDeliveredError, RefusedError
from processing.alerting.destinations.guard import resolve

_TIMEOUT_SECONDS: Final = 10.0
_ANSWER_BYTES: Final = 500
_TRY_AGAIN: Final = frozenset({408, 409, 425, 429})


def post(url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool) -> str:
    """Send a body; returns the beginning of the answer. Raises NotDeliveredError and RefusedError."""
    target = resolve(url, allow_private=allow_private)
    literal = f"[{target.address}]" if ":" in target.address else target.address
    parts = urlsplit(url)
    pinned = f"{target.scheme}://{literal}:{target.port}{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    host = parts.netloc.rpartition("@")[2]
    try:
        with (
            httpx.Client(timeout=_TIMEOUT_SECONDS, trust_env=False, follow_redirects=False) as client,
            client.stream(
                "POST",
                pinned,
                content=body,
                headers={"Host": host, "User-Agent": "millrace", **headers},
                extensions={"sni_hostname": target.host},
            ) as answer,
        ):
            text = _beginning(answer)
            status, after = answer.status_code, answer.headers.get("Retry-After")
    except httpx.HTTPError as error:
        raise NotDeliveredError(f"{target.host}: {type(error).__name__}") from error
    if 200 <= status < 300:
        return text
    if status in _TRY_AGAIN or status >= 500:
        raise NotDeliveredError(f"{target.host} answered {status}: {text}", _seconds(after))
    raise RefusedError(f"{target.host} answered {status}{': it redirects' if 300 <= status < 400 else f': {text}'}")


def _beginning(answer: httpx.Response) -> str:
    found = b""
    for chunk in answer.iter_bytes(_ANSWER_BYTES):
        found += chunk
        if len(found) >= _ANSWER_BYTES:
            break
    return found[:_ANSWER_BYTES].decode("utf-8", "replace")


def _seconds(after: str | None) -> float | None:
    """What Retry-After says: seconds or a date (RFC 9110, 10.2.3)."""
    if after is None:
        return None
    if after.isdecimal():
        return float(after)
    try:
        return max((parsedate_to_datetime(after) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
