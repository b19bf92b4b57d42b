"""Every root against numbers counted afresh from the events, over HTTP and a real Postgres."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from serving.schema.scalars import parse_duration
from tests.serving.events import Event, by_bot, islands
from tests.serving.integration.conftest import NOW, Server
from tests.serving.shop import Shop

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
VIEWS = {"page_view", "view"}


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def span(start: datetime, end: datetime) -> dict[str, str]:
    return {"from": iso(start), "to": iso(end)}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def within(events: Iterable[Event], start: datetime, end: datetime) -> list[Event]:
    return [event for event in events if start <= event.at < end]


def count(events: Iterable[Event], *actions: str) -> int:
    return sum(event.action in actions for event in events)


def money(events: Iterable[Event], action: str = "purchase") -> Decimal:
    return sum((event.amount for event in events if event.action == action), Decimal(0))


def measured(events: list[Event]) -> dict[str, Any]:
    return {
        "views": count(events, *VIEWS),
        "clicks": count(events, "click"),
        "adds": count(events, "add_to_cart"),
        "removes": count(events, "remove_from_cart"),
        "checkouts": count(events, "checkout_start"),
        "purchases": count(events, "purchase"),
        "units": sum(event.quantity for event in events if event.action == "purchase"),
        "revenue": money(events),
        "refunds": count(events, "refund"),
        "refunded": money(events, "refund"),
    }


def exact(row: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {**row, **{field: Decimal(row[field]) for field in fields}}


def test_as_of_names_the_epoch_and_how_old_it_is(server: Server, shop: Shop) -> None:
    as_of = server.data("{ asOf { epoch committedAt watermark lag freshness lagSeconds freshnessSeconds } }")["asOf"]
    assert as_of["epoch"] == shop.epoch
    assert moment(as_of["committedAt"]) == NOW
    assert moment(as_of["watermark"]) == shop.watermark
    assert as_of["freshness"] == "PT0.9S"
    assert as_of["freshnessSeconds"] == pytest.approx(0.9)
    assert parse_duration(as_of["lag"]).total_seconds() == pytest.approx(as_of["lagSeconds"])
    assert as_of["lagSeconds"] == pytest.approx((datetime.now(UTC) - NOW).total_seconds() + 0.9, abs=60)


@pytest.mark.parametrize(("window", "slide"), [(1, 1), (5, 5), (7, 7), (10, 1), (10, 5), (60, 15)])
def test_product_metrics_roll_up_to_any_window(server: Server, shop: Shop, window: int, slide: int) -> None:
    start, end = NOW - 2 * HOUR, NOW - HOUR
    rows = server.data(
        """query ($range: TimeRange!, $window: Duration!, $slide: Duration!) {
          productMetrics(range: $range, window: $window, slide: $slide) {
            windowStart windowEnd isFinal revision lateEvents productId category uniqueUsers uniqueBuyers currency
            views clicks adds removes checkouts purchases units revenue refunds refunded } }""",
        range=span(start, end),
        window=f"PT{window}M",
        slide=f"PT{slide}M",
    )["productMetrics"]
    expected = {}
    watermark = shop.watermark
    assert watermark is not None
    at = datetime(1970, 1, 1, tzinfo=UTC)
    at += -(-(start - at) // (slide * MINUTE)) * slide * MINUTE
    while at < end:
        groups: dict[tuple[str, str], list[Event]] = defaultdict(list)
        for event in within(shop.people, at, at + window * MINUTE):
            if event.product:
                groups[event.product, event.category or ""].append(event)
        for (product, category), events in groups.items():
            expected[at, product] = {
                **measured(events),
                "windowEnd": at + window * MINUTE,
                "category": category,
                "uniqueUsers": len({event.user for event in events}),
                "uniqueBuyers": len({event.user for event in events if event.action == "purchase"}),
                "lateEvents": sum(event.late for event in events),
                "revision": sum(event.late for event in events),
                "isFinal": at + window * MINUTE <= watermark,
                "currency": "USD",
            }
        at += slide * MINUTE
    found = {}
    for row in rows:
        key = moment(row.pop("windowStart")), row.pop("productId")
        found[key] = {**exact(row, "revenue", "refunded"), "windowEnd": moment(row["windowEnd"])}
    assert found == expected
    assert [*found] == sorted(found)


def test_product_metrics_can_be_narrowed_and_limited(server: Server) -> None:
    query = """query ($range: TimeRange!, $products: [ID!], $categories: [String!], $limit: Int) {
      productMetrics(range: $range, window: "PT1H", products: $products, categories: $categories, limit: $limit) {
        productId category views } }"""

    def rows(**more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = server.data(query, range=span(NOW - 3 * HOUR, NOW), **more)["productMetrics"]
        return found

    everything = rows()
    assert rows(products=["p-tent"]) == [row for row in everything if row["productId"] == "p-tent"] != []
    assert rows(categories=["home"]) == [row for row in everything if row["category"] == "home"] != []
    assert rows(limit=3) == everything[:3]
    assert rows(products=[]) == rows(categories=["'; DROP TABLE epochs; --"]) == []


def test_windows_are_final_exactly_when_the_watermark_has_passed_them(server: Server, shop: Shop) -> None:
    rows = server.data(
        "query ($range: TimeRange!) { productMetrics(range: $range) { windowEnd isFinal } }",
        range=span(NOW - HOUR, NOW),
    )["productMetrics"]
    assert {row["isFinal"] for row in rows} == {True, False}
    assert shop.watermark is not None
    assert all(row["isFinal"] == (moment(row["windowEnd"]) <= shop.watermark) for row in rows)


def test_revenue_is_exact_to_the_last_place(server: Server, shop: Shop) -> None:
    start, end = NOW - 4 * HOUR, NOW - HOUR
    rows = server.data(
        """query ($range: TimeRange!) { revenue(range: $range) {
          windowStart windowEnd category count units total average currency refunds refunded isFinal lateEvents } }""",
        range=span(start, end),
    )["revenue"]
    groups: dict[tuple[datetime, str], list[Event]] = defaultdict(list)
    for event in shop.people:
        at = event.minute - timedelta(minutes=event.minute.minute % 5)
        if start <= at < end and event.category:
            groups[at, event.category].append(event)
    expected = {key: events for key, events in groups.items() if count(events, "purchase", "refund")}
    assert {(moment(row["windowStart"]), row["category"]) for row in rows} == set(expected)
    for row in rows:
        events = expected[moment(row["windowStart"]), row["category"]]
        assert moment(row["windowEnd"]) - moment(row["windowStart"]) == 5 * MINUTE
        assert row["count"] == count(events, "purchase")
        assert Decimal(row["total"]) == money(events)
        assert Decimal(row["refunded"]) == money(events, "refund")
        mean = (money(events) / row["count"]).quantize(Decimal("0.0001"), ROUND_HALF_UP) if row["count"] else None
        assert (row["average"] and Decimal(row["average"])) == mean
    assert any(row["total"].endswith("33") for row in rows), "an amount with four places"


@pytest.mark.parametrize("by", ["VIEWS", "CLICKS", "ADDS", "PURCHASES", "UNITS", "REVENUE"])
def test_top_products_are_ranked_by_the_measure(server: Server, shop: Shop, by: str) -> None:
    start = (NOW - 2 * HOUR).replace(second=0)
    rows = server.data(
        """query ($range: TimeRange!, $by: ProductMeasure!) { topProducts(range: $range, by: $by, first: 5) {
          rank productId categories views clicks adds removes checkouts purchases units revenue refunds refunded } }""",
        range=span(start, NOW),
        by=by,
    )["topProducts"]
    groups: dict[str, list[Event]] = defaultdict(list)
    for event in shop.people:
        if event.product and event.minute >= start:
            groups[event.product].append(event)
    sums = {product: measured(events) for product, events in groups.items()}
    best = sorted(sums, key=lambda product: (-sums[product][by.lower()], product))[:5]
    assert [(row["rank"], row["productId"]) for row in rows] == list(enumerate(best, 1))
    for row in rows:
        assert row.pop("categories") == sorted({event.category for event in groups[row["productId"]]})  # type: ignore[type-var]  # none is None here
        del row["rank"]
        assert exact(row, "revenue", "refunded") == {**sums[row["productId"]], "productId": row["productId"]}


SESSION_FIELDS = """id sessionId userId startedAt endedAt duration durationSeconds status events views purchases
  revenue entryPage exitPage bounced converted lateEvents path { at action productId page eventId } asOf { epoch }
  device browser os medium referrerSource campaignSource campaign category bot botScore botReason
  viewedAt addedAt checkoutAt purchasedAt"""


def newest_first(shop: Shop, keep: Callable[[list[Event]], bool] = lambda _: True) -> list[list[Event]]:
    found = [island for island in islands(shop.events) if not by_bot(island) and keep(island)]
    return sorted(found, key=lambda island: (island[0].at, island[0].session), reverse=True)


def test_a_session_says_all_about_its_events(server: Server, shop: Shop) -> None:
    nodes = server.data(f"{{ sessions(first: 200) {{ nodes {{ {SESSION_FIELDS} }} }} }}")["sessions"]["nodes"]
    expected = newest_first(shop)[:200]
    assert shop.watermark is not None
    for node, island in zip(nodes, expected, strict=True):
        assert (node["sessionId"], node["userId"]) == (island[0].session, island[0].user)
        assert moment(node["startedAt"]) == island[0].at
        assert moment(node["endedAt"]) == island[-1].at
        assert parse_duration(node["duration"]) == island[-1].at - island[0].at
        assert node["durationSeconds"] == pytest.approx((island[-1].at - island[0].at).total_seconds())
        completed = island[-1].at + timedelta(minutes=30) <= shop.watermark
        assert node["status"] == ("COMPLETED" if completed else "ACTIVE")
        assert (node["events"], node["views"]) == (len(island), count(island, *VIEWS))
        assert (node["purchases"], Decimal(node["revenue"])) == (count(island, "purchase"), money(island))
        assert node["bounced"] == (len(island) == 1)
        assert node["converted"] == any(event.action == "purchase" for event in island)
        assert [node[name] for name in ("device", "browser", "os")] == list(island[0].agent or [None] * 3)
        assert [node[name] for name in ("medium", "referrerSource", "campaignSource", "campaign")] == list(
            island[0].referral or [None] * 4
        )
        assert node["category"] == next((event.category for event in island if event.category), None)
        assert (node["bot"], node["botScore"], node["botReason"]) == (False, 0, None)
        funnel = [node[name] and moment(node[name]) for name in ("viewedAt", "addedAt", "checkoutAt", "purchasedAt")]
        assert funnel == _funnel(island)
        assert node["asOf"] == {"epoch": shop.epoch}
        steps = [(step["eventId"], step["action"], step["productId"], step["page"]) for step in node["path"]]
        assert steps == [(event.id, event.action, event.product, event.page) for event in island[:50]]
        assert all(
            abs(moment(step["at"]) - event.at) < timedelta(milliseconds=1)
            for step, event in zip(node["path"], island, strict=False)
        )
    assert {"ACTIVE", "COMPLETED"} == {node["status"] for node in nodes}


def _funnel(island: list[Event]) -> list[datetime | None]:
    """The first event of each step in turn; in these visits no two events come at the same time."""
    reached: list[datetime | None] = [None] * 4
    steps = iter(enumerate((VIEWS, {"add_to_cart"}, {"checkout_start"}, {"purchase"})))
    number, wanted = next(steps)
    for event in island[:50]:
        if event.action in wanted:
            reached[number] = event.at
            number, wanted = next(steps, (4, set()))
    return reached


@pytest.mark.parametrize("size", [1, 7, 60])
def test_paging_either_way_gives_every_session_once(server: Server, shop: Shop, size: int) -> None:
    start = NOW - 20 * MINUTE
    everyone = [island[0].session for island in newest_first(shop, lambda island: island[0].at >= start)]
    signature = "query ($range: TimeRange!, $n: Int!, $c: String)"
    page = "{ nodes { sessionId } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }"
    forward: list[str] = []
    cursor, more = None, True
    while more:
        found = server.data(
            f"{signature} {{ sessions(range: $range, first: $n, after: $c) {page} }}",
            range=span(start, NOW),
            n=size,
            c=cursor,
        )["sessions"]
        assert found["pageInfo"]["hasPreviousPage"] == (cursor is not None)
        forward += [node["sessionId"] for node in found["nodes"]]
        cursor, more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
        assert len(forward) <= len(everyone)
    backward: list[str] = []
    cursor, more = None, True
    while more:
        found = server.data(
            f"{signature} {{ sessions(range: $range, last: $n, before: $c) {page} }}",
            range=span(start, NOW),
            n=size,
            c=cursor,
        )["sessions"]
        backward = [node["sessionId"] for node in found["nodes"]] + backward
        cursor, more = found["pageInfo"]["startCursor"], found["pageInfo"]["hasPreviousPage"]
        assert len(backward) <= len(everyone)
    assert forward == backward == everyone


def test_sessions_are_found_by_device_medium_and_purchase(server: Server, shop: Shop) -> None:
    def found(arguments: str) -> list[str]:
        answer = server.data(f"{{ sessions(first: 200, {arguments}) {{ nodes {{ sessionId }} }} }}")
        return [node["sessionId"] for node in answer["sessions"]["nodes"]]

    def expected(keep: Callable[[list[Event]], bool]) -> list[str]:
        return [island[0].session for island in newest_first(shop, keep)][:200]

    def by_device(island: list[Event], device: str) -> bool:
        return island[0].agent is not None and island[0].agent.device == device

    def by_medium(island: list[Event], medium: str) -> bool:
        return island[0].referral is not None and island[0].referral.medium == medium

    assert found('device: "tablet"') == expected(lambda island: by_device(island, "tablet")) != []
    assert found('medium: "email"') == expected(lambda island: by_medium(island, "email")) != []
    assert found("converted: true") == expected(lambda island: count(island, "purchase") > 0) != []
    assert found("converted: false") == expected(lambda island: count(island, "purchase") == 0) != []
    assert found('device: "tablet", medium: "email", converted: true') == expected(
        lambda island: by_device(island, "tablet") and by_medium(island, "email") and count(island, "purchase") > 0
    )


def test_a_bots_session_says_why(server: Server) -> None:
    (node,) = server.data("{ sessions(first: 1, bots: ONLY) { nodes { id bot botScore botReason } } }")["sessions"][
        "nodes"
    ]
    assert (node["bot"], node["botReason"]) == (True, "http_library")
    assert node["botScore"] >= 50
    assert server.data("query ($id: ID!) { session(id: $id) { bot } }", id=node["id"]) == {"session": {"bot": True}}


def test_sessions_are_found_by_status_user_id_and_product(server: Server, shop: Shop) -> None:
    def found(arguments: str, **variables: Any) -> list[str]:
        root = f"sessions(first: 200, range: $range, {arguments}) {{ nodes {{ sessionId }} }}"
        query = f"query ($range: TimeRange) {{ {root} }}"
        return [node["sessionId"] for node in server.data(query, **variables)["sessions"]["nodes"]]

    def expected(keep: Callable[[list[Event]], bool]) -> list[str]:
        return [island[0].session for island in newest_first(shop, keep)][:200]

    watermark = shop.watermark
    assert watermark is not None
    ended_by = watermark - timedelta(minutes=30)
    some = newest_first(shop)[20][0]
    assert found("status: ACTIVE") == expected(lambda island: island[-1].at > ended_by) != []
    assert found("status: COMPLETED") == expected(lambda island: island[-1].at <= ended_by) != []
    assert found(f'userId: "{some.user}"') == expected(lambda island: island[0].user == some.user) != []
    assert found(f'sessionId: "{some.session}"') == [some.session]
    recent = span(NOW - HOUR, NOW)
    with_tent = expected(
        lambda island: island[0].at >= NOW - HOUR and any(event.product == "p-tent" for event in island[:50])
    )
    assert found('productId: "p-tent"', range=recent) == with_tent != []


def test_a_session_is_found_again_by_its_id(server: Server) -> None:
    (node,) = server.data("{ sessions(first: 1) { nodes { id sessionId startedAt } } }")["sessions"]["nodes"]
    query = "query ($id: ID!) { session(id: $id) { id sessionId startedAt } }"
    assert server.data(query, id=node["id"])["session"] == node


def test_realtime_is_relative_to_the_commit(server: Server, shop: Shop) -> None:
    found = server.data(
        """{ realtime { asOf { epoch } activeUsers eventsPerSecond viewsPerMinute revenueToday purchasesToday currency
             conversionRate cartAbandonmentRate series { minute views purchases revenue } } }"""
    )["realtime"]
    minute = NOW.replace(second=0)
    recent = [event for event in shop.people if event.minute > minute - 5 * MINUTE]
    hour = [event for event in shop.people if event.minute > minute - 60 * MINUTE]
    today = [event for event in shop.people if event.minute >= NOW.replace(hour=0, minute=0, second=0)]
    seconds = (NOW - (minute - 4 * MINUTE)).total_seconds()
    buyers = {event.user for event in hour if event.action == "purchase"}
    assert found["activeUsers"] == len({event.user for event in recent})
    assert found["eventsPerSecond"] == pytest.approx(len(recent) / seconds)
    assert found["viewsPerMinute"] == pytest.approx(count(recent, *VIEWS) / seconds * 60)
    assert Decimal(found["revenueToday"]) == money(today)
    assert found["purchasesToday"] == count(today, "purchase")
    assert found["conversionRate"] == pytest.approx(len(buyers) / len({event.user for event in hour}))
    carts = [one for one in newest_first(shop) if one[0].minute > minute - 60 * MINUTE and count(one, "add_to_cart")]
    left = sum(count(one, "purchase") == 0 for one in carts)
    assert found["cartAbandonmentRate"] == pytest.approx(left / len(carts))
    assert 0 < left < len(carts)
    assert [moment(point["minute"]) for point in found["series"]] == [minute - n * MINUTE for n in range(59, -1, -1)]
    for point in found["series"]:
        events = [event for event in shop.people if event.minute == moment(point["minute"])]
        assert point["views"] == count(events, *VIEWS)
        assert Decimal(point["revenue"]) == money(events)


def test_today_begins_at_midnight_of_the_zone(server: Server, shop: Shop) -> None:
    # 12:34 UTC is 00:34 of the next day in Auckland, which was 13 hours ahead.
    found = server.data('{ realtime(timeZone: "Pacific/Auckland") { purchasesToday activeUsers } }')["realtime"]
    midnight = datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert found["purchasesToday"] == count((e for e in shop.people if e.minute >= midnight), "purchase")


def test_hourly_sales_add_up(server: Server, shop: Shop) -> None:
    start = NOW.replace(hour=8, minute=0, second=0)
    rows = server.data(
        """query ($range: TimeRange!) { sales(range: $range, grain: HOUR) {
          windowStart windowEnd revenue purchases units orders uniqueCustomers averagePurchase isFinal } }""",
        range=span(start, start + 5 * HOUR),
    )["sales"]
    assert [moment(row["windowStart"]) for row in rows] == [start + n * HOUR for n in range(5)]
    for row in rows:
        events = within(shop.people, moment(row["windowStart"]), moment(row["windowEnd"]))
        purchases = [event for event in events if event.action == "purchase"]
        assert (row["purchases"], row["units"]) == (len(purchases), sum(event.quantity for event in purchases))
        assert Decimal(row["revenue"]) == money(events)
        assert row["uniqueCustomers"] == len({event.user for event in purchases})
        assert row["orders"] == len(
            [
                at
                for at in orders_by_people(shop.events).values()
                if moment(row["windowStart"]) <= at < moment(row["windowEnd"])
            ]
        )
        assert 0 < row["orders"] <= row["purchases"]
        assert row["isFinal"] == (moment(row["windowEnd"]) <= (shop.watermark or NOW))


def orders_by_people(events: list[Event]) -> dict[tuple[str, str], datetime]:
    """When each order was placed that no bot had a hand in."""
    placed: dict[tuple[str, str], datetime] = {}
    bots = {(event.order or event.id, event.user) for event in events if event.bot}
    for event in sorted(events, key=lambda event: event.at):
        key = (event.order or event.id, event.user)
        if event.action == "purchase" and key not in bots:
            placed.setdefault(key, event.at)
    return placed


def test_the_books_close_and_say_what_was_compared(server: Server, shop: Shop) -> None:
    books = server.data(
        """{ books { close residue checks { name left right residue meaning }
             totals { epoch records applied duplicates quarantined rejected late logRows logEpoch }
             epochs(first: 5) { epoch records applied duplicates conflicts quarantined rejected residue late
                                duration freshness durationSeconds freshnessSeconds committedAt } } }"""
    )["books"]
    records = len(shop.events) + len(shop.duplicates) + len(shop.refusals)
    assert (books["close"], books["residue"]) == (True, 0)
    assert {check["name"]: check["left"] for check in books["checks"]} == {
        "accepted": 0,
        "fates": records,
        "offsets": records,
        "gaps": 0,
        "minutes": len(shop.events),
        "log": len(shop.events),
    }
    assert books["totals"]["late"] == sum(event.late for event in shop.events)
    (epoch,) = books["epochs"]
    assert (epoch["records"], epoch["quarantined"], epoch["rejected"], epoch["residue"]) == (records, 2, 6, 0)
    assert (epoch["duration"], epoch["freshness"]) == ("PT0.8S", "PT0.9S")
    assert (epoch["durationSeconds"], epoch["freshnessSeconds"]) == (pytest.approx(0.8), pytest.approx(0.9))


def test_rejections_are_counted_and_shown(server: Server, shop: Shop) -> None:
    found = server.data(
        """query ($range: TimeRange!) { rejections(range: $range) { rejected quarantined
          byReason { reason source count meaning remedy } quarantineByReason { reason count source }
          samples(first: 3) { receivedAt reason source pointer detail raw rawEncoding truncated } } }""",
        range=span(NOW - HOUR, NOW),
    )["rejections"]
    recent = [one for one in shop.refusals if one.at >= NOW - HOUR]
    counts = Counter((one.reason, one.source) for one in recent if one.source)
    assert (found["rejected"], found["quarantined"]) == (4, 1)
    assert {(row["reason"], row["source"]): row["count"] for row in found["byReason"]} == counts
    assert found["byReason"][0]["meaning"] == "A value is not one of the field's symbols."
    assert found["quarantineByReason"] == [{"reason": "malformed_avro", "count": 1, "source": None}]
    first = found["samples"][0]
    assert (first["raw"], first["rawEncoding"], first["pointer"]) == ('{"action":"teleport"}', "TEXT", "/action")
    assert [(one["raw"], one["rawEncoding"]) for one in found["samples"]][2] == ("/wD+", "BASE64")
