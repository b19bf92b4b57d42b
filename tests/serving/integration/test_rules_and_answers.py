"""What rules read is what GraphQL answers: each metric of both, for one window of the shop."""

from datetime import datetime, timedelta
from math import isnan
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.settings import PostgresSettings
from processing.alerting.readings import Stretch, read
from processing.alerting.rule_settings import Rule
from processing.alerting.rules import metric_of
from processing.store import one_transaction
from tests.serving.integration.conftest import NOW, Server
from tests.serving.integration.test_roots import HOUR, MINUTE, span
from tests.serving.shop import Shop

pytestmark = pytest.mark.integration

UNTIL = NOW.replace(second=0) - timedelta(minutes=40)
WINDOW = timedelta(minutes=150)
RANGE = span(UNTIL - WINDOW, UNTIL)
COUNTS = "views clicks searches adds removes checkouts purchases units revenue refunds refunded"


@pytest.fixture
def told(server: Server, shop: Shop) -> Any:
    """A metric by subject, in the window's minutes."""
    settings = PostgresSettings(url=SecretStr(server.database_url), db_schema=server.schema)
    assert shop.watermark is not None
    decided = shop.watermark - HOUR

    def tell(metric: str, scope: str = "site", until: datetime = UNTIL, window: timedelta = WINDOW) -> dict[str, float]:
        given: dict[str, Any] = {"title": "x", "scope": scope, "window_minutes": window // MINUTE}
        # Above nothing at all: whoever has any of it.
        rule = Rule(**given, conditions=[{"metric": metric, "above": -1}])
        with one_transaction(settings, settings.db_schema) as transaction:
            found = read(transaction, rule, Stretch(until, 1, decided))
        return {subject: float(metric_of(rule.conditions[0], windows)[-1]) for subject, windows in found.items()}

    return tell


def _some(numbers: dict[str, float]) -> dict[str, float]:
    return {subject: number for subject, number in numbers.items() if number and not isnan(number)}


def test_products(server: Server, told: Any) -> None:
    rows = server.data(
        f"query($range: TimeRange!) {{ topProducts(range: $range, by: VIEWS, first: 100) {{ productId {COUNTS} }} }}",
        range=RANGE,
    )["topProducts"]
    assert len(rows) > 5
    for name in COUNTS.split():
        served = {row["productId"]: float(row[name]) for row in rows}
        assert _some(told(name, "product")) == pytest.approx(_some(served)), name


def test_users_late_events_and_averages_by_category(server: Server, told: Any) -> None:
    unique: dict[str, dict[str, float]] = {"unique_users": {}, "unique_buyers": {}, "late_events": {}}
    window = f'window: "PT{WINDOW // MINUTE}M", slide: "PT1M"'
    start = span(UNTIL - WINDOW, UNTIL - WINDOW + MINUTE)
    for row in server.data(
        f"query($range: TimeRange!) {{ productMetrics(range: $range, {window})"
        " { productId uniqueUsers uniqueBuyers lateEvents } }",
        range=start,
    )["productMetrics"]:
        for metric, name in zip(unique, ("uniqueUsers", "uniqueBuyers", "lateEvents"), strict=True):
            unique[metric][row["productId"]] = row[name]
    for metric, served in unique.items():
        assert _some(told(metric, "product")) == _some(served) != {}, metric
    hour = UNTIL.replace(minute=0)
    rows = server.data(
        'query($range: TimeRange!) { revenue(range: $range, window: "PT1H") { category count average } }',
        range=span(hour - HOUR, hour),
    )["revenue"]
    averages = {row["category"]: float(row["average"]) for row in rows if row["count"]}
    assert _some(told("average_purchase", "category", hour, HOUR)) == pytest.approx(averages, abs=1e-4) != {}


def test_the_hour_of_realtime(server: Server, told: Any) -> None:
    served = server.data("{ realtime { activeUsers conversionRate cartAbandonmentRate viewsPerMinute } }")["realtime"]
    until = NOW.replace(second=0) + MINUTE  # the minute of the commit is among them
    assert told("unique_users", until=until, window=5 * MINUTE) == {"": served["activeUsers"]}
    assert told("conversion_rate", until=until, window=HOUR)[""] == pytest.approx(served["conversionRate"])
    assert told("cart_abandonment_rate", until=until, window=HOUR)[""] == pytest.approx(served["cartAbandonmentRate"])
    elapsed = (4 * 60 + NOW.second) / (5 * 60)  # which has only begun
    per_minute = 60 * elapsed * served["viewsPerMinute"] / 60
    assert told("views / seconds", until=until, window=5 * MINUTE)[""] * 60 == pytest.approx(per_minute)


def test_orders_and_customers_of_an_hour(server: Server, told: Any) -> None:
    (hour, *_) = server.data(
        "query($range: TimeRange!) { sales(range: $range, grain: HOUR) { windowStart orders uniqueCustomers } }",
        range=span(NOW - 3 * HOUR, NOW - HOUR),
    )["sales"]
    until = datetime.fromisoformat(hour["windowStart"]) + HOUR
    assert told("orders", until=until, window=HOUR) == {"": hour["orders"]}
    assert told("unique_buyers", until=until, window=HOUR) == {"": hour["uniqueCustomers"]}
    assert hour["orders"] > 0


@pytest.mark.parametrize("scope", ["site", "category", "device", "medium"])
def test_sessions_and_how_far_they_get(server: Server, told: Any, scope: str) -> None:
    segments = server.data(
        "query($range: TimeRange!, $by: FunnelBreakdown!) { funnel(range: $range, breakdown: $by)"
        " { segments { segment sessions steps { sessions shareOfFirst meanTime } } } }",
        range=RANGE,
        by="NONE" if scope == "site" else scope.upper(),
    )["funnel"]["segments"]
    assert told("sessions", scope) == {each["segment"] or "": each["sessions"] for each in segments}
    for place, step in enumerate(("viewed", "added", "checkout", "purchased")):
        served = {each["segment"] or "": each["steps"][place]["sessions"] for each in segments}
        assert told(f"sessions_{step}", scope) == served
    shares = {each["segment"] or "": each["steps"][3]["shareOfFirst"] for each in segments}
    reached = {subject: share for subject, share in shares.items() if share}
    assert _some(told("sessions_purchased / sessions_viewed", scope)) == pytest.approx(reached) != {}


def test_bounces_and_how_long_sessions_last(server: Server, told: Any) -> None:
    nodes = server.data(
        "query($range: TimeRange!) { sessions(range: $range, first: 100) { nodes { bounced converted durationSeconds"
        " events } pageInfo { hasNextPage } } }",
        range=span(UNTIL - 20 * MINUTE, UNTIL),
    )["sessions"]
    assert not nodes["pageInfo"]["hasNextPage"]
    sessions = nodes["nodes"]
    own = {"until": UNTIL, "window": 20 * MINUTE}
    assert told("bounce_rate", **own)[""] == pytest.approx(sum(one["bounced"] for one in sessions) / len(sessions))
    assert told("session_conversion_rate", **own)[""] == pytest.approx(
        sum(one["converted"] for one in sessions) / len(sessions)
    )
    assert told("session_duration", **own)[""] == pytest.approx(
        sum(one["durationSeconds"] for one in sessions) / len(sessions)
    )
    assert told("session_events", **own)[""] == sum(one["events"] for one in sessions)


def test_clicks_and_carts_by_product(server: Server, told: Any) -> None:
    window = f'window: "PT{WINDOW // MINUTE}M"'
    until = UNTIL - (UNTIL - datetime(1970, 1, 1, tzinfo=UNTIL.tzinfo)) % WINDOW  # windows are aligned
    rows = server.data(
        f"query($range: TimeRange!) {{ conversions(range: $range, {window}) {{ productId clicks convertedClicks rate"
        " } }",
        range=span(until - WINDOW, until),
    )["conversions"]
    by_name = {"product_clicks": "clicks", "converted_clicks": "convertedClicks", "click_conversion_rate": "rate"}
    for metric, name in by_name.items():
        served = {row["productId"]: row[name] for row in rows}
        assert _some(told(metric, "product", until)) == pytest.approx(_some(served)), metric
    assert any(row["convertedClicks"] for row in rows)
    carts = server.data(
        "query($range: TimeRange!) { cartAbandonment(range: $range, first: 100) { additions bought abandoned open rate"
        " products { productId additions bought abandoned open rate } } }",
        range=RANGE,
    )["cartAbandonment"]
    names = {f"{name}_additions": name for name in ("bought", "abandoned", "open")} | {"additions": "additions"}
    for metric, name in (names | {"addition_abandonment_rate": "rate"}).items():
        assert told(metric)[""] == pytest.approx(carts[name]), metric
        own = told(metric, "product")
        for row in carts["products"]:
            assert own[row["productId"]] == pytest.approx(row[name]), metric
    assert carts["open"] > 0
    assert carts["abandoned"] > 0


def test_what_arrived(server: Server, told: Any, shop: Shop) -> None:
    until = NOW.replace(second=0) + MINUTE
    (epoch,) = server.data(
        "{ books { epochs { records applied duplicates conflicts quarantined rejected late imported"
        " durationSeconds freshnessSeconds } } }"
    )["books"]["epochs"]
    for name in ("records", "applied", "duplicates", "conflicts", "quarantined", "rejected", "late", "imported"):
        assert told(name, until=until, window=MINUTE) == {"": epoch[name]}, name
    assert told("freshness_seconds", until=until, window=MINUTE)[""] == pytest.approx(epoch["freshnessSeconds"])
    assert told("epoch_duration", until=until, window=MINUTE)[""] == pytest.approx(epoch["durationSeconds"])
    assert told("records", until=until - MINUTE, window=HOUR) == {}
    lateness = server.data(
        "query($range: TimeRange!) { lateness(range: $range) { events late lateShare } }", range=RANGE
    )["lateness"]
    assert told("arrivals") == {"": lateness["events"]}
    assert told("late_arrivals") == {"": lateness["late"]}
    assert told("late_share")[""] == pytest.approx(lateness["lateShare"])
    assert lateness["late"] > 0
