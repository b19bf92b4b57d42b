"""What was told as of an epoch is told again later, from the event log, whatever has come since."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from deltalake import DeltaTable
from sqlalchemy import text

from serving.cursors import ARRIVALS, SESSIONS_BY_START, Key
from tests.serving.event_log import write_log
from tests.serving.events import Event, Refusal, Repeat, visits
from tests.serving.integration.conftest import NOW, Server, new_schema, serving
from tests.serving.shop import Shop, create_tables, engine, write

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)
SPAN = {"from": (NOW - 3 * HOUR).isoformat(), "to": (NOW + HOUR).isoformat()}
EVER = f'{{from: "{NOW - HOUR:%FT%TZ}", to: "{NOW + 9 * HOUR:%FT%TZ}"}}'
WINDOW = "windowStart windowEnd isFinal revision lateEvents"
PRODUCT = f"""{WINDOW} productId category uniqueUsers uniqueBuyers views clicks searches adds removes checkouts
  purchases units revenue refunds refunded currency"""
REVENUE = f"{WINDOW} category count units total average refunds refunded currency"
SALES = f"{WINDOW} revenue purchases units orders uniqueCustomers averagePurchase refunds refunded currency"
TOP = """rank productId categories views clicks searches adds removes checkouts purchases units revenue refunds
  refunded currency"""
CONVERSION = f"{WINDOW} productId clicks convertedClicks purchases rate"
SESSION = """id sessionId userId startedAt endedAt duration durationSeconds status events views clicks searches adds
  removes checkouts purchases units revenue currency entryPage exitPage bounced converted category device browser os
  medium referrerSource campaignSource campaign bot botScore botReason viewedAt addedAt checkoutAt purchasedAt
  lateEvents revision asOf { epoch watermark } path { at action productId page eventId }"""
PLACES = "edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
STEPS = "segment sessions steps { action sessions shareOfFirst shareOfPrevious medianTime meanTime }"
FUNNEL = f"isFinal segments {{ {STEPS} previous {{ {STEPS} }} }}"
NODE = "place label visits sessions repeats entries exits entryShare exitShare exitRate"
MOVE = "place from to count sessions share"
JOURNEYS = f"""journeys cut previous {{ journeys cut }} nodes {{ {NODE} previous {{ {NODE} }} }}
  transitions {{ {MOVE} previous {{ {MOVE} }} }}"""
CART = "additions bought abandoned open rate"
USER = """id firstSeen lastSeen activeWeeks events views clicks searches adds removes checkouts purchases units sessions
  orders revenue refunded currency favouriteCategory bot botScore lateEvents revision"""
ROOTS = {
    "minutes": f"productMetrics(range: $range, limit: 9000 %s) {{ {PRODUCT} }}",
    "sliding": f'productMetrics(range: $range, window: "PT1H", slide: "PT15M", bots: INCLUDE %s) {{ {PRODUCT} }}',
    "narrowed": f"""productMetrics(range: $range, window: "PT2H", slide: "PT1H", products: ["p-mug", "p-tent"],
      compareWith: RANGE_BEFORE, limit: 9 %s) {{ {PRODUCT} previous {{ {PRODUCT} }} }}""",
    "revenue": f"revenue(range: $range %s) {{ {REVENUE} }}",
    "revenue of": f'revenue(range: $range, products: ["p-mug", "p-tent"] %s) {{ {REVENUE} }}',
    "bots": f"""revenue(range: $range, window: "PT2H", bots: ONLY, categories: ["home", "books"],
      compareWith: RANGE_BEFORE %s) {{ {REVENUE} previous {{ {REVENUE} }} }}""",
    "hours": f"sales(range: $range, grain: HOUR, compareWith: RANGE_BEFORE %s) {{ {SALES} previous {{ {SALES} }} }}",
    "days": f'sales(range: $range, grain: DAY, timeZone: "Pacific/Auckland", bots: INCLUDE %s) {{ {SALES} }}',
    "of": f'sales(range: $range, grain: HOUR, categories: ["kitchen"] %s) {{ {SALES} }}',
    "top": f"""topProducts(range: $range, by: VIEWS, first: 5, bots: INCLUDE, compareWith: RANGE_BEFORE %s) {{
      {TOP} previous {{ {TOP} }} }}""",
    "best of some": f'topProducts(range: $range, by: REVENUE, categories: ["home", "books"] %s) {{ {TOP} }}',
    "best of these": f'topProducts(range: $range, by: VIEWS, products: ["p-mug", "p-tent"] %s) {{ {TOP} }}',
    "conversions": f"conversions(range: $range, bots: INCLUDE %s) {{ {CONVERSION} }}",
    "clicks": f"""conversions(range: $range, window: "PT1H", categories: ["kitchen"], compareWith: RANGE_BEFORE %s) {{
      {CONVERSION} previous {{ {CONVERSION} }} }}""",
    "sessions": f"sessions(range: $range, first: 200, bots: INCLUDE %s) {{ nodes {{ {SESSION} }} {PLACES} }}",
    "some sessions": f"""sessions(range: $range, device: "mobile", converted: false, last: 7 %s) {{
      nodes {{ id startedAt events }} {PLACES} }}""",
    "going on": f"sessions(range: $range, status: ACTIVE, first: 3 %s) {{ nodes {{ id status }} {PLACES} }}",
    "of a product": f"""sessions(range: $range, productId: "p-mug", first: 9 %s) {{
      nodes {{ id path {{ productId }} }} {PLACES} }}""",
    "funnel": f"funnel(range: $range, compareWith: RANGE_BEFORE %s) {{ {FUNNEL} }}",
    "funnel of steps": f"""funnel(range: $range, breakdown: DEVICE, steps: [VIEW, CLICK, PURCHASE], bots: INCLUDE,
      productId: "p-mug" %s) {{ {FUNNEL} }}""",
    "sources": f'funnel(range: $range, breakdown: SOURCE, category: "kitchen" %s) {{ {FUNNEL} }}',
    "journeys": f"journeys(range: $range, compareWith: RANGE_BEFORE %s) {{ {JOURNEYS} }}",
    "actions": f"journeys(range: $range, by: STEP, depth: 4, bots: ONLY %s) {{ {JOURNEYS} }}",
    "also viewed": """alsoViewed(productId: "p-mug", range: $range, compareWith: RANGE_BEFORE %s) {
      sessions products { productId sessions share previous { sessions share } } previous { sessions } }""",
    "carts": f"""cartAbandonment(range: $range, compareWith: RANGE_BEFORE, bots: INCLUDE %s) {{
      {CART} minutes isFinal products {{ productId {CART} }} previous {{ {CART} }} }}""",
    "retention": """retention(weeks: 3, until: "2026-03-05T00:00:00Z", bots: INCLUDE %s) {
      windowStart users weeks { week isFinal users share } }""",
    "users": f"users(orderBy: EVENTS, first: 9 %s) {{ nodes {{ {USER} }} {PLACES} }}",
    "smallest users": f"users(orderBy: REVENUE, bots: INCLUDE, last: 5 %s) {{ nodes {{ {USER} }} {PLACES} }}",
    "some users": f"""users(lastSeen: $range, category: "kitchen", minRevenue: "0.01", bought: true, first: 4 %s) {{
      nodes {{ id revenue favouriteCategory }} {PLACES} }}""",
    "refusals": f"""rejections(range: $range, compareWith: RANGE_BEFORE %s) {{ rejected quarantined
      byReason {{ reason source count previous {{ count }} }} quarantineByReason {{ reason count }}
      previous {{ rejected quarantined }} samples(first: 3) {{ id receivedAt }} quarantineSamples {{ epoch offset }}
      samplesConnection(last: 3) {{ nodes {{ id }} {PLACES} }}
      quarantineSamplesConnection(reason: "malformed_avro", first: 1) {{ nodes {{ epoch }} {PLACES} }} }}""",
    "copies": f"""duplicates(range: {EVER}, compareWith: RANGE_BEFORE %s) {{ duplicates conflicts
      previous {{ duplicates }} samples(first: 3) {{ eventId epoch firstEpoch }}
      samplesConnection(first: 4, conflict: true) {{ nodes {{ eventId }} {PLACES} }} }}""",
    "asOf": "asOf%s { epoch committedAt watermark freshnessSeconds }",
}

SESSIONS = f"{{ sessions(first: 200, bots: INCLUDE) {{ nodes {{ {SESSION} }} }} }}"


@dataclass(frozen=True)
class Past:
    """A server over a shop of three epochs, and what it answered as of each of them while that was the newest."""

    server: Server
    shop: Shop
    known: list[int]
    """How many of the shop's events there were as of each epoch; 0 as of none."""
    told: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    """Sessions as they were told then, by id."""

    def came_with(self, epoch: int) -> list[Event]:
        return self.shop.events[self.known[epoch - 1] : self.known[epoch]]


