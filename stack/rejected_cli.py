"""`millrace rejected`: what the gateway refused, shown, repaired and sent again."""

import asyncio
import base64
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from contracts.settings import PostgresSettings, ShopSettings, home
from schemas_avro import load_registry
from stack import parts, postgres
from stack.keys_cli import duration
from stack.layout import Layout
from stack.patch import parse_rule
from stack.rejected import Record, Rejection, Wanted, open_rejections
from stack.settings import StackSettings

if TYPE_CHECKING:  # half a second to import, which the other commands need not wait for
    from stack.repair import Repairer
    from stack.replay import Result

app = typer.Typer(help="Events that the gateway refused: list, show, repair and replay them.", no_args_is_help=True)


def _since(text: str) -> datetime:
    """A time ago like `2h`, or a date and time. Raises typer.BadParameter."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC) - duration(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[str, typer.Option(help="Only this reason, like invalid_enum.")]
Source = Annotated[str, typer.Option(help="Only from this source.")]
Since = Annotated[str, typer.Option(help="Only since then: 90s, 2h, 3d, or 2026-03-01T12:00:00Z.")]


@app.command("list")
def list_rejections(
    *,
    reason: Reason = "",
    source: Source = "",
    since: Since = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    after: Annotated[str, typer.Option(help="Go on after this id, the last one of the page before.")] = "",
    as_json: Json = False,
) -> None:
    """Show rejections, newest first."""
    wanted = Wanted((), reason, source, _since(since) if since else None)

    async def fetch() -> list[Rejection]:
        async with open_rejections(*_store()) as rejections:
            return await rejections.page(wanted, limit, await rejections.one(after) if after else None)

    found = asyncio.run(fetch())
    replayed = Record(Layout(home())).ids
    if as_json:
        typer.echo(json.dumps([_told(rejection, replayed) for rejection in found]))
        return
    detail = Column("detail", no_wrap=True, overflow="ellipsis")
    table = Table(Column("id", no_wrap=True), "received", "source", "reason", "pointer", "event", detail)
    for told in found:
        note = "replayed" if told.rejection_id in replayed else told.detail
        received = f"{told.received_at:%Y-%m-%d %H:%M:%S}"
        cells = (told.rejection_id[:8], received, told.source, told.reason, told.pointer, told.event_id or "-", note)
        table.add_row(*(escape(_printable(cell)) for cell in cells))
    Console().print(table)
    if len(found) == limit:
        typer.echo(f"More: --after {found[-1].rejection_id}", err=True)


@app.command()
def show(
    *,
    told: Annotated[str, typer.Argument(metavar="ID", help="A rejection's id, or its first characters.")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the event's bytes as they came, and nothing else.")] = False,
    as_json: Json = False,
) -> None:
    """Show one rejection whole: why, where, and the event's bytes."""

    async def fetch() -> Rejection:
        async with open_rejections(*_store()) as rejections:
            return await rejections.one(told)

    found = asyncio.run(fetch())
    if raw:
        sys.stdout.buffer.write(found.raw)
        return
    content = _told(found, Record(Layout(home())).ids)
    if as_json:
        typer.echo(json.dumps(content))
        return
    for name, value in content.items():
        if value is not None:
            typer.echo(f"{name:13} {_printable(str(value))}")


@app.command("replay")
def replay_rejections(
    *,
    ids: Annotated[list[str] | None, typer.Option("--id", help="This rejection; repeat for several.")] = None,
    reason: Reason = "",
    source: Source = "",
    since: Since = "",
    patch: Annotated[str, typer.Option(help="How to repair them, in jq's words: '.user_id |= trim'.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Repair and check, but send nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that were replayed already.")] = False,
    write_key: Annotated[
        str | None, typer.Option(envvar="MILLRACE_REPLAY_WRITE_KEY", help="Default: one made for each source.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Repair rejections and send them through the gateway. Exit code 1 if any was not accepted."""
    if not (ids or reason or source or since):
        raise typer.BadParameter("say which: --id, --reason, --source or --since")
    from stack.repair import Repairer  # noqa: PLC0415 - see above
    from stack.replay import Outcome  # noqa: PLC0415

    wanted = Wanted(tuple(ids or ()), reason, source, _since(since) if since else None)
    repairer = Repairer(load_registry(), ShopSettings(), parse_rule(patch) if patch else None)
    results: list[Result] = []

    async def run() -> None:
        async for told in _replay(wanted, repairer, write_key, dry_run=dry_run, again=again):
            results.append(told)
            if not as_json:
                line = f"{told.rejection_id}  {told.outcome}  {told.event_id or '-'}  {told.detail}"
                typer.echo(_printable(line.rstrip()))

    asyncio.run(run())
    counts = Counter(told.outcome for told in results)
    if as_json:
        said = [
            {"rejection_id": r.rejection_id, "event_id": r.event_id, "outcome": r.outcome, "detail": r.detail}
            for r in results
        ]
        typer.echo(json.dumps({"counts": counts, "results": said}))
    else:
        typer.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "Nothing matches.", err=True)
    raise typer.Exit(1 if counts[Outcome.REFUSED] or counts[Outcome.UNREPAIRED] else 0)


async def _replay(
    wanted: Wanted, repairer: "Repairer", write_key: str | None, *, dry_run: bool, again: bool
) -> "AsyncIterator[Result]":
    from stack.replay import Gateway, replay  # noqa: PLC0415

    layout = Layout(home())
    url = parts.urls(StackSettings())["gateway"]
    async with (
        open_rejections(*_store()) as rejections,
        httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http,
    ):
        gateway = Gateway(http, layout, write_key)
        with gateway.keys():
            sender = None if dry_run else gateway
            async for told in replay(rejections, wanted, repairer, sender, layout, again=again):
                yield told


def _store() -> tuple[str, str]:
    """URL and schema of the serving store of this stack."""
    return postgres.url(StackSettings(), Layout(home())), PostgresSettings().db_schema


def _told(rejection: Rejection, replayed: set[str]) -> dict[str, Any]:
    try:
        raw = {"raw": rejection.raw.decode()}
    except UnicodeDecodeError:
        raw = {"raw_base64": base64.b64encode(rejection.raw).decode()}
    return {
        "rejection_id": rejection.rejection_id,
        "received_at": rejection.received_at.isoformat(timespec="milliseconds"),
        "source": rejection.source,
        "reason": rejection.reason,
        "pointer": rejection.pointer,
        "detail": rejection.detail,
        "event_id": rejection.event_id,
        "content_type": rejection.content_type,
        "truncated": rejection.truncated,
        "replayed": rejection.rejection_id in replayed,
        **raw,
    }


def _printable(text: str) -> str:
    """What a client sent may hold anything; a terminal gets to see it, not to obey it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
