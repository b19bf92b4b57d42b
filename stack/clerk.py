"""Has requests done while a stack runs: hears of them from Postgres, and starts `millrace requests take`."""

import asyncio
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg

from stack.requests import CHANNEL, is_due
from stack.settings import REPOSITORY

_LOOK_SECONDS: Final = 30.0
"""How often it looks where it hears nothing: what is to be tried again is not told."""
_PAUSE_SECONDS: Final = 2.0
_LONG_PAUSE_SECONDS: Final = 15.0
"""After something was not done: it may be that somebody else is doing it."""
_STOP_SECONDS: Final = 10.0
_TAKE: Final = (sys.executable, "-m", "stack", "requests", "take")


class Clerk:
    """One connection that listens, and no process until there is something to do."""

    def __init__(self, url: str, schema: str, environ: Mapping[str, str], log: Path) -> None:
        self._url = url
        self._schema = schema
        self._environ = {**environ, "PYTHONPATH": str(REPOSITORY)}
        self._log = log

    @contextmanager
    def attending(self) -> Iterator[None]:
        """Attend for as long as the block runs."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._run, args=(loop,), name="clerk", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(self._stop, loop)
            thread.join(_STOP_SECONDS + 5)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(self._attend())
        loop.close()

    @staticmethod
    def _stop(loop: asyncio.AbstractEventLoop) -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    async def _attend(self) -> None:
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass  # what is the matter with Postgres is told by the part that it is; here it is waited for
            except Exception:
                with self._log.open("a", encoding="utf-8") as log:
                    log.write(traceback.format_exc())
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(
            self._url, timeout=5.0, command_timeout=10.0, server_settings={"search_path": self._schema}
        )
        news = asyncio.Event()
        try:
            await connection.add_listener(CHANNEL, lambda *_: news.set())
            connection.add_termination_listener(lambda *_: news.set())
            while True:
                news.clear()
                if await is_due(connection):
                    code = await self._have_done()
                    await asyncio.sleep(_LONG_PAUSE_SECONDS if code else 0)
                else:
                    await _heard(news)
        finally:
            await connection.close(timeout=5)

    async def _have_done(self) -> int:
        with self._log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *_TAKE, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=self._environ
            )
        try:
            return await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            raise


async def _heard(news: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(news.wait(), _LOOK_SECONDS)
