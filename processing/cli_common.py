"""What the verbs of `python -m processing` have in common: settings, and faults told in a sentence."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, NoReturn, TypeVar

import typer
from adbc_driver_manager import Error
from deltalake.exceptions import DeltaError
from pydantic import ValidationError

from contracts.settings import setting_faults
from processing.decode import Decoder
from processing.enrichment.enrich import Enricher
from processing.errors import ProcessingError
from processing.judge import Judge
from processing.reread import EpochReader
from processing.settings import Settings
from processing.source import read_ranges
from schemas_avro import load_registry

Done = TypeVar("Done")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="ISO 8601; without a zone UTC.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Exclusive.")]


def load_settings() -> Settings:
    """The settings; a bad one ends the process with code 2."""
    try:
        return Settings()
    except ValidationError as error:
        for key, fault in setting_faults(error):
            typer.echo(f"{key}: {fault}", err=True)
        raise typer.Exit(2) from None


def epoch_reader(settings: Settings) -> EpochReader:
    """What a verb reads committed epochs with."""
    return EpochReader(Decoder(load_registry()), Judge(settings.shop), Enricher(), partial(read_ranges, settings.kafka))


def attempt(work: Callable[[], Done]) -> Done:
    """Do it, or say in a sentence why it cannot be done, and end the process with code 2."""
    try:
        return work()
    except ProcessingError as error:
        _fail(str(error))
    except Error as error:
        _fail(f"Postgres: {error}")
    except DeltaError as error:
        _fail(f"Delta: {error}")


def read_time(text: str, option: str) -> datetime:
    """The time that an option names; a wrong one ends the process with code 2."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time like 2026-03-01T12:00:00Z", param_hint=option) from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)
