"""Days and hours in a time zone, over the days of clock changes."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.serving.events import Event
from tests.serving.integration.conftest import Server
from tests.serving.shop import Shop, write

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)
QUERY = """query ($range: TimeRange!, $grain: Grain!, $zone: String) {
  sales(range: $range, grain: $grain, timeZone: $zone) { windowStart windowEnd purchases revenue uniqueCustomers } }"""


@pytest.fixture(scope="module", autouse=True)
def purchases(empty_server: Server) -> list[Event]:
    """One purchase each half hour around both changes of the clock in Berlin and in New York."""
    made = []
    for day in ((2026, 3, 8), (2026, 3, 29), (2026, 10, 25), (2026, 11, 1)):
        start = datetime(*day, tzinfo=UTC) - 30 * HOUR
        for n in range(150):
            at = start + n * timedelta(minutes=30)
            name = f"{at:%m%d%H%M}"
            bought = Event(at, f"e{name}", f"u{n % 7}", f"s{name}", "purchase", "p", "c")
            made.append(replace(bought, amount=Decimal("1.25"), quantity=1))
    asyncio.run(write(empty_server.database_url, empty_server.schema, Shop(events=made)))
    return made


def sales(
    server: Server, start: datetime, end: datetime, grain: str, zone: str
) -> list[tuple[datetime, datetime, int]]:
    rows = server.data(QUERY, range={"from": start.isoformat(), "to": end.isoformat()}, grain=grain, zone=zone)["sales"]
    assert all(Decimal(row["revenue"]) == Decimal("1.25") * row["purchases"] for row in rows)
    assert all(row["uniqueCustomers"] == min(7, row["purchases"]) for row in rows)
    return [
        (datetime.fromisoformat(row["windowStart"]), datetime.fromisoformat(row["windowEnd"]), row["purchases"])
        for row in rows
    ]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", (2026, 3, 29), 23),
        ("Europe/Berlin", (2026, 10, 25), 25),
        ("America/New_York", (2026, 3, 8), 23),
        ("America/New_York", (2026, 11, 1), 25),
        ("UTC", (2026, 3, 29), 24),
        ("Asia/Kolkata", (2026, 3, 29), 24),
    ],
)
def test_a_day_is_as_long_as_the_zone_says(
    empty_server: Server, zone: str, day: tuple[int, int, int], hours: int
) -> None:
    midnight = datetime(*day, tzinfo=ZoneInfo(zone))
    before, after = midnight - timedelta(days=1), midnight + timedelta(days=1)
    found = sales(empty_server, before, after + HOUR / 2, "DAY", zone)
    assert [start for start, _, _ in found] == [before, midnight, after]
    assert [(end - start) / HOUR for start, end, _ in found][1] == hours
    assert found[1][2] == 2 * hours


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25)])
def test_every_hour_of_a_changed_day_is_there_once(empty_server: Server, day: tuple[int, int, int], hours: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    midnight = datetime(*day, tzinfo=zone)
    found = sales(empty_server, midnight, midnight + timedelta(days=1), "HOUR", "Europe/Berlin")
    first = midnight.astimezone(UTC)
    assert found == [(first + n * HOUR, first + (n + 1) * HOUR, 2) for n in range(hours)]


def test_hours_of_a_half_hour_zone_begin_at_its_hours(empty_server: Server) -> None:
    start = datetime(2026, 3, 29, tzinfo=ZoneInfo("Asia/Kolkata"))
    found = sales(empty_server, start, start + 3 * HOUR, "HOUR", "Asia/Kolkata")
    assert [begin for begin, _, _ in found] == [start + n * HOUR for n in range(3)]
    assert found[0][0].minute == 30


def test_a_range_that_begins_within_a_day_starts_with_the_next_one(empty_server: Server) -> None:
    noon = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    (only,) = sales(empty_server, noon, noon + timedelta(days=1), "DAY", "Europe/Berlin")
    assert only[0] == datetime(2026, 3, 29, tzinfo=ZoneInfo("Europe/Berlin"))
