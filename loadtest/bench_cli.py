"""`bench`: one part measured by itself. What is measured and how is in the `bench_*` modules."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from contracts.settings import KafkaSettings, PostgresSettings
from loadtest.bench_errors import BenchError
from loadtest.bench_gateway import GatewayPlan, run_gateway_bench
from loadtest.bench_processing import BenchPlan, run_bench
from loadtest.bench_rate_cli import rate
from loadtest.bench_serving import ServingPlan, run_serving_bench
from loadtest.ending import end_in_order
from loadtest.summary import print_bench, print_figures, to_json

app = typer.Typer(help="Measure one part by itself, or the whole, beside its limits.", no_args_is_help=True)
app.command()(rate)


@app.callback()
def _end_in_order() -> None:
    end_in_order()


@app.command()
def gateway(
    *,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each of the six measurements.")] = 10,
    connections: Annotated[int, typer.Option(min=1, max=4096, help="Kept alive, each with a request under way.")] = 64,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes of the gateway.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """The gateway beside a bare produce loop and an empty route, with this stack's broker and topics of its own."""
    try:
        figures = run_gateway_bench(
            GatewayPlan(seconds, connections, workers), KafkaSettings(), lambda name: typer.echo(f"{name} …", err=True)
        )
    except BenchError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(to_json(figures))
    else:
        print_bench(figures)


@app.command()
def processing(
    *,
    rate: Annotated[float, typer.Option(min=0, help="Records per second for freshness; 0 leaves it out.")] = 10_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long at that rate.")] = 60,
    backlog: Annotated[int, typer.Option(min=0, help="Records to drain; 0 leaves it out.")] = 1_000_000,
    backlog_rate: Annotated[float, typer.Option(min=1, help="Records per second of the backlog's own time.")] = 10_000,
    batch: Annotated[bool, typer.Option("--batch/--no-batch", help="Measure the batch verbs after the drain.")] = True,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Freshness at a rate, the drain of a backlog, and the batch verbs over what it left.

    Needs `millrace up --only kafka,postgres` beside it.
    """
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            plan = BenchPlan(rate, seconds, backlog, backlog_rate, batch, seed)
            figures = run_bench(plan, KafkaSettings(), PostgresSettings(), progress)
    except BenchError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    print_figures(figures, json=as_json)


@app.command()
def serving(
    *,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each measurement; each question has three.")] = 5,
    connections: Annotated[int, typer.Option(min=1, max=4096, help="Kept alive, each with a request under way.")] = 64,
    minutes: Annotated[int, typer.Option(min=1000, help="Rows of product minutes to make.")] = 10_000_000,
    sessions: Annotated[int, typer.Option(min=1000, help="Sessions to make.")] = 1_000_000,
    subscribers: Annotated[int, typer.Option(min=1, max=4000, help="Who follow ten commits over WebSockets.")] = 500,
    beside_postgraphile: Annotated[
        bool, typer.Option("--beside-postgraphile", help="Ask PostGraphile 5 the same; installs it by npm.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """GraphQL's answers, kept and read each time, beside the same as bare SQL; and many subscribers.

    Needs `millrace up --only postgres`.
    """
    try:
        plan = ServingPlan(
            seconds, connections, minutes, sessions, subscribers, beside_postgraphile=beside_postgraphile
        )
        figures = run_serving_bench(plan, PostgresSettings(), lambda name: typer.echo(f"{name} …", err=True))
    except BenchError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    print_figures(figures, json=as_json)
