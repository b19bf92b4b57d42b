"""An explanation as text for a person."""

from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from processing.explain import Change, Copy, Explanation

_WINDOWS: Final = {
    "product_minutes": ("minute", "product_id", "category", "bot"),
    "category_minutes": ("minute", "category", "bot"),
    "site_minutes": ("minute", "bot"),
    "sessions": ("session_id", "started_at", "ended_at", "events"),
    "conversions": ("product_id", "happened_at", "event_id", "purchase_id"),
    "carts": ("product_id", "happened_at", "event_id", "purchase_id"),
    "orders": ("order_id", "lines", "revenue", "refunded"),
    "users": ("user_id", "first_seen", "last_seen", "events"),
    "user_categories": ("user_id", "category", "events"),
    "delays": ("minute", "up_to_seconds", "events"),
}
"""What tells a reader which row it is. Of a table that is not named here, all of the row."""


def print_explanation(explanation: Explanation, console: Console) -> None:
    """Every copy of the event, then every row that it is in."""
    event_id = escape(explanation.event_id)
    console.print(f"[bold]{event_id}[/]: {explanation.verdict}, as of epoch {explanation.as_of_epoch}", highlight=False)
    for copy in explanation.copies:
        _print_copy(copy, console)
    if explanation.changes:
        table = Table("in", "row", "as", box=None, pad_edge=False)
        for change in explanation.changes:
            table.add_row(change.table, escape(_row(change)), escape(_pairs(change.role)))
        console.print(table)
    if explanation.verdict != "applied" and explanation.unlogged_epochs:
        epochs = f"{explanation.unlogged_epochs} epoch{'s are' if explanation.unlogged_epochs != 1 else ' is'}"
        console.print(f"{epochs} not in the log yet; ask again in a few seconds.", highlight=False)


def _print_copy(copy: Copy, console: Console) -> None:
    place = f"{copy.topic}-{copy.partition} offset {copy.offset}"
    when = f" (committed {_spelled(copy.committed_at)})" if copy.committed_at else ""
    console.print(escape(f"  {copy.verdict}: {place}, epoch {copy.epoch}{when}"), highlight=False, soft_wrap=True)
    for name, value in copy.detail.items():
        if value is not None and value is not False:
            console.print(escape(f"      {name}: {_spelled(value)}"), highlight=False, soft_wrap=True)


def _row(change: Change) -> str:
    names = _WINDOWS.get(change.table, tuple(change.row))
    return _pairs({name: change.row[name] for name in names if change.row[name] not in (None, False)})


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_spelled(value)}" for name, value in values.items())


def _spelled(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