@pytest.fixture(scope="module")
def past(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """The third epoch brings events of the first hours, late."""
    schema, home = new_schema(), tmp_path_factory.mktemp("serving")
    asyncio.run(create_tables(postgres_url, schema))
    everything = visits(23, NOW - 6 * HOUR, NOW, per_minute=1)
    held_back = [n for n, event in enumerate(everything) if n % 9 == 0 and event.at < NOW - HOUR]
    on_time = [event for n, event in enumerate(everything) if n not in held_back]
    shop, known, told, sessions = Shop(committed_at=NOW), [0], [], []
    with serving(postgres_url, schema, home) as server:
        for news in (
            [event for event in on_time if event.at < NOW - HOUR],
            [event for event in on_time if event.at >= NOW - HOUR],
            [replace(everything[n], late=True) for n in held_back],
        ):
            shop.events += news
            shop.refusals += refusals(shop.epoch + 1)
            shop.duplicates += [
                Repeat(event.id, conflict=n % 2 == 0, epoch=shop.epoch + 1) for n, event in enumerate(news[:5])
            ]
            shop.committed_at = NOW + shop.epoch * HOUR
            write_log(home, shop.events, shop.epoch + 1, known=known[-1])
            asyncio.run(write(postgres_url, schema, shop))
            known.append(len(shop.events))
            told.append({name: ask(server, name, None) for name in ROOTS})
            sessions.append({one["id"]: one for one in server.data(SESSIONS)["sessions"]["nodes"]})
        DeltaTable(str(home / "delta" / "events")).optimize.compact()  # epochs share files, as they do in time
        yield Past(server, shop, known, told, sessions)


def refusals(epoch: int) -> list[Refusal]:
    """What an epoch reads of it: later ones also have some that were received earlier."""
    times = [NOW - HOUR / 2, NOW - epoch * HOUR, NOW - 5 * HOUR]
    sources = ["web", None, "web", "ios", None, "web"]
    return [Refusal(at, "malformed_avro", source, epoch=epoch) for at, source in zip(times * 2, sources, strict=True)]


def ask(server: Server, name: str, epoch: int | None) -> Any:
    """What a root tells, now or as of an epoch."""
    if name == "asOf":
        return server.data(f"{{ it: {ROOTS[name] % (f'(epoch: {epoch})' if epoch else '')} }}")["it"]
    root = ROOTS[name] % (f", asOf: {epoch}" if epoch else "")
    given = {"range": SPAN} if "$range" in root else {}
    return server.data(f"query {'($range: TimeRange!) ' if given else ''}{{ it: {root} }}", **given)["it"]


@pytest.mark.parametrize("root", list(ROOTS))
def test_what_was_told_is_told_again(past: Past, root: str) -> None:
    assert [ask(past.server, root, epoch) for epoch in (1, 2, 3)] == [told[root] for told in past.told]
    assert len({json.dumps(told[root]) for told in past.told}) > 1


def test_now_and_then_are_told_in_one_operation(past: Past) -> None:
    query = f"query ($range: TimeRange!) {{ now: {ROOTS['revenue'] % ''} then: {ROOTS['revenue'] % ', asOf: 1'} }}"
    told = past.server.data(query, range=SPAN)
    assert (told["now"], told["then"]) == (past.told[2]["revenue"], past.told[0]["revenue"])


@pytest.mark.parametrize(("epoch", "fault"), [(0, "counted from 1"), (-7, "counted from 1"), (4, "the newest is 3")])
@pytest.mark.parametrize("root", ["asOf", "revenue", "refusals", "copies"])
def test_an_epoch_that_never_was_is_refused(past: Past, root: str, epoch: int, fault: str) -> None:
    argument = "epoch" if root == "asOf" else "asOf"
    field = f"asOf(epoch: {epoch}) {{ epoch }}" if root == "asOf" else f"{ROOTS[root] % f', asOf: {epoch}'}"
    given = "query ($range: TimeRange!) " if "$range" in field else ""
    (error,) = past.server.post(f"{given}{{ {field} }}", range=SPAN)["errors"]
    assert error["extensions"] == {"code": "INVALID_ARGUMENT", "argument": argument}
    assert fault in error["message"]


def test_an_epoch_that_the_log_does_not_have_yet_is_told_to_wait_for(past: Past) -> None:
    async def behind(epoch: int) -> None:
        writer = engine(past.server.database_url, past.server.schema)
        async with writer.begin() as connection:
            await connection.execute(text("UPDATE totals SET log_epoch = :epoch"), {"epoch": epoch})
        await writer.dispose()

    query = "query ($range: TimeRange!) {{ revenue(range: $range, asOf: {}) {{ count }} }}"
    asyncio.run(behind(1))
    (error,) = past.server.post(query.format(2), range=SPAN)["errors"]
    assert error["extensions"] == {"code": "UNAVAILABLE", "retryAfterSeconds": 2}
    assert "does not have epoch 2 yet" in error["message"]
    assert past.server.data(query.format(1), range=SPAN)["revenue"]
    assert past.server.data(query.format(3), range=SPAN)["revenue"], "the newest is in the tables"
    asyncio.run(behind(3))


CHANGES = """query ($range: TimeRange!, $since: Long!, $until: Long, $products: [ID!], $categories: [String!],
    $session: String, $bots: BotFilter!, $first: Int, $after: String) {
  changes(range: $range, since: $since, until: $until, products: $products, categories: $categories,
      sessionId: $session, bots: $bots) {
    sinceEpoch untilEpoch
    added { events lateEvents views clicks searches adds removes checkouts purchases units revenue refunds refunded }
    events(first: $first, after: $after) { pageInfo { hasNextPage endCursor }
      nodes { epoch eventId timestamp action userId sessionId productId category amount quantity late bot } } } }"""


def changed(past: Past, since: int, until: int | None = None, **more: Any) -> dict[str, Any]:
    told = {"range": SPAN, "bots": "EXCLUDE", "first": 200, "since": since, "until": until, **more}
    found: dict[str, Any] = past.server.data(CHANGES, **told)["changes"]
    return found


def within(events: list[Event]) -> list[Event]:
    return [event for event in events if NOW - 3 * HOUR <= event.at < NOW + HOUR]


def test_what_was_told_and_what_was_added_is_what_is_told(past: Past) -> None:
    def summed(epoch: int) -> dict[str, Decimal]:
        query = """query ($range: TimeRange!, $products: [ID!], $epoch: Long) {
          it: productMetrics(range: $range, products: $products, asOf: $epoch) {
            lateEvents views clicks searches adds removes checkouts purchases units revenue refunds refunded } }"""
        rows = past.server.data(query, range=whole, products=products, epoch=epoch)["it"]
        return {name: sum((Decimal(row[name]) for row in rows), Decimal(0)) for name in rows[0]}

    products = ["p-mug", "p-rug", "p-novel"]
    whole = {"from": "2026-03-01T09:00:00Z", "to": "2026-03-01T13:00:00Z"}
    for since, until in ((1, 2), (2, 3), (1, 3)):
        found = changed(past, since, until, range=whole, products=products)["added"]
        events = Decimal(found.pop("events"))
        added = {name: Decimal(value) for name, value in found.items()}
        before, after = summed(since), summed(until)
        assert {name: before[name] + added[name] for name in before} == after
        assert 0 < added["lateEvents"] <= events or until == 2


def test_the_events_that_changed_it_are_named_page_by_page(past: Past) -> None:
    late = within(past.came_with(3))
    found, after = [], None
    for _ in range(100):
        page = changed(past, 2, bots="INCLUDE", first=20, after=after)["events"]
        found += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert sorted(node["eventId"] for node in found) == sorted(event.id for event in late)
    assert len(late) > 40
    assert {(node["late"], node["epoch"]) for node in found} == {(True, 3)}
    by_id = {event.id: event for event in late}
    for node in found:
        event = by_id[node["eventId"]]
        assert (node["action"], node["userId"], node["productId"]) == (event.action, event.user, event.product)
        assert (node["bot"], node["quantity"]) == (event.bot, event.quantity or None)


def test_changes_are_narrowed_by_product_category_session_and_bots(past: Past) -> None:
    def ids(**more: Any) -> set[str]:
        return {node["eventId"] for node in changed(past, 1, 3, **more)["events"]["nodes"]}

    def expected(keep: Callable[[Event], bool]) -> set[str]:
        found = {event.id for event in within(past.came_with(2) + past.came_with(3)) if keep(event)}
        assert found
        return found

    session = next(event.session for event in within(past.came_with(3)) if not event.bot)
    assert ids(products=["p-mug"]) == expected(lambda one: one.product == "p-mug" and not one.bot)
    assert ids(categories=["home"], bots="ONLY") == expected(lambda one: one.category == "home" and one.bot)
    assert ids(session=session, bots="INCLUDE") == expected(lambda one: one.session == session)


def test_what_came_after_the_newest_epoch_is_nothing_yet(past: Past) -> None:
    found = changed(past, 3)
    assert (found["sinceEpoch"], found["untilEpoch"], found["added"]["events"]) == (3, 3, 0)
    assert found["events"]["nodes"] == []
    assert changed(past, 0, bots="INCLUDE", first=1)["added"]["events"] == len(within(past.shop.events))


@pytest.mark.parametrize(
    ("told", "argument"),
    [
        ({"since": 4}, "since"),
        ({"since": -1}, "since"),
        ({"since": 1, "until": 4}, "until"),
        ({"since": 2, "until": 1}, "until"),
        ({"since": 1, "after": ARRIVALS.encode(Key(3, ("clickstream", 0, "x")))}, "after"),
        ({"since": 1, "after": SESSIONS_BY_START.encode(Key(NOW, "clickstream/0/1"))}, "after"),
        ({"since": 1, "first": 201}, "first"),
    ],
)
def test_changes_that_cannot_be_told_are_refused(past: Past, told: dict[str, Any], argument: str) -> None:
    (error,) = past.server.post(CHANGES, **{"range": SPAN, "bots": "EXCLUDE", **told})["errors"]
    assert error["extensions"]["argument"] == argument


def session_as_of(past: Past, name: str, epoch: int) -> dict[str, Any] | None:
    query = f"query ($id: ID!, $epoch: Long) {{ session(id: $id, asOf: $epoch) {{ {SESSION} }} }}"
    found: dict[str, Any] | None = past.server.data(query, id=name, epoch=epoch)["session"]
    return found


def test_a_session_is_told_as_it_was(past: Past) -> None:
    late = {event.session for event in past.came_with(3)}
    then = [(one, epoch) for epoch in (1, 2) for one in past.sessions[epoch - 1].values() if one["sessionId"] in late]
    some = then[::8]
    assert [session_as_of(past, one["id"], epoch) for one, epoch in some] == [one for one, _ in some]
    assert len(then) > 15
    assert {one["status"] for one, _ in some} == {"ACTIVE", "COMPLETED"}


def test_a_session_whose_beginning_came_late_is_told_by_the_id_that_it_has_now(past: Past) -> None:
    before = {one["sessionId"]: one for one in past.sessions[1].values()}
    moved = [
        (one, before[one["sessionId"]])
        for name, one in past.sessions[2].items()
        if one["sessionId"] in before and name not in past.sessions[1]
    ]
    assert moved
    for now, then in moved[:5]:
        assert session_as_of(past, now["id"], 2) == then
        assert now["startedAt"] < then["startedAt"]
    new = next(name for name, one in past.sessions[2].items() if one["sessionId"] not in before)
    assert session_as_of(past, new, 1) is None


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_user_and_all_their_sessions_are_told_as_they_were(past: Past, epoch: int) -> None:
    query = f"""query ($id: ID!, $name: String!, $epoch: Long) {{ user(id: $id, asOf: $epoch) {{ {USER} }}
      sessions(userId: $name, first: 200, bots: INCLUDE, asOf: $epoch) {{ nodes {{ {SESSION} }} }} }}"""
    for user in past.told[epoch - 1]["users"]["nodes"][:2]:
        told = past.server.data(query, id=user["id"], name=user["id"], epoch=epoch)
        assert told["user"] == user
        sessions = [one for one in past.sessions[epoch - 1].values() if one["userId"] == user["id"]]
        assert told["sessions"]["nodes"][: len(sessions)] == sessions
        assert sessions


def test_pages_of_then_follow_one_another(past: Past) -> None:
    query = """query ($range: TimeRange!, $after: String) { sessions(range: $range, first: 40, after: $after, asOf: 2) {
      nodes { id } pageInfo { hasNextPage endCursor } } }"""
    found, after = [], None
    while page := past.server.data(query, range=SPAN, after=after)["sessions"]:
        found += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    start, end = (datetime.fromisoformat(SPAN[name]) for name in ("from", "to"))
    within_it = [one for one in past.sessions[1].values() if start <= datetime.fromisoformat(one["startedAt"]) < end]
    expected = [one["id"] for one in within_it if not one["bot"]]
    assert found[: len(expected)] == expected
    assert len(set(found)) == len(found) >= len(expected) > 40


def test_what_is_too_much_to_fold_is_refused_with_what_makes_it_less(past: Past) -> None:
    (error,) = past.server.post("{ sessions(first: 3, asOf: 1) { nodes { id } } }")["errors"]
    assert error["extensions"] == {"code": "INVALID_ARGUMENT", "argument": "range"}
    home, refused = past.server.home, {}
    with serving(past.server.database_url, past.server.schema, home, serving_max_folded_rows="9") as small:
        for name in ("sessions", "funnel", "carts", "users"):
            root = ROOTS[name] % ", asOf: 1"
            given = {"range": SPAN} if "$range" in root else {}
            (error,) = small.post(f"query {'($range: TimeRange!) ' if given else ''}{{ {root} }}", **given)["errors"]
            assert "more than 9" in error["message"]
            refused[name] = (error["extensions"]["code"], error["extensions"]["argument"])
    ranged = ("TOO_LARGE", "range")
    assert refused == {"sessions": ranged, "funnel": ranged, "carts": ranged, "users": ("TOO_LARGE", "firstSeen")}
