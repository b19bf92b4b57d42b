"""What a run prints at its end: a table for people, one JSON object for programs."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.table import Column, Table

from loadtest.replay import Totals
from loadtest.sender import Tally


def print_tally(tally: Tally, *, json: bool, seed: int | None = None, totals: Totals | None = None) -> None:
    """Print a sending run. `totals` is the recording's own count."""
    figures: dict[str, Any] = {
        "clean": tally.clean,
        "seed": seed,
        "seconds": round(tally.seconds, 3),
        "sent": tally.sendings,
        "per_second": round(tally.sendings / tally.seconds, 1) if tally.seconds else None,
        "accepted": tally.accepted,
        "rejected": tally.rejected,
        "retried": tally.retried,
        "failed": tally.failed,
        "requests": tally.requests,
        "kinds": dict(tally.kinds),
        "unexpected": dict(tally.unexpected),
        "latency_ms": tally.latencies.summary_ms(),
        "recording": asdict(totals) if totals else None,
    }
    print_figures({name: value for name, value in figures.items() if value is not None}, json=json)


def print_figures(figures: Mapping[str, Any], *, json: bool) -> None:
    """Print figures to standard output; nested ones as `outer.inner` rows in the table, lists a row each."""
    if json:
        typer.echo(to_json(figures))
        return
    table = Table(show_header=False, box=None)
    for name, value in _rows("", figures):
        table.add_row(name.replace("_", " "), value)
    Console().print(table)


def print_bench(figures: Mapping[str, Any]) -> None:
    """Print a bench of the gateway: a row per case. `CPU s` is processor time per million events, or requests."""
    columns = {
        "req/s": ("requests_per_second", ",.0f"), "events/s": ("events_per_second", ",.0f"),
        "of loop": ("of_produce_loop", ".1%"), "of route": ("of_empty_route", ".1%"), "p50 ms": ("p50_ms", ",.1f"),
        "p99 ms": ("p99_ms", ",.1f"), "CPU s": ("cpu_seconds_per_million", ",.1f"), "client": ("client_cores", ".0%"),
    }  # fmt: skip
    headings = [Column(""), *(Column(name, justify="right", no_wrap=True) for name in columns)]
    table = Table(*headings, box=None, padding=(0, 1, 0, 0))
    for name, case in figures["cases"].items():
        table.add_row(name, *(format(case[key], told) if case.get(key) else "-" for key, told in columns.values()))
    Console().print(table)


def print_checks(audit: Mapping[str, Any]) -> None:
    """Print an audit: a row per law, and whether it holds."""
    table = Table(Column("audit"), Column(""), Column("of"), box=None, padding=(0, 2, 0, 1))
    for check in audit["checks"]:
        verdict = "[green]holds[/]" if check["holds"] else f"[red]broken[/] {check['broken']:,} times"
        table.add_row(check["name"], verdict, check["found"])
    Console().print(table)


def to_json(figures: Mapping[str, Any]) -> str:
    """Figures as JSON; decimals become strings, so that cents survive."""
    return orjson.dumps(figures, default=_plain, option=orjson.OPT_INDENT_2).decode()


def _rows(prefix: str, figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in figures.items():
        if isinstance(value, Mapping):
            rows += _rows(f"{prefix}{name}.", value)
        elif isinstance(value, list):
            rows += [(f"{prefix}{name}", " ".join(f"{k}={v}" for k, v in item.items())) for item in value]
        else:
            number = isinstance(value, int | float) and not isinstance(value, bool) and name != "seed"
            rows.append((f"{prefix}{name}", f"{value:,}" if number else str(value)))
    return rows


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
