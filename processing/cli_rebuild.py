"""`python -m processing rebuild` and `restore`: tables made again from the event log."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from processing.cli_common import From, Json, To, attempt, epoch_reader, load_settings, read_time
from processing.display import Display
from processing.projections import build_projections
from processing.rebuild.differences import Difference, total
from processing.rebuild.plan import Plan, Span, choose
from processing.rebuild.run import Rebuild, Result
from processing.restore.run import Restore, Restored
from processing.settings import Settings


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


def restore(*, as_json: Json = False) -> None:
    """Make a lost store again: the ledger from the event log and what Kafka still has, then every projection.

    Into an empty Postgres schema, while processing does not run; it goes on from there when it is started.
    Exit codes: 0 done; 2 not done.
    """
    settings = load_settings()
    restored = attempt(lambda: _restored(settings))
    result = attempt(lambda: _rebuilt(settings, [], None, swap=True))
    if as_json:
        typer.echo(json.dumps(asdict(restored) | {"rebuilt": asdict(result)}, default=str))
        return
    typer.echo(
        f"the ledger is made again through epoch {restored.epoch}: {restored.applied:,} events applied,"
        f" {restored.duplicates:,} duplicates and {restored.quarantined:,} quarantined records read again from Kafka"
    )
    if restored.unknown:
        typer.echo(f"what {restored.unknown:,} records were that were not applied is not known any more")
    typer.echo("rejected events come back when processing starts, as far as Kafka has them")
    typer.echo("users who were erased are not blocked any more: `millrace erase` them again before it starts")


def _restored(settings: Settings) -> Restored:
    with Display("restore") as display:
        return Restore(
            settings.postgres,
            settings.kafka,
            settings.log.path,
            settings.processing.checkpoint.parent / "restore",
            projections=build_projections(settings.shop),
            shop=settings.shop,
            settings=settings.processing,
            reader=epoch_reader(settings),
            tell=display.tell,
        ).run()


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
            reader=epoch_reader(settings),
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


def _span(since: str | None, until: str | None) -> Span | None:
    if since is None and until is None:
        return None
    if since is None or until is None:
        raise typer.BadParameter("--from and --to go together", param_hint="--from")
    return Span(read_time(since, "--from"), read_time(until, "--to"))
