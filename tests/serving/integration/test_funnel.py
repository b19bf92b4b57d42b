"""The funnel: by the table's columns and by the paths it is the same, and no step exceeds the one ahead of it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import fmean, median
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.queries import ResultRow
from serving.queries.funnel import Asked, funnel
from serving.queries.visits import Visits
from serving.windows import Span
from tests.examples import examples
from tests.serving.events import Agent, Event, by_bot, islands
from tests.serving.integration.conftest import NOW, Server, new_schema
from tests.serving.scratch import Scratch
from tests.serving.shop import Shop

pytestmark = pytest.mark.integration

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
VIEWS = frozenset({"page_view", "view"})
USUAL = [VIEWS, frozenset({"add_to_cart"}), frozenset({"checkout_start"}), frozenset({"purchase"})]
NAMES = ["VIEW", "ADD_TO_CART", "CHECKOUT_START", "PURCHASE"]


def reached(island: Sequence[Event], steps: Sequence[frozenset[str]]) -> list[datetime]:
    """When the session reached each step, as far as it got."""
    times: list[datetime] = []
    used: set[int] = set()
    for actions in steps:
        for place, event in enumerate(island[:50]):
            if event.action in actions and place not in used and (not times or event.at >= times[-1]):
                used.add(place)
                times.append(event.at)
                break
        else:
            break
    return times


def expected(sessions: Sequence[Sequence[Event]], steps: Sequence[frozenset[str]]) -> list[tuple[int, Any, Any]]:
    """Of each step: sessions, median and mean seconds from the first step."""
    times = [reached(island, steps) for island in sessions]
    found = []
    for number in range(len(steps)):
        after = [(one[number] - one[0]).total_seconds() for one in times if len(one) > number]
        found.append((len(after), median(after) if after else None, fmean(after) if after else None))
    return found


@pytest.fixture(scope="module")
def scratch(postgres_url: str) -> Iterator[Scratch]:
    store = Scratch(postgres_url, new_schema(), ["sessions"])
    yield store
    store.close()


@st.composite
def sessions(draw: st.DrawFn) -> list[Event]:
    """A few sessions whose events fall on few instants, so that many come at the same time."""
    actions = st.sampled_from(["page_view", "view", "click", "add_to_cart", "checkout_start", "purchase", "scroll"])
    steps = st.tuples(st.integers(0, 2), st.integers(0, 6), actions)
    drawn = draw(st.lists(steps, min_size=1, max_size=70))
    return [
        Event(START + timedelta(seconds=second), f"e{number}", "u", f"s{session}", action)
        for number, (session, second, action) in enumerate(drawn)
    ]


STEPS = st.lists(
    st.sampled_from([VIEWS, *(frozenset({one}) for one in ("view", "click", "add_to_cart", "purchase"))]),
    min_size=1,
    max_size=5,
)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions(), STEPS)
def test_no_step_exceeds_the_one_ahead_and_paths_and_columns_agree(
    scratch: Scratch, events: list[Event], steps: list[frozenset[str]]
) -> None:
    asked = Asked(Visits(Span(START, START + timedelta(hours=1))), breakdown="none", ended_by=None, first=10)
    statements = [funnel(replace(asked, steps=sought), 100) for sought in (None, USUAL, steps)]
    by_columns, by_path, custom = (of(rows[0]) for rows in scratch.rows(events, *statements))
    found = list(islands(events))
    assert by_columns == by_path == approximately(expected(found, USUAL))
    assert custom == approximately(expected(found, steps))
    counts = [count for count, _, _ in custom]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] <= len(found)


def of(row: ResultRow) -> list[tuple[int, Any, Any]]:
    """Of each step of a fetched row: sessions, median and mean seconds."""
    told = row._mapping
    steps = sum(name.startswith("reached_") for name in told)
    return [
        (told[f"reached_{number}"], *(_seconds(told[f"{which}_{number}"]) for which in ("median", "mean")))
        for number in range(steps)
    ]


def _seconds(time: timedelta | None) -> float | None:
    return None if time is None else time.total_seconds()


def approximately(steps: list[tuple[int, Any, Any]]) -> list[tuple[int, Any, Any]]:
    return [
        (
            count,
            None if middle is None else pytest.approx(middle),
            None if mean is None else pytest.approx(mean, abs=1e-5),
        )
        for count, middle, mean in steps
    ]


def test_a_session_that_goes_on_counts_also_when_its_segment_is_not_listed(scratch: Scratch) -> None:
    completed = [Event(START, f"e{n}", "u", f"s{n}", "view", agent=Agent("mobile", "", "")) for n in range(2)]
    going_on = Event(START + timedelta(seconds=1), "e3", "u", "s3", "view", agent=Agent("desktop", "", ""))
    asked = Asked(Visits(Span(START, START + timedelta(hours=1))), "device", ended_by=START, first=1)
    statements = [funnel(replace(asked, steps=sought), 10) for sought in (None, USUAL)]
    for (row,) in scratch.rows([*completed, going_on], *statements):
        assert (row.segment, row.sessions, row.active) == ("mobile", 2, 1)


QUERY = """query ($range: TimeRange!, $by: FunnelBreakdown!, $steps: [FunnelAction!], $bots: BotFilter!) {
  funnel(range: $range, breakdown: $by, steps: $steps, bots: $bots, first: 100) { isFinal segments { segment sessions
    steps { action sessions shareOfFirst shareOfPrevious medianTime meanTime } } } }"""


def seconds(duration: str | None) -> float | None:
    """Of an ISO 8601 duration below a day."""
    if duration is None:
        return None
    total, number = 0.0, ""
    for letter in duration.removeprefix("PT"):
        if letter in "HMS":
            total += float(number) * {"H": 3600, "M": 60, "S": 1}[letter]
            number = ""
        else:
            number += letter
    return total


SEGMENT_OF: dict[str, Callable[[list[Event]], str | None]] = {
    "NONE": lambda _: None,
    "CATEGORY": lambda island: next((event.category for event in island if event.category), None),
    "DEVICE": lambda island: island[0].agent.device if island[0].agent else None,
    "MEDIUM": lambda island: island[0].referral.medium if island[0].referral else None,
    "SOURCE": lambda island: (
        island[0].referral.campaign_source or island[0].referral.referrer_source if island[0].referral else None
    ),
}


@pytest.mark.parametrize("by", list(SEGMENT_OF))
@pytest.mark.parametrize("steps", [None, NAMES, ["PRODUCT_VIEW", "CLICK", "PRODUCT_VIEW", "PURCHASE"]])
def test_the_funnel_is_that_of_the_sessions(server: Server, shop: Shop, by: str, steps: list[str] | None) -> None:
    start, end = NOW - timedelta(hours=3), NOW - timedelta(hours=1)
    span = {"from": start.isoformat(), "to": end.isoformat()}
    found = server.data(QUERY, range=span, by=by, steps=steps, bots="EXCLUDE")["funnel"]
    other = [frozenset({name}) for name in ("view", "click", "view", "purchase")]
    sought = USUAL if steps in (None, NAMES) else other
    groups: dict[str | None, list[list[Event]]] = {}
    for island in islands(shop.events):
        if start <= island[0].at < end and not by_bot(island):
            groups.setdefault(SEGMENT_OF[by](island), []).append(island)
    assert {one["segment"]: one["sessions"] for one in found["segments"]} == {
        segment: len(own) for segment, own in groups.items()
    }
    sizes = [one["sessions"] for one in found["segments"]]
    assert sizes == sorted(sizes, reverse=True)
    assert found["isFinal"] is True
    for one in found["segments"]:
        wanted = expected(groups[one["segment"]], sought)
        assert [step["action"] for step in one["steps"]] == (steps or NAMES)
        assert [
            (step["sessions"], seconds(step["medianTime"]), seconds(step["meanTime"])) for step in one["steps"]
        ] == approximately(wanted)
        first = wanted[0][0]
        for number, step in enumerate(one["steps"]):
            ahead = wanted[number - 1][0] if number else 0
            assert step["shareOfFirst"] == (pytest.approx(step["sessions"] / first) if first else None)
            assert step["shareOfPrevious"] == (pytest.approx(step["sessions"] / ahead) if ahead else None)


def test_bots_have_a_funnel_of_their_own(server: Server, shop: Shop) -> None:
    span = {"from": (NOW - timedelta(hours=3)).isoformat(), "to": NOW.isoformat()}
    counts = Counter(by_bot(island) for island in islands(shop.events) if island[0].at >= NOW - timedelta(hours=3))
    for bots, count in (("EXCLUDE", counts[False]), ("ONLY", counts[True]), ("INCLUDE", counts.total())):
        found = server.data(QUERY, range=span, by="NONE", steps=None, bots=bots)["funnel"]
        assert found["segments"][0]["sessions"] == count > 0
        assert found["isFinal"] is False  # the range reaches past the watermark


def test_a_funnel_of_nothing_is_one_of_zeros(server: Server) -> None:
    span = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}
    for steps in (None, ["CLICK", "PURCHASE"]):
        found = server.data(QUERY, range=span, by="NONE", steps=steps, bots="EXCLUDE")["funnel"]
        (segment,) = found["segments"]
        assert segment["sessions"] == 0
        assert {(step["sessions"], step["shareOfFirst"], step["medianTime"]) for step in segment["steps"]} == {
            (0, None, None)
        }
        assert server.data(QUERY, range=span, by="DEVICE", steps=steps, bots="EXCLUDE")["funnel"]["segments"] == []


def test_a_funnel_waits_for_the_sessions_that_still_go_on(server: Server, shop: Shop) -> None:
    watermark = shop.watermark
    assert watermark is not None
    gone_on = [
        one for one in islands(shop.events) if not by_bot(one) and one[-1].at > watermark - timedelta(minutes=30)
    ]
    start = min(one[0].at for one in gone_on)
    for end, final in ((start, True), (start + timedelta(seconds=1), False)):
        span = {"from": (start - timedelta(hours=1)).isoformat(), "to": end.isoformat()}
        for steps in (None, ["VIEW"]):
            assert server.data(QUERY, range=span, by="NONE", steps=steps, bots="EXCLUDE")["funnel"]["isFinal"] is final
