"""Who may read what: keys with scopes, where a keys file is set; without one, whoever reaches the port may.

Sums over many people need `analytics`; single users and sessions, and payloads that were kept, need `personal`; what
changes something needs `admin`, and so does a look at what was asked for. An operation needs the scopes of everything
that it asks for.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

import msgspec
import structlog
from graphql import OperationType

from contracts.keys import READ_SCOPES, Key, ReadScope

_log = structlog.get_logger(__name__)
_LOOK_EVERY_SECONDS: Final = 1.0
_MAX_KEY_LENGTH: Final = 256
PERSONAL_ROOTS: Final = frozenset({"session", "sessions", "user", "users", "explain", "changes"})
ADMIN_ROOTS: Final = frozenset({"requests", "requestsConnection"})
PERSONAL_FIELDS: Final = frozenset(
    {"samples", "samplesConnection", "quarantineSamples", "quarantineSamplesConnection", "examples"}
)
"""Fields below any root that show what a single person sent or did; keys of rows that differ are ids of people, too."""


def scopes_of(kind: OperationType, roots: Iterable[str], below: frozenset[str]) -> frozenset[ReadScope]:
    """What an operation needs, by the names of its root fields and of all fields below them."""
    if kind is OperationType.MUTATION:
        return frozenset({"admin"})
    asked = {name for name in roots if not name.startswith("__")}
    needed: set[ReadScope] = set()
    if asked & PERSONAL_ROOTS or below & PERSONAL_FIELDS:
        needed.add("personal")
    if asked & ADMIN_ROOTS:
        needed.add("admin")
    if asked - PERSONAL_ROOTS - ADMIN_ROOTS:
        needed.add("analytics")
    return frozenset(needed)


class Denied(Exception):  # noqa: N818 - it reads as what it is
    """The client is nobody known (no `missing`), or its key lacks scopes."""

    def __init__(self, missing: frozenset[ReadScope] = frozenset()) -> None:
        if missing:
            super().__init__(f"This key lacks the scope {', '.join(sorted(missing))}.")
        else:
            super().__init__("Send a read key as `Authorization: Bearer <key>`; `millrace keys create` makes one.")
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the source of a key, or an address; and what they may."""

    name: str
    scopes: frozenset[ReadScope]

    def check(self, needed: frozenset[ReadScope]) -> None:
        """Raises Denied where a scope is missing."""
        if not needed <= self.scopes:
            raise Denied(needed - self.scopes)


Identify = Callable[[], Client]
"""Who a stream's client is by now: keys end, and are changed. Raises Denied once it is nobody known."""


class Access:
    """The keys in force. The file is read again when it changes; a broken one leaves the last good keys in force."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp = (0, 0, 0)
        self._looked_at = -inf
        self._keys: list[tuple[bytes, float, Key]] = []
        self._complaint = ""

    def client(self, authorization: str | None, address: str) -> Client:
        """Who sent this header from this address. Raises Denied without a key that is good."""
        if self._path is None:
            return Client(address, READ_SCOPES)
        self._reload(self._path)
        presented = _presented(authorization)
        digest, now, found = hashlib.sha256(presented.encode(errors="surrogatepass")).digest(), time.time(), None
        for known, ends_at, key in self._keys:  # all of them, always: time tells nothing
            if hmac.compare_digest(known, digest) and now < ends_at:
                found = key
        if found is None or not presented:
            raise Denied
        return Client(found.source, READ_SCOPES & found.scopes)

    def _reload(self, path: Path) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_SECONDS:
            return
        self._looked_at = now
        try:
            status = path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            keys = msgspec.json.decode(path.read_bytes(), type=list[Key])
            self._keys = [
                (bytes.fromhex(key.sha256), key.expires_at.timestamp() if key.expires_at else inf, key) for key in keys
            ]
            self._stamp, self._complaint = stamp, ""
        except (OSError, ValueError, msgspec.DecodeError) as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                _log.error("keys_not_loaded", path=str(path), reason=str(error))


def _presented(authorization: str | None) -> str:
    scheme, _, credentials = (authorization or "").partition(" ")
    credentials = credentials.strip()
    return credentials if scheme.lower() == "bearer" and len(credentials) <= _MAX_KEY_LENGTH else ""
