"""Write keys as the gateway takes them. The comparison takes the same time for any key.

`contracts.keys` has what the file holds; `millrace keys` writes it, the gateway only reads it.
"""

import base64
import binascii
import hashlib
import hmac
import time
from math import inf
from pathlib import Path
from typing import Final

import msgspec

from contracts.keys import Key as WriteKey
from contracts.keys import WriteScope as Scope
from contracts.problems import Problem
from ingestion.errors import RequestRefusedError, StartRefusedError

_MAX_KEY_LENGTH: Final = 256
_CHALLENGE: Final = (("www-authenticate", 'Bearer realm="millrace", Basic realm="millrace"'),)


class KeyRing:
    """The valid keys. `reload` follows the file; a broken file leaves the last good keys in force."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0, 0)
        self._keys: list[tuple[bytes, float, WriteKey]] = []
        """Digest, end in epoch seconds, entry."""
        self.reload()

    def reload(self) -> bool:
        """Read the file if it changed; True if it did. Raises StartRefusedError if it cannot be used."""
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return False
            keys = msgspec.json.decode(self._path.read_bytes(), type=list[WriteKey])
            self._keys = [
                (bytes.fromhex(key.sha256), key.expires_at.timestamp() if key.expires_at else inf, key) for key in keys
            ]
        except FileNotFoundError as error:
            raise StartRefusedError(f"MILLRACE_GATEWAY_KEYS_FILE: {self._path} does not exist") from error
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise StartRefusedError(f"MILLRACE_GATEWAY_KEYS_FILE: {self._path}: {error}") from error
        self._stamp = stamp
        return True

    def authorize(self, authorization: str | None, scope: Scope) -> WriteKey:
        """The key of an `Authorization` header. Raises RequestRefusedError: unauthenticated, or forbidden."""
        return self.admit(presented_key(authorization), scope)

    def admit(self, presented: str, scope: Scope) -> WriteKey:
        """The entry of a key, wherever the protocol carries it. Raises RequestRefusedError as `authorize` does."""
        digest = hashlib.sha256(presented.encode(errors="surrogatepass")).digest()
        now = time.time()
        found = None
        for known, ends_at, key in self._keys:  # all of them, always: time tells nothing
            if hmac.compare_digest(known, digest) and now < ends_at:
                found = key
        if found is None or not presented:
            raise RequestRefusedError(
                Problem.UNAUTHENTICATED,
                "Send a write key as `Authorization: Bearer <key>` or as Basic user.",
                _CHALLENGE,
            )
        if scope not in found.scopes:
            raise RequestRefusedError(Problem.FORBIDDEN, f"This key lacks the scope {scope!r}.")
        return found


def presented_key(authorization: str | None) -> str:
    """The key in a header; empty if there is none. Basic: the key is the user, the password is ignored (RFC 7617)."""
    scheme, _, credentials = (authorization or "").partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "basic":
        try:
            credentials = base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, ValueError):
            return ""
    elif scheme.lower() != "bearer":
        return ""
    return credentials if len(credentials) <= _MAX_KEY_LENGTH else ""
