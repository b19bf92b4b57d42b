"""The head of a request, as the server gives it and as intake and adapters use it."""

from typing import Protocol

import msgspec


class Headers(Protocol):
    """Request headers, names in lower case. A value that is not ASCII is as good as absent (the server's doing)."""

    def get(self, key: str, default: None = None) -> str | None:
        """The first value of a header."""

    def get_all(self, key: str) -> list[str]:
        """All values of a header, in order."""

    def items(self) -> list[tuple[str, str]]:
        """All headers with their values."""


class Scope(Protocol):
    """The head of a request as RSGI gives it. The path is percent-decoded, the query string is not."""

    proto: str
    scheme: str
    method: str
    path: str
    query_string: str
    client: str
    """`address:port` of the peer, `[address]:port` for IPv6."""
    authority: str | None
    """HTTP/2's `:authority`; HTTP/1.1 has the header `host` instead."""
    headers: Headers


class Request(msgspec.Struct, frozen=True, gc=False):
    """What an adapter may read besides the body."""

    received_at_ms: int
    """The gateway's clock when the head arrived, epoch milliseconds."""
    scope: Scope
    sender: str
    """IP address of whoever sent it: the peer, or the one a trusted proxy names."""
