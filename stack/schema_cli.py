"""Verbs of `millrace` that read schemas and need no stack: what a changed one touches, a client for operations."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stack.impact import Impact


def add_to(app: typer.Typer) -> None:
    """Make them commands."""
    app.command()(impact)
    app.command("client")(make_client)


def impact(
    *,
    files: Annotated[
        list[Path] | None,
        typer.Argument(exists=True, dir_okay=False, help="Changed or new .avsc; without, all since the last release."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each.")] = False,
) -> None:
    """Tell what a changed schema touches: producers, projections, GraphQL. Exit code 1 if it is not compatible."""
    from stack.impact import impact_of, unpromised  # noqa: PLC0415 - reads the code of all stages, as no other command

    found = [(path, impact_of(path)) for path in files or unpromised()]
    for path, each in found:
        typer.echo(json.dumps(asdict(each)) if as_json else _told(path, each))
        for conflict in each.conflicts:
            typer.echo(f"not compatible: {conflict}", err=True)
    raise typer.Exit(1 if any(each.conflicts for _, each in found) else 0)


def _told(path: Path, impact: "Impact") -> str:
    lines = [f"{impact.subject}, {path.name} against version {impact.against}:"]
    for each in impact.fields:
        lines.append(f"  {each.field} ({each.change})")
        told = {"producers": each.producers, "projections": each.projections, "GraphQL": each.roots}
        lines += [f"    {what:<11}  {', '.join(names) or 'none'}" for what, names in told.items()]
    return "\n".join(lines if impact.fields else [*lines, "  no field changes"])


def make_client(
    *,
    documents: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Files of GraphQL operations.")],
) -> None:
    """Print a client in Python for GraphQL operations of your own, with types: `… queries/*.graphql > shop.py`.

    It is one file that needs httpx and msgspec. Exit code 1 if an operation does not fit the schema.
    """
    from contracts.client import generate  # noqa: PLC0415 - reads the schema, which no other command needs

    asked = [generate.Document(path.as_posix(), path.read_text("utf-8")) for path in documents]
    command = shlex.join(["millrace", "client", *(document.name for document in asked)])
    try:
        typer.echo(generate.client(generate.SDL.read_text("utf-8"), asked, command), nl=False)
    except generate.NoClient as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
