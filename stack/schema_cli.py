"""Verbs of `millrace` that read schemas and need no stack: what a changed one touches, a client for operations."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Make them commands."""
    app.command()(impact)
    app.command("client")(make_client)


def impact(
    *,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A changed or new .avsc.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell what a changed schema touches: producers, projections, GraphQL. Exit code 1 if it is not compatible."""
    from stack.impact import impact_of  # noqa: PLC0415 - reads the code of all stages, which no other command needs

    found = impact_of(file)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        typer.echo(f"{found.subject}, against version {found.against}:")
        for each in found.fields:
            typer.echo(f"  {each.field} ({each.change})")
            typer.echo(f"    producers    {', '.join(each.producers) or 'none'}")
            typer.echo(f"    projections  {', '.join(each.projections) or 'none'}")
            typer.echo(f"    GraphQL      {', '.join(each.roots) or 'none'}")
        if not found.fields:
            typer.echo("  no field changes")
    for conflict in found.conflicts:
        typer.echo(f"not compatible: {conflict}", err=True)
    raise typer.Exit(1 if found.conflicts else 0)


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
