"""Answers kept by `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request sent again is told the same.

Ids make repetitions harmless without this; what it adds is the first answer, verdicts included, and a warning about a
key that is used for something else. Each worker remembers its own answers, some megabytes of them and for some hours:
whoever meets another worker, or comes too late, has the request done again, and it counts once all the same.
"""

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from contracts.problems import Problem
from ingestion.answers import Answer
from ingestion.errors import RequestRefusedError

REPLAYED: Final = ("idempotency-replayed", "true")
_MAX_BYTES: Final = 16 * 1024 * 1024
_OVERHEAD_BYTES: Final = 512
_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"')
_BARE: Final = re.compile(r"[!#-\[\]-~]{1,255}")

Name = tuple[str, str]
"""Source and key: keys of different sources are different."""


class _Entry(msgspec.Struct):
    fingerprint: bytes
    begun_at: float
    answer: Answer | None = None
    """None while the request is under way."""


class Once:
    """The answers of one worker. `seconds` is how long they are kept."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[Name, _Entry] = OrderedDict()
        self._bytes = 0

    async def do(self, name: Name, request: bytes, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do the work and keep its answer, or give the answer that this request got before.

        Work that raises leaves nothing: the next request with its key is done anew. Raises what it raises, and
        RequestRefusedError: request_under_way, or key_reused for another request.
        """
        before = self._begin(name, hashlib.sha256(request).digest())
        if before is not None:
            return before
        try:
            answer = await work()
        except BaseException:
            self._drop(name)
            raise
        self._keep(name, answer)
        return answer

    def _begin(self, name: Name, fingerprint: bytes) -> Answer | None:
        entry = self._entries.get(name)
        if entry is not None and entry.answer is not None and self._clock() - entry.begun_at > self._seconds:
            self._drop(name)
            entry = None
        if entry is None:
            self._entries[name] = _Entry(fingerprint, self._clock())
            self._bytes += _OVERHEAD_BYTES
            return None
        if entry.fingerprint != fingerprint:
            raise RequestRefusedError(Problem.KEY_REUSED, "The first request with this Idempotency-Key was another.")
        if entry.answer is None:
            raise RequestRefusedError(Problem.REQUEST_UNDER_WAY, "The first request with this key has no answer yet.")
        passing = tuple(header for header in entry.answer.headers if not header[0].startswith("ratelimit"))
        return msgspec.structs.replace(entry.answer, headers=(*passing, REPLAYED))

    def _keep(self, name: Name, answer: Answer) -> None:
        self._entries[name].answer = answer
        self._bytes += len(answer.body)
        while self._bytes > _MAX_BYTES:
            oldest = next((old for old, entry in self._entries.items() if entry.answer is not None), None)
            if oldest is None:
                break
            self._drop(oldest)

    def _drop(self, name: Name) -> None:
        entry = self._entries.pop(name)
        self._bytes -= _OVERHEAD_BYTES + (len(entry.answer.body) if entry.answer is not None else 0)


def stated_key(header: str | None) -> str | None:
    """The key in the header: a structured field's string, or without quotes as many clients send it.

    Raises RequestRefusedError (bad_parameter).
    """
    if header is None:
        return None
    stated = header.strip()
    if quoted := _QUOTED.fullmatch(stated):
        return re.sub(r"\\(.)", r"\1", quoted[1])
    if _BARE.fullmatch(stated):
        return stated
    raise RequestRefusedError(Problem.BAD_PARAMETER, 'Idempotency-Key is a text in quotes, as in "8e03978e".')
