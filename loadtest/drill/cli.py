"""`drill`: the options, and the table at the end."""

import asyncio
import secrets
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final

import structlog
import typer
from rich.console import Console
from rich.table import Column, Table

from loadtest.audit.holdings import HoldingsError
from loadtest.drill.catalogue import BY_NAME, DRILLS, SETS, SHORT, Drill, Stack, Strike
from loadtest.drill.ground import DrillError
from loadtest.drill.own_stack import own_stack, running_stack
from loadtest.drill.run import Outcome, Place, run_drill
from loadtest.options import usage
from loadtest.report.files import circumstances, make_folder
from loadtest.summary import to_json

log = structlog.get_logger()

_PAUSE_SECONDS: Final = (1.0, 6.0)
"""Between a recovery and the next random strike."""


@dataclass(frozen=True)
class Plan:
    """How the drills are done."""

    folder: Path
    seed: int
    rate: float
    minutes: float | None
    """Of random strikes."""
    base_port: int | None
    """Of the stack that is made; None: the running one."""


def drill(
    *,
    names: Annotated[list[str] | None, typer.Argument(help=f"Drills, or {', '.join(SETS)}, or short.")] = None,
    at_random: Annotated[bool, typer.Option("--random", help="Strike at random, in one load.")] = False,
    minutes: Annotated[float, typer.Option(min=0.1, help="How long, with --random.")] = 5,
    seed: Annotated[int | None, typer.Option(min=0, help="Of traffic and strikes. Default: a fresh one.")] = None,
    rate: Annotated[float, typer.Option(min=1, help="Events per second.")] = 100,
    here: Annotated[
        bool, typer.Option("--here", help="Break the running stack of this home. Without: one made for it, gone after.")
    ] = False,
    base_port: Annotated[int, typer.Option(min=1024, max=65000, help="Of the stack that is made.")] = 7270,
    listed: Annotated[bool, typer.Option("--list", help="Name the drills and end.")] = False,
    report: Annotated[Path | None, typer.Option(help="Folder of the report. Default: one below reports/.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """A load, something broken in the middle of it, the recovery measured, and the audit that every event counts once.

    Exit code 1 if anything was lost, counted twice or not recovered from. Nobody else may send meanwhile.
    """
    if listed:
        _list()
        return
    chosen = _chosen(names or [], at_random=at_random)
    if here and (wanting := [drill.name for drill in chosen if drill.links or drill.stack is not Stack.PLAIN]):
        usage(f"{', '.join(wanting)}: only on a stack made for it, without --here")
    try:
        folder = make_folder("drill", report)
    except FileExistsError as error:
        usage(error)
    seed = secrets.randbelow(2**32) if seed is None else seed
    plan = Plan(folder, seed, rate, minutes if at_random else None, None if here else base_port)
    outcomes: list[Outcome] = []
    ended = None
    try:
        asyncio.run(_run(chosen, plan, outcomes))
    except (DrillError, HoldingsError) as error:
        ended = f"Error: {error}."
    except Exception as error:  # a bug of ours does not take away the verdicts there are
        log.exception("drill failed")
        ended = f"Error: {type(error).__name__}: {error}."
    except (KeyboardInterrupt, asyncio.CancelledError):
        ended = "Ended before its time."
    if ended is not None:
        typer.echo(f"{ended} {len(outcomes)} of {len(chosen)} drills have a verdict.", err=True)
    if not outcomes:
        raise typer.Exit(1)
    told = {
        "passed": ended is None and all(outcome.passed for outcome in outcomes),
        "ended": ended,
        "run": circumstances(shlex.join(["millrace", *sys.argv[1:]])),
        "seed": seed,
        "drills": [outcome.as_json() for outcome in outcomes],
    }
    (folder / "report.json").write_text(to_json(told), "utf-8")
    (folder / "report.md").write_text(_markdown(outcomes), "utf-8")
    _tell(outcomes, told, folder, as_json=as_json)
    raise typer.Exit(0 if told["passed"] else 1)


async def _run(chosen: list[Drill], plan: Plan, outcomes: list[Outcome]) -> None:
    """The drills one after the other: on one stack for each kind that they need.

    Each is added to `outcomes` as it ends, so that what comes later cannot take it away. SIGTERM ends it as Ctrl-C
    does: what was broken is healed, and the stack that was made goes.
    """
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    for made in Stack:
        part = [drill for drill in chosen if drill.stack is made]
        if not part:
            continue
        async with _place(plan.base_port, made) as place:
            for number, drill in enumerate(part):
                typer.echo(f"{drill.name}: {drill.what} …", err=True)
                strikes = None if plan.minutes is None else _at_random(plan, plan.minutes)
                # Ids follow from the seed, and each drill's events must be new to the stack.
                own_seed = plan.seed + number
                outcome = await run_drill(drill, place, plan.folder, seed=own_seed, rate=plan.rate, strikes=strikes)
                _tell_problems(outcome)
                outcomes.append(outcome)


@asynccontextmanager
async def _place(base_port: int | None, made: Stack) -> AsyncIterator[Place]:
    if base_port is None:
        yield running_stack()
    else:
        async with own_stack(base_port, made) as place:
            yield place


def _chosen(names: list[str], *, at_random: bool) -> list[Drill]:
    if at_random:
        return [Drill("random", "strikes drawn by the seed, in one load", ())]
    if not names:
        usage("name drills, or a set of them, or give --random; --list names them")
    known = {**BY_NAME, SHORT.name: SHORT}
    flat = [name for given in names for name in SETS.get(given, (given,))]
    if unknown := [name for name in flat if name not in known]:
        usage(f"no such drill: {', '.join(unknown)}; --list names them")
    return [known[name] for name in flat]


def _at_random(plan: Plan, minutes: float) -> Iterator[Strike]:
    """Strikes of the drills that this stack can take, until the time is over."""
    dice, ends = Random(plan.seed), time.monotonic() + minutes * 60
    possible = [
        drill for drill in DRILLS if drill.stack is Stack.PLAIN and (plan.base_port is not None or not drill.links)
    ]
    while time.monotonic() < ends:
        yield Strike(dice.choice(dice.choice(possible).strikes).fault, dice.uniform(*_PAUSE_SECONDS))


def _list() -> None:
    table = Table(Column("drill", no_wrap=True), "what is broken", "needs", box=None, padding=(0, 2, 0, 0))
    for drill in (*DRILLS, SHORT):
        needs = drill.stack.value or ("own stack" if drill.links else "")
        table.add_row(drill.name, drill.what, needs)
    Console().print(table)


_HEADINGS: Final = (
    "drill",
    "events",
    "recovery",
    "oldest answer",
    "errors seen by clients",
    "lost",
    "counted twice",
    "audit",
)


def _row(outcome: Outcome) -> tuple[str, ...]:
    recoveries = [f"{seconds:.1f}" if seconds is not None else "never" for _, seconds in outcome.recoveries]
    errors = ", ".join(f"{count} × {status}" for status, count in sorted(outcome.errors.items()))
    return (
        outcome.drill,
        f"{outcome.audit.events:,}",
        f"{' / '.join(recoveries)} s" if recoveries else "–",
        f"{outcome.worst_freshness:.1f} s" if outcome.worst_freshness else "–",
        errors or "none",
        str(outcome.broken("nothing is lost") + outcome.broken("acknowledged is stored")),
        str(outcome.broken("nothing counts twice")),
        "passed" if outcome.passed else "FAILED",
    )


def _markdown(outcomes: list[Outcome]) -> str:
    """The table of docs/reliability.md."""
    rows = [_HEADINGS, ("---",) * len(_HEADINGS), *(_row(outcome) for outcome in outcomes)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _tell_problems(outcome: Outcome) -> None:
    for sentence in outcome.problems():
        typer.echo(f"PROBLEM: {outcome.drill}: {sentence}", err=True)


def _tell(outcomes: list[Outcome], told: dict[str, Any], folder: Path, *, as_json: bool) -> None:
    if as_json:
        typer.echo(to_json(told))
    else:
        table = Table(*_HEADINGS, box=None, padding=(0, 2, 0, 0))
        for outcome in outcomes:
            table.add_row(*_row(outcome))
        Console().print(table)
    typer.echo(f"{'passed' if told['passed'] else 'FAILED'}: {folder / 'report.json'}", err=True)
