"""A day's report against what plain Python counts of the events; kept, made when it is due, printed and mailed."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from contracts.settings import PostgresSettings, ShopSettings
from processing.cli import app
from processing.maintenance import retention
from processing.reporting.day import Day
from processing.reporting.figures import Report
from processing.reporting.reading import Reading, ReportError
from processing.reporting.settings import ReportSettings
from processing.store import Store
from tests.processing.builders import START_MS, Event, at, click, sale
from tests.processing.expected import Rows, expected
from tests.processing.log_rows import Row, logged
from tests.processing.receivers import Mailbox, mailbox
from tests.processing.rolled_shop import Shop, a_shop

pytestmark = pytest.mark.integration

SCHEMA = "reports"
DAY = timedelta(days=1)
SETTINGS = ReportSettings(recent_days=2, lapsed_days=5, often_orders=3)
TODAY = at(START_MS).date()
RUN = CliRunner()


def visits(dice: random.Random) -> Iterator[Event]:
    """Nine days of a small shop, until the noon of `START_MS`."""
    for number in range(900):
        user = dice.randrange(60)
        shared: dict[str, Any] = {
            "user_id": f"u{user}",
            "product_id": f"p{min(dice.randrange(9), dice.randrange(9))}",
            "category": dice.choice(("books", "shoes")),
            "timestamp": START_MS - dice.randrange(9 * 86_400_000),
            "session_id": f"s{user}",
        }
        if dice.random() < 0.15:
            amount = Decimal(dice.randrange(1, 90_000)).scaleb(-2)
            yield sale(f"{number}", **shared, amount=amount, kind=dice.choice(("purchase", "purchase", "refund")))
        else:
            action = dice.choice(("view", "view", "page_view", "add_to_cart", "checkout_start", "search"))
            yield click(f"{number}", **shared, action=action, user_agent="crawler" if user == 0 else "phone")


@pytest.fixture(scope="module")
def postgres(postgres_url: str) -> PostgresSettings:
    return PostgresSettings(url=SecretStr(postgres_url), db_schema=SCHEMA)


@pytest.fixture(scope="module")
def shop(postgres: PostgresSettings) -> Iterator[Shop]:
    store = Store(postgres)
    store.create_tables()
    shop = a_shop(store, kept=retention.kept_for(minutes=2, conversions=None, paths=None))
    rows = [logged(event, late=number % 40 == 0) for number, event in enumerate(visits(random.Random(3)))]
    shop.fold(rows[:400], rows[400:])
    move_watermark(shop, at(START_MS))
    yield shop
    store.close()


def move_watermark(shop: Shop, watermark: datetime) -> None:
    with shop.store.transaction() as transaction:
        transaction.execute("DELETE FROM epochs")
        transaction.execute(
            "INSERT INTO epochs (epoch, started_at, offsets, newest_log_time, event_time_by_partition, watermark,"
            " duplicates, conflicts, late) VALUES ($1, $2, '{}', $2, '{}', $2, 7, 2, 3)",
            (shop.epoch, watermark),
        )


def report(postgres: PostgresSettings, day: date | None = None, zone: str = "UTC") -> Report:
    reading = Reading(postgres, ShopSettings(time_zone=zone), SETTINGS)
    return reading.report(Day(day, reading.zone) if day else None)


def within(rows: Rows, start: datetime, end: datetime, place: int | str) -> list[dict[str, Any]]:
    """Of people: rows whose time is in the stretch; the time is a part of the key or a column."""
    listed = [row | {"key": key} for key, row in rows.items() if not row["bot"]]
    times = [(row["key"][place] if isinstance(place, int) else row[place], row) for row in listed]
    return [row for time, row in times if time is not None and start <= time < end]


def sums(log: Iterable[Row], tables: dict[str, Rows], start: datetime, end: datetime) -> dict[str, Any]:
    events = [row for row in log if start <= row["timestamp"] < end and not row["bot"]]
    bought = [row for row in events if row["kind"] == "purchase"]
    return {
        "events": len(events),
        "views": sum(row["action"] in ("view", "page_view") for row in events),
        "users": len({row["user_id"] for row in events}),
        "buyers": len({row["user_id"] for row in bought}),
        "sessions": len(within(tables["sessions"], start, end, 1)),
        "orders": len(within(tables["orders"], start, end, "ordered_at")),
        "units": sum(row["quantity"] for row in bought),
        "revenue": sum((row["amount"] for row in bought), Decimal(0)),
        "refunded": sum((row["amount"] for row in events if row["kind"] == "refund"), Decimal(0)),
    }


def groups_of_customers(tables: dict[str, Rows], until: datetime) -> dict[str, tuple[int, int, Decimal]]:
    orders: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in within(tables["orders"], datetime.min.replace(tzinfo=UTC), until, "ordered_at"):
        orders[row["key"][1]].append(row)
    spent = {user: sum(row["revenue"] - row["refunded"] for row in own) for user, own in orders.items()}
    found: dict[str, tuple[int, int, Decimal]] = {}
    for user, own in orders.items():
        age = until - max(row["ordered_at"] for row in own)
        less = sum(other < spent[user] for other in spent.values())
        much = len(spent) > 1 and less / (len(spent) - 1) >= 0.8
        often = len(own) >= 3
        name = (
            "lost" if age > 5 * DAY
            else "slipping" if age > 2 * DAY
            else "champions" if often and much
            else "loyal" if often
            else "returning" if len(own) > 1
            else "new"
        )  # fmt: skip
        users, count, money = found.get(name, (0, 0, Decimal(0)))
        found[name] = (users + 1, count + len(own), money + spent[user])
    return found


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("summed_up", [False, True])
def test_a_day_and_the_week_before_it_are_what_the_events_say(
    shop: Shop, postgres: PostgresSettings, zone: str, summed_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if summed_up:
        monkeypatch.setattr(retention, "_LOOK_EVERY_SECONDS", 0.0)
        shop.make(at(START_MS))
        assert shop.query("SELECT FROM roll_ups WHERE fine_gone AND grain = 'hour'")
    start = datetime.combine(TODAY - DAY, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    end, log, tables = start + DAY, shop.log, expected(shop.log)
    found = report(postgres, None, zone)
    assert (found.day, found.time_zone, found.is_final) == ((TODAY - DAY).isoformat(), zone, True)
    assert vars(found.totals) == sums(log, tables, start, end)
    if zone == "UTC" or not summed_up:  # half hours are not kept of a week ago
        assert vars(found.week_before) == sums(log, tables, start - 7 * DAY, end - 7 * DAY)
        assert found.week_before.revenue > 0

    sessions = within(tables["sessions"], start, end, 1)
    steps = ("viewed", "added", "checkout", "purchased")
    assert {each.step: each.sessions for each in found.funnel} == {
        step: sum(row[f"{step}_at"] is not None for row in sessions) for step in steps
    }
    views = Counter(
        row["product_id"]
        for row in log
        if start <= row["timestamp"] < end and row["action"] in ("view", "page_view") and not row["bot"]
    )
    top = sorted(views.items(), key=lambda each: (-each[1], each[0]))[:5]
    assert [(each.product_id, each.views) for each in found.top_products] == top
    bought: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in sessions:
        bought[row["user_id"]].append(row)
    for shoppers in found.shoppers:
        people = [
            own for own in bought.values() if any(row["purchases"] for row in own) == (shoppers.group == "buyers")
        ]
        own = [row for person in people for row in person]
        minutes = sum(((row["ended_at"] - row["key"][1]) for row in own), timedelta(0)) / timedelta(minutes=1)
        assert (shoppers.users, shoppers.sessions) == (len(people), len(own))
        assert shoppers.users > 0
        assert shoppers.views == sum(row["views"] for row in own)
        assert shoppers.revenue == sum((row["revenue"] for row in own), Decimal(0))
        assert shoppers.minutes == pytest.approx(minutes, abs=0.06)
    customers = {each.group: (each.users, each.orders, each.revenue) for each in found.customers if each.users}
    assert customers == groups_of_customers(tables, end)
    assert len(customers) >= 4
    additions = [row for row in within(tables["carts"], start, end, 2) if not row["key"][4]]
    in_time = sum(row["purchase_id"] is not None for row in additions)
    assert vars(found.carts) == {
        "additions": len(additions),
        "bought": in_time,
        "abandoned": len(additions) - in_time,
    }


def test_the_day_so_far_is_held_against_the_same_hours_a_week_before(shop: Shop, postgres: PostgresSettings) -> None:
    start, now = at(START_MS) - DAY / 2, at(START_MS)
    found = report(postgres, TODAY)
    assert (found.until, found.is_final) == ("2026-03-01T12:00:00Z", False)
    tables = expected(shop.log)
    assert vars(found.totals) == sums(shop.log, tables, start, now)
    assert vars(found.week_before) == sums(shop.log, tables, start - 7 * DAY, now - 7 * DAY)
    quality = found.quality
    assert (quality.duplicates, quality.conflicts, quality.late, quality.residue) == (0, 0, 0, 0)  # at noon sharp


def test_what_was_odd_is_counted_by_window_told_by_the_worst_and_not_if_taken_back(
    shop: Shop, postgres: PostgresSettings
) -> None:
    yesterday = at(START_MS) - DAY
    with shop.store.transaction() as transaction:
        for number, (subject, method, score, standing, minutes) in enumerate(
            (
                ("", "robust_z", 9.0, True, 0),
                ("", "iqr", 9.0, True, 0),
                ("p1", "iqr", 3.0, True, 0),
                ("p2", "iqr", 99.0, False, 0),
                ("", "iqr", 35.0, True, 5),  # the same thing goes on, less surely
            )
        ):
            transaction.execute(
                "INSERT INTO anomalies VALUES ($1, $1 + interval '5 minutes', 'views', $2, $3, $4, 10, $5, $6, $7,"
                " 'warning', 'up', '[]', $8, 1, $1)",
                (
                    yesterday + timedelta(minutes=minutes),
                    "product" if subject else "site",
                    subject,
                    method,
                    90.0 + number,
                    score,
                    1.0 + number,
                    standing,
                ),
            )
        transaction.execute(
            'INSERT INTO verifications ("at", epoch, rows, mismatches, examples, seconds)'
            " VALUES ($1, 1, 9, 4, '[]', 1)",
            (yesterday,),
        )
        transaction.execute("UPDATE totals SET records = 5")
    found = report(postgres)
    assert found.oddities == 3
    assert [(each.scope, each.subject, each.observed) for each in found.oddest] == [
        ("site", "", 90.0),
        ("product", "p1", 92.0),
    ]
    assert (found.quality.verifications, found.quality.mismatches, found.quality.residue) == (1, 4, 5)


def test_a_day_is_final_once_its_sessions_and_carts_are(shop: Shop, postgres: PostgresSettings) -> None:
    midnight = at(START_MS) + DAY / 2
    for watermark, final in ((midnight + timedelta(minutes=59), False), (midnight + timedelta(hours=1), True)):
        move_watermark(shop, watermark)
        assert report(postgres, TODAY).is_final == final
    move_watermark(shop, at(START_MS))


def test_without_events_there_is_nothing_to_report_on(shop: Shop, postgres: PostgresSettings) -> None:
    for day in (TODAY - 60 * DAY, TODAY + DAY):
        with pytest.raises(ReportError, match="there are no events of"):
            report(postgres, day)
    with pytest.raises(ReportError, match="is no IANA time zone"):
        report(postgres, None, "Mars/Olympus")


def test_before_the_first_event_nothing_is_due(shop: Shop, box: Mailbox) -> None:
    with shop.store.transaction() as transaction:
        transaction.execute("DELETE FROM epochs")
    told = RUN.invoke(app, ["report", "--due"])
    assert (told.exit_code, json.loads(told.stdout)) == (0, {"days": []})
    told = RUN.invoke(app, ["report"])
    assert told.exit_code == 2
    assert "there are no events yet that the watermark has passed" in told.stderr
    move_watermark(shop, at(START_MS))


@pytest.fixture
def box(postgres: PostgresSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """What the command is told by: this store, and a mailbox."""
    monkeypatch.setenv("MILLRACE_POSTGRES_URL", postgres.url.get_secret_value())
    monkeypatch.setenv("MILLRACE_POSTGRES_DB_SCHEMA", SCHEMA)
    with mailbox() as box:
        own = {"kind": "email", "host": "127.0.0.1", "port": box.port, "security": "none"}
        settings = {"mail": {**own, "sender": "millrace@shop.test", "to": ["team@shop.test"]}}
        monkeypatch.setenv("MILLRACE_WATCH_DESTINATIONS", json.dumps(settings))
        yield box


def test_the_command_prints_keeps_and_mails_the_report(shop: Shop, postgres: PostgresSettings, box: Mailbox) -> None:
    day = (TODAY - DAY).isoformat()
    told = RUN.invoke(app, ["report", "--day", day, "--format", "json", "--email"])
    assert told.exit_code == 0, told.output
    figures = json.loads(told.stdout)
    assert Decimal(figures["totals"]["revenue"]) == report(postgres).totals.revenue
    (row,) = shop.query(f"SELECT figures::text, is_final, mailed_at FROM reports WHERE day = '{day}'")
    assert json.loads(row["figures"]) == figures
    assert row["is_final"]
    assert row["mailed_at"] is not None
    (mail,) = box.mails
    assert (mail["To"], mail["Message-ID"]) == ("team@shop.test", mail["Message-ID"])
    assert mail["Subject"].startswith(f"Report of {day}: ")
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    text = RUN.invoke(app, ["report", "--day", day])
    assert text.stdout.startswith(f"Report of {day}\n")
    assert RUN.invoke(app, ["report", "--day", day, "--format", "html"]).stdout.startswith("<!doctype html>")


def test_mail_that_is_refused_is_said_and_the_report_is_kept_all_the_same(shop: Shop, box: Mailbox) -> None:
    box.refusal = "550 no such user"
    told = RUN.invoke(app, ["report", "--day", TODAY.isoformat(), "--email"])
    assert told.exit_code == 2
    assert "mail: 127.0.0.1 refused every recipient (550)" in told.stderr
    (row,) = shop.query(f"SELECT is_final, mailed_at FROM reports WHERE day = '{TODAY}'")
    assert (row["is_final"], row["mailed_at"]) == (False, None)


def test_what_is_due_is_made_and_a_final_report_is_mailed_once(
    shop: Shop, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop.store.transaction() as transaction:
        transaction.execute("TRUNCATE reports")
    monkeypatch.setenv("MILLRACE_REPORT_MAIL", "true")

    def due() -> list[str]:
        told = RUN.invoke(app, ["report", "--due"])
        assert told.exit_code == 0, told.output
        days: list[str] = json.loads(told.stdout)["days"]
        return days

    week = [(TODAY - days * DAY).isoformat() for days in range(7, -1, -1)]
    assert due() == week
    assert [mail["Subject"].split(":")[0] for mail in box.mails] == [f"Report of {week[-2]}"]
    assert due() == [week[-1]]
    assert len(box.mails) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--day", "yesterday"], "is no day like"),
        (["--due", "--email"], "it is --due, or"),
        (["--format", "pdf"], "text"),
        (["--day", "2020-01-01"], "there are no events of 2020-01-01 (UTC) before the watermark"),
    ],
)
def test_what_cannot_be_done_is_said(shop: Shop, box: Mailbox, arguments: list[str], says: str) -> None:
    told = RUN.invoke(app, ["report", *arguments], env={"COLUMNS": "200"})
    assert told.exit_code == 2
    assert says in told.stderr


def test_without_a_mailbox_nothing_is_mailed(shop: Shop, box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILLRACE_WATCH_DESTINATIONS")
    told = RUN.invoke(app, ["report", "--email"])
    assert told.exit_code == 2
    assert "no destination of kind email is set" in told.stderr
