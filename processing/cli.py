"""`python -m processing VERB`: the batch side of processing. What verbs do is elsewhere; here it is put together."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from processing.cli_bench import bench_state
from processing.cli_common import Json, attempt, epoch_reader, load_settings
from processing.cli_rebuild import rebuild, restore
from processing.cli_report import report
from processing.cli_upkeep import compact, gold
from processing.cli_verify import verify
from processing.display import Display
from processing.erase.run import Erasure
from processing.explain import Explanation, explain
from processing.explain_text import print_explanation
from processing.projections import build_projections
from processing.rebuild.folding import Tell
from processing.results import ResultsPublisher
from processing.settings import Settings

_HELP = """The projections made again from the event log, and held against it. Without a verb: the stream.

Exit codes: 0 done, or equal; 1 it differs; 2 it could not be done, or the call is wrong."""

app = typer.Typer(
    help=_HELP,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(rebuild)
app.command()(restore)
app.command()(verify)
app.command()(compact)
app.command()(gold)
app.command()(report)
app.command()(bench_state)


@app.callback()
def verbs() -> None:
    """Keeps a verb a verb, however few there are."""


@app.command("explain")
def explain_event(*, event_id: Annotated[str, typer.Argument()], as_json: Json = False) -> None:
    """Tell where an event came in, what became of it, and each row that it is in; or why it is in none.

    Exit codes: 0 found; 1 never seen; 2 could not look.
    """
    settings = load_settings()
    told: Explanation = attempt(
        lambda: explain(event_id, settings.postgres, settings.log.path, build_projections(settings.shop))
    )
    if as_json:
        typer.echo(json.dumps(told.as_json(), default=str))
    else:
        print_explanation(told, Console())
    raise typer.Exit(0 if told.copies else 1)


@app.command()
def erase(
    *,
    user: Annotated[str, typer.Option("--user", metavar="ID", help="The user's id, as the events have it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without it: show what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a user: from event log, tables and what was kept of refused events; and take no event of theirs any more.

    The stream may run all the while. An erasure that was interrupted is ended by running it again.
    Exit codes: 0 erased, or shown; 2 not done.
    """
    settings = load_settings()
    if yes:
        receipt = attempt(lambda: _erased(settings, user))
        typer.echo(json.dumps(receipt, indent=None if as_json else 2))
        return
    outline = attempt(lambda: _erasure(settings, lambda *_: None).outline(user))
    if as_json:
        typer.echo(json.dumps({"erased": False, **asdict(outline)}))
        return
    typer.echo(f"{outline.events:,} events in the log" + (", erased before" if outline.blocked else ""))
    for table, rows in outline.rows.items():
        typer.echo(f"{table:<18}{rows:>12,} rows made again, gone or blanked")
    typer.echo("Nothing was erased. With --yes it is, and cannot be brought back.")


def _erased(settings: Settings, user: str) -> dict[str, Any]:
    results = ResultsPublisher(settings.kafka) if settings.processing.publish_results else None
    try:
        with Display("erase") as display:
            return _erasure(settings, display.tell, results).run(user)
    finally:
        if results is not None:
            results.close()


def _erasure(settings: Settings, tell: Tell, results: ResultsPublisher | None = None) -> Erasure:
    return Erasure(
        settings.postgres,
        settings.log.path,
        settings.processing.checkpoint.parent / "erase",
        projections=build_projections(settings.shop),
        reader=epoch_reader(settings),
        results=results,
        dedupe_horizon_seconds=settings.processing.dedupe_horizon_seconds,
        tell=tell,
    )
