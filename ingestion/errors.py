"""What can go wrong, sorted by what the reader must do.

    GatewayError
    ├── EventRefusedError       one event is bad: a verdict, and a record in the topic `rejected`
    ├── RequestRefusedError     the whole request is answered with a problem (RFC 9457)
    │   └── BodyUnreadableError     … because its events cannot be told apart; the body is kept in `rejected`
    └── StartRefusedError       the gateway cannot run like this: settings, keys, port

What a reason or a problem means, its status and whether to try again: `contracts.rejections`, `contracts.problems`.
"""

from contracts.problems import Problem
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
