"""What visitors did in the seeded run, as GraphQL and the oracle tell it: conversions, funnel, orders, users, bots."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from loadtest import behaviour
from loadtest.oracle import Oracle
from tests.e2e.millrace import TEST_USER, iso
from tests.e2e.seeded_run import Run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BOT_USER = "bot-"
"""How the simulated shop's bots are called."""


def test_conversions_of_every_product_in_five_minute_windows_of_clicks(run: Run) -> None:
    rows = run.millrace.ask(
        "query($range: TimeRange!) { conversions(range: $range, bots: INCLUDE)"
        " { windowStart productId clicks convertedClicks purchases rate } }",
        {"range": run.range},
    )["conversions"]
    served = {
        (_at(row["windowStart"]), row["productId"]): (row["clicks"], row["convertedClicks"], row["purchases"])
        for row in rows
    }
    expected = {
        key: (found.clicks, found.converted, found.purchases)
        for key, found in behaviour.conversions(run.oracle.facts).items()
    }
    assert served == expected
    assert any(converted for _, converted, _ in served.values())


def test_the_funnel_by_its_four_steps_and_by_steps_of_ones_own(run: Run) -> None:
    sessions = [session for session in run.oracle.sessions.values() if session.started_at >= run.start]
    expected = behaviour.funnel(sessions)
    for steps in ("", ", steps: [VIEW, ADD_TO_CART, CHECKOUT_START, PURCHASE]"):
        answer = run.millrace.ask(
            f"query($range: TimeRange!) {{ funnel(range: $range, bots: INCLUDE{steps})"
            " { segments { sessions steps { sessions } } } }",
            {"range": run.range},
        )["funnel"]
        (segment,) = answer["segments"]
        assert [step["sessions"] for step in segment["steps"]] == expected
    assert expected[-1] > 0
    assert expected == sorted(expected, reverse=True)


def test_orders_by_the_hour(run: Run) -> None:
    rows = run.millrace.ask(
        'query($range: TimeRange!) { sales(range: $range, grain: HOUR, timeZone: "UTC", bots: INCLUDE)'
        " { windowStart orders } }",
        {"range": run.range},
    )["sales"]
    expected: dict[datetime, int] = {}
    for placed in behaviour.orders(run.oracle.facts).values():
        hour = placed.replace(minute=0, second=0, microsecond=0)
        expected[hour] = expected.get(hour, 0) + 1
    assert {_at(row["windowStart"]): row["orders"] for row in rows if row["orders"]} == expected


def test_users_with_what_they_did(run: Run) -> None:
    served = {user["id"]: _user_row(user) for user in _all_users(run) if not user["id"].startswith(TEST_USER)}
    expected = {
        user_id: (user.first_seen, user.last_seen, user.events, user.revenue, user.favourite_category)
        for user_id, user in behaviour.users(run.oracle.facts).items()
    }
    assert served.keys() >= expected.keys()
    assert {user_id: served[user_id] for user_id in expected} == expected


def test_bots_are_left_out_unless_asked_for(run: Run) -> None:
    people = Oracle(fact for fact in run.oracle.facts if not fact.user_id.startswith(BOT_USER))
    assert len(people.facts) < len(run.oracle.facts)
    rows = run.millrace.ask(
        'query($range: TimeRange!) { sales(range: $range, grain: HOUR, timeZone: "UTC") { windowStart revenue }'
        " topProducts(range: $range, by: VIEWS, first: 10) { productId views } }",
        {"range": run.range},
    )
    views = people.top_products("views", run.start, run.end, 10)
    assert [(row["productId"], Decimal(row["views"])) for row in rows["topProducts"]] == [
        (product, Decimal(count)) for product, count in views
    ]
    sessions = run.millrace.ask(
        "query($range: TimeRange!) { sessions(range: $range, bots: ONLY, first: 100) { nodes { userId bot } } }",
        {"range": run.range},
    )["sessions"]["nodes"]
    assert sessions
    assert all(session["bot"] and session["userId"].startswith(BOT_USER) for session in sessions)


def test_how_old_events_were_when_they_arrived(run: Run) -> None:
    now = datetime.now(UTC)
    answer = run.millrace.ask(
        "query($range: TimeRange!) { lateness(range: $range) { events late buckets { events } } books { totals"
        " { applied late imported } } }",
        {"range": {"from": iso(now - timedelta(hours=12)), "to": iso(now + timedelta(minutes=5))}},
    )
    totals = answer["books"]["totals"]
    assert answer["lateness"]["events"] == totals["applied"] - totals["imported"]
    assert answer["lateness"]["late"] == totals["late"] > 0
    assert sum(bucket["events"] for bucket in answer["lateness"]["buckets"]) == answer["lateness"]["events"]


def _all_users(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = run.millrace.ask(
            "query($after: String) { users(first: 100, after: $after, bots: INCLUDE) { nodes"
            " { id firstSeen lastSeen events revenue favouriteCategory } pageInfo { hasNextPage endCursor } } }",
            {"after": after},
        )["users"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def _user_row(user: dict[str, Any]) -> tuple[datetime, datetime, int, Decimal, str | None]:
    return (
        _at(user["firstSeen"]),
        _at(user["lastSeen"]),
        user["events"],
        Decimal(user["revenue"]),
        user["favouriteCategory"],
    )


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
