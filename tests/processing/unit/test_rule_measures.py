"""What rules can be about, held against what GraphQL serves: no number is forgotten."""

import re
from pathlib import Path
from typing import Any

import pytest
from datasketches import compact_theta_sketch
from graphql import GraphQLObjectType, build_schema, get_named_type
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from processing import sketches
from processing.alerting.measures import MEASURES, RATIOS, SECONDS, of_metric
from processing.alerting.readings import counted
from processing.alerting.rule_settings import Condition, Rule

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
NUMERIC = {"Int", "Long", "Float", "Decimal", "Duration"}

_COUNTS = "views clicks searches adds removes checkouts purchases units revenue refunds refunded"
_LATE = {"lateEvents": "late_events", "revision": "late_events"}
RULED: dict[str, dict[str, str]] = {
    "ProductWindow": {
        **{name: name for name in _COUNTS.split()},
        **_LATE,
        "uniqueUsers": "unique_users",
        "uniqueBuyers": "unique_buyers",
    },
    "RankedProduct": {name: name for name in _COUNTS.split()},
    "MinutePoint": {"views": "views", "purchases": "purchases", "revenue": "revenue"},
    "RevenueWindow": {
        "count": "purchases",
        "units": "units",
        "total": "revenue",
        "average": "average_purchase",
        "refunds": "refunds",
        "refunded": "refunded",
        **_LATE,
    },
    "SalesBucket": {
        **{name: name for name in ("revenue", "purchases", "units", "orders", "refunds", "refunded")},
        "uniqueCustomers": "unique_buyers",
        "averagePurchase": "average_purchase",
        **_LATE,
    },
    "Realtime": {
        "activeUsers": "unique_users",
        "eventsPerSecond": "events_per_second",
        "viewsPerMinute": "views / seconds",
        "conversionRate": "conversion_rate",
        "cartAbandonmentRate": "cart_abandonment_rate",
    },
    "ConversionWindow": {
        "clicks": "product_clicks",
        "convertedClicks": "converted_clicks",
        "rate": "click_conversion_rate",
    },
    "CartAbandonment": {
        "additions": "additions",
        "bought": "bought_additions",
        "abandoned": "abandoned_additions",
        "open": "open_additions",
        "rate": "addition_abandonment_rate",
    },
    "AbandonedProduct": {
        "additions": "additions",
        "bought": "bought_additions",
        "abandoned": "abandoned_additions",
        "open": "open_additions",
        "rate": "addition_abandonment_rate",
    },
    "EarlierAdditions": {
        "additions": "additions",
        "bought": "bought_additions",
        "abandoned": "abandoned_additions",
        "open": "open_additions",
        "rate": "addition_abandonment_rate",
    },
    "SessionSegment": {
        "sessions": "sessions",
        "bounces": "bounces",
        "bounceRate": "bounce_rate",
        "events": "session_events",
        "eventsPerSession": "session_events / sessions",
        "meanDuration": "session_duration",
    },
    "FunnelSegment": {"sessions": "sessions"},
    "FunnelStep": {
        "sessions": "sessions_added",
        "shareOfFirst": "sessions_purchased / sessions_viewed",
        "shareOfPrevious": "sessions_checkout / sessions_added",
        "meanTime": "time_to_purchase",
    },
    "Lateness": {"events": "arrivals", "late": "late_arrivals", "lateShare": "late_share"},
    "EarlierArrivals": {"events": "arrivals", "late": "late_arrivals", "lateShare": "late_share"},
    "Duplicates": {"duplicates": "duplicates", "conflicts": "conflicts"},
    "EarlierDuplicates": {"duplicates": "duplicates", "conflicts": "conflicts"},
    "Rejections": {"rejected": "rejected", "quarantined": "quarantined"},
    "EarlierRejections": {"rejected": "rejected", "quarantined": "quarantined"},
    "Epoch": {
        **{
            name: name
            for name in "records applied duplicates conflicts quarantined rejected late imported".split()  # noqa: SIM905
        },
        **dict.fromkeys(("duration", "durationSeconds"), "epoch_duration"),
        **dict.fromkeys(("freshness", "freshnessSeconds"), "freshness_seconds"),
    },
    "AsOf": dict.fromkeys(("freshness", "freshnessSeconds"), "freshness_seconds"),
}
"""By type and field: the metric of a rule that is the same number, for a window and a scope."""

