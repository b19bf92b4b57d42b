"""Why a whole request can be refused: the one table of problems, beside the one of reasons for single events.

The codes are stable and part of the API (`code` of a problem document, RFC 9457). `docs/rejections.md` has this table.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Problem(StrEnum):
    """Stable codes of whole-request errors."""

    MALFORMED_BODY = "malformed_body"
    EMPTY_BATCH = "empty_batch"
    BAD_PARAMETER = "bad_parameter"
    BAD_COMPRESSION = "bad_compression"
    BODY_INCOMPLETE = "body_incomplete"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TIMEOUT = "body_timeout"
    REQUEST_UNDER_WAY = "request_under_way"
    BODY_TOO_LARGE = "body_too_large"
    TOO_MANY_EVENTS = "too_many_events"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    KEY_REUSED = "key_reused"
    RATE_LIMITED = "rate_limited"
    BROKER_UNAVAILABLE = "broker_unavailable"
    OVERLOADED = "overloaded"
    BROKER_REFUSED = "broker_refused"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True)
class Handling:
    """How a problem is answered."""

    status: int
    title: str
    remedy: str
    retry: bool = False
    """Whether sending the same request again later can succeed; such answers carry `Retry-After`."""


_LATER: Final = "Send the same again after `Retry-After` seconds, with the same ids."
HANDLING: Final[dict[Problem, Handling]] = {
    Problem.MALFORMED_BODY: Handling(
        400, "The body cannot be read", "Fix the producer. The body is kept as one record in the topic `rejected`."
    ),
    Problem.EMPTY_BATCH: Handling(400, "The body holds no event", "Send at least one."),
    Problem.BAD_PARAMETER: Handling(400, "A parameter has no meaning", "See `/openapi.json`."),
    Problem.BAD_COMPRESSION: Handling(400, "The body does not decompress", "Send whole gzip members or zstd frames."),
    Problem.BODY_INCOMPLETE: Handling(400, "The body ended early", "Send it again; the connection was lost."),
    Problem.UNAUTHENTICATED: Handling(401, "A valid write key is needed", "Send one. Such bodies are not kept."),
    Problem.FORBIDDEN: Handling(403, "The write key does not allow this", "Use a key with the scope."),
    Problem.NOT_FOUND: Handling(404, "There is nothing here", "See `/openapi.json`."),
    Problem.METHOD_NOT_ALLOWED: Handling(405, "The method is not allowed here", "Use one that `Allow` names."),
    Problem.BODY_TIMEOUT: Handling(408, "The body did not arrive in time", "Send faster than `read_timeout_seconds`."),
    Problem.REQUEST_UNDER_WAY: Handling(409, "A request with this key is under way", _LATER, retry=True),
    Problem.BODY_TOO_LARGE: Handling(413, "The body is too large", "Send smaller batches."),
    Problem.TOO_MANY_EVENTS: Handling(413, "The body holds too many events", "Send smaller batches."),
    Problem.UNSUPPORTED_MEDIA_TYPE: Handling(415, "The media type is not supported", "Send one that `Accept` names."),
    Problem.UNSUPPORTED_ENCODING: Handling(
        415, "The content encoding is not supported", "Use gzip or zstd, one at a time."
    ),
    Problem.KEY_REUSED: Handling(
        422, "The idempotency key belongs to another request", "Make a new key for every request that differs."
    ),
    Problem.RATE_LIMITED: Handling(429, "The source sends more than it may", _LATER, retry=True),
    Problem.BROKER_UNAVAILABLE: Handling(503, "The event log is not reachable", _LATER, retry=True),
    Problem.OVERLOADED: Handling(503, "Too much is under way", _LATER, retry=True),
    Problem.BROKER_REFUSED: Handling(
        500, "The event log refused the events for good", "Nothing; the gateway's log says why."
    ),
    Problem.INTERNAL_ERROR: Handling(500, "A fault of the gateway", "Nothing; the gateway's log says what."),
}
