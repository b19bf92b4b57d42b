"""What the verbs have in common: options, settings, and how a wrong call is answered."""

from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from pydantic import SecretStr, ValidationError

from contracts.settings import PartSettings
from loadtest.run import Destination
from loadtest.settings import SimulatorSettings

Settings = TypeVar("Settings", bound=PartSettings)

Gateway = Annotated[str | None, typer.Option("--gateway", help="Base URL. Default: $MILLRACE_SIMULATOR_GATEWAY_URL.")]
WriteKey = Annotated[str | None, typer.Option("--write-key", help="Default, and safer: $MILLRACE_SIMULATOR_WRITE_KEY.")]
Graphql = Annotated[str | None, typer.Option(help="GraphQL endpoint. Default: $MILLRACE_GRAPHQL_URL.")]


def usage(message: object) -> NoReturn:
    """End the command with 2: the call is wrong."""
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(2)


def settings_of(part: type[Settings]) -> Settings:
    """A part's settings, or the end of the command."""
    try:
        return part()
    except ValidationError as error:
        usage(error)


def destination_of(
    settings: SimulatorSettings, gateway: str | None, write_key: str | None, log: Path | None, *, history: bool
) -> Destination:
    """Where a command sends: its options before the settings."""
    key = settings.write_key if write_key is None else SecretStr(write_key)
    return Destination(gateway or settings.gateway_url, key, log, history)
