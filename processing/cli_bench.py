"""`python -m processing bench-state`, which `millrace bench state` runs."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from processing.bench_state import StateFigures, measure_state
from processing.cli_common import Json, attempt, load_settings
from processing.display import Display


def bench_state(
    *,
    rate: Annotated[int, typer.Option(min=1, help="Events per second.")] = 10_000,
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Seconds for which ids are remembered; the stack's setting without it.")
    ] = None,
    epoch: Annotated[int, typer.Option(min=1, help="Events in an epoch.")] = 10_000,
    as_json: Json = False,
) -> None:
    """Fill what dedupe remembers to its horizon, in tables of its own, and tell what that takes.

    Exit codes: 0 done; 2 not done.
    """
    settings = load_settings()
    seconds = horizon or settings.processing.dedupe_horizon_seconds
    with Display("bench") as display:
        told: StateFigures = attempt(lambda: measure_state(settings.postgres, rate, seconds, epoch, display.tell))
    if as_json:
        typer.echo(json.dumps(asdict(told)))
        return
    for name, value in asdict(told).items():
        typer.echo(f"{name:<22}{value:>16,}")
