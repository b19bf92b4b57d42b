"""Verbs of `millrace` that a stage has: each becomes `python -m STAGE VERB`, with this stack's settings.

All arguments, `--help` too, are the stage's own.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import typer

from contracts.settings import home
from stack import parts
from stack.bench_all import bench_all
from stack.layout import Layout
from stack.settings import StackSettings

LOADTEST: Final = "loadtest"
PROCESSING: Final = "processing"
WATCH: Final = "processing.watch"
_PASS_ON: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@dataclass(frozen=True)
class Verb:
    """One of them."""

    name: str
    stage: str
    """Its module."""
    help: str
    """Without the end of the sentence, which says where there is more."""


VERBS: Final = (
    Verb("simulate", LOADTEST, "Send a simulated shop's traffic: --rate, --seconds, --seed, shares of faults"),
    Verb("replay", LOADTEST, "Send recorded traffic with its own timestamps: FILE --speed"),
    Verb("load", LOADTEST, "Load the stack and measure latency and freshness: --rate, --seconds"),
    Verb("drill", LOADTEST, "Break a stack under load and audit it: NAME, --random, --list"),
    Verb("rebuild", PROCESSING, "Make projections again from the event log, compare, swap: --projection, --check"),
    Verb("restore", PROCESSING, "Make a lost Postgres store again from the event log and Kafka, then go on from there"),
    Verb("verify", PROCESSING, "Hold what is served against the event log, to the unit: --from --to, --random, --all"),
    Verb(
        "compact", PROCESSING, "Put small files of the Delta tables together, delete old ones: --dry-run, --keep-hours"
    ),
    Verb("gold", PROCESSING, "Write final hours and days to the Delta tables below `gold`"),
    Verb("report", PROCESSING, "Tell what a day was like, and mail it: --day, --format text|html|json, --email"),
    Verb("explain", PROCESSING, "Tell what became of one event, and why: EVENT_ID"),
    Verb("erase", PROCESSING, "Erase a user, with a receipt; without --yes show what would go: --user ID --yes"),
    Verb("detect", WATCH, "Learn from the hours of the last weeks: train, models, forecast"),
    Verb("alerts", WATCH, "List alerts, acknowledge one, try a destination: list, ack ID, test DESTINATION"),
)


def add_to(app: typer.Typer) -> None:
    """Make them commands."""
    for verb in VERBS:
        _add(app, verb)
    app.command(context_settings=_PASS_ON)(bench)


def _add(app: typer.Typer, verb: Verb) -> None:
    def pass_on(context: typer.Context) -> None:
        become(verb.stage, verb.name, context.args)

    app.command(verb.name, help=f"{verb.help}; see `{verb.name} --help`.", context_settings=_PASS_ON)(pass_on)


def bench(context: typer.Context) -> None:
    """Measure one part, or `all`: gateway, processing, serving, state, detect, forecast, rate; see `bench --help`."""
    what, arguments = context.args[:1], context.args[1:]
    if what == ["all"]:
        alone = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
        alone.command()(bench_all)
        alone(args=arguments, prog_name="millrace bench all")
    if what == ["state"]:
        become(PROCESSING, "bench-state", arguments)
    if what == ["detect"]:
        become(WATCH, "bench", arguments)
    if what == ["forecast"]:
        become(WATCH, "bench-forecast", arguments)
    if what == ["processing"] and "--help" not in arguments:
        settings, layout = StackSettings(), Layout(home())
        told = parts.spark_environment(settings, layout, os.environ, lambda text: typer.echo(text, err=True))
        os.environ.update(told)
    become(LOADTEST, "bench", context.args)


def become(stage: str, verb: str, arguments: Sequence[str]) -> NoReturn:
    """Run a stage's verb in the place of this process."""
    settings, layout = StackSettings(), Layout(home())
    if stage == LOADTEST:
        layout.home.mkdir(parents=True, exist_ok=True)
        environment = parts.tool_environment(settings, layout)
    else:
        environment = parts.common_environment(settings, layout)
    if stage == PROCESSING:
        environment |= {"MILLRACE_PROCESSING_CHECKPOINT": str(layout.checkpoint)}
    command = (sys.executable, "-m", stage, verb, *arguments)
    sys.stdout.flush()
    os.execve(command[0], command, {**os.environ, **environment})
