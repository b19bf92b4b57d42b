"""How figures are put into words, the same in text, HTML and mail."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from processing.reporting.day import Day
from processing.reporting.figures import Oddity, Report, Totals

GROUPS: Final = {
    "buyers": "Buyers",
    "window_shoppers": "Window shoppers",
    "champions": "Champions",
    "loyal": "Loyal",
    "returning": "Returning",
    "new": "New",
    "slipping": "Slipping away",
    "lost": "Lost",
}
STEPS: Final = {"viewed": "Viewed", "added": "Put into a cart", "checkout": "Began a checkout", "purchased": "Bought"}


def title(report: Report) -> str:
    """The headline."""
    return f"{report.day}{'' if report.is_final else ', so far'}"


def as_of(report: Report) -> str:
    """What the figures are of."""
    weekday = f"{date.fromisoformat(report.day):%A}"
    until = "the whole day" if is_whole(report) else f"until {_clock(report.until, report)}"
    span = f"{weekday}, {until} ({report.time_zone})"
    final = "final" if report.is_final else "not final yet: what comes in time can still change it"
    of = f"Amounts are in {report.currency}. People only; what bots did is left out."
    return f"{span}; as of epoch {report.epoch}, {final}. {of}"


def is_whole(report: Report) -> bool:
    """Whether it is of all the day, and not of a part that has been so far."""
    zone = ZoneInfo(report.time_zone)
    return datetime.fromisoformat(report.until) == Day(date.fromisoformat(report.day), zone).end


def count(value: float) -> str:
    """A count with separators."""
    return f"{value:,.0f}"


def money(value: Decimal | None) -> str:
    """An amount in the shop's currency."""
    return f"{value:,.2f}" if value is not None else "–"


def share(value: float | None) -> str:
    """A share in per cent."""
    return f"{value:.1%}" if value is not None else "–"


def change(now: float | Decimal, before: float | Decimal) -> str:
    """How much more or less than before."""
    return f"{float(now) / float(before) - 1:+.1%}" if before else "–"


def totals(report: Report) -> list[tuple[str, str, str, str]]:
    """What, the day, the week before, the change; of a week before of which nothing is known, nothing."""
    if not report.week_before.events:
        return [(name, told, "–", "–") for name, told, _, _ in _totals(report)]
    return _totals(report)


def _totals(report: Report) -> list[tuple[str, str, str, str]]:
    now, then = report.totals, report.week_before

    def row(name: str, of: str, *, as_money: bool = False) -> tuple[str, str, str, str]:
        here, there = getattr(now, of), getattr(then, of)
        told = money if as_money else count
        return name, told(here), told(there), change(here, there)

    return [
        row("Revenue", "revenue", as_money=True),
        row("Orders", "orders"),
        ("Average order", *_both(report, lambda each: money(each.average_order)), ""),
        row("Units", "units"),
        row("Refunded", "refunded", as_money=True),
        row("People", "users"),
        ("People who bought", *_both(report, lambda each: share(each.conversion)), ""),
        row("Sessions", "sessions"),
        row("Views", "views"),
    ]


def funnel(report: Report) -> list[tuple[str, str, str]]:
    """Step, sessions, share of those of the first step."""
    first = report.funnel[0].sessions
    return [
        (STEPS[each.step], count(each.sessions), share(each.sessions / first if first else None))
        for each in report.funnel
    ]


def carts(report: Report) -> str:
    """A sentence."""
    found = report.carts
    rest = found.additions - found.bought - found.abandoned
    still = f", {rest:,} not decided yet" if rest else ""
    return f"{found.additions:,} put into carts: {found.bought:,} bought, {found.abandoned:,} abandoned{still}."


def oddity(found: Oddity, report: Report) -> str:
    """A line, by the shop's clock."""
    of = f"{found.scope} {found.subject}" if found.subject else "the shop"
    window = f"{_clock(found.window_start, report)}–{_clock(found.window_end, report)}"
    off = f"{found.observed:,.0f}, expected {found.expected:,.0f}"
    return f"{window} {found.metric} of {of} {found.direction}: {off} ({found.severity})"


def odd(report: Report) -> str:
    """The sentence ahead of the list."""
    if not report.oddities:
        return "Nothing was flagged."
    shown = "; what was farthest off" if report.oddities > len(report.oddest) else ""
    return f"{report.oddities:,} window{'s' if report.oddities != 1 else ''} flagged{shown}:"


def quality(report: Report) -> list[str]:
    """Sentences; the first says whether the books close."""
    found = report.quality
    books = (
        "The books close." if not found.residue else f"The books do not close: {found.residue:,} records are missing."
    )
    differ = "no row differed" if not found.mismatches else f"{found.mismatches:,} rows differed"
    return [
        books,
        f"{found.rejected:,} refused by the gateway, {found.quarantined:,} quarantined, {found.duplicates:,} duplicates"
        f" ({found.conflicts:,} with other contents), {found.late:,} late.",
        f"Held against the event log {found.verifications:,} times: {differ}."
        if found.verifications
        else "Not held against the event log that day.",
    ]


def _clock(instant: str, report: Report) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(ZoneInfo(report.time_zone)):%H:%M}"


def _both(report: Report, told: Callable[[Totals], str]) -> tuple[str, str]:
    return told(report.totals), told(report.week_before)
