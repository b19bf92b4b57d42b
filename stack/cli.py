"""The `millrace` command.

Exit codes: 0 done (for `status`: all ready); 1 not done, or not ready, and the message says why; 2 wrong usage.
"""

import json
import os
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import httpx
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from contracts import topics as contract_topics
from contracts.settings import GraphqlSettings, home, setting_faults
from stack import checks, keys_cli, lifecycle, logs, parts, rejected_cli, requests_cli, verbs
from stack.display import Display
from stack.errors import StackError
from stack.kafka import create_topics
from stack.keys import ensure_demo_key
from stack.layout import Layout
from stack.lifecycle import Stack
from stack.processing_figures import ProcessingFigures
from stack.settings import StackSettings
from stack.state import Phase, State
from stack.status import Status, Watched, ask_status

app = typer.Typer(
    help=f"Event analytics on one machine.\n\n{(__doc__ or '').partition(chr(10))[2].strip()}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(keys_cli.app, name="keys")
app.add_typer(rejected_cli.app, name="rejected")
app.add_typer(requests_cli.app, name="requests")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def main() -> None:
    """Run the command; what goes wrong is said in a sentence, not in a traceback."""
    try:
        app(prog_name="millrace")
    except StackError as error:
        _fail(str(error))
    except ValidationError as error:
        for key, fault in setting_faults(error):
            typer.echo(f"{key}: {fault}", err=True)
        sys.exit(1)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise SystemExit(1)


def _say(message: str) -> None:
    typer.echo(message, err=True)


def _stack() -> Stack:
    settings, layout = StackSettings(), Layout(home())
    return Stack(settings, layout, parts.build_parts(settings, layout, os.environ))


@app.command()
def up(
    *,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once all is ready; it runs on.")] = False,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Run the simulator, too.")] = True,
    only: Annotated[str, typer.Option(help="Only these parts, comma-separated: kafka,postgres")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", hidden=True, help="Print no addresses and keys.")] = False,
) -> None:
    """Start the stack, repairing what an earlier, killed start left; Ctrl-C stops it. Data stay."""
    stack = _stack()
    chosen = parts.select(stack.parts, [name for name in only.split(",") if name], demo=demo)
    running = stack.running()
    if running is not None and running.phase in (Phase.STARTING, Phase.READY):
        _say(f"It runs already (supervisor pid {running.supervisor.pid}); `millrace down` stops it.")
        _await_running(stack)
        _print_urls(stack, [part.name for part in chosen])
        return
    console = Console(stderr=True)
    with Display(console) as display:
        if detach:
            arguments = ["--demo" if demo else "--no-demo", *(["--only", only] if only else [])]
            lifecycle.supervise_detached(stack, arguments, display.update)
            last = None
        else:
            announced = False

            def watch(state: State) -> None:
                nonlocal announced
                display.update(state)
                if state.phase is Phase.READY and not announced and not quiet:
                    announced = True
                    display.pause()
                    _print_urls(stack, list(state.parts))

            last = lifecycle.supervise(stack, chosen, os.environ, watch, _say)
    if last is None:
        _print_urls(stack, [part.name for part in chosen])
    elif last.phase is Phase.FAILED:
        _fail(last.reason)


def _await_running(stack: Stack) -> None:
    while (state := stack.running()) is not None and state.phase is Phase.STARTING:
        time.sleep(0.2)
    if state is None or state.phase is not Phase.READY:
        _fail(state.reason if state is not None and state.reason else "It did not become ready; see `millrace status`.")


def _print_urls(stack: Stack, started: list[str]) -> None:
    where = parts.urls(stack.settings)
    if "serving" in started:
        typer.echo(f"page       {where['page']}")
        typer.echo(f"GraphQL    {where['graphql']}")
    if "gateway" in started:
        typer.echo(f"gateway    {where['gateway']}")
        typer.echo(f"write key  {stack.layout.demo_key.read_text('utf-8').strip()}")
    if "serving" not in started:
        env = parts.common_environment(stack.settings, stack.layout)
        if "kafka" in started:
            typer.echo(f"Kafka      {env['MILLRACE_KAFKA_BOOTSTRAP']}")
        if "postgres" in started:
            typer.echo(f"Postgres   {env['MILLRACE_POSTGRES_URL']}")


