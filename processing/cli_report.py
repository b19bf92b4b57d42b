"""`python -m processing report`: a day told to people, kept, and mailed."""

import json
from datetime import date
from enum import Enum
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from contracts.settings import setting_faults
from processing.background import yield_to_others
from processing.cli_common import attempt
from processing.reporting import mail
from processing.reporting.day import Day
from processing.reporting.figures import Report
from processing.reporting.html import as_html
from processing.reporting.keeping import Kept
from processing.reporting.reading import Reading, ReportError
from processing.reporting.settings import ReportSettings
from processing.reporting.text import as_text
from processing.watch.settings import Settings, WatchSettings

_DUE_DAYS: Final = 7
"""So many days back, a report that is not final is made again when it is due."""


class Format(Enum):
    """What a report is printed as."""

    TEXT = "text"
    HTML = "html"
    JSON = "json"


def report(
    *,
    day: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="Of the shop's zone. Without it the last whole day, else today."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TEXT,
    email: Annotated[bool, typer.Option("--email", help="Mail it to every destination of kind email as well.")] = False,
    due: Annotated[
        bool,
        typer.Option("--due", help="Make the day so far and the last days that were not final; print their names."),
    ] = False,
    background: Annotated[bool, typer.Option("--background", help="Yield to everything else.")] = False,
) -> None:
    """Tell what a day was like: totals beside the week before, funnel, products, segments, what was odd, data quality.

    The report is kept in the table `reports`, from which GraphQL and the page have it. Processing makes what is due by
    itself every so often (MILLRACE_PROCESSING_REPORT_INTERVAL_SECONDS).
    Exit codes: 0 done; 2 there is nothing to report on, or the mail was not taken: the message says why.
    """
    if due and (day is not None or email):
        raise typer.BadParameter("it is --due, or --day and --email", param_hint="--due")
    asked = _date(day)
    if background:
        yield_to_others()
    try:
        settings, options = Settings(), ReportSettings()
    except ValidationError as error:
        for key, fault in setting_faults(error):
            typer.echo(f"{key}: {fault}", err=True)
        raise typer.Exit(2) from None
    if due:
        made = attempt(lambda: _make_due(settings, options))
        typer.echo(json.dumps({"days": made}))
        return
    found = attempt(lambda: _made(settings, options, asked))
    if form is Format.JSON:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
    else:
        typer.echo(as_html(found) if form is Format.HTML else as_text(found), nl=False)
    if email:
        names = attempt(lambda: _mailed(found, settings))
        typer.echo(f"mailed to {', '.join(names)}", err=True)


def _made(settings: Settings, options: ReportSettings, asked: date | None) -> Report:
    reading = Reading(settings.postgres, settings.shop, options)
    found = reading.report(Day(asked, reading.zone) if asked is not None else None)
    Kept(settings.postgres).keep(found)
    return found


def _make_due(settings: Settings, options: ReportSettings) -> list[str]:
    """The day so far, and those before it that are not final yet; yesterday's is mailed once it is, if that is set."""
    reading, kept = Reading(settings.postgres, settings.shop, options), Kept(settings.postgres)
    today = reading.today()
    if today is None:
        return []  # nothing has happened yet
    final, mailed = kept.final(), kept.mailed()
    made = []
    for day in (today.before(days) for days in range(_DUE_DAYS, -1, -1)):
        wanted = options.mail and day == today.before() and day.of not in mailed
        if day.of in final and not wanted:
            continue
        try:
            found = reading.report(day)
        except ReportError:
            continue  # the shop was not there yet
        kept.keep(found)
        made.append(day.name)
        if wanted and found.is_final:
            _mailed(found, settings)
    return made


def _mailed(found: Report, settings: Settings) -> list[str]:
    options: WatchSettings = settings.watch
    names = mail.send(found, options.destinations, options.source)
    Kept(settings.postgres).note_mailed(found)
    return names


def _date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no day like 2026-03-01", param_hint="--day") from error
