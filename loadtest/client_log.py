"""The client log: what was sent and what was answered, a JSON line per event and attempt.

It is the truth the audit and the oracle start from. An attempt without an answer (`verdict` unknown) may or may not
have reached the log; the retry that follows it says what became of the event.
"""

import base64
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson


class Verdict(StrEnum):
    """What the gateway said about one event."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    """No answer, or one that asks to try again."""


@dataclass(slots=True)
class Attempt:
    """One event in one request."""

    number: int
    """Counts attempts from 1."""
    request: int
    """Requests are counted from 1, too; the attempts of one batch share it."""
    retried_of: int | None
    """`number` of the attempt before, where this is a retry."""
    kind: str
    """A `loadtest.faults.Kind`."""
    fault: str
    """For an invalid event, in which way."""
    event_id: str
    event: Any
    """The event as sent; None where it was no JSON."""
    raw: str | None
    """The bytes in base64 where `event` is None."""
    sent_at_ms: int
    """Client's clock, epoch milliseconds."""
    imported: bool
    status: int | None = None
    """HTTP status; None without an answer."""
    verdict: str = Verdict.UNKNOWN
    code: str | None = None
    """Reason code of a rejection."""
    expected: str | None = None
    """Reason code that should come; None where the event should be accepted."""

    @property
    def as_expected(self) -> bool:
        """The verdict is the one due; an unknown one is neither right nor wrong."""
        if self.verdict == Verdict.UNKNOWN:
            return True
        due = Verdict.ACCEPTED if self.expected is None else Verdict.REJECTED
        return self.verdict == due and self.code == self.expected


class ClientLog:
    """Appends attempts to a file; without a path it forgets them."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("ab") if path else None

    def write(self, attempts: list[Attempt]) -> None:
        """Append, and hand to the operating system: a killed client has told all it knew."""
        if self._file:
            lines = (orjson.dumps(asdict(attempt), option=orjson.OPT_APPEND_NEWLINE) for attempt in attempts)
            self._file.write(b"".join(lines))
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()


def as_logged(body: Any) -> tuple[Any, str | None]:
    """`event` and `raw` of an attempt."""
    return (None, base64.b64encode(body).decode()) if isinstance(body, bytes) else (body, None)


_FIELDS = tuple(field.name for field in fields(Attempt))


def read_log(path: Path) -> Iterator[Attempt]:
    """All attempts of a file in the order of their answers. Raises ValueError for a line that is none."""
    with path.open("rb") as file:
        for line_number, line in enumerate(file, 1):
            try:
                values = orjson.loads(line)
                yield Attempt(**{name: values[name] for name in _FIELDS})
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(f"{path}, line {line_number} is no attempt: {error!r}") from error
