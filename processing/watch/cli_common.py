"""What the verbs of `python -m processing.watch` have in common: settings, the store, and faults told in a sentence."""

from collections.abc import Callable
from typing import Annotated, NoReturn, TypeVar

import typer
from adbc_driver_manager import Error
from pydantic import ValidationError

from contracts.settings import setting_faults

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load_settings(build: Callable[[], T]) -> T:
    """The settings; a bad one ends the process with code 2."""
    try:
        return build()
    except ValidationError as error:
        for key, fault in setting_faults(error):
            typer.echo(f"{key}: {fault}", err=True)
        raise typer.Exit(2) from None


def attempt(work: Callable[[], T]) -> T:
    """Do it, or say in a sentence that the store can not, and end the process with code 1."""
    try:
        return work()
    except Error as error:
        fail(f"Postgres: {error}")


def fail(message: str) -> NoReturn:
    """Say why it could not be done, and end the process with code 1."""
    typer.echo(message, err=True)
    raise typer.Exit(1)
