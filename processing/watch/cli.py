"""`python -m processing.watch VERB`: what is done beside the watch itself."""

import json
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.console import Console

from processing.detection import bench_recorded, bench_table, recorded
from processing.display import Display
from processing.forecasting import bench as forecast_bench
from processing.watch import alerts_cli, detect_cli
from processing.watch.cli_common import Json

app = typer.Typer(
    help="Detection and alerts. Without a verb: the watch.\n\nExit codes: 0 done; 1 not done; 2 wrong usage.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(alerts_cli.app, name="alerts")
app.add_typer(detect_cli.app, name="detect")


@app.callback()
def verbs() -> None:
    """Keeps a verb a verb, however few there are."""


Thresholds: TypeAlias = Annotated[str, typer.Option(help="Thresholds, comma-separated.")]


@app.command()
def bench(
    *,
    days: Annotated[
        int, typer.Option(min=0, max=30, help="Days per series of minutes, two or more; 0 leaves minutes out.")
    ] = 4,
    weeks: Annotated[
        int, typer.Option(min=0, max=52, help="Weeks per series of hours, six or more; 0 leaves hours out.")
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same series.")] = 1,
    robust_z: Thresholds = "3,4,5",
    iqr: Thresholds = "1.5,2.5,3.5",
    seasonal_trend: Thresholds = "4,5,6",
    isolation_forest: Thresholds = "1.1,1.2,1.3",
    one_class_svm: Thresholds = "3,6,10",
    labelled: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Recorded series with labels, too: a copy of github.com/numenta/NAB, or its layout."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure every detector on seeded series with known incidents: precision, false alarms, recall, delay.

    A cell is the share of incidents found and the windows until the first flag of those. "alert" is what opens an
    alert: two flags in three windows, or one that is critical. Of hours, what has to be trained is trained every day.
    """
    if days == 1 or 0 < weeks < 6:
        raise typer.BadParameter("series of one day, or of less than six weeks, have no incident", param_hint="--days")
    thresholds = {
        "robust_z": _numbers(robust_z, "--robust-z"),
        "iqr": _numbers(iqr, "--iqr"),
        "seasonal_trend": _numbers(seasonal_trend, "--seasonal-trend"),
        "isolation_forest": _numbers(isolation_forest, "--isolation-forest"),
        "one_class_svm": _numbers(one_class_svm, "--one-class-svm"),
    }
    try:
        series = recorded.read(labelled) if labelled else []
    except recorded.LayoutError as error:
        raise typer.BadParameter(str(error), param_hint="--labelled") from None
    with Display("bench") as display:
        figures = bench_table.run(days, weeks, seed, thresholds, display.tell)
        found = bench_recorded.run(series, thresholds, display.tell)
    if as_json:
        typer.echo(json.dumps([*bench_table.as_json(figures), *bench_recorded.as_json(found)]))
        return
    tables = bench_table.as_tables(figures) + ([bench_recorded.as_table(found)] if found else [])
    for table in tables:
        Console(width=160).print(table)


@app.command("bench-forecast")
def bench_forecast(
    *,
    weeks: Annotated[int, typer.Option(min=6, max=52, help="Weeks per series; the first four are learnt from.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same series.")] = 1,
    as_json: Json = False,
) -> None:
    """Measure forecasts on seeded series: how far off, and how many hours end up within the interval."""
    with Display("bench") as display:
        figures = forecast_bench.run(weeks, seed, display.tell)
    if as_json:
        typer.echo(json.dumps(forecast_bench.as_json(figures)))
        return
    Console(width=160).print(forecast_bench.as_table(figures))


def _numbers(text: str, option: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or any(number <= 0 for number in numbers):
        raise typer.BadParameter(f"{text!r} is no list of positive numbers like 3,4.5", param_hint=option)
    return numbers
