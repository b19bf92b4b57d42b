"""What goes back to the client, as status, headers and bytes."""

import base64
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from contracts.problems import HANDLING
from ingestion.errors import EventRefusedError, RequestRefusedError

JSON: Final = ("content-type", "application/json")
PROBLEM: Final = ("content-type", "application/problem+json")
_BEARER: Final = 'Bearer realm="millrace"'
PROBLEM_TYPE: Final = "urn:millrace:problem:"


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class EventError(msgspec.Struct, frozen=True, gc=False):
    """Why an event was refused."""

    code: str
    message: str
    pointer: str


class Verdict(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The outcome of one event of a request."""

    index: int
    event_id: str | None
    status: Literal["accepted", "rejected"]
    error: EventError | None = None


class _Results(msgspec.Struct, frozen=True):
    accepted: int
    rejected: int
    results: Sequence[Verdict]


_GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""One transparent pixel."""
_NEVER_CACHED: Final = ("cache-control", "no-cache, no-store, must-revalidate")
_FROM_ANYWHERE: Final = ("cross-origin-resource-policy", "cross-origin")

_encode: Final = msgspec.json.Encoder().encode


def refusal(index: int, refused: EventRefusedError) -> Verdict:
    """The verdict on a refused event."""
    error = EventError(refused.reason.value, refused.detail, refused.pointer)
    return Verdict(index, refused.event_id, "rejected", error)


def results(verdicts: Sequence[Verdict], rejected: int) -> Answer:
    """All verdicts: 200 if every event was accepted, 422 if none, 207 if some."""
    accepted = len(verdicts) - rejected
    status = 200 if not rejected else 207 if accepted else 422
    return Answer(status, (JSON,), _encode(_Results(accepted, rejected, verdicts)))


def problem(refused: RequestRefusedError, retry_after_seconds: int) -> Answer:
    """A problem document (RFC 9457); `code` is stable, `type` is the same as a URN."""
    handling = HANDLING[refused.problem]
    code = refused.problem.value
    content = {
        "type": PROBLEM_TYPE + code,
        "title": handling.title,
        "status": handling.status,
        "detail": refused.detail,
        "code": code,
    }
    retries_here = handling.retry and all(name != "retry-after" for name, _ in refused.headers)
    retry = (("retry-after", str(retry_after_seconds)),) if retries_here else ()
    return Answer(handling.status, (PROBLEM, *refused.headers, *retry), _encode(content))


def problem_for_sdks(refused: RequestRefusedError, retry_after_seconds: int) -> Answer:
    """A problem document that analytics SDKs can read: `message` is what some insist on (analytics-python).

    The challenge leaves Basic out, or browsers would ask the visitor of a page for a password.
    """
    answer = problem(refused, retry_after_seconds)
    headers = tuple((name, _BEARER if name == "www-authenticate" else value) for name, value in answer.headers)
    content = {**msgspec.json.decode(answer.body), "message": refused.detail}
    return Answer(answer.status, headers, _encode(content))


def document(status: int, content: Any) -> Answer:
    """Any JSON document."""
    return Answer(status, (JSON,), _encode(content))


def pixel() -> Answer:
    """A picture nobody sees, for pages of any origin, fetched anew every time."""
    return Answer(200, (("content-type", "image/gif"), _NEVER_CACHED, _FROM_ANYWHERE), _GIF)
