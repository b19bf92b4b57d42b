"""What subscribers are sent: read once per epoch, however many they are."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class OncePerEpoch:
    """Remembers answers of the newest epoch only; readers who ask at the same time share one read."""

    def __init__(self) -> None:
        self._epoch: int | None = None
        self._answers: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, epoch: int, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """The answer to `key` at `epoch`, from `read` if nobody asked before. A failed read is not remembered."""
        if epoch != self._epoch:
            self._epoch, self._answers = epoch, {}
        task = self._answers.get(key)
        if task is None:
            task = self._answers[key] = asyncio.ensure_future(_run(read))
            task.add_done_callback(lambda done: self._forget_failed(key, done))
        shared: asyncio.Task[T] = task
        return await asyncio.shield(shared)  # one reader who leaves does not cancel the others' read

    def _forget_failed(self, key: Hashable, task: "asyncio.Task[Any]") -> None:
        if (task.cancelled() or task.exception() is not None) and self._answers.get(key) is task:
            del self._answers[key]


async def _run(read: Callable[[], Awaitable[T]]) -> T:
    return await read()
