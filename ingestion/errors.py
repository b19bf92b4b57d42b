"""What can go wrong, sorted by what the reader must do.

    GatewayError
    ├── EventRefusedError       one event is bad: a verdict, and a record in the topic `rejected`
    ├── RequestRefusedError     the whole request is answered with a problem (RFC 9457)
    │   └── BodyUnreadableError     … because its events cannot be told apart; the body is kept in `rejected`
    └── StartRefusedError       the gateway cannot run like this: settings, keys, port

One table turns a problem into status, title, log level and retry hint, so that they cannot drift apart.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contracts.rejections import Reason


class GatewayError(Exception):
    """Root of this package's errors."""


class EventRefusedError(GatewayError):
    """One event is not acceptable."""

    def __init__(self, reason: Reason, pointer: str, detail: str, event_id: str | None = None) -> None:
        super().__init__(reason, pointer, detail)
        self.reason = reason
        self.pointer = pointer
        """JSON Pointer (RFC 6901) within the event; empty for the whole event."""
        self.detail = detail
        self.event_id = event_id
        """Where it could be read."""


class Problem(StrEnum):
    """Stable codes of whole-request errors."""

    MALFORMED_BODY = "malformed_body"
    EMPTY_BATCH = "empty_batch"
    BAD_PARAMETER = "bad_parameter"
    BAD_COMPRESSION = "bad_compression"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TIMEOUT = "body_timeout"
    BODY_TOO_LARGE = "body_too_large"
    TOO_MANY_EVENTS = "too_many_events"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    RATE_LIMITED = "rate_limited"
    BROKER_UNAVAILABLE = "broker_unavailable"
    OVERLOADED = "overloaded"
    SHUTTING_DOWN = "shutting_down"
    BROKER_REFUSED = "broker_refused"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True)
class Handling:
    """How a problem is answered and logged."""

    status: int
    title: str
    log_level: str
    retry: bool = False
    """Whether sending the same request again later can succeed; such answers carry `Retry-After`."""


# What a client caused, or the broker's state (logged once per change), is counted and not logged per request.
HANDLING: Final[dict[Problem, Handling]] = {
    Problem.MALFORMED_BODY: Handling(400, "The body cannot be read", "debug"),
    Problem.EMPTY_BATCH: Handling(400, "The body holds no event", "debug"),
    Problem.BAD_PARAMETER: Handling(400, "A query parameter has no meaning", "debug"),
    Problem.BAD_COMPRESSION: Handling(400, "The body does not decompress", "debug"),
    Problem.UNAUTHENTICATED: Handling(401, "A valid write key is needed", "debug"),
    Problem.FORBIDDEN: Handling(403, "The write key does not allow this", "debug"),
    Problem.NOT_FOUND: Handling(404, "There is nothing here", "debug"),
    Problem.METHOD_NOT_ALLOWED: Handling(405, "The method is not allowed here", "debug"),
    Problem.BODY_TIMEOUT: Handling(408, "The body did not arrive in time", "debug"),
    Problem.BODY_TOO_LARGE: Handling(413, "The body is too large", "debug"),
    Problem.TOO_MANY_EVENTS: Handling(413, "The body holds too many events", "debug"),
    Problem.UNSUPPORTED_MEDIA_TYPE: Handling(415, "The media type is not supported", "debug"),
    Problem.UNSUPPORTED_ENCODING: Handling(415, "The content encoding is not supported", "debug"),
    Problem.RATE_LIMITED: Handling(429, "The source sends more than it may", "debug", retry=True),
    Problem.BROKER_UNAVAILABLE: Handling(503, "The event log is not reachable", "debug", retry=True),
    Problem.OVERLOADED: Handling(503, "Too much is under way", "debug", retry=True),
    Problem.SHUTTING_DOWN: Handling(503, "The gateway is shutting down", "debug", retry=True),
    Problem.BROKER_REFUSED: Handling(500, "The event log refused the events for good", "error"),
    Problem.INTERNAL_ERROR: Handling(500, "A fault of the gateway", "error"),
}


class RequestRefusedError(GatewayError):
    """The whole request is answered with a problem; nothing of it was accepted."""

    def __init__(self, problem: Problem, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(problem, detail)
        self.problem = problem
        self.detail = detail
        self.headers = headers


class BodyUnreadableError(RequestRefusedError):
    """The events of the body cannot be told apart. Where the key was valid, the body is kept as one rejected record."""

    def __init__(self, reason: Reason, detail: str, schema_id: int | None = None) -> None:
        super().__init__(Problem.MALFORMED_BODY, detail)
        self.reason = reason
        self.schema_id = schema_id


class StartRefusedError(GatewayError):
    """The gateway would run half-dead; the message says which setting to change."""
