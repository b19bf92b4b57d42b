"""What was before is what the same question would have answered about then; what is narrowed is counted afresh."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.serving.events import CATALOGUE, Event, by_bot, islands, visits
from tests.serving.integration.conftest import NOW, Server
from tests.serving.shop import Shop, write

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)
START = NOW.replace(hour=10, minute=0, second=0)


def span(start: datetime, end: datetime) -> dict[str, str]:
    return {"from": start.isoformat(), "to": end.isoformat()}


EARLIER = {"RANGE_BEFORE": 2 * HOUR, "DAY_BEFORE": 24 * HOUR}
SALES = "windowStart revenue purchases units orders uniqueCustomers averagePurchase refunded isFinal lateEvents"
PRODUCT = "rank productId categories views clicks adds units revenue refunded"
MEASURES = "views clicks searches adds removes checkouts purchases units revenue refunds refunded currency"
STEPS = "segment sessions steps { action sessions shareOfFirst shareOfPrevious medianTime meanTime }"


@pytest.mark.parametrize("how", list(EARLIER))
@pytest.mark.parametrize("narrowed", ["", ', categories: ["kitchen"]', ', products: ["p-mug", "p-rug"]'])
def test_sales_before_are_the_sales_of_then(server: Server, how: str, narrowed: str) -> None:
    query = f"""query ($now: TimeRange!, $then: TimeRange!) {{
      now: sales(range: $now, grain: HOUR, compareWith: {how}{narrowed}) {{ {SALES} previous {{ {SALES} }} }}
      then: sales(range: $then, grain: HOUR{narrowed}) {{ {SALES} previous {{ windowStart }} }} }}"""
    end, back = START + 2 * HOUR, EARLIER[how]
    found = server.data(query, now=span(START, end), then=span(START - back, end - back))
    assert [{**row["previous"], "previous": None} for row in found["now"]] == found["then"]
    assert [row["windowStart"] for row in found["now"]] == ["2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"]
    assert any(Decimal(row["previous"]["revenue"]) for row in found["now"]) is (how == "RANGE_BEFORE")


def test_periods_that_overlap_are_each_whole(server: Server) -> None:
    query = f"""query ($now: TimeRange!, $then: TimeRange!) {{
      now: sales(range: $now, grain: DAY, compareWith: DAY_BEFORE) {{ {SALES} previous {{ {SALES} }} }}
      then: sales(range: $then, grain: DAY) {{ {SALES} }} }}"""
    midnight = NOW.replace(hour=0, minute=0, second=0)
    days = span(midnight - 48 * HOUR, midnight + 24 * HOUR), span(midnight - 72 * HOUR, midnight)
    found = server.data(query, now=days[0], then=days[1])
    assert [row["previous"] for row in found["now"]] == found["then"]
    assert len(found["now"]) == 3
    assert Decimal(found["now"][2]["revenue"]) > 0


@pytest.mark.parametrize("by", ["VIEWS", "REVENUE"])
def test_a_products_rank_before_is_among_all_products(server: Server, by: str) -> None:
    query = f"""query ($now: TimeRange!, $then: TimeRange!) {{
      now: topProducts(range: $now, by: {by}, first: 3, compareWith: RANGE_BEFORE) {{
        {PRODUCT} previous {{ {PRODUCT} }} }}
      plain: topProducts(range: $now, by: {by}, first: 3) {{ {PRODUCT} previous {{ rank }} }}
      then: topProducts(range: $then, by: {by}, first: 100) {{ {PRODUCT} }} }}"""
    now, then = span(START, START + HOUR), span(START - HOUR, START)
    found = server.data(query, now=now, then=then)
    before = {row["productId"]: row for row in found["then"]}
    assert [row["previous"] for row in found["now"]] == [before.get(row["productId"]) for row in found["now"]]
    assert max(row["previous"]["rank"] for row in found["now"]) > 1
    assert [{**row, "previous": None} for row in found["now"]] == found["plain"]


@pytest.mark.parametrize("steps", ["", ", steps: [PRODUCT_VIEW, PURCHASE]"])
@pytest.mark.parametrize("by", ["NONE", "DEVICE"])
def test_a_funnel_before_is_the_funnel_of_then(server: Server, by: str, steps: str) -> None:
    query = f"""query ($now: TimeRange!, $then: TimeRange!) {{
      now: funnel(range: $now, breakdown: {by}{steps}, first: 2, compareWith: RANGE_BEFORE) {{
        segments {{ {STEPS} previous {{ {STEPS} previous {{ segment }} }} }} }}
      plain: funnel(range: $now, breakdown: {by}{steps}, first: 2) {{ segments {{ {STEPS} }} }}
      then: funnel(range: $then, breakdown: {by}{steps}) {{ segments {{ {STEPS} previous {{ segment }} }} }} }}"""
    found = server.data(query, now=span(START, START + HOUR), then=span(START - HOUR, START))
    before = {one["segment"]: one for one in found["then"]["segments"]}
    now = found["now"]["segments"]
    assert [one.pop("previous") for one in now] == [before.get(one["segment"]) for one in now]
    assert now == found["plain"]["segments"]
    assert len(now) == (1 if by == "NONE" else 2)


WINDOW = "windowStart windowEnd isFinal revision lateEvents"
WINDOWED = {
    "revenue": (f"{WINDOW} category count units total average refunds refunded currency", ("category",)),
    "conversions": (f"{WINDOW} productId clicks convertedClicks purchases rate", ("productId",)),
    "productMetrics": (f"{WINDOW} productId category uniqueUsers uniqueBuyers {MEASURES}", ("productId", "category")),
}


@pytest.mark.parametrize("how", list(EARLIER))
@pytest.mark.parametrize(
    ("root", "asked"),
    [
        ("revenue", ""),
        ("revenue", ', window: "PT1H", categories: ["kitchen", "home"]'),
        ("conversions", ', bots: INCLUDE, window: "PT30M"'),
        ("productMetrics", ', window: "PT30M", products: ["p-mug", "p-rug"]'),
        ("productMetrics", ', window: "PT2H", slide: "PT1H", limit: 7'),
    ],
)
def test_a_window_before_is_the_window_of_then(server: Server, root: str, asked: str, how: str) -> None:
    fields, keys = WINDOWED[root]
    query = f"""query ($now: TimeRange!, $then: TimeRange!) {{
      now: {root}(range: $now, compareWith: {how}{asked}) {{ {fields} previous {{ {fields} previous {{ isFinal }} }} }}
      plain: {root}(range: $now{asked}) {{ {fields} previous {{ isFinal }} }}
      then: {root}(range: $then{asked.replace(", limit: 7", "")}) {{ {fields} previous {{ isFinal }} }} }}"""
    end, back = START + 2 * HOUR, EARLIER[how]
    found = server.data(query, now=span(START, end), then=span(START - back, end - back))

    def place(row: dict[str, Any], back: timedelta) -> tuple[Any, ...]:
        return datetime.fromisoformat(row["windowStart"]) - back, *(row[key] for key in keys)

    before = {place(row, timedelta(0)): row for row in found["then"]}
    previous = [row["previous"] for row in found["now"]]
    assert previous == [before.get(place(row, back)) for row in found["now"]]
    assert any(previous) is (how == "RANGE_BEFORE")
    assert [{**row, "previous": None} for row in found["now"]] == found["plain"]
    assert len(previous) == 7 if "limit" in asked else len(previous) > 3


def test_revenue_before_is_that_of_the_events_of_then(server: Server, shop: Shop) -> None:
    query = """query ($range: TimeRange!) { revenue(range: $range, window: "PT1H", compareWith: RANGE_BEFORE) {
      windowStart category previous { windowStart count total } } }"""
    rows = server.data(query, range=span(START, START + 2 * HOUR))["revenue"]
    for row in rows:
        then = datetime.fromisoformat(row["windowStart"]) - 2 * HOUR
        bought = [
            one
            for one in shop.people
            if then <= one.at < then + HOUR and one.action == "purchase" and one.category == row["category"]
        ]
        assert datetime.fromisoformat(row["previous"]["windowStart"]) == then
        assert row["previous"]["count"] == len(bought) > 0
        assert Decimal(row["previous"]["total"]) == sum(one.amount for one in bought)
    assert len(rows) == 8


@pytest.mark.parametrize("root", list(WINDOWED))
def test_windows_that_start_at_other_times_of_a_day_have_no_earlier_ones(server: Server, root: str) -> None:
    query = f"""query ($range: TimeRange!, $how: Earlier!, $window: Duration!) {{
      it: {root}(range: $range, window: $window, compareWith: $how) {{ windowStart }} }}"""
    told: dict[str, Any] = {"range": span(START, START + 2 * HOUR)}
    (error,) = server.post(query, **told, how="DAY_BEFORE", window="PT7M")["errors"]
    assert error["extensions"] == {"code": "INVALID_ARGUMENT", "argument": "compareWith"}
    assert "start every 0:07:00 start at other times of that day" in error["message"]
    for how, window in (("WEEK_BEFORE", "PT7M"), ("RANGE_BEFORE", "PT7M"), ("DAY_BEFORE", "PT6M")):
        assert server.data(query, **told, how=how, window=window)["it"]


@pytest.mark.parametrize("asked", ["by: PAGE", "by: STEP, depth: 4", 'by: STEP, device: "mobile"'])
def test_journeys_before_are_the_journeys_of_then(server: Server, asked: str) -> None:
    node = "place label visits sessions repeats entries exits entryShare exitShare exitRate"
    move = "place from to count sessions share"
    query = f"""query ($now: TimeRange!, $then: TimeRange!) {{
      now: journeys(range: $now, {asked}, first: 5, compareWith: RANGE_BEFORE) {{ journeys cut
        previous {{ journeys cut }}
        nodes {{ {node} previous {{ {node} }} }} transitions {{ {move} previous {{ {move} }} }} }}
      plain: journeys(range: $now, {asked}, first: 5) {{ journeys cut previous {{ cut }}
        nodes {{ {node} previous {{ label }} }} transitions {{ {move} previous {{ from }} }} }}
      then: journeys(range: $then, {asked}, first: 200) {{ journeys cut
        nodes {{ {node} }} transitions {{ {move} }} }} }}"""
    found = server.data(query, now=span(START, START + HOUR), then=span(START - HOUR, START))
    now, then = found["now"], found["then"]
    for kind, keys in (("nodes", ("place", "label")), ("transitions", ("place", "from", "to"))):
        before = {tuple(row[key] for key in keys): row for row in then[kind]}
        previous = [row["previous"] for row in now[kind]]
        assert previous == [before.get(tuple(row[key] for key in keys)) for row in now[kind]]
        assert any(previous)
        now[kind] = [{**row, "previous": None} for row in now[kind]]
    assert now.pop("previous") == {"journeys": then["journeys"], "cut": then["cut"]}
    assert {**now, "previous": None} == found["plain"]
    assert now["journeys"] != then["journeys"] > 0


@dataclass(frozen=True)
class Told:
    """A root about data or pairs: numbers of the whole, its rows, and a range that has something before it."""

    whole: str
    start: datetime
    length: timedelta
    rows: str = ""
    row: str = ""
    keys: tuple[str, ...] = ()
    asked: str = ""


TOLD = {
    "rejections": Told(
        "rejected quarantined",
        NOW - 8.5 * HOUR,
        9 * HOUR,
        "byReason",
        "reason source count meaning",
        ("reason", "source"),
    ),
    "lateness": Told(
        "events late lateShare", START, 2 * HOUR, "buckets", "upTo events late share cumulativeShare", ("upTo",)
    ),
    "duplicates": Told("duplicates conflicts", NOW + timedelta(minutes=1), timedelta(minutes=2)),
    "alsoViewed": Told(
        "sessions", START, 2 * HOUR, "products", "productId sessions share", ("productId",), ', productId: "p-mug"'
    ),
}


@pytest.mark.parametrize("how", list(EARLIER))
@pytest.mark.parametrize("root", list(TOLD))
def test_what_was_of_data_and_of_pairs_is_what_was_told_then(server: Server, root: str, how: str) -> None:
    of = TOLD[root]
    back = of.length if how == "RANGE_BEFORE" else EARLIER[how]
    beside = f"{of.rows} {{ {of.row} previous {{ {of.row} }} }}" if of.rows else ""
    query = f"""query ($now: TimeRange!, $then: TimeRange!) {{
      now: {root}(range: $now{of.asked}, compareWith: {how}) {{ {of.whole} previous {{ {of.whole} }} {beside} }}
      plain: {root}(range: $now{of.asked}) {{ {of.whole} previous {{ {of.whole} }} {beside} }}
      then: {root}(range: $then{of.asked}) {{ {of.whole} {f"{of.rows} {{ {of.row} }}" if of.rows else ""} }} }}"""
    end = of.start + of.length
    found = server.data(query, now=span(of.start, end), then=span(of.start - back, end - back))
    before = {tuple(row[key] for key in of.keys): row for row in found["then"].get(of.rows, ())}
    now = found["now"].get(of.rows, ())
    assert [row.pop("previous") for row in now] == [before.get(tuple(row[key] for key in of.keys)) for row in now]
    assert [row.pop("previous") for row in found["plain"].get(of.rows, ())] == [None] * len(now)
    previous = found["now"].pop("previous")
    assert previous == {name: found["then"][name] for name in of.whole.split()}
    assert any(previous.values()) is (how == "RANGE_BEFORE")
    assert {**found["now"], "previous": None} == found["plain"]


def test_sales_of_products_are_those_of_their_events(server: Server, shop: Shop) -> None:
    query = """query ($range: TimeRange!, $products: [ID!], $categories: [String!]) {
      sales(range: $range, grain: HOUR, products: $products, categories: $categories) {
        revenue purchases orders uniqueCustomers refunded lateEvents } }"""
    kept: list[tuple[dict[str, list[str]], Callable[[Event], bool]]] = [
        ({"categories": ["home", "books"]}, lambda event: event.category in {"home", "books"}),
        ({"products": ["p-mug"]}, lambda event: event.product == "p-mug"),
        ({"products": ["p-mug", "p-rug"], "categories": ["home"]}, lambda event: event.product == "p-rug"),
    ]
    for narrowed, keep in kept:
        (row,) = server.data(query, range=span(START, START + HOUR), **narrowed)["sales"]
        own = [event for event in shop.people if START <= event.at < START + HOUR and event.product and keep(event)]
        bought = [event for event in own if event.action == "purchase"]
        assert Decimal(row["revenue"]) == sum(event.amount for event in bought) > 0
        assert row["purchases"] == len(bought)
        assert row["uniqueCustomers"] == len({event.user for event in bought})
        assert Decimal(row["refunded"]) == sum(event.amount for event in own if event.action == "refund")
        assert row["lateEvents"] == sum(event.late for event in own)
        assert row["orders"] is None


def test_products_and_clicks_of_a_category(server: Server, shop: Shop) -> None:
    query = """query ($range: TimeRange!) {
      topProducts(range: $range, by: CLICKS, first: 50, categories: ["kitchen"]) { productId clicks }
      conversions(range: $range, window: "PT1H", categories: ["kitchen"]) { productId clicks } }"""
    found = server.data(query, range=span(START, START + HOUR))
    own = [
        event.product
        for event in shop.people
        if START <= event.at < START + HOUR and event.action == "click" and event.category == "kitchen"
    ]
    clicks = Counter(own)
    assert {row["productId"]: row["clicks"] for row in found["topProducts"]} == clicks
    assert {row["productId"]: row["clicks"] for row in found["conversions"]} == clicks
    assert {CATALOGUE[product][0] for product in clicks if product} == {"kitchen"}


def test_places_of_some_products_are_those_among_them(server: Server) -> None:
    query = """query ($range: TimeRange!, $products: [ID!]) {
      topProducts(range: $range, by: CLICKS, first: 50, products: $products, compareWith: RANGE_BEFORE) {
        rank productId clicks revenue previous { rank clicks revenue } } }"""
    everything, some = (
        server.data(query, range=span(START, START + HOUR), products=products)["topProducts"]
        for products in (None, ["p-mug", "p-tent", "none such"])
    )
    wanted = [row for row in everything if row["productId"] in {"p-mug", "p-tent"}]
    assert [row["rank"] for row in some] == [1, 2]
    assert {row["previous"]["rank"] for row in some} == {1, 2}
    for row in [*wanted, *some]:
        del row["rank"], row["previous"]["rank"]
    assert some == wanted


@pytest.mark.parametrize("window", ["PT1M", "PT5M", "PT1H"])
def test_revenue_of_products_is_that_of_their_windows(server: Server, window: str) -> None:
    some = '["p-mug", "p-tent"]'
    found = server.data(
        f"""query ($range: TimeRange!, $window: Duration!) {{
      revenue(range: $range, window: $window, products: {some}) {{ windowStart category count total }}
      productMetrics(range: $range, window: $window, products: {some}) {{
        windowStart category purchases revenue }} }}""",
        range=span(START, START + 2 * HOUR),
        window=window,
    )
    sums: dict[tuple[str, str], list[Any]] = {}
    for row in found["productMetrics"]:
        if row["purchases"]:
            own = sums.setdefault((row["windowStart"], row["category"]), [0, Decimal(0)])
            own[0] += row["purchases"]
            own[1] += Decimal(row["revenue"])
    told = {
        (row["windowStart"], row["category"]): [row["count"], Decimal(row["total"])]
        for row in found["revenue"]
        if row["count"]
    }
    assert told == sums != {}


def _source(island: list[Event]) -> str | None:
    referral = island[0].referral
    return (referral.campaign_source or referral.referrer_source) if referral else None


VISITS: dict[str, Callable[[list[Event]], bool]] = {
    'device: "mobile"': lambda one: one[0].agent is not None and one[0].agent.device == "mobile",
    'medium: "search"': lambda one: one[0].referral is not None and one[0].referral.medium == "search",
    'source: "google"': lambda one: _source(one) == "google",
    'source: "newsletter"': lambda one: _source(one) == "newsletter",
    'category: "home"': lambda one: next((event.category for event in one if event.category), None) == "home",
    'productId: "p-lamp"': lambda one: any(event.product == "p-lamp" for event in one[:50]),
    'device: "mobile", productId: "p-lamp"': lambda one: (
        one[0].agent is not None
        and one[0].agent.device == "mobile"
        and any(event.product == "p-lamp" for event in one[:50])
    ),
}


@pytest.mark.parametrize("narrowed", list(VISITS))
def test_sessions_funnel_and_journeys_are_narrowed_alike(server: Server, shop: Shop, narrowed: str) -> None:
    query = f"""query ($range: TimeRange!) {{
      sessions(range: $range, {narrowed}, first: 200) {{ nodes {{ sessionId }} }}
      usual: funnel(range: $range, {narrowed}) {{ segments {{ sessions steps {{ sessions }} }} }}
      steps: funnel(range: $range, {narrowed}, steps: [PURCHASE]) {{ segments {{ sessions steps {{ sessions }} }} }}
      journeys(range: $range, {narrowed}, by: STEP) {{ journeys }} }}"""
    found = server.data(query, range=span(START, START + 2 * HOUR))
    own: list[Any] = [
        one
        for one in islands(shop.events)
        if START <= one[0].at < START + 2 * HOUR and not by_bot(one) and VISITS[narrowed](one)
    ]
    assert {node["sessionId"] for node in found["sessions"]["nodes"]} == {one[0].session for one in own} != set()
    (usual,), (steps,) = found["usual"]["segments"], found["steps"]["segments"]
    assert usual["sessions"] == steps["sessions"] == found["journeys"]["journeys"] == len(own)
    assert usual["steps"][0]["sessions"] == sum(
        any(event.action in {"view", "page_view"} for event in one[:50]) for one in own
    )
    assert steps["steps"][0]["sessions"] == sum(any(event.action == "purchase" for event in one[:50]) for one in own)


def test_the_day_so_far_is_held_against_another_by_the_same_time(empty_server: Server) -> None:
    zone = ZoneInfo("Europe/Berlin")
    shop = Shop(events=visits(11, NOW - timedelta(hours=40), NOW, per_minute=0.5), committed_at=NOW)
    asyncio.run(write(empty_server.database_url, empty_server.schema, shop))
    found = empty_server.data(
        """{ realtime(timeZone: "Europe/Berlin", compareWith: DAY_BEFORE) { revenueToday purchasesToday
          previous { since until revenue purchases } } }"""
    )["realtime"]
    since = datetime(2026, 2, 28, tzinfo=zone)
    until = NOW.replace(minute=NOW.minute + 1, second=0) - timedelta(days=1)
    bought = [one for one in shop.people if one.action == "purchase" and since <= one.at < until]
    previous = found["previous"]
    assert (datetime.fromisoformat(previous["since"]), datetime.fromisoformat(previous["until"])) == (since, until)
    assert (Decimal(previous["revenue"]), previous["purchases"]) == (sum(one.amount for one in bought), len(bought))
    assert 0 < len(bought) != found["purchasesToday"] > 0
    plain = empty_server.data("{ realtime { previous { revenue } } }")["realtime"]
    assert plain["previous"] is None
    (error,) = empty_server.post("{ realtime(compareWith: RANGE_BEFORE) { revenueToday } }")["errors"]
    assert error["extensions"] == {"code": "INVALID_ARGUMENT", "argument": "compareWith"}
