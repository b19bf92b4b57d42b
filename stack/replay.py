"""Repaired events sent again through the gateway's public door, and a record of those that were accepted.

An event keeps its id, and one without an id gets one made from the rejection's, so that sending it twice counts once
for as long as processing remembers ids. Beyond that, `replayed.jsonl` in the home remembers.

Events go as history (`?import=true`): that they are late is our doing. They go under the source they came from, with a
key that is made for it and revoked in the end, unless a key is given.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import httpx

from stack.errors import NotReplayableError, StackError
from stack.files import exclusive
from stack.keys import create_key, key_id, revoke_keys
from stack.layout import Layout
from stack.rejected import Record, Rejection, Rejections, Wanted
from stack.repair import Repaired, Repairer

_PAGE: Final = 200
_MAX_BODY_BYTES: Final = 1024 * 1024
_KEY_LIFE: Final = timedelta(hours=6)
_PATIENCE_SECONDS: Final = 60.0
_KEY_PATIENCE_SECONDS: Final = 10.0


class Outcome(StrEnum):
    """What became of a rejection."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """By the gateway, which has made another rejection of it."""
    REPAIRABLE = "repairable"
    """It would be accepted; a dry run sends nothing."""
    UNREPAIRED = "unrepaired"
    """It would be refused again, or cannot be read: nothing was sent."""
    ALREADY = "already replayed"


@dataclass(frozen=True)
class Result:
    """One rejection and its outcome."""

    rejection_id: str
    event_id: str | None
    outcome: Outcome
    detail: str = ""


class Gateway:
    """The gateway as a sender of several sources sees it."""

    def __init__(self, http: httpx.AsyncClient, layout: Layout, given_key: str | None) -> None:
        self._http = http
        self._layout = layout
        self._given_key = given_key
        self._made: dict[str, tuple[str, str]] = {}
        """Key and its id, by source."""

    @contextmanager
    def keys(self) -> Iterator[None]:
        """Revokes in the end what was made meanwhile."""
        try:
            yield
        finally:
            for _, made in self._made.values():
                revoke_keys(self._layout, made)

    async def send(self, source: str, repaired: Sequence[Repaired]) -> list[Result]:
        """Send events of one source and read the verdicts. Raises StackError where the gateway takes nothing."""
        contents = [content for done in repaired for content in done.contents]
        answer = await self._post(self._key(source), b"[" + b",".join(contents) + b"]")
        if answer.status_code not in (200, 207, 422):
            raise StackError(f"The gateway answered {answer.status_code}: {answer.text[:300]}")
        told = iter(answer.json()["results"])
        return [_read(done, [next(told) for _ in done.contents]) for done in repaired]

    def _key(self, source: str) -> str:
        if self._given_key:
            return self._given_key
        if source not in self._made:
            key, entry = create_key(self._layout, source, ["write", "import"], valid_for=_KEY_LIFE)
            self._made[source] = key, key_id(entry)
        return self._made[source][0]

    async def _post(self, key: str, body: bytes) -> httpx.Response:
        """Repeats what may be repeated: while workers have not seen the key yet, and when told to come again."""
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            try:
                answer = await self._http.post("/v1/events?import=true", content=body, headers=headers)
            except httpx.HTTPError as error:
                raise StackError(
                    f"The gateway does not answer ({type(error).__name__}); nothing more was sent."
                ) from error
            waited = loop.time() - started
            if answer.status_code == 401 and not self._given_key and waited < _KEY_PATIENCE_SECONDS:
                await asyncio.sleep(0.2)
            elif answer.status_code in (429, 503) and waited < _PATIENCE_SECONDS:
                await asyncio.sleep(int(answer.headers.get("retry-after", "1")))
            else:
                return answer


async def replay(
    rejections: Rejections, wanted: Wanted, repairer: Repairer, gateway: Gateway | None, layout: Layout, *, again: bool
) -> AsyncIterator[Result]:
    """Repair and send what is wanted, oldest first; without a gateway it is a dry run. Yields as it goes."""
    with exclusive(layout.home / "replay.lock"):
        record = Record(layout)
        last: Rejection | None = None
        until = datetime.now(UTC)
        while page := await rejections.page(wanted, _PAGE, last, oldest_first=True):
            last = page[-1]
            if page[0].received_at > until:
                return
            ready: list[Repaired] = []
            for rejection in page:
                if rejection.received_at > until:  # made since we began, perhaps by ourselves
                    continue
                try:
                    if rejection.rejection_id in record.ids and not again:
                        yield Result(rejection.rejection_id, rejection.event_id, Outcome.ALREADY)
                        continue
                    ready.append(repairer.repair(rejection))
                except NotReplayableError as error:
                    yield Result(rejection.rejection_id, rejection.event_id, Outcome.UNREPAIRED, str(error))
            for batch in _batches(ready):
                if gateway is None:
                    results = [Result(done.rejection_id, done.event_id, Outcome.REPAIRABLE) for done in batch]
                else:
                    results = await gateway.send(batch[0].source, batch)
                    taken = {told.rejection_id for told in results if told.outcome is Outcome.ACCEPTED}
                    record.add([(done.rejection_id, done.event_id) for done in batch if done.rejection_id in taken])
                for told in results:
                    yield told


def _batches(ready: Sequence[Repaired]) -> Iterator[list[Repaired]]:
    """Events of one source each, together no larger than a body should be."""
    for _, same in groupby(sorted(ready, key=attrgetter("source")), attrgetter("source")):
        batch: list[Repaired] = []
        size = 0
        for done in same:
            own = sum(map(len, done.contents))
            if batch and size + own > _MAX_BODY_BYTES:
                yield batch
                batch, size = [], 0
            batch.append(done)
            size += own
        yield batch


def _read(repaired: Repaired, verdicts: Sequence[dict[str, Any]]) -> Result:
    """The verdict on an event, from those on its parts."""
    errors = [told["error"] for told in verdicts if told["status"] != "accepted"]
    if not errors:
        return Result(repaired.rejection_id, verdicts[0]["event_id"], Outcome.ACCEPTED)
    detail = f"{errors[0]['code']} {errors[0]['pointer']}: {errors[0]['message']}"
    return Result(repaired.rejection_id, verdicts[0]["event_id"], Outcome.REFUSED, detail)
