"""Cross-origin requests (the Fetch standard's CORS protocol): which pages' scripts may send, and what they may read.

Nothing here protects the events: a write key does, and a page that may not read the answer can still send. Two
policies are enough for every browser SDK: write keys travel in header, body or query, never in cookies, so any origin
is let in without credentials; the Snowplow and PostHog trackers ask for credentials, which needs the origin by name.
"""

import re
from collections.abc import Iterable
from typing import Final

from ingestion.request import Headers

Pairs = tuple[tuple[str, str], ...]

_EXPOSED: Final = ("access-control-expose-headers", "RateLimit, RateLimit-Policy, Retry-After")
_BY_ORIGIN: Final = ("vary", "Origin")
_BY_PREFLIGHT: Final = ("vary", "Origin, Access-Control-Request-Headers")
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~ ,-]{1,2048}")
_USUAL_HEADERS: Final = "Authorization, Content-Encoding, Content-Type"
_MAX_AGE_SECONDS: Final = 3600


class Cors:
    """What a route says to pages of other origins. `origins` None: any."""

    def __init__(self, origins: frozenset[str] | None, *, credentials: bool = False) -> None:
        self._origins = origins
        self._credentials = credentials
        self._to_all: Pairs | None = None
        if origins is None and not credentials:
            self._to_all = (("access-control-allow-origin", "*"), _EXPOSED)

    def headers(self, request: Headers) -> Pairs:
        """What goes onto every answer, errors included: a script that cannot read a 503 cannot heed its Retry-After."""
        return self._to_all if self._to_all is not None else (_BY_ORIGIN, *self._granted(request))

    def preflight(self, request: Headers, methods: Iterable[str]) -> Pairs:
        """What answers an OPTIONS request: any header the page asks for is let in, since none is obeyed blindly."""
        granted = self._to_all or self._granted(request)
        if not granted:
            return (_BY_PREFLIGHT,)
        asked = request.get("access-control-request-headers")
        return (
            *granted,
            _BY_PREFLIGHT,
            ("access-control-allow-methods", ", ".join(methods)),
            (
                "access-control-allow-headers",
                asked if asked is not None and _HEADER_NAMES.fullmatch(asked) else _USUAL_HEADERS,
            ),
            ("access-control-max-age", str(_MAX_AGE_SECONDS)),
        )

    def _granted(self, request: Headers) -> Pairs:
        origin = request.get("origin")
        if origin is None or (self._origins is not None and origin not in self._origins):
            return ()
        allowed: Pairs = (("access-control-allow-origin", origin), _EXPOSED)
        return (*allowed, ("access-control-allow-credentials", "true")) if self._credentials else allowed