@app.command()
def down() -> None:
    """Stop the stack in reverse order, or what a killed one left running. Data stay."""
    ran = lifecycle.bring_down(_stack(), _say)
    _say("Stopped." if ran else "Nothing ran.")


@app.command()
def status(*, as_json: Json = False) -> None:
    """Ask every part how it is. Exit code 0 only if all are ready."""
    stack = _stack()
    answer = ask_status(stack.settings, stack.layout, stack.parts)
    if as_json:
        typer.echo(json.dumps(answer.as_json()))
    else:
        _print_status(stack, answer)
    raise typer.Exit(0 if answer.is_ready() else 1)


def _print_status(stack: Stack, answer: Status) -> None:
    console = Console()
    state = stack.running()
    table = Table("part", "pid", "port", "ready", "since", "restarts", "note")
    for part in answer.parts:
        told = state.parts.get(part.name) if state is not None else None
        table.add_row(
            part.name,
            str(part.pid or "-"),
            str(part.port or "-"),
            "yes" if part.ready else "no",
            (part.since or "-").replace("+00:00", "Z"),
            str(told.restarts if told else 0),
            told.note.partition("\n")[0] if told else "",
        )
    console.print(table)
    if state is None:
        console.print("Nothing supervises this stack; `millrace up` starts it and repairs what the last one left.")
    for name, url in answer.urls.items():
        console.print(f"{name}: {url}", highlight=False)
    lag = "unknown" if answer.freshness_seconds is None else f"{answer.freshness_seconds:.1f} s behind the log"
    console.print(f"freshness: {lag}", highlight=False)
    if answer.processing is not None:
        for line in _processing_lines(answer.processing):
            console.print(line, highlight=False, soft_wrap=True)
    if answer.books is not None:
        console.print(f"books: {'close' if answer.books.close else f'off by {answer.books.residue}'}", highlight=False)
    if answer.verified is not None:
        rows = answer.verified.mismatches
        said = f"{rows} rows differ; millrace verify names them" if rows else "equal to the event log"
        console.print(f"verified: {said}, epoch {answer.verified.epoch}, {answer.verified.at}", highlight=False)
    if answer.alerts is not None:
        console.print(f"alerts: {answer.alerts.critical} critical, {answer.alerts.warning} warning", highlight=False)
    if answer.watched is not None:
        console.print(_watched_line(answer.watched), highlight=False, soft_wrap=True)


def _watched_line(told: Watched) -> str:
    models = f"models version {told.model_version}, {told.trained_at}" if told.model_version else "no models yet"
    forecast = f"forecast until {told.forecast_until}" if told.forecast_until else "no forecast yet"
    report = f"newest report {told.report_day}" if told.report_day else "no report yet"
    return f"watch: {told.odd} odd windows in the last hour; {models}; {forecast}; {report}"


def _processing_lines(told: ProcessingFigures) -> list[str]:
    phases = ", ".join(f"{phase} {seconds:.3f}" for phase, seconds in told.epoch_seconds.items() if seconds >= 0.001)
    memory = ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in told.resident_memory_bytes.items() if size)
    mark = "none yet" if told.watermark_lag_seconds is None else f"{told.watermark_lag_seconds:,.0f} s behind the clock"
    return [
        f"processing: epoch {told.epoch:,}, {told.input_records_per_second:,.0f} records/s coming in,"
        f" {told.behind_records:,} behind Kafka's end, watermark {mark}, {told.errors} errors since its start",
        f"  an epoch takes {sum(told.epoch_seconds.values()):.3f} s in the mean: {phases or 'none yet'}",
        f"  {told.recent_ids:,} recent ids in {told.recent_ids_bytes / 2**20:,.1f} MiB; memory: {memory}",
    ]


@app.command("env")
def show_environment(*, as_json: Json = False) -> None:
    """Print what a tool needs to reach this stack, for `eval "$(millrace env)"`. It holds the password and a key."""
    settings, layout = StackSettings(), Layout(home())
    layout.home.mkdir(parents=True, exist_ok=True)
    told = parts.tool_environment(settings, layout)
    if as_json:
        typer.echo(json.dumps(told))
        return
    for name, value in told.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command("logs")
