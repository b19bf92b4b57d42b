"""`millrace alerts`: which are open, acknowledging one, trying a destination."""

import getpass
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer

from processing.alerting.destinations import NotDeliveredError, Notice
from processing.alerting.listing import acknowledge, listed
from processing.store import Transaction, one_transaction
from processing.watch.cli_common import Json, attempt, fail, load_settings
from processing.watch.settings import Settings, WatchSettings

app = typer.Typer(help="Alerts: list, acknowledge, try a destination.", no_args_is_help=True)

T = TypeVar("T")


@app.command("list")
def list_alerts(
    *,
    every: Annotated[bool, typer.Option("--all", help="Resolved ones, too.")] = False,
    most: Annotated[int, typer.Option("--most", min=1, max=1000)] = 50,
    as_json: Json = False,
) -> None:
    """Print the open alerts, the newest first, and what became of their notices."""
    found = _with_store(lambda transaction: listed(transaction, resolved=every, most=most))
    if as_json:
        typer.echo(json.dumps(found))
        return
    for alert in found:
        _print(alert)
    if not found:
        typer.echo("No alerts." if every else "No open alerts.")


@app.command("ack")
def acknowledge_alert(
    *,
    alert_id: Annotated[int, typer.Argument(metavar="ID", min=1)],
    by: Annotated[str, typer.Option(help="Who sees to it.")] = "",
) -> None:
    """Say that somebody sees to an open alert. Exit code 1 if there is none of this id."""
    if not _with_store(lambda transaction: acknowledge(transaction, alert_id, by or getpass.getuser())):
        fail(f"No alert {alert_id} is open; `millrace alerts list --all` has those there were.")
    typer.echo(f"Alert {alert_id} is acknowledged.")


@app.command("test")
def try_destination(
    *, name: Annotated[str, typer.Argument(metavar="DESTINATION", help="Its name in the settings.")]
) -> None:
    """Send a test alert and its end to a destination, at once and past the outbox. Exit code 1 if it is not taken."""
    options = load_settings(WatchSettings)
    destination = options.destinations.get(name)
    if destination is None:
        known = ", ".join(options.destinations) or "none: see docs/alerts.md"
        raise typer.BadParameter(
            f"no destination {name!r} in the settings; there are {known}", param_hint="DESTINATION"
        )
    try:
        for notice in _test_notices(name, options.source):
            destination.send(notice)
    except NotDeliveredError as error:
        fail(f"{name}: {error}")
    typer.echo(f"{name}: taken, the alert and its end.")


def _test_notices(name: str, source: str) -> list[Notice]:
    now = datetime.now(UTC)
    number = int(now.timestamp())
    says = [
        {"scope": "destination", "subject": name, "says": "a test by `millrace alerts test`; nothing is the matter"}
    ]
    return [
        Notice(
            delivery_id=number + place,
            notice=notice,
            alert_id=number,
            key="test",
            kind="shop",
            severity="warning",
            title="Test",
            members=says,
            opened_at=now.isoformat(),
            resolved_at=now.isoformat() if notice == "resolved" else None,
            source=f"{source}-test",
        )
        for place, notice in enumerate(("opened", "resolved"))
    ]


def _print(alert: dict[str, Any]) -> None:
    state = (
        "resolved"
        if alert["resolved_at"]
        else f"acknowledged by {alert['acknowledged_by']}"
        if alert["acknowledged_at"]
        else "open"
    )
    because = f", explained by alert {alert['explained_by']}" if alert["explained_by"] else ""
    typer.echo(f"{alert['id']}  {alert['severity']}  {alert['title']}  ({state}{because}, since {alert['opened_at']})")
    for member in alert["members"]:
        typer.echo(f"    {member['subject'] or member['scope']}: {member['says']}")
    for each in alert["deliveries"]:
        error = f": {each['error']}" if each["error"] else ""
        typer.echo(f"    → {each['destination']} {each['notice']} {_became(each)}{error}")


def _became(delivery: dict[str, Any]) -> str:
    attempts = "1 attempt" if delivery["attempts"] == 1 else f"{delivery['attempts']} attempts"
    if delivery["delivered"]:
        return f"delivered after {delivery['seconds']:.1f} s ({attempts})"
    return f"{'dropped' if delivery['dropped'] else 'waits'} ({attempts})"


def _with_store(work: Callable[[Transaction], T]) -> T:
    postgres = load_settings(Settings).postgres

    def working() -> T:
        with one_transaction(postgres, postgres.db_schema) as transaction:
            return work(transaction)

    return attempt(working)
