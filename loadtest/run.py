"""One sending run, put together: client, log, sender, signals, progress."""

import asyncio
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import SecretStr
from rich.console import Console
from rich.live import Live

from loadtest.client_log import ClientLog
from loadtest.faults import Sending
from loadtest.gateway_client import GatewayClient, http_client
from loadtest.sender import Sender, Tally, at_speed

log = structlog.get_logger(__name__)

_PROGRESS_SECONDS = 0.5


@dataclass(frozen=True)
class Destination:
    """Where events go and where that is noted."""

    gateway_url: str
    write_key: SecretStr
    log: Path | None = None
    import_history: bool = False


def send(stream: Iterable[Sending], destination: Destination, *, speed: float, patience_seconds: float) -> Tally:
    """Send a stream; SIGTERM and SIGINT end it after what is under way. Raises RefusedError."""
    return asyncio.run(_send(stream, destination, speed, patience_seconds))


async def _send(stream: Iterable[Sending], destination: Destination, speed: float, patience: float) -> Tally:
    with ClientLog(destination.log) as client_log:
        async with http_client(destination.gateway_url, destination.write_key) as http:
            gateway = GatewayClient(http, import_history=destination.import_history)
            sender = Sender(gateway, client_log, patience_seconds=patience)
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, sender.stop)
            log.info("sending", gateway=destination.gateway_url, speed=speed)
            progress = asyncio.create_task(_show(sender.tally))
            try:
                return await sender.run(stream, at_speed(speed))
            finally:
                progress.cancel()


async def _show(tally: Tally) -> None:
    """A line that moves, on a terminal only; standard output is for the summary."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return
    with Live(console=console, transient=True) as live:
        while True:
            live.update(
                f"{tally.sendings:,} events taken · {tally.accepted:,} accepted · {tally.rejected:,} rejected"
                f" · {tally.retried:,} retried · {tally.failed:,} failed"
            )
            await asyncio.sleep(_PROGRESS_SECONDS)
