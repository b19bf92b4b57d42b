"""The epoch in work while Spark reads the next one: a thread of its own, with one epoch under way and one in hand.

The ledger is the checkpoint (decision 1), so Spark may be told that a batch is done before it is: what a crash
takes with it is read again from where the ledger ends.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Handover:
    """Work is done in the order in which it was handed over, by one thread. After a failure nothing more is done."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="epochs")
        self._under_way: Future[None] | None = None
        self._putting = threading.Lock()

    def put(self, work: Callable[..., None], *arguments: Any) -> None:
        """Hand work over once the work before it is done. Raises what that failed with."""
        with self._putting:
            if self._under_way is not None:
                self._under_way.result()
            self._under_way = self._thread.submit(work, *arguments)

    @property
    def is_idle(self) -> bool:
        """Whether all that was handed over is done, be it with a failure."""
        return self._under_way is None or self._under_way.done()

    @property
    def failure(self) -> BaseException | None:
        """What the last work failed with, if it is done."""
        under_way = self._under_way
        return under_way.exception() if under_way is not None and under_way.done() else None

    def close(self) -> None:
        """Wait for the work under way. Its failure, if it has one, remains to be asked for."""
        self._thread.shutdown(wait=True)
