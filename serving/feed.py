"""News of epochs: one listening connection for the process, any number of readers.

A reader always gets the newest epoch and never a queue: one that is slow misses the epochs in between, which costs it
nothing, since every answer is the whole state. A notice can be lost with its connection, so each time the feed
connects, and every few seconds, it also reads the newest epoch.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import asyncpg
import structlog

from contracts.tables import ALERTS, CHANGED, NOTIFY_CHANNEL

_log = structlog.get_logger(__name__)
_NEWEST = "SELECT max(epoch) FROM epochs"
_MAX_WAIT_SECONDS = 10.0


class State(NamedTuple):
    """What the store says, as far as we have heard: as long as this is the same, so is every answer."""

    epoch: int
    changes: int
    """Changes outside of epochs, and connections lost, since the feed began."""


class EpochFeed:
    """The newest committed epoch, as it changes.

    `run` keeps it current until cancelled; `epochs` may be called any number of times, also before it runs.
    """

    def __init__(self, connect: Callable[[], Awaitable[Any]], check_seconds: float) -> None:
        self._connect = connect
        self._check_seconds = check_seconds
        self._changed = asyncio.Event()
        self.newest: int | None = None
        """Newest epoch heard of; None before the first."""
        self.connected = False
        """Whether the listening connection is up."""
        self.readers = 0
        """How many are reading."""
        self.state: State | None = None
        """None while it is not known: before the first epoch, and while the connection is lost. One object a state."""
        self._changes = 0
        self._alerts = 0
        self._alerts_changed = asyncio.Event()

    def saw(self, epoch: int) -> None:
        """Somebody has read this epoch: the notice of it may be under way still."""
        if self.newest is None or epoch > self.newest:
            self._publish(epoch)

    async def epochs(self) -> AsyncIterator[int]:
        """The newest epoch now, then each newest one after it. Ends only when the reader stops."""
        self.readers += 1
        try:
            seen: int | None = None
            while True:
                changed = self._changed
                if self.newest is not None and self.newest != seen:
                    seen = self.newest
                    yield seen
                else:
                    await changed.wait()
        finally:
            self.readers -= 1

    async def alerts(self) -> AsyncIterator[int]:
        """A number now, and another one whenever alerts have changed, or may have. Ends only when the reader stops."""
        self.readers += 1
        try:
            seen: int | None = None
            while True:
                changed = self._alerts_changed
                if self._alerts != seen and self.newest is not None:
                    seen = self._alerts
                    yield seen
                else:
                    await changed.wait()
        finally:
            self.readers -= 1

    async def run(self) -> None:
        """Listen, reconnecting with a growing pause, until cancelled."""
        wait = 0.1
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                if self.connected:
                    wait = 0.1
                self._lost()
                _log.warning("epoch_feed_disconnected", error=type(error).__name__, retry_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _MAX_WAIT_SECONDS)

    async def _listen(self) -> None:
        connection = await self._connect()
        try:
            await connection.add_listener(NOTIFY_CHANNEL, self._on_notice)
            self.connected = True
            self._restate()
            self._note_alerts()  # a notice may have been lost with the last connection
            _log.info("epoch_feed_connected")
            while True:
                await self._read_newest(connection)
                await asyncio.sleep(self._check_seconds)
        finally:
            connection.terminate()

    async def _read_newest(self, connection: Any) -> None:
        # Before processing's first start there are no tables: then there is no epoch either.
        with contextlib.suppress(asyncpg.UndefinedTableError):
            newest = await connection.fetchval(_NEWEST)
            if newest is not None:
                self._publish(newest)

    def _on_notice(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        if payload == ALERTS:
            self._note_alerts()
        elif payload == CHANGED:
            self._changes += 1
            self._restate()
        elif payload.isascii() and payload.isdigit():
            self._publish(int(payload))

    def _note_alerts(self) -> None:
        self._alerts += 1
        changed, self._alerts_changed = self._alerts_changed, asyncio.Event()
        changed.set()

    def _lost(self) -> None:
        self.connected = False
        self._changes += 1  # whatever is notified now, we shall not hear
        self._restate()

    def _restate(self) -> None:
        known = self.connected and self.newest is not None
        self.state = State(self.newest or 0, self._changes) if known else None

    def _publish(self, epoch: int) -> None:
        if epoch == self.newest:
            return
        if self.newest is None:
            self.newest = epoch
            self._note_alerts()  # readers have waited for the first epoch
        self.newest = epoch
        self._restate()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
