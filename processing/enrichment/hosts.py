"""Hosts of URLs that strangers sent: nothing here raises, fetches, or takes longer than the text is long."""

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

MAX_HOST_LENGTH: Final = 253
"""Characters of a host name at most, as in the DNS (RFC 1035, without the final dot)."""

_ORIGIN: Final = r"^\s*(?P<origin>(?i:https?|android-app)://[^/?#\\]*)"
_NAME: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_ADDRESS: Final = re.compile(r"\[[0-9a-f:.]+\]")
_PORT: Final = re.compile(r"[0-9]{0,5}")
_SAME_SITE_PREFIXES: Final = ("www.", "m.", "mobile.")


def origins(urls: pa.Array) -> pa.Array:
    """What stands before the path of each web or app URL, as written; null for anything else.

    A backslash ends a host as a slash does: so browsers read it (WHATWG URL).
    """
    return pc.struct_field(pc.extract_regex(urls, _ORIGIN), 0)


def host_of(origin: str) -> str | None:
    """Host of an origin: lower case, punycode, without user, port, final dot and leading `www.`; None if malformed."""
    authority = origin.partition("://")[2].rpartition("@")[2]
    if authority.startswith("["):
        address, bracket, port = authority.lower().partition("]")
        address += bracket
        return address if _ADDRESS.fullmatch(address) and _PORT.fullmatch(port.removeprefix(":")) else None
    name, _, port = authority.partition(":")
    if not _PORT.fullmatch(port) or len(name) > MAX_HOST_LENGTH + 1:
        return None
    return _normal(name)


def same_site(one: str, other: str) -> bool:
    """Whether two hosts are the same, but for `www.`, `m.` or `mobile.` in front."""
    return _bare(one) == _bare(other)


def related(one: str, other: str) -> bool:
    """Whether two hosts are the same site, or one lies below the other (checkout.shop.example, shop.example).

    Two hosts side by side are not: on a host of many shops they are strangers.
    """
    one, other = sorted((_bare(one), _bare(other)), key=len)
    return one == other or ("." in one and other.endswith(f".{one}"))


def _normal(name: str) -> str | None:
    name = name.removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    name = name.lower().removeprefix("www.")
    return name if len(name) <= MAX_HOST_LENGTH and _NAME.fullmatch(name) else None


def _bare(host: str) -> str:
    return next((host.removeprefix(prefix) for prefix in _SAME_SITE_PREFIXES if host.startswith(prefix)), host)
