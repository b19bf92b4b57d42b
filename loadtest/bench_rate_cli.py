"""`bench rate`: the options and the table of tries."""

import asyncio
import secrets
import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from contracts.settings import GraphqlSettings
from loadtest.audit.holdings import HoldingsError
from loadtest.bench_rate import Try, held_for_long, highest_rate, try_rate
from loadtest.load.run import LoadError, LoadPlan
from loadtest.load.workload import WorkloadError, read_workload
from loadtest.options import destination_of, settings_of, usage
from loadtest.report.files import circumstances, make_folder
from loadtest.settings import SimulatorSettings
from loadtest.summary import to_json


def rate(
    *,
    start: Annotated[float, typer.Option(min=10, help="Events per second to begin with.")] = 1000,
    highest: Annotated[float, typer.Option(min=10, help="Never try more.")] = 40_000,
    seconds: Annotated[float, typer.Option(min=5, help="Length of each try.")] = 60,
    hold: Annotated[
        float, typer.Option(min=0, help="Seconds that the rate found must then be held; 0: no matter.")
    ] = 600,
    precision: Annotated[float, typer.Option(min=0.01, max=1, help="How near the answer must be, as a share.")] = 0.15,
    freshness: Annotated[float, typer.Option(min=0.1, help="Seconds that freshness by query may be at p99.")] = 3.0,
    patience: Annotated[float, typer.Option(min=1, help="Seconds that a try may take to settle.")] = 300,
    profile: Annotated[str, typer.Option(help="Clients of the tries, as for `load`.")] = "steady",
    report: Annotated[Path | None, typer.Option(help="Folder of the report. Default: one below reports/.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """The highest rate that the whole stack holds with every event found once and answers fresh, by search.

    Begins with a load at a quarter of the start that is not judged: what was only just started is slow. Needs
    `millrace up --no-demo`, and nobody else sending. Exit code 1 where not even an eighth of the start is held.
    """
    destination = destination_of(settings_of(SimulatorSettings), None, None, None, history=False)
    try:
        workload = read_workload(profile).at_rate(start, seconds)
        folder = make_folder("rate", report)
    except (WorkloadError, FileExistsError) as error:
        usage(error)
    plan = LoadPlan(
        name=profile,
        workload=workload,
        seed=secrets.randbelow(2**32),
        gateway_url=destination.gateway_url,
        graphql_url=settings_of(GraphqlSettings).url,
        read_key=settings_of(GraphqlSettings).read_key,
        write_key=destination.write_key,
        folder=folder,
    )

    async def load(plan: LoadPlan, asked: float) -> Try:
        typer.echo(f"{asked:,.0f} events/s for {plan.workload.seconds:,.0f} s …", err=True)
        return await try_rate(plan, asked, freshness_ms=freshness * 1000, patience_seconds=patience)

    async def attempt(plan: LoadPlan, asked: float) -> Try:
        tried = await load(plan, asked)
        said = "held" if tried.held else f"not held: {tried.why_not[0]}"
        typer.echo(f"  {said}; freshness p50 / p99 {_freshness(tried)}", err=True)
        return tried

    async def search() -> tuple[float | None, list[Try]]:
        await load(replace(plan, folder=folder / "warm-up"), start / 4)
        found, tries = await highest_rate(partial(attempt, plan), start, highest, precision)
        if found is not None and hold:
            for_long = replace(plan, workload=workload.at_rate(start, hold), folder=folder / "for-long")
            found, long_tries = await held_for_long(partial(attempt, for_long), found, start / 8, precision)
            tries += long_tries
        return found, tries

    try:
        found, tries = asyncio.run(search())
    except* (LoadError, HoldingsError) as errors:
        typer.echo(f"Error: {errors.exceptions[0]}", err=True)
        raise typer.Exit(1) from None
    told = {
        "highest_rate": found,
        "run": circumstances(shlex.join(["millrace", *sys.argv[1:]])),
        "tries": [vars(tried) for tried in sorted(tries, key=lambda tried: tried.rate)],
    }
    (folder / "report.json").write_text(to_json(told), "utf-8")
    if as_json:
        typer.echo(to_json(told))
    else:
        _print(tries, found)
    typer.echo(f"{folder / 'report.json'}", err=True)
    raise typer.Exit(0 if found else 1)


def _print(tries: list[Try], found: float | None) -> None:
    table = Table("events/s", "for", "held", "freshness p50 / p99", "CPU s per million events", "peak MiB", box=None)
    for tried in sorted(tries, key=lambda each: each.rate):
        parts: dict[str, Any] = tried.figures["parts"]
        cpu = sum(part["cpu_seconds_per_million_events"] or 0 for part in parts.values())
        table.add_row(
            f"{tried.rate:,.0f}",
            f"{tried.figures['seconds']:,.0f} s",
            "yes" if tried.held else f"no: {tried.why_not[0]}",
            _freshness(tried),
            f"{cpu:.0f}",
            f"{sum(part['peak_mib'] for part in parts.values()):,.0f}",
        )
    Console().print(table)
    Console().print(f"highest rate held: {found:,.0f} events/s" if found else "no rate was held", highlight=False)


def _freshness(tried: Try) -> str:
    fresh = tried.figures["freshness"]["query_ms"]
    return f"{fresh['p50'] / 1000:.2f} / {fresh['p99'] / 1000:.2f} s" if fresh else "–"
