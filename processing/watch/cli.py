"""`python -m processing.watch VERB`: what is done beside the watch itself."""

import json
from typing import Annotated

import typer
from rich.console import Console

from processing.detection import bench_table
from processing.display import Display
from processing.watch import alerts_cli

app = typer.Typer(
    help="Detection and alerts. Without a verb: the watch.\n\nExit codes: 0 done; 1 not done; 2 wrong usage.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(alerts_cli.app, name="alerts")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def verbs() -> None:
    """Keeps a verb a verb, however few there are."""


@app.command()
def bench(
    *,
    days: Annotated[int, typer.Option(min=2, max=30, help="Days per series; the first has no incident.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same series.")] = 1,
    robust_z: Annotated[str, typer.Option(help="Thresholds, comma-separated.")] = "3,4,5",
    iqr: Annotated[str, typer.Option(help="Thresholds, comma-separated.")] = "1.5,2.5,3.5",
    as_json: Json = False,
) -> None:
    """Measure every detector on seeded series with known incidents: precision, false alarms, recall, delay.

    A cell is the share of incidents found and the windows until the first flag of those. "alert" is what opens an
    alert: two flags in three windows, or one that is critical.
    """
    thresholds = {"robust_z": _numbers(robust_z, "--robust-z"), "iqr": _numbers(iqr, "--iqr")}
    with Display("bench") as display:
        figures = bench_table.run(days, seed, thresholds, display.tell)
    if as_json:
        typer.echo(json.dumps(bench_table.as_json(figures)))
    else:
        Console(width=160).print(bench_table.as_table(figures))


def _numbers(text: str, option: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or any(number <= 0 for number in numbers):
        raise typer.BadParameter(f"{text!r} is no list of positive numbers like 3,4.5", param_hint=option)
    return numbers
