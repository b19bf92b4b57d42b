"""The `millrace` command.

Exit codes: 0 done (for `status`: all ready); 1 not done, or not ready, and the message says why; 2 wrong usage.
"""

import json
import os
import shlex
import sys
import time
from typing import Annotated, NoReturn

import httpx
import typer
from pydantic import ValidationError
from rich.console import Console

from contracts import topics as contract_topics
from contracts.settings import GraphqlSettings, home, setting_faults
from stack import checks, keys_cli, lifecycle, logs, parts, rejected_cli, requests_cli, schema_cli, verbs
from stack.display import Display
from stack.errors import StackError
from stack.kafka import create_topics
from stack.keys import ensure_demo_key
from stack.layout import Layout
from stack.lifecycle import Stack
from stack.settings import StackSettings
from stack.state import Phase, State
from stack.status import ask_status
from stack.status_text import print_status

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
        print_status(answer, stack.running())
    raise typer.Exit(0 if answer.is_ready() else 1)


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
schema_cli.add_to(app)


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
