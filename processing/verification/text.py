"""A verification's outcome as people read it."""

import json
from typing import Any

import typer

from processing.verification.compare import Mismatch, plain
from processing.verification.run import Outcome


def print_outcome(outcome: Outcome) -> None:
    """Print a line per table and, of what differs, what was expected, what was found and by which events."""
    span = outcome.span
    where = (
        "all events" if span.is_whole else f"{plain(span.since) or 'the first event'} to {plain(span.until) or 'now'}"
    )
    typer.echo(f"{where}, as of epoch {outcome.epoch}")
    for verdict in outcome.verdicts:
        said = f"{verdict.mismatches:,} differ" if verdict.mismatches else "equal"
        typer.echo(f"{verdict.table:<18}{verdict.rows:>12,} rows  {said}")
        for example in verdict.examples:
            _print_mismatch(example)
        if verdict.mismatches > len(verdict.examples):
            typer.echo(f"    and {verdict.mismatches - len(verdict.examples):,} more")
    typer.echo(f"{outcome.mismatches:,} of {outcome.rows:,} rows differ; {outcome.seconds:.1f} s")


def _print_mismatch(mismatch: Mismatch) -> None:
    typer.echo(f"    {mismatch.kind}: {_json(mismatch.key)}")
    for cell in mismatch.cells:
        typer.echo(f"        {cell.column}: expected {_json(cell.expected)}, found {_json(cell.found)}")
    evidence = mismatch.evidence
    if evidence.events:
        more = " …" if evidence.events > len(evidence.event_ids) else ""
        typer.echo(
            f"        from {evidence.events:,} events, in epochs {', '.join(map(str, evidence.epochs))}:"
            f" {', '.join(evidence.event_ids)}{more}"
        )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