ONE_THING = "of one event, record, session, user or row: nothing of a window"
A_DAY = "of a whole day; the same measures are there by window"
CLOSES = "the alert `data:books` opens when it is not 0"
NOT_RULED = {
    **dict.fromkeys(("AppliedEvent", "Duplicate", "EventCopy", "Explanation", "PlaceInSession"), ONE_THING),
    **dict.fromkeys(("Arrival", "QuarantinedRecord", "Mismatch", "User"), ONE_THING),
    "Session": f"{ONE_THING}; `sessions`, `session_duration` and others sum them up",
    **dict.fromkeys(("Report", "ReportCarts", "ReportProduct", "ReportQuality", "ReportStep", "ReportTotals"), A_DAY),
    **dict.fromkeys(("Shoppers", "Customers"), A_DAY),
    **dict.fromkeys(("Alert", "Delivery", "Request"), "of what people are told or have asked for"),
    "DaySoFar": "since midnight; the same measures are there by window",
    **dict.fromkeys(("Anomaly", "Contribution"), "a flag opens alerts by itself"),
    "Training": "of what detectors have learnt from",
    **dict.fromkeys(("ForecastHour", "ForecastRevenue"), "what is expected, not what is"),
    **dict.fromkeys(("Cohort", "CohortWeek"), "of weeks"),
    **dict.fromkeys(
        ("EarlierJourneys", "JourneyNode", "Journeys", "Transition"),
        "of each of many steps or pages, found in the paths",
    ),
    **dict.fromkeys(("AlsoViewed", "EarlierViews", "ViewedTogether"), "of pairs of products"),
    **dict.fromkeys(("Books", "Check"), CLOSES),
    **dict.fromkeys(("Added", "Changes"), "between two epochs; the same measures are there by window"),
    "Verification": "the alert on the books and `millrace verify` tell what differs",
    "Totals": "of all time; `Epoch` has the same of a window",
    "RejectionCount": "the alert `data:rejected` opens by source, reason and schema",
    "LatenessBucket": "a histogram; `Lateness` has its sums",
    "AsOf.epoch": "a number that only grows",
    **dict.fromkeys(("AsOf.lag", "AsOf.lagSeconds"), "a clock, not of a window: the alert `data:silent` opens by it"),
    "Epoch.epoch": "a number that only grows",
    "Epoch.logVersion": "a number that only grows",
    "Epoch.residue": CLOSES,
    "RankedProduct.rank": "a place, not a number of things",
    "Realtime.revenueToday": "since midnight; `revenue` has it of a window",
    "Realtime.purchasesToday": "since midnight; `purchases` has it of a window",
    **dict.fromkeys(("CartAbandonment.minutes", "CartAbandonment.within"), "a setting"),
    "ConversionWindow.purchases": "different purchases do not add up over minutes; `converted_clicks` does",
    "ConversionWindow.lateEvents": "`late_events` has all that come late, clicks among them",
    "ConversionWindow.revision": "`late_events` has all that come late, clicks among them",
    "FunnelStep.medianTime": "medians do not add up over minutes; `time_to_purchase` is the mean",
}
"""What no rule can name, and why."""


def _served() -> set[str]:
    schema = build_schema((ROOT / "contracts" / "schema.graphql").read_text("utf-8"))
    return {
        f"{name}.{field}"
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and name[0] != "_"
        for field, of in kind.fields.items()
        if get_named_type(of.type).name in NUMERIC
    }


def test_a_rule_can_name_every_number_that_is_served_or_the_reason_is_known() -> None:
    ruled = {f"{kind}.{field}" for kind, fields in RULED.items() for field in fields}
    served = _served()
    excused = {name for name in served if name in NOT_RULED or name.partition(".")[0] in NOT_RULED}
    assert served - ruled - excused == set(), "RULED has it by its metric, or NOT_RULED says why no rule can name it"
    assert ruled & excused == set()
    assert ruled - served == set(), "it is not served any more"
    kinds = {name.partition(".")[0] for name in served}
    assert {name for name in NOT_RULED if name not in served and name not in kinds} == set()


def test_what_is_named_for_a_served_number_is_a_metric_and_in_the_docs() -> None:
    docs = (ROOT / "docs" / "alerts.md").read_text("utf-8")
    for fields in RULED.values():
        for metric in fields.values():
            of_metric(metric)
    assert [name for name in (*MEASURES, *RATIOS, SECONDS) if not re.search(rf"\b{name}\b", docs)] == []


def _rule(*metrics: str, scope: str = "site") -> Rule:
    options: dict[str, Any] = {"title": "x", "scope": scope}
    return Rule(**options, conditions=[{"metric": metric, "above": 1} for metric in metrics])


@pytest.mark.parametrize(
    ("metrics", "scope", "fault"),
    [
        (("uniqueUsers",), "site", "'uniqueUsers' is no metric (did you mean 'unique_users'?): docs/alerts.md"),
        (("conversionRate",), "site", "'conversionRate' is no metric (did you mean 'conversion_rate'?)"),
        (("purchases / nothing",), "site", "'nothing' is no metric: docs/alerts.md"),
        (("a / b / c",), "site", "'a / b / c' divides more than once"),
        (("bounce_rate / views",), "site", "'bounce_rate' is no metric"),
        (("seconds / views",), "site", "seconds are the window's own length"),
        (("orders",), "product", "'orders' is not known by product, but of: site"),
        (("views", "bounce_rate"), "device", "'views' is not known by device, but of: site, category, product"),
        (("rejected", "purchases"), "site", "'purchases' is of when things happened and 'rejected' of when records"),
        (("late_arrivals / events",), "site", "'events' is of when things happened and 'late_arrivals' of when"),
    ],
)
def test_what_no_rule_can_be_about_is_refused_by_name(metrics: tuple[str, ...], scope: str, fault: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _rule(*metrics, scope=scope)
    assert fault in str(refused.value)


def test_a_ratio_is_the_measures_that_it_divides() -> None:
    assert Condition(metric="bounce_rate", above=0.5).measures == ("bounces", "sessions")
    assert Condition(metric="revenue/orders", below=5).metric == "revenue / orders"
    assert _rule("cart_abandonment_rate", scope="device").volume == "session_events"
    assert (_rule("late_share").volume, _rule("late_share").axis) == ("records", "arrivals")


@given(
    minutes=st.lists(st.sets(st.sampled_from("abcdefgh"), max_size=3), min_size=1, max_size=14),
    length=st.integers(1, 14),
)
def test_users_of_each_window_are_counted_once_whatever_its_length(minutes: list[set[str]], length: int) -> None:
    length = min(length, len(minutes))
    sketched = [[compact_theta_sketch.deserialize(sketches.of(users))] if users else [] for users in minutes]
    windows = [set().union(*minutes[first : first + length]) for first in range(len(minutes) - length + 1)]
    assert counted(sketched, length).tolist() == [len(users) for users in windows]
