"""Answers kept as bytes for as long as the store says the same, and never longer.

An answer of one epoch is right until the next one, or until something else is notified as a change of what is stored
(an erasure, a rebuild, a drop of old minutes). So there is no time to live and nothing to guess; while the notices do
not come, nothing is kept. Requests that are equal and come at the same time are answered once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Final

from serving.execution import Answer, Outcome
from serving.feed import EpochFeed, State

Make = Callable[[], Awaitable[Answer]]
_OVERHEAD_BYTES: Final = 512


class Kept:
    """An answer that may be given again."""

    __slots__ = ("answer", "etag")

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        # Weak: two answers are the same if all but the commit that they are of is.
        self.etag = b'W/"' + blake2b(answer.content, digest_size=12).hexdigest().encode() + b'"'


class Answers:
    """The newest state's answers, by request; the oldest are forgotten where they would take more than `max_bytes`."""

    def __init__(self, feed: EpochFeed, max_bytes: int) -> None:
        self._feed = feed
        self._max_bytes = max_bytes
        self._state: State | None = None
        self._kept: dict[bytes, Kept] = {}
        self._bytes = 0
        self._under_way: dict[bytes, tuple[State | None, asyncio.Task[Kept]]] = {}
        self.hits = self.misses = self.shared = 0

    def get(self, key: bytes) -> Kept | None:
        """The answer to a request, if it is known and still right."""
        state = self._feed.state
        if state is not self._state:
            self._state = state
            self._kept, self._bytes = {}, 0
        found = self._kept.get(key)
        if found is not None:
            self.hits += 1
        return found

    async def answer(self, key: bytes, make: Make) -> Kept:
        """The answer to a request: the known one, the one that is under way, or a new one."""
        found = self.get(key)
        if found is not None:
            return found
        state = self._state
        begun, task = self._under_way.get(key, (None, None))
        if task is None or begun is not state:
            self.misses += 1
            task = asyncio.create_task(self._make(key, state, make))
            self._under_way[key] = (state, task)
            task.add_done_callback(lambda done: self._forget(key, done))
        else:
            self.shared += 1
        return await asyncio.shield(task)  # one client that leaves does not cancel the others' answer

    async def _make(self, key: bytes, state: State | None, make: Make) -> Kept:
        made = Kept(await make())
        epoch = made.answer.epoch
        if epoch is None or made.answer.outcome is not Outcome.DATA:
            return made
        self._feed.saw(epoch)
        # What has changed since it was begun may not be in it, unless the epoch says that it is.
        self.get(key)
        now = self._state
        if now is not None and now.epoch == epoch and (state is not None and now.changes == state.changes):
            self._keep(key, made)
        return made

    def _keep(self, key: bytes, made: Kept) -> None:
        size = len(made.answer.body) + _OVERHEAD_BYTES
        if size > self._max_bytes // 8:
            return
        while self._bytes + size > self._max_bytes:
            oldest = next(iter(self._kept))
            self._bytes -= len(self._kept.pop(oldest).answer.body) + _OVERHEAD_BYTES
        self._kept[key] = made
        self._bytes += size

    def _forget(self, key: bytes, done: "asyncio.Task[Kept]") -> None:
        if self._under_way.get(key, (None, None))[1] is done:
            del self._under_way[key]
        if not done.cancelled():
            done.exception()  # told to whoever waits
