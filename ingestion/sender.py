"""Who sent a request, as far as the network tells, and how much of that is kept.

The address is the peer's; `X-Forwarded-For` counts only where the peer is a trusted proxy, and only up to the first
hop that is not one, read from the right: what stands further left anybody could have written.
"""

import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import structlog

from ingestion.request import Scope

Keep = Literal["truncated", "hashed", "off"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SALT_BYTES: Final = 32
_HASH_CHARACTERS: Final = 32
_REMEMBERED: Final = 4096

_log = structlog.get_logger()


class Senders:
    """Addresses of senders. Made once per worker."""

    def __init__(self, keep: Keep, trusted_proxies: Sequence[Network], salt: bytes) -> None:
        self._keep = keep
        self._trusted = tuple(trusted_proxies)
        self._salt = salt
        self.kept = lru_cache(_REMEMBERED)(self._kept)
        """What the record header `client_ip` says of an address; None for nothing."""

    def of(self, scope: Scope) -> str:
        """The sender's address in its usual form; empty if the peer has none (a Unix socket)."""
        peer = scope.client.rpartition(":")[0].strip("[]")
        if not self._trusted or not self._is_trusted(peer):
            return peer
        hops = ",".join(scope.headers.get_all("x-forwarded-for")).split(",")
        for hop in reversed(hops):
            address = _parse(hop)
            if address is None:  # nothing to the left of it can be trusted either
                break
            peer = str(address)
            if not self._is_trusted(peer):
                break
        return peer

    def visitor(self, sender: str, user_agent: str, at_ms: int, source: str) -> str:
        """A visitor id for one day (UTC) without anything stored at the client: the same browser gets the same one.

        Only a keyed hash; with another day, source or installation it is another id.
        """
        day = datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
        return "anon-" + self._hash("visitor", day, source, sender, user_agent)[:22]

    def _is_trusted(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._trusted)

    def _kept(self, sender: str) -> bytes | None:
        address = _parse(sender)
        if address is None or self._keep == "off":
            return None
        if self._keep == "hashed":
            return self._hash("client_ip", str(address)).encode()
        prefix = 24 if address.version == 4 else 48
        return str(ipaddress.ip_network((address, prefix), strict=False).network_address).encode()

    def _hash(self, *parts: str) -> str:
        return hmac.new(self._salt, "\0".join(parts).encode(), hashlib.sha256).hexdigest()[:_HASH_CHARACTERS]


def _parse(stated: str) -> Address | None:
    """An address as peers and proxies write it: with port or without, IPv6 in brackets or not."""
    text = stated.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def read_salt(path: Path) -> bytes:
    """The installation's salt; made on first use, for the owner's eyes only. All workers and hosts need the same one.

    Where it can be neither read nor made, a salt for this process alone: hashes then change with every start.
    """
    try:
        if not path.exists():
            _make(path)
        salt = path.read_bytes()
        if len(salt) >= _SALT_BYTES:
            return salt
        reason = f"{len(salt)} bytes instead of {_SALT_BYTES}"
    except OSError as error:
        reason = error.strerror or str(error)
    _log.warning("salt_not_kept", path=str(path), reason=reason)
    return secrets.token_bytes(_SALT_BYTES)


def _make(path: Path) -> None:
    made = path.with_name(f".{path.name}.{os.getpid()}")
    made.touch(mode=0o600)
    made.write_bytes(secrets.token_bytes(_SALT_BYTES))
    with suppress(FileExistsError):  # another worker was first; a link appears whole or not at all
        os.link(made, path)
    made.unlink()
