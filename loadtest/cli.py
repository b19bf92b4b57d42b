"""The verbs and their options. What they do is elsewhere; here it is put together once per call."""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Annotated

import typer

from loadtest import bench_cli
from loadtest import replay as recording
from loadtest.drill.cli import drill
from loadtest.faults import FaultRates, Sending, inject
from loadtest.gateway_client import RefusedError
from loadtest.load.cli import load
from loadtest.options import Gateway, WriteKey, destination_of, settings_of, usage
from loadtest.run import Destination, send
from loadtest.scenarios import SCENARIOS, Span, play
from loadtest.sender import Tally
from loadtest.settings import SimulatorSettings
from loadtest.shop import MixNotReachableError, Shop
from loadtest.summary import print_tally

_HELP = """Simulated and recorded traffic, load with freshness, and a client log to judge the answers by.

Exit codes: 0 all well; 1 something was lost, wrong or refused; 2 the call itself is wrong."""

app = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(bench_cli.app, name="bench")
app.command()(load)
app.command()(drill)

LogFile = Annotated[Path | None, typer.Option("--log", help="Append the client log (JSON lines) here.")]
Json = Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")]
Import = Annotated[bool, typer.Option("--import", help="Send as history: old timestamps are no error.")]
Patience = Annotated[
    float | None, typer.Option("--patience", min=0, help="Seconds to retry an event. Default: for ever.")
]
Duplicates = Annotated[float, typer.Option(min=0, max=1, help="Share of events sent a second time.")]
Conflicts = Annotated[float, typer.Option(min=0, max=1, help="Share sent again, same id but another payload.")]
Late = Annotated[float, typer.Option(min=0, max=1, help="Share whose timestamp lies 6-60 minutes back.")]
OutOfOrder = Annotated[float, typer.Option(min=0, max=1, help="Share sent up to 2 minutes after their time.")]
Invalid = Annotated[float, typer.Option(min=0, max=1, help="Share of additional events that must be rejected.")]


def _share_of_transactions(mix: str) -> float | None:
    if mix == "natural":
        return None
    try:
        clicks, sales = (float(part) for part in mix.split("/"))
        return sales / (clicks + sales)
    except (ValueError, ZeroDivisionError):
        usage(f"--mix is 'natural' or CLICKSTREAM/TRANSACTIONS like 80/20, not {mix!r}")


@app.command()
def simulate(
    *,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Events per second of shop time, on average.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.001, help="Length of shop time. Default: until SIGTERM.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same events. Default: a fresh one.")] = None,
    speed: Annotated[float, typer.Option(min=0, help="Shop seconds per second; 0: as fast as acknowledged.")] = 1.0,
    start: Annotated[
        datetime | None, typer.Option(help="Time of the first event, UTC. Default: now, or so that the run ends now.")
    ] = None,
    rhythm: Annotated[
        bool | None, typer.Option("--rhythm/--flat", help="Follow the hours of the day. Default: only when endless.")
    ] = None,
    mix: Annotated[str, typer.Option(help="Clickstream/transactions, like 80/20.")] = "natural",
    scenario: Annotated[str | None, typer.Option(help=f"What goes wrong: {', '.join(SCENARIOS)}.")] = None,
    scenario_from: Annotated[float, typer.Option(min=0, help="Seconds of shop time until it begins.")] = 0.0,
    scenario_seconds: Annotated[float, typer.Option(min=0.001, help="How long it lasts.")] = 600.0,
    duplicates: Duplicates = 0.0,
    conflicts: Conflicts = 0.0,
    late: Late = 0.0,
    out_of_order: OutOfOrder = 0.0,
    invalid: Invalid = 0.0,
    log: LogFile = None,
    history: Import = False,
    patience: Patience = None,
    gateway: Gateway = None,
    write_key: WriteKey = None,
    json: Json = False,
) -> None:
    """A shop: visitors browse, search, view, click, fill carts, check out and buy."""
    settings = settings_of(SimulatorSettings)
    if speed != 1 and seconds is None:
        usage("--speed other than 1 needs --seconds")
    if scenario is not None and scenario not in SCENARIOS:
        usage(f"--scenario is one of {', '.join(SCENARIOS)}, not {scenario!r}")
    if seed is None:
        seed = settings.seed if settings.seed is not None else secrets.randbelow(2**32)
    if start is None and speed != 1:
        start = datetime.now(UTC) - timedelta(seconds=seconds or 0)
    with_rhythm = seconds is None if rhythm is None else rhythm
    try:
        shop = Shop(seed, transactions_share=_share_of_transactions(mix))
    except MixNotReachableError as error:
        usage(error)
    events = shop.events(
        rate or settings.rate, seconds=seconds, rhythm_from_ms=_epoch_ms(start) if with_rhythm else None
    )
    if scenario is not None:
        span = Span(int(scenario_from * 1000), int((scenario_from + scenario_seconds) * 1000))
        events = play(scenario, events, span, shop, seed)
    rates = FaultRates(duplicates, conflicts, late, out_of_order, invalid)
    # The shop is open and full by now: live time starts here.
    stream = inject(events, rates, seed, _epoch_ms(start))
    tally = _sent(stream, destination_of(settings, gateway, write_key, log, history=history), speed, patience)
    print_tally(tally, json=json, seed=seed)
    raise typer.Exit(0 if tally.clean else 1)


@app.command()
def replay(
    *,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="REES46 recording, .csv or .csv.gz.")],
    speed: Annotated[float, typer.Option(min=0, help="Recorded seconds per second; 0: as acknowledged.")] = 0.0,
    history: Annotated[bool, typer.Option("--import/--live", help="Old timestamps are no error.")] = True,
    log: LogFile = None,
    patience: Patience = None,
    gateway: Gateway = None,
    write_key: WriteKey = None,
    json: Json = False,
) -> None:
    """Send a recording with its own timestamps, and print our own count of the file to compare answers with."""
    settings = settings_of(SimulatorSettings)
    try:
        totals = recording.count(recording.read_rows(file))
        stream = recording.to_sendings(recording.to_events(recording.read_rows(file)))
        tally = _sent(stream, destination_of(settings, gateway, write_key, log, history=history), speed, patience)
    except recording.RecordingError as error:
        usage(error)
    print_tally(tally, json=json, totals=totals)
    raise typer.Exit(0 if tally.clean else 1)


def _sent(stream: Iterable[Sending], destination: Destination, speed: float, patience: float | None) -> Tally:
    try:
        return send(stream, destination, speed=speed, patience_seconds=inf if patience is None else patience)
    except RefusedError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


def _epoch_ms(moment: datetime | None) -> int:
    """Epoch milliseconds of a time, or of now; without a zone it is UTC."""
    moment = moment or datetime.now(UTC)
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