def show_logs(
    *,
    part: Annotated[str, typer.Argument(help="Name of a part, or `supervisor`.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0)] = 50,
) -> None:
    """Print the end of a part's log."""
    known = (*parts.ORDER, "supervisor")
    if part not in known:
        raise typer.BadParameter(f"{part} is none of {', '.join(known)}", param_hint="PART")
    log = Layout(home()).log(part)
    if not log.exists() and not follow:
        _fail(f"{part} has no log yet ({log}).")
    for line in logs.tail(log, lines):
        typer.echo(line)
    if follow:
        try:
            for text in logs.follow(log):
                typer.echo(text, nl=False)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


@app.command()
def query(
    *,
    document: Annotated[str, typer.Argument(help="A GraphQL document, or - to read it from standard input.")],
    variables: Annotated[str, typer.Option(help="Variables as a JSON object.")] = "{}",
) -> None:
    """Send a GraphQL query and print the answer. Exit code 1 if it has errors or there is none.

    Where serving asks for a key, MILLRACE_GRAPHQL_READ_KEY has it.
    """
    text = sys.stdin.read() if document == "-" else document
    try:
        body = {"query": text, "variables": json.loads(variables)}
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--variables") from error
    url = parts.urls(StackSettings())["graphql"]
    try:
        answer = httpx.post(url, json=body, headers=GraphqlSettings().headers, timeout=60.0, trust_env=False)
        told = answer.json()
    except httpx.HTTPError as error:
        _fail(f"{url} does not answer ({type(error).__name__}); is the stack up? `millrace status` tells.")
    except ValueError:
        _fail(f"{url} answered {answer.status_code} without JSON.")
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    raise typer.Exit(1 if told.get("errors") or not answer.is_success else 0)


verbs.add_to(app)


@app.command()
def prepare(
    *,
    bootstrap: Annotated[str, typer.Option(help="Comma-separated host:port list.")],
) -> None:
    """Make topics and demo key on a Kafka of your own, as `up` does on its; compose.yaml's first step.

    The key is that of MILLRACE_SIMULATOR_WRITE_KEY where it is set, else a new one in the home.
    """
    layout = Layout(home())
    layout.home.mkdir(parents=True, exist_ok=True)
    create_topics(bootstrap, contract_topics.ALL)
    ensure_demo_key(layout, os.environ.get("MILLRACE_SIMULATOR_WRITE_KEY"))


@app.command()
def impact(
    *,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A changed or new .avsc.")],
    as_json: Json = False,
) -> None:
    """Tell what a changed schema touches: producers, projections, GraphQL. Exit code 1 if it is not compatible."""
    from stack.impact import impact_of  # noqa: PLC0415 - reads the code of all stages, which no other command needs

    found = impact_of(file)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        typer.echo(f"{found.subject}, against version {found.against}:")
        for each in found.fields:
            typer.echo(f"  {each.field} ({each.change})")
            typer.echo(f"    producers    {', '.join(each.producers) or 'none'}")
            typer.echo(f"    projections  {', '.join(each.projections) or 'none'}")
            typer.echo(f"    GraphQL      {', '.join(each.roots) or 'none'}")
        if not found.fields:
            typer.echo("  no field changes")
    for conflict in found.conflicts:
        typer.echo(f"not compatible: {conflict}", err=True)
    raise typer.Exit(1 if found.conflicts else 0)


@app.command("client")
def make_client(
    *,
    documents: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Files of GraphQL operations.")],
) -> None:
    """Print a client in Python for GraphQL operations of your own, with types: `… queries/*.graphql > shop.py`.

    It is one file that needs httpx and msgspec. Exit code 1 if an operation does not fit the schema.
    """
    from contracts.client import generate  # noqa: PLC0415 - reads the schema, which no other command needs

    asked = [generate.Document(path.as_posix(), path.read_text("utf-8")) for path in documents]
    command = shlex.join(["millrace", "client", *(document.name for document in asked)])
    try:
        typer.echo(generate.client(generate.SDL.read_text("utf-8"), asked, command), nl=False)
    except generate.NoClient as error:
        _fail(str(error))


@app.command("test")
def run_checks(
    *,
    only: Annotated[str, typer.Option(help="Only these steps, comma-separated: unit,types")] = "",
) -> None:
    """Run everything CI runs: format, lint, types, unit, integration and end-to-end tests."""
    names = [name for name in only.split(",") if name]
    known = [step.name for step in checks.STEPS]
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"{', '.join(unknown)}: the steps are {', '.join(known)}", param_hint="--only")
    raise typer.Exit(checks.run_steps(names, lambda line: typer.echo(line, color=False)))
