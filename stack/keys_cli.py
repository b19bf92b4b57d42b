"""`millrace keys`: who may send, printed and changed."""

import json
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Column, Table

from contracts.keys import Key as WriteKey
from contracts.settings import home
from stack.keys import create_key, key_id, read_keys, revoke_keys, rotate_key
from stack.layout import Layout

app = typer.Typer(
    help="Keys to send with (write, import) and to read with (analytics, personal, admin). Only hashes are kept: a key "
    "is printed once, when it is made. What runs takes a change within a second or two.",
    no_args_is_help=True,
)

_SOURCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DURATION: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Scope(StrEnum):
    """What a key may."""

    WRITE = "write"
    IMPORT = "import"
    ANALYTICS = "analytics"
    PERSONAL = "personal"
    ADMIN = "admin"


def duration(text: str) -> timedelta:
    """`90s`, `15m`, `1h` or `30d`. Raises typer.BadParameter."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a time like 90s, 15m, 1h or 30d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _source(text: str) -> str:
    if not _SOURCE.fullmatch(text):
        raise typer.BadParameter("up to 64 letters, digits, dots, dashes and underscores")
    return text


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="ID|SOURCE", help="The id of a key, or a source: all its keys.")]
Expires = Annotated[str | None, typer.Option(help="Good for this long, like 90d. Default: for ever.")]


@app.command()
def create(
    *,
    source: Annotated[str, typer.Argument(help="Who will have it: a name for metrics and headers.", callback=_source)],
    scope: Annotated[list[Scope] | None, typer.Option(help="Repeat for several. Default: write.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Events per second. Default: no limit.")] = None,
    burst: Annotated[int | None, typer.Option(min=1, help="Events at once. Default: one second's worth.")] = None,
    grace_mode: Annotated[
        bool, typer.Option("--grace-mode", help="Mend and mark events with lenient faults instead of refusing them.")
    ] = False,
    expires: Expires = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it, this once."""
    key, entry = create_key(
        Layout(home()),
        source,
        [told.value for told in scope or (Scope.WRITE,)],
        rate=rate,
        burst=burst,
        grace=grace_mode,
        valid_for=duration(expires) if expires else None,
    )
    _print_key(key, entry, as_json=as_json)


@app.command("list")
def list_keys(*, as_json: Json = False) -> None:
    """Show all keys, by id; the keys themselves are nowhere."""
    entries = read_keys(Layout(home()))
    if as_json:
        typer.echo(json.dumps([_told(entry) for entry in entries]))
        return
    table = Table(Column("id", no_wrap=True), "source", "scopes", "created", "expires", "limit", "faults")
    for entry in entries:
        limit = "-" if entry.rate is None else f"{entry.rate:g}/s"
        table.add_row(
            key_id(entry),
            entry.source,
            " ".join(sorted(entry.scopes)),
            entry.created_at[:10] or "-",
            _ends(entry),
            limit if entry.burst is None else f"{limit}, {entry.burst} at once",
            "mended" if entry.grace else "refused",
        )
    Console().print(table)


@app.command()
def revoke(*, name: Name, as_json: Json = False) -> None:
    """Make keys worthless. Exit code 1 if there is none."""
    revoked = revoke_keys(Layout(home()), name)
    if as_json:
        typer.echo(json.dumps([_told(entry) for entry in revoked]))
        return
    for entry in revoked:
        typer.echo(f"{key_id(entry)} of {entry.source} is revoked.", err=True)


@app.command()
def rotate(
    *,
    name: Name,
    grace: Annotated[str, typer.Option(help="How long the old keys stay good, like 15m; 0s ends them now.")] = "1h",
    expires: Expires = None,
    as_json: Json = False,
) -> None:
    """Make a key like the newest of those named, print it, and let the old ones end. Exit code 1 if there is none."""
    key, entry, replaced = rotate_key(
        Layout(home()), name, duration(grace), None if expires is None else duration(expires)
    )
    _print_key(key, entry, as_json=as_json, replaced=replaced)


def _print_key(key: str, entry: WriteKey, *, as_json: bool, replaced: list[WriteKey] | None = None) -> None:
    if as_json:
        also = {} if replaced is None else {"replaces": [_told(old) for old in replaced]}
        typer.echo(json.dumps({"key": key, **_told(entry), **also}))
        return
    typer.echo(key)
    typer.echo(f"{key_id(entry)} of {entry.source}; the key is not shown again.", err=True)
    for old in replaced or ():
        typer.echo(f"{key_id(old)} ends {_ends(old)}.", err=True)


def _told(entry: WriteKey) -> dict[str, Any]:
    return {
        "id": key_id(entry),
        "source": entry.source,
        "scopes": sorted(entry.scopes),
        "created_at": entry.created_at,
        "expires_at": None if entry.expires_at is None else entry.expires_at.isoformat(),
        "expired": _has_ended(entry),
        "rate": entry.rate,
        "burst": entry.burst,
        "grace": entry.grace,
    }


def _has_ended(entry: WriteKey) -> bool:
    return entry.expires_at is not None and entry.expires_at <= datetime.now(UTC)


def _ends(entry: WriteKey) -> str:
    if entry.expires_at is None:
        return "never"
    return f"{entry.expires_at:%Y-%m-%dT%H:%M:%SZ}{' (ended)' if _has_ended(entry) else ''}"
