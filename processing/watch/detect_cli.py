"""`millrace detect`: training the detectors of hours, which models there are, forecasts."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from processing.background import yield_to_others
from processing.detection.models import listed
from processing.detection.training import Training
from processing.detection.training import train as train_all
from processing.display import Display
from processing.forecasting.run import AHEAD, Forecast, forecast
from processing.store import one_transaction
from processing.watch.cli_common import Json, attempt, load_settings
from processing.watch.settings import Settings

app = typer.Typer(help="What is learnt from the shop's hours: train, list the models, forecast.", no_args_is_help=True)

Due = Annotated[bool, typer.Option("--due", help="Only if there is something new to do it for.")]
Yielding = Annotated[
    bool, typer.Option("--background", help="Yield to everything else: the lowest priority of the machine.")
]


@app.command()
def train(
    *,
    due: Due = False,
    background: Yielding = False,
    as_json: Json = False,
) -> None:
    """Learn from the last four weeks of hours, and let the watch judge by it from the next hour on.

    The watch does this by itself once a day (MILLRACE_WATCH_TRAIN_EVERY_HOURS). The last three trainings are kept.
    Exit codes: 0 trained, or nothing is due; 1 not: there is too little to learn from, or it could not be done.
    """
    settings = load_settings(Settings)
    if background:
        yield_to_others()
    every = timedelta(hours=settings.watch.train_every_hours) if due else timedelta(0)
    with Display("train") as display:
        done: Training = attempt(
            lambda: train_all(settings.postgres, settings.watch.trained.thresholds, display.tell, every)
        )
    if as_json:
        typer.echo(json.dumps(asdict(done), default=str))
    elif done.version is None:
        typer.echo(f"Nothing was trained: {done.why}.")
    else:
        typer.echo(
            f"Version {done.version}: {done.models} models of {done.series} series, learnt from"
            f" {done.since:%Y-%m-%d %H:%M} to {done.until:%Y-%m-%d %H:%M} UTC in {done.seconds:.1f} s"
        )
    raise typer.Exit(0 if done.version is not None or due else 1)


@app.command("forecast")
def forecast_hours(*, due: Due = False, background: Yielding = False, as_json: Json = False) -> None:
    """Forecast views, purchases and revenue of the next 24 hours: of the site, of categories and of products.

    The watch does this by itself whenever an hour has closed.
    Exit codes: 0 done, or nothing is due; 1 not: there is too little to tell from, or it could not be done.
    """
    settings = load_settings(Settings)
    if background:
        yield_to_others()
    with Display("forecast") as display:
        made: Forecast = attempt(lambda: forecast(settings.postgres, display.tell, due=due))
    if as_json:
        typer.echo(json.dumps(asdict(made), default=str))
    elif made.until is None:
        typer.echo(f"Nothing was forecast: {made.why}.")
    else:
        typer.echo(
            f"{made.series} series, {AHEAD} hours from {made.until:%Y-%m-%d %H:%M} UTC on, in {made.seconds:.1f} s"
        )
    raise typer.Exit(0 if made.until is not None or due else 1)


@app.command("models")
def list_models(
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Of all trainings that are kept, not of the last alone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the trained models: version, what each was trained on and by which parameters. Exit code 1 if none are."""
    settings = load_settings(Settings)

    def read() -> list[dict[str, Any]]:
        with one_transaction(settings.postgres, settings.postgres.db_schema) as transaction:
            return listed(transaction, every)

    found: list[dict[str, Any]] = attempt(read)
    if as_json:
        typer.echo(json.dumps(found))
    elif found:
        Console(width=160).print(_table(found))
    else:
        typer.echo("No models yet; `millrace detect train` makes them.")
    raise typer.Exit(0 if found else 1)


def _table(found: Sequence[dict[str, Any]]) -> Table:
    table = Table("version", "scope", "subject", "metric", "method", "from", "until", "hours", "KiB", "parameters")
    for row in found:
        parameters = {name: value for name, value in row["parameters"].items() if name != "libraries"}
        table.add_row(
            *(str(row["version"]), row["scope"], row["subject"], row["metric"], row["method"]),
            *(row[name][:16].replace("T", " ") for name in ("trained_from", "trained_until")),
            *(str(row["hours"]), f"{row['bytes'] / 1024:.1f}"),
            " ".join(f"{name}={value:g}" for name, value in parameters.items()),
        )
    return table
