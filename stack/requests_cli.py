"""`millrace requests`: what was asked for by mutations of GraphQL, done."""

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from contracts.settings import PostgresSettings, home
from stack import postgres
from stack.clerk import Clerk
from stack.errors import StackError
from stack.layout import Layout
from stack.requests import Request, open_requests, perform
from stack.settings import StackSettings

app = typer.Typer(help="What was asked for in GraphQL: users to erase, rejected events to send again.")


@app.callback()
def verbs() -> None:
    """Keeps a verb a verb, however few there are."""


@app.command()
def take(
    *, once: Annotated[bool, typer.Option("--once", help="Only the oldest, and not all that wait.")] = False
) -> None:
    """Do what waits, the oldest first. A stack does so by itself; exit code 1 if something was not done."""
    try:
        code = asyncio.run(_take(once=once))
    except asyncio.CancelledError:
        code = 1  # told to end; what was under way is taken again
    raise typer.Exit(code)


@app.command()
def attend() -> None:
    """Stay, and do what is asked for as it is asked for. A stack does so by itself; where parts are containers, this is
    one of them. What is done is told on standard output; SIGTERM ends it."""
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())
    url = postgres.url(StackSettings(), Layout(home()))
    with Clerk(url, PostgresSettings().db_schema, os.environ, Path("/dev/stdout")).attending():
        told_to_end.wait()


async def _take(*, once: bool) -> int:
    settings = StackSettings()
    doing = asyncio.current_task()
    assert doing is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, doing.cancel)
    not_done = 0
    async with open_requests(postgres.url(settings, Layout(home())), PostgresSettings().db_schema) as requests:
        while (request := await requests.take()) is not None:
            try:
                await requests.done(request, await perform(request))
                typer.echo(_line(request, "done"))
            except StackError as error:
                not_done += 1
                given_up = await requests.not_done(request, str(error))
                typer.echo(_line(request, f"{'given up' if given_up else 'not done'}: {error}"), err=True)
            if once:
                break
    return 1 if not_done else 0


def _line(request: Request, outcome: str) -> str:
    return f"request {request.id} ({request.kind}, attempt {request.attempts}) {outcome}"
