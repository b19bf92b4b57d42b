"""A limit of time for what many requests wait for, with one timer for all of them.

`asyncio.timeout` makes and cancels a timer each time, which costs a tenth of all that a request with one event does.
"""

import asyncio
from collections.abc import Awaitable
from math import inf
from time import monotonic
from typing import Any, Final, TypeVar

T = TypeVar("T")

_LOOKS: Final = 4
"""How often per limit is looked for what has passed it: a wait may be so much of the limit longer."""
_OVER: Final = -inf


class Patience:
    """Waits of up to `seconds`, and up to a quarter longer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: dict[asyncio.Task[Any], float] = {}
        """When each wait that is under way is over; `_OVER` once it is."""
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, awaited: Awaitable[T]) -> T:
        """What is awaited. Raises TimeoutError when it is not there in time; it is cancelled then."""
        task = asyncio.current_task()
        assert task is not None
        self._ends[task] = monotonic() + self.seconds
        if self._timer is None:
            self._look_later()
        try:
            return await awaited
        except asyncio.CancelledError:
            if self._ends[task] != _OVER:  # somebody else's wish
                raise
            task.uncancel()
            raise TimeoutError from None
        finally:
            del self._ends[task]

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.seconds / _LOOKS, self._look)

    def _look(self) -> None:
        now = monotonic()
        for task, end in self._ends.items():
            if _OVER < end <= now:
                self._ends[task] = _OVER
                task.cancel()
        self._timer = None
        if self._ends:
            self._look_later()
