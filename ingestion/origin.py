"""Where the records of a request come from, as all of them say it in their headers."""

import re
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from contracts.problems import Problem
from contracts.topics import HEADER_CLIENT_IP, HEADER_IMPORT, HEADER_RECEIVED_AT, HEADER_SOURCE, HEADER_TRACEPARENT
from ingestion.errors import RequestRefusedError
from ingestion.kafka import Header

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Origin(msgspec.Struct, frozen=True, gc=False):
    """What every record of a request says about where it came from."""

    source: str
    received_at_ms: int
    imported: bool
    media_type: str
    traceparent: str | None
    client_ip: bytes | None
    secret: bytes
    """The write key where it may stand in the body: what is kept of refused events must not tell it."""
    grace: bool
    """Whether lenient faults are mended."""

    def headers(self) -> list[Header]:
        """The headers of every record of the request."""
        headers: list[Header] = [
            (HEADER_SOURCE, self.source.encode()),
            (HEADER_RECEIVED_AT, str(self.received_at_ms).encode()),
        ]
        if self.imported:
            headers.append((HEADER_IMPORT, b"1"))
        if self.client_ip is not None:
            headers.append((HEADER_CLIENT_IP, self.client_ip))
        if self.traceparent is not None:
            headers.append((HEADER_TRACEPARENT, self.traceparent.encode()))
        return headers


def wants_import(query: str) -> bool:
    """Whether the query says that these are old events to be loaded. Raises RequestRefusedError (bad_parameter)."""
    wanted = dict(parse_qsl(query, keep_blank_values=True)).get("import", "false") if query else "false"
    if wanted not in ("true", "false"):
        raise RequestRefusedError(Problem.BAD_PARAMETER, "import is true or false.")
    return wanted == "true"


def valid_traceparent(value: str | None) -> str | None:
    """The header if it is valid (W3C Trace Context, version 00 and later), else None: an invalid one is ignored."""
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None
