"""`load`: the options, and what is told at the end."""

import asyncio
import secrets
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from contracts.settings import GraphqlSettings
from loadtest.audit.holdings import HoldingsError
from loadtest.ending import end_in_order
from loadtest.load.audited import audited_load
from loadtest.load.run import LoadError, LoadPlan, problems, run_load
from loadtest.load.workload import WorkloadError, read_workload
from loadtest.options import Gateway, Graphql, WriteKey, destination_of, settings_of, usage
from loadtest.report.files import circumstances, make_folder, write_load
from loadtest.settings import SimulatorSettings
from loadtest.summary import print_checks, print_figures, to_json


def load(
    *,
    profile: Annotated[str, typer.Option(help="smoke, steady, peak, soak, spike, single, or a .toml file.")] = "steady",
    rate: Annotated[float | None, typer.Option(min=1, help="Events per second, in place of the profile's.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="Length, in place of the profile's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the events. Default: a fresh one.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder of the report. Default: reports/<time>-<profile>.")
    ] = None,
    audit: Annotated[bool, typer.Option("--audit/--no-audit", help="Audit the stack at the end.")] = True,
    patience: Annotated[float, typer.Option(min=1, help="Seconds that the audit waits for the stack to settle.")] = 120,
    web: Annotated[bool, typer.Option("--web", help="Serve Locust's own page while it runs.")] = False,
    web_port: Annotated[int, typer.Option(min=1024, max=65535, help="Port of that page.")] = 8089,
    gateway: Gateway = None,
    write_key: WriteKey = None,
    graphql: Graphql = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Clients as a profile has them, at its rate whatever the answers; a freshness probe beside; the audit; a report.

    Fails on any error, on any marker that was refused or never seen, and on any event lost, counted twice or invented.
    The audit reads broker, event log and database where the settings say; nobody else may send meanwhile.
    """
    destination = destination_of(settings_of(SimulatorSettings), gateway, write_key, None, history=False)
    try:
        workload = read_workload(profile).at_rate(rate, seconds)
        name = Path(profile).stem
        folder = make_folder(name, report)
    except (WorkloadError, FileExistsError) as error:
        usage(error)
    plan = LoadPlan(
        name=name,
        workload=workload,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        gateway_url=destination.gateway_url,
        graphql_url=graphql or settings_of(GraphqlSettings).url,
        read_key=settings_of(GraphqlSettings).read_key,
        write_key=destination.write_key,
        folder=folder,
        web_port=web_port if web else None,
    )
    end_in_order()
    if web:
        typer.echo(f"Locust's page: http://127.0.0.1:{web_port}/", err=True)
    typer.echo(f"{workload.events:,.0f} events in {workload.seconds:,.0f} s, seed {plan.seed} …", err=True)
    try:
        if audit:
            figures, found_by_audit = asyncio.run(audited_load(plan, patience))
        else:
            figures, found_by_audit = asyncio.run(run_load(plan)), None
    except* (LoadError, HoldingsError) as errors:
        typer.echo(f"Error: {errors.exceptions[0]}", err=True)
        raise typer.Exit(1) from None
    found = problems(figures) + (found_by_audit.problems() if found_by_audit else [])
    told = {
        "passed": not found,
        "problems": found,
        "run": circumstances(shlex.join(["millrace", *sys.argv[1:]])),
        "figures": figures,
        "audit": found_by_audit.as_json() if found_by_audit else None,
    }
    write_load(folder, told)
    _tell(told, folder, as_json=as_json)
    raise typer.Exit(0 if told["passed"] else 1)


def _tell(report: dict[str, Any], folder: Path, *, as_json: bool) -> None:
    if as_json:
        typer.echo(to_json(report))
    else:
        shown = {name: value for name, value in report["figures"].items() if name not in {"over_time", "limits"}}
        freshness = {name: value for name, value in shown["freshness"].items() if "over_time" not in name}
        print_figures({**shown, "freshness": freshness}, json=False)
        if report["audit"]:
            print_checks(report["audit"])
    for sentence in report["figures"]["limits"]:
        typer.echo(sentence, err=True)
    if not report["figures"]["rate_reached"]:
        events, asked = report["figures"]["events"], report["figures"]["asked_events"]
        typer.echo(f"The rate was not reached: {events:,} of {asked:,} events were acknowledged.", err=True)
    for sentence in report["problems"]:
        typer.echo(f"PROBLEM: {sentence}", err=True)
    typer.echo(f"{'passed' if report['passed'] else 'FAILED'}: {folder / 'report.html'}", err=True)
