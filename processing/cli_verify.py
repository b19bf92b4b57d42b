"""`python -m processing verify`: the tables held against the event log."""

import json
import os
from datetime import timedelta
from typing import Annotated, Final

import typer

from processing.background import yield_to_others
from processing.cli_common import From, Json, To, attempt, load_settings, read_time
from processing.display import Display
from processing.settings import Settings
from processing.verification.results import as_json as outcome_as_json
from processing.verification.results import keep
from processing.verification.run import Outcome, Verification
from processing.verification.served import AtRandom, Span
from processing.verification.text import print_outcome

VERIFIED_AT_RANDOM: Final = 200_000
"""Events of a random span, about."""


def verify(
    *,
    since: From = None,
    until: To = None,
    draw: Annotated[
        bool, typer.Option("--random", help="A random hour, or less where there is much. This is the default.")
    ] = False,
    whole: Annotated[bool, typer.Option("--all", help="Everything there is.")] = False,
    background: Annotated[
        bool, typer.Option("--background", help="On one thread that yields to everything else.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Hold the tables against the event log, every number of them, whether or not the stream runs.

    Computed anew by SQL that has nothing in common with what the stream runs. Of sessions, users and orders those are
    taken that begin in the span, from all of their events. The outcome is added to the table `verifications`.
    Exit codes: 0 equal; 1 it differs; 2 it could not be compared.
    """
    if sum((draw, whole, since is not None or until is not None)) > 1:
        raise typer.BadParameter("it is one of --from with --to, --random and --all", param_hint="--random")
    settings = load_settings()
    if background:
        yield_to_others()
    asked = Span() if whole else _whole_minutes(since, until) or AtRandom(VERIFIED_AT_RANDOM)
    outcome = attempt(lambda: _verified(settings, asked, background=background))
    if as_json:
        typer.echo(json.dumps(outcome_as_json(outcome)))
    else:
        print_outcome(outcome)
    raise typer.Exit(1 if outcome.mismatches else 0)


def _verified(settings: Settings, asked: Span | AtRandom, *, background: bool) -> Outcome:
    with Display("verify") as display:
        outcome = Verification(
            settings.postgres,
            settings.log.path,
            # In the background there is one at a time, which clears up what one that was killed has left.
            settings.processing.checkpoint.parent / "verify" / ("background" if background else str(os.getpid())),
            shop=settings.shop,
            threads=1 if background else 2,
            tell=display.tell,
        ).run(asked)
    keep(settings.postgres, outcome)
    return outcome


def _whole_minutes(since: str | None, until: str | None) -> Span | None:
    """The span, widened to whole minutes; None if there is none."""
    if since is None and until is None:
        return None
    start = read_time(since, "--from").replace(second=0, microsecond=0) if since else None
    end = read_time(until, "--to") if until else None
    if end is not None and (end.second or end.microsecond):
        end = end.replace(second=0, microsecond=0) + timedelta(minutes=1)
    if start is not None and end is not None and start >= end:
        raise typer.BadParameter("--from must lie before --to", param_hint="--from")
    return Span(start, end)
