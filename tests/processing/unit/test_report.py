"""Reports as people read them: days by the clock, text, HTML and mail, whatever products are called."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from processing.alerting.destinations.email import Email
from processing.reporting.day import Day, day_of
from processing.reporting.figures import (
    Carts,
    Customers,
    Oddity,
    Product,
    Quality,
    Report,
    Shoppers,
    Step,
    Totals,
)
from processing.reporting.html import as_html
from processing.reporting.mail import message
from processing.reporting.settings import ReportSettings
from processing.reporting.text import as_text

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo("Europe/Berlin")
NOTHING = Totals(0, 0, 0, 0, 0, 0, 0, Decimal(0), Decimal(0))
RUDE = '<script>alert("x")</script>'


def a_report(**changes: object) -> Report:
    same: dict[str, object] = {
        "day": "2026-03-01",
        "time_zone": "UTC",
        "since": "2026-03-01T00:00:00Z",
        "until": "2026-03-02T00:00:00Z",
        "epoch": 42,
        "is_final": True,
        "currency": "USD",
        "totals": Totals(9_000, 4_000, 800, 90, 1_000, 100, 150, Decimal("12345.60"), Decimal("99.00")),
        "week_before": Totals(8_000, 4_000, 800, 90, 1_000, 80, 120, Decimal("10000.00"), Decimal(0)),
        "funnel": [Step("viewed", 900), Step("added", 300), Step("checkout", 150), Step("purchased", 90)],
        "top_products": [Product(RUDE, "books", 400, 20, Decimal("500.00"))],
        "shoppers": [
            Shoppers("buyers", 90, 100, 900, 1234.5, Decimal("12345.60")),
            Shoppers("window_shoppers", 710, 900, 3_100, 3000.0, Decimal(0)),
        ],
        "customers": [Customers("champions", 10, 90, Decimal("9000.00")), Customers("lost", 5, 5, Decimal("50.00"))],
        "carts": Carts(300, 90, 200),
        "oddities": 2,
        "oddest": [
            Oddity(
                "2026-03-01T12:00:00Z", "2026-03-01T12:05:00Z", "views", "product", RUDE, "up", "critical", 10.4, 90.0
            )
        ],
        "quality": Quality(1, 2, 3, 1, 4, 0, 24, 0),
    }
    return Report(**{**same, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("day", "start", "hours"),
    [
        ("2026-03-28", "2026-03-27T23:00:00+00:00", 24),
        ("2026-03-29", "2026-03-28T23:00:00+00:00", 23),
        ("2026-10-25", "2026-10-24T22:00:00+00:00", 25),
    ],
)
def test_a_day_goes_from_midnight_to_midnight_of_its_zone(day: str, start: str, hours: int) -> None:
    of = Day(date.fromisoformat(day), BERLIN)
    assert of.start == datetime.fromisoformat(start)
    assert of.end - of.start == timedelta(hours=hours)
    assert day_of(of.start, BERLIN) == day_of(of.end - timedelta(microseconds=1), BERLIN) == of
    assert day_of(of.end, BERLIN).before() == of


def test_a_week_before_is_the_same_time_of_day_where_the_clock_has_changed_since() -> None:
    monday = Day(date(2026, 3, 30), BERLIN)
    noon = datetime(2026, 3, 30, 10, tzinfo=UTC)
    assert monday.week_before(noon) == (datetime(2026, 3, 22, 23, tzinfo=UTC), datetime(2026, 3, 23, 11, tzinfo=UTC))
    start, end = Day(date(2026, 3, 29), BERLIN).week_before(datetime(2026, 3, 29, 22, tzinfo=UTC))
    assert (start, end) == (datetime(2026, 3, 21, 23, tzinfo=UTC), datetime(2026, 3, 22, 23, tzinfo=UTC))


def test_text_has_every_part_in_columns() -> None:
    lines = as_text(a_report()).splitlines()
    assert lines[0] == "Report of 2026-03-01"
    assert lines[1].startswith("  Sunday, the whole day (UTC); as of epoch 42, final.")
    assert "Totals, and the same weekday a week before" in lines
    assert "  Revenue            12,345.60  10,000.00  +23.5%" in lines
    assert "  Average order         123.46     125.00" in lines
    assert "  People who bought      11.2%      11.2%" in lines
    assert "  Bought             90   10.0%" in lines
    assert "  300 put into carts: 90 bought, 200 abandoned, 10 not decided yet." in lines
    assert "  2 windows flagged; what was farthest off:" in lines
    assert "  The books close." in lines
    assert "  Held against the event log 24 times: no row differed." in lines


def test_times_are_by_the_clock_of_the_shop() -> None:
    berlin = a_report(
        time_zone="Europe/Berlin",
        since="2026-02-28T23:00:00Z",
        until="2026-03-01T17:12:00Z",
        is_final=False,
    )
    lines = as_text(berlin).splitlines()
    assert lines[1].startswith("  Sunday, until 18:12 (Europe/Berlin); as of epoch 42, not final yet")
    assert "Totals, and the same hours a week before" in lines
    assert f"  13:00–13:05 views of product {RUDE} up: 90, expected 10 (critical)" in lines
    assert "So far" in as_html(berlin)
    whole = a_report(time_zone="Europe/Berlin", until="2026-03-01T23:00:00Z")
    assert as_text(whole).splitlines()[1].startswith("  Sunday, the whole day (Europe/Berlin)")


def test_of_nothing_there_is_no_share_and_no_change() -> None:
    steps = [Step(step, 0) for step in ("viewed", "added", "checkout", "purchased")]
    empty = a_report(
        week_before=NOTHING, totals=NOTHING, funnel=steps, top_products=[], shoppers=[], oddities=0, oddest=[],
        is_final=False, quality=Quality(0, 0, 0, 0, 0, 7, 0, 0),
    )  # fmt: skip
    text = as_text(empty)
    assert text.startswith("Report of 2026-03-01, so far\n")
    assert "Nothing was flagged." in text
    assert "The books do not close: 7 records are missing." in text
    assert "Not held against the event log that day." in text
    assert "nan" not in (text + as_html(empty)).lower()
    assert "Revenue            0.00  –  –" in text


def test_html_is_well_formed_fetches_nothing_and_shows_names_as_they_are() -> None:
    found: list[str] = []
    words: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append(tag)
            assert not {name for name, _ in attrs} & {"src", "href", "onclick"}

        def handle_data(self, data: str) -> None:
            words.append(data)

    Reader().feed(as_html(a_report()))
    assert "script" not in found
    assert words.count(RUDE) == 1
    assert found.count("table") == 5
    assert "url(" not in as_html(a_report())


def test_a_mail_has_the_text_and_the_same_as_html_and_one_id_for_the_same_figures() -> None:
    mailbox = Email(kind="email", host="mail", sender="Shop <shop@b.test>", to=("d@e.test", "f@g.test"))
    mail = message(a_report(), mailbox, "here")
    assert mail["Subject"] == "Report of 2026-03-01: 12,345.60 USD"
    assert mail["To"] == "d@e.test, f@g.test"
    assert (
        mail["Message-ID"] == "<here-report-2026-03-01-42@b.test>" == message(a_report(), mailbox, "here")["Message-ID"]
    )
    assert message(a_report(epoch=43), mailbox, "here")["Message-ID"] != mail["Message-ID"]
    text, html = mail.iter_parts()
    assert text.get_content() == as_text(a_report())
    assert html.get_content() == as_html(a_report())


def test_json_has_money_as_text() -> None:
    told = a_report().as_json()
    assert told["totals"]["revenue"] == "12345.60"
    assert told["shoppers"][0]["minutes"] == 1234.5


def test_bounds_of_groups_must_ascend() -> None:
    with pytest.raises(ValidationError, match="recent_days must be less"):
        ReportSettings(recent_days=90)
