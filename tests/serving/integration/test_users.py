"""Users, one and all, and whether they come back."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.serving.events import Event, by_bot, islands
from tests.serving.integration.conftest import NOW, Server
from tests.serving.shop import Shop, write

pytestmark = pytest.mark.integration

FIELDS = """id firstSeen lastSeen activeWeeks events views clicks searches adds removes checkouts purchases units
  sessions orders revenue refunded currency favouriteCategory bot botScore lateEvents revision"""


def by_user(shop: Shop) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in shop.events:
        found[event.user].append(event)
    return found


def money(events: list[Event], action: str = "purchase") -> Decimal:
    return sum((event.amount for event in events if event.action == action), Decimal(0))


ORDERS: dict[str, Callable[[list[Event]], Any]] = {
    "REVENUE": money,
    "EVENTS": len,
    "LAST_SEEN": lambda own: max(event.at for event in own),
}


def people(shop: Shop, order: str, keep: Callable[[list[Event]], bool] = lambda _: True) -> list[str]:
    """Ids of the users who are no bots, in an order."""
    kept = {user: own for user, own in by_user(shop).items() if not by_bot(own) and keep(own)}
    return sorted(kept, key=lambda user: (ORDERS[order](kept[user]), user), reverse=True)


def test_a_user_is_the_sum_of_their_events(server: Server, shop: Shop) -> None:
    nodes = server.data(f"{{ users(first: 200, bots: INCLUDE) {{ nodes {{ {FIELDS} }} }} }}")["users"]["nodes"]
    everyone = by_user(shop)
    assert {node["id"] for node in nodes} == set(everyone)
    sessions = Counter(island[0].user for island in islands(shop.events))
    for node in nodes:
        own = everyone[node["id"]]
        actions = Counter(event.action for event in own)
        assert datetime.fromisoformat(node["firstSeen"]) == min(event.at for event in own)
        assert datetime.fromisoformat(node["lastSeen"]) == max(event.at for event in own)
        assert (node["events"], node["activeWeeks"]) == (len(own), 1)
        assert node["views"] == actions["view"] + actions["page_view"]
        assert [node[name] for name in ("clicks", "adds", "checkouts", "purchases")] == [
            actions[name] for name in ("click", "add_to_cart", "checkout_start", "purchase")
        ]
        assert node["units"] == sum(event.quantity for event in own if event.action == "purchase")
        assert (Decimal(node["revenue"]), Decimal(node["refunded"])) == (money(own), money(own, "refund"))
        assert node["sessions"] == sessions[node["id"]]
        assert node["orders"] == len({event.order or event.id for event in own if event.action == "purchase"})
        met = Counter(event.category for event in own if event.category)
        assert node["favouriteCategory"] == min(met, key=lambda name: (-met[name], name), default=None)
        assert (node["bot"], node["botScore"]) == (by_bot(own), max(event.bot_score for event in own))
        assert node["lateEvents"] == node["revision"] == sum(event.late for event in own)
        assert server.data(f"query ($id: ID!) {{ user(id: $id) {{ {FIELDS} }} }}", id=node["id"])["user"] == node
    assert {node["bot"] for node in nodes} == {True, False}


def test_a_user_who_never_was_is_null(server: Server) -> None:
    assert server.data('{ user(id: "nobody\' OR true --") { id } }') == {"user": None}


@pytest.mark.parametrize(("text", "code"), [("\\u0000", "INVALID_ARGUMENT"), ("a\\ud800b", "BAD_REQUEST")])
def test_a_text_that_no_event_can_hold_is_the_clients_error(server: Server, text: str, code: str) -> None:
    body = f'{{"query": "query ($v: ID!) {{ user(id: $v) {{ id }} }}", "variables": {{"v": "{text}"}}}}'
    answer = server.client.post(
        f"{server.url}/graphql", content=body, headers={"Content-Type": "application/json"}
    ).json()
    assert answer["errors"][0]["extensions"] == {"code": code}


@pytest.mark.parametrize("order", list(ORDERS))
@pytest.mark.parametrize("size", [7, 200])
def test_paging_either_way_gives_every_user_once_in_order(server: Server, shop: Shop, order: str, size: int) -> None:
    everyone = people(shop, order)
    page = "{ edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }"
    signature = "query ($n: Int!, $c: String)"
    forward: list[str] = []
    cursor, more = None, True
    while more:
        found = server.data(
            f"{signature} {{ users(orderBy: {order}, first: $n, after: $c) {page} }}", n=size, c=cursor
        )["users"]
        assert found["pageInfo"]["hasPreviousPage"] == (cursor is not None)
        forward += [edge["node"]["id"] for edge in found["edges"]]
        cursor, more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
        assert len(forward) <= len(everyone)
    backward: list[str] = []
    cursor, more = None, True
    while more:
        found = server.data(
            f"{signature} {{ users(orderBy: {order}, last: $n, before: $c) {page} }}", n=size, c=cursor
        )["users"]
        backward = [edge["node"]["id"] for edge in found["edges"]] + backward
        cursor, more = found["pageInfo"]["startCursor"], found["pageInfo"]["hasPreviousPage"]
        assert len(backward) <= len(everyone)
    assert forward == backward == everyone
    assert len(everyone) > 40


def test_a_cursor_of_another_order_is_refused(server: Server) -> None:
    cursor = server.data("{ users(orderBy: EVENTS, first: 1) { pageInfo { endCursor } } }")["users"]["pageInfo"]
    answer = server.post(
        "query ($c: String) { users(orderBy: REVENUE, after: $c) { nodes { id } } }", c=cursor["endCursor"]
    )
    assert answer["errors"][0]["extensions"] == {"code": "BAD_CURSOR", "argument": "after"}


def test_users_are_found_by_when_they_came_and_what_they_did(server: Server, shop: Shop) -> None:
    def found(arguments: str, **variables: Any) -> list[str]:
        signature = "query ($range: TimeRange)" if variables else ""
        query = f"{signature} {{ users(first: 200, orderBy: EVENTS, {arguments}) {{ nodes {{ id }} }} }}"
        return [node["id"] for node in server.data(query, **variables)["users"]["nodes"]]

    def span(start: datetime, end: datetime) -> dict[str, str]:
        return {"from": start.isoformat(), "to": end.isoformat()}

    def expected(keep: Callable[[list[Event]], bool]) -> list[str]:
        return people(shop, "EVENTS", keep)

    start, end = NOW - timedelta(hours=4.9), NOW - timedelta(hours=4.5)
    new = expected(lambda own: start <= min(one.at for one in own) < end)
    assert found("firstSeen: $range", range=span(start, end)) == new != []
    start, end = NOW - timedelta(minutes=40), NOW - timedelta(minutes=5)
    gone = expected(lambda own: start <= max(one.at for one in own) < end)
    assert found("lastSeen: $range", range=span(start, end)) == gone != []
    assert found("bought: true") == expected(lambda own: money(own) > 0) != []
    assert found("bought: false") == expected(lambda own: money(own) == 0) != []
    middle = people(shop, "REVENUE", lambda own: money(own) > 0)[20]
    least = money(by_user(shop)[middle])
    rich = found(f'minRevenue: "{least}"')
    assert rich == expected(lambda own: money(own) >= least)
    assert middle in rich
    books = expected(lambda own: any(one.category == "books" for one in own))
    assert found('category: "books"') == books != expected(lambda _: True)
    assert found("bots: ONLY") != [] != found("bots: EXCLUDE") == expected(lambda _: True)


COHORTS = """query ($weeks: Int!, $until: DateTime, $bots: BotFilter!) {
  retention(weeks: $weeks, until: $until, bots: $bots) {
  windowStart windowEnd users weeks { week windowStart windowEnd isFinal users share } } }"""
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = timedelta(weeks=1)


def _within(week: int, number: int) -> datetime:
    """A time in the week: its first instant or its last millisecond, which both belong to it."""
    if week == 0:
        return MONDAY + timedelta(hours=3)
    return MONDAY + week * WEEK + (number % 2) * (WEEK - timedelta(milliseconds=1))


@pytest.fixture(scope="module")
def returning(empty_server: Server) -> Shop:
    """Users with the weeks in which they were there: -3 is the third before the one that begins on 2 March 2026."""
    seen = {
        "ann": [-3, -2, 0],
        "bob": [-3],
        "cleo": [-3, 0],
        "dan": [-1, 0],
        "eve": [0],
        "old": [-9, -1],
        "bot": [-3, -2],
    }
    events = [
        Event(_within(week, number), f"{user}{week}", user, f"s{user}{week}", "view", bot_score=90 * (user == "bot"))
        for user, weeks in seen.items()
        for number, week in enumerate(weeks)
    ]
    shop = Shop(events=events, committed_at=MONDAY + timedelta(hours=4))
    asyncio.run(write(empty_server.database_url, empty_server.schema, shop))
    return shop


def cohorts(server: Server, weeks: int, bots: str = "EXCLUDE", until: datetime | None = None) -> list[dict[str, Any]]:
    answer = server.data(COHORTS, weeks=weeks, bots=bots, until=until and until.isoformat())
    found: list[dict[str, Any]] = answer["retention"]
    return found


def test_retention_follows_each_cohort(empty_server: Server, returning: Shop) -> None:
    found = cohorts(empty_server, 4)
    assert [datetime.fromisoformat(one["windowStart"]) for one in found] == [MONDAY + n * WEEK for n in (-3, -2, -1, 0)]
    assert [one["users"] for one in found] == [3, 0, 1, 1]
    table = [[cell["users"] for cell in one["weeks"]] for one in found]
    assert table == [[3, 1, 0, 2], [0, 0, 0], [1, 1], [1]]
    assert [cell["share"] for cell in found[0]["weeks"]] == [1, pytest.approx(1 / 3), 0, pytest.approx(2 / 3)]
    assert {cell["share"] for cell in found[1]["weeks"]} == {None}
    assert [cell["week"] for cell in found[0]["weeks"]] == [0, 1, 2, 3]
    assert [cell["isFinal"] for cell in found[0]["weeks"]] == [True, True, True, False]
    for one in found:
        for cell in one["weeks"]:
            assert datetime.fromisoformat(cell["windowEnd"]) - datetime.fromisoformat(cell["windowStart"]) == WEEK


def test_retention_counts_bots_when_asked(empty_server: Server, returning: Shop) -> None:
    assert [one["users"] for one in cohorts(empty_server, 4, "INCLUDE")] == [4, 0, 1, 1]
    assert [cell["users"] for cell in cohorts(empty_server, 4, "ONLY")[0]["weeks"]] == [1, 1, 0, 0]


def test_retention_can_end_earlier(empty_server: Server, returning: Shop) -> None:
    last_instant = MONDAY - WEEK - timedelta(microseconds=1)
    found = cohorts(empty_server, 2, until=last_instant)
    assert [[cell["users"] for cell in one["weeks"]] for one in found] == [[3, 1], [0]]
    old = cohorts(empty_server, 10)[0]
    assert [cell["users"] for cell in old["weeks"]] == [1, 0, 0, 0, 0, 0, 0, 0, 1, 0]


def test_retention_at_the_ends_of_the_calendar_is_a_named_error(empty_server: Server, returning: Shop) -> None:
    for until in ("0001-01-02T00:00:00Z", "9999-12-31T23:00:00Z"):
        answer = empty_server.post(COHORTS, weeks=4, bots="EXCLUDE", until=until)
        assert answer["errors"][0]["extensions"] == {"code": "INVALID_ARGUMENT", "argument": "until"}
