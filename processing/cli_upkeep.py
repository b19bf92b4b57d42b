"""`python -m processing compact|gold`: what keeps the Delta tables small, and makes those for others to read."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from processing.background import yield_to_others
from processing.cli_common import Json, attempt, load_settings
from processing.display import Display
from processing.gold.writing import Written, write_gold
from processing.log_files import LogUnreadableError
from processing.maintenance.compaction import Compacted, Compaction, tables_below
from processing.settings import Settings

Background = Annotated[
    bool, typer.Option("--background", help="Yield to everything else: the lowest priority of the machine.")
]

_MIB = 2**20


def compact(
    *,
    keep_hours: Annotated[
        int | None,
        typer.Option(min=1, help="Delete files that no version has had for so long; a reader may take that long."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    background: Background = False,
    as_json: Json = False,
) -> None:
    """Put small files of the event log and the gold tables together, delete old ones, cut the transaction logs.

    The stream may run all the while, and need not. Processing does this by itself every so often
    (MILLRACE_PROCESSING_COMPACT_INTERVAL_SECONDS).
    Exit codes: 0 done, or told; 2 not done.
    """
    settings = load_settings()
    if background:
        yield_to_others()
    keep = keep_hours or settings.processing.compact_keep_hours
    tables: list[Compacted] = attempt(lambda: _compacted(settings, keep, dry_run=dry_run))
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, "tables": [asdict(table) for table in tables]}))
    else:
        for table in tables:
            typer.echo(_told(table, dry_run=dry_run))


def _compacted(settings: Settings, keep_hours: int, *, dry_run: bool) -> list[Compacted]:
    root = settings.log.path
    paths = tables_below(root)
    if not paths:
        raise LogUnreadableError(f"there is no event log at {root}: processing makes it when it starts")
    with Display("compact") as display:
        compaction = Compaction(keep_hours, display.tell)
        work: Callable[[list[Path], Path], list[Compacted]] = compaction.outline if dry_run else compaction.run
        return work(paths, root)


def _told(table: Compacted, *, dry_run: bool) -> str:
    before = f"{table.table:<24}{table.files_before:>8,} files {table.bytes_before / _MIB:>10,.1f} MiB"
    if dry_run:
        return f"{before}; {table.put_together:,} would be put together, {table.deleted:,} deleted from the disk"
    return (
        f"{before} → {table.files_after:,} files, {table.bytes_after / _MIB:,.1f} MiB;"
        f" {table.deleted:,} deleted from the disk; {table.seconds:.1f} s"
    )


def gold(*, background: Background = False, as_json: Json = False) -> None:
    """Write the hours and days that are final to the Delta tables below `gold`, and those again that have changed.

    Processing does this by itself every so often (MILLRACE_PROCESSING_GOLD_INTERVAL_SECONDS).
    Exit codes: 0 done; 2 not done, or not all of it: run it again.
    """
    settings = load_settings()
    if background:
        yield_to_others()
    written: Written = attempt(lambda: _gold(settings))
    if as_json:
        typer.echo(json.dumps(asdict(written)))
        return
    typer.echo(f"{written.cells:,} hours and days written, or written again, in {written.seconds:.1f} s")
    for name, rows in written.rows.items():
        typer.echo(f"{name:<24}{rows:>12,} rows")


def _gold(settings: Settings) -> Written:
    with Display("gold") as display:
        return write_gold(settings.postgres, settings.log.path, display.tell)
