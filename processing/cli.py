"""`python -m processing VERB`: the batch side of processing. What verbs do is elsewhere; here it is put together."""

import json
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console

from processing.cli_bench import bench_state
from processing.cli_common import From, Json, To, attempt, load_settings, read_time
from processing.cli_report import report
from processing.cli_upkeep import compact, gold
from processing.cli_verify import verify
from processing.decode import Decoder
from processing.display import Display
from processing.enrichment.enrich import Enricher
from processing.erase.run import Erasure
from processing.explain import Explanation, explain
from processing.explain_text import print_explanation
from processing.judge import Judge
from processing.projections import build_projections
from processing.rebuild.differences import Difference, total
from processing.rebuild.folding import Tell
from processing.rebuild.plan import Plan, Span, choose
from processing.rebuild.run import Rebuild, Result
from processing.reread import EpochReader
from processing.results import ResultsPublisher
from processing.settings import Settings
from processing.source import read_ranges
from schemas_avro import load_registry

_HELP = """The projections made again from the event log, and held against it. Without a verb: the stream.

Exit codes: 0 done, or equal; 1 it differs; 2 it could not be done, or the call is wrong."""

app = typer.Typer(
    help=_HELP,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(verify)
app.command()(compact)
app.command()(gold)
app.command()(report)
app.command()(bench_state)


@app.callback()
def verbs() -> None:
    """Keeps a verb a verb, however few there are."""


@app.command()
def rebuild(
    *,
    projection: Annotated[
        list[str] | None, typer.Option("--projection", "-p", help="Only this one; may be repeated.")
    ] = None,
    since: From = None,
    until: To = None,
    check: Annotated[
        bool, typer.Option("--check", "--dry-run", help="Compare only; exit code 1 if it differs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make projections again from the event log, compare them with the live tables, and put them in their place.

    The stream may run all the while, and need not. With --from and --to only the rows of that time, where rows have
    one: of minutes, conversions and delays.
    """
    settings = load_settings()
    result = attempt(lambda: _rebuilt(settings, projection or [], _span(since, until), swap=not check))
    if as_json:
        typer.echo(json.dumps(asdict(result), default=str))
    else:
        _print_result(result)
    differs = not all(difference.is_equal for difference in result.differences)
    raise typer.Exit(1 if check and differs else 0)


def _rebuilt(settings: Settings, names: list[str], span: Span | None, *, swap: bool) -> Result:
    projections = build_projections(settings.shop)
    plan = Plan(choose(projections, names, span), span, swap)
    with Display("rebuild") as display:
        return Rebuild(
            settings.postgres,
            settings.log.path,
            settings.processing.checkpoint.parent / "rebuild",
            projections=projections,
            plan=plan,
            reader=_reader(settings),
            tell=display.tell,
        ).run()


def _print_result(result: Result) -> None:
    typer.echo(f"compared as of epoch {result.compared_epoch}, {result.events:,} events")
    for each in result.differences:
        typer.echo(f"{each.table:<18}{each.rows:>12,} rows  {_verdict(each)}")
        for example in each.examples:
            typer.echo(f"    {_json(example.key)}")
            typer.echo(f"        live:    {_json(example.live) if example.live is not None else 'no such row'}")
            typer.echo(f"        rebuilt: {_json(example.rebuilt) if example.rebuilt is not None else 'no such row'}")
    if result.swapped_epoch is None:
        typer.echo(f"{total(result.differences):,} rows differ; nothing was changed")
    else:
        paused = result.seconds["paused"]
        typer.echo(
            f"in their place as of epoch {result.swapped_epoch}; epochs were held back for {paused:.2f} s at most"
        )


def _verdict(difference: Difference) -> str:
    counts = {name: getattr(difference, name) for name in ("missing", "extra", "different")}
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return difference.note or said or "equal"


def _json(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


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
        reader=_reader(settings),
        results=results,
        dedupe_horizon_seconds=settings.processing.dedupe_horizon_seconds,
        tell=tell,
    )


def _reader(settings: Settings) -> EpochReader:
    return EpochReader(Decoder(load_registry()), Judge(settings.shop), Enricher(), partial(read_ranges, settings.kafka))


def _span(since: str | None, until: str | None) -> Span | None:
    if since is None and until is None:
        return None
    if since is None or until is None:
        raise typer.BadParameter("--from and --to go together", param_hint="--from")
    return Span(read_time(since, "--from"), read_time(until, "--to"))
