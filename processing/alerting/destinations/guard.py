"""Which addresses a notice may be posted to: public ones, unless a destination allows others.

A name is resolved once, every address it has is judged, and the connection goes to the address that was judged: what
the name resolves to a moment later does not matter.
"""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from processing.alerting.destinations.destination import NotDeliveredError, RefusedError


@dataclass(frozen=True)
class Target:
    """Where to connect, and as whom to ask there."""

    scheme: str
    host: str
    """As the URL has it: for the Host header and the certificate."""
    port: int
    address: str
    """To connect to."""


def resolve(url: str, *, allow_private: bool) -> Target:
    """The target of a URL.

    Raises RefusedError for what is no HTTP URL or leads to an address that is not public, NotDeliveredError when the
    name does not resolve at this moment. Neither message has the URL's path, which may be a secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RefusedError("the URL can not be read") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RefusedError("the URL is not http:// or https:// with a host")
    if parts.username or parts.password:
        raise RefusedError("the URL has a user or password in it")
    port = port or {"http": 80, "https": 443}[parts.scheme]
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDeliveredError(f"{parts.hostname} does not resolve") from error
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    if not allow_private and not all(is_public(address) for address in addresses):
        raise RefusedError(
            f"{parts.hostname} is no public address; `allow_private = true` allows it for this destination"
        )
    return Target(parts.scheme, parts.hostname, port, addresses[0])


def is_public(address: str) -> bool:
    """Whether the address is reachable from everywhere: no loopback, no private net, no metadata service."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if inner is not None:
            return is_public(str(inner))
        if parsed in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)))
    return parsed.is_global and not parsed.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
