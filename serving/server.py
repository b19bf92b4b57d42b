"""The application behind a door: granian in this process, until SIGTERM."""

import asyncio
import signal
from contextlib import suppress

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from serving.app import Application
from serving.settings import ServingSettings

_log = structlog.get_logger(__name__)
_GRACE_SECONDS = 5.0
_LONGEST_HEAD_BYTES = 64 * 1024
_HEAD_MILLISECONDS = 10_000


async def run(app: Application, settings: ServingSettings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    server = Server(
        app,
        settings.host,
        settings.port,
        interface=Interfaces.ASGI,
        log_enabled=False,
        http=HTTPModes.http1,  # telling HTTP/2 apart would wait for the first byte without a limit
        backlog=1024,
        backpressure=settings.max_connections,
        http1_settings=HTTP1Settings(header_read_timeout=_HEAD_MILLISECONDS, max_buffer_size=_LONGEST_HEAD_BYTES),
    )
    serving = asyncio.create_task(server.serve())
    await asyncio.wait({serving, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():  # the server ended by itself: its error says why
        await serving
        return 1
    server.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
    with suppress(TimeoutError):
        await asyncio.wait_for(serving, _GRACE_SECONDS)
    _log.info("serving_stopped")
    return 0
