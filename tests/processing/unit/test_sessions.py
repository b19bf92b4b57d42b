"""Sessions: where one ends, what is read off which event, how far the path and the funnel reach."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.processing.builders import GAP_MS, START_MS, Event, at, click, id_of, sale
from tests.processing.expected import Rows, expected
from tests.processing.folding import table_of
from tests.processing.log_rows import logged

pytestmark = pytest.mark.unit

SECOND_MS = START_MS + 2 * GAP_MS - 1_000
"""Of an event a little less than two gaps after the start."""


def sessions(*epochs: Sequence[Event]) -> Rows:
    """The sessions after these epochs; they are what the oracle says, too."""
    rows = [[logged(event, epoch=number) for event in epoch] for number, epoch in enumerate(epochs, start=1)]
    found = table_of("sessions", *rows)
    assert found == expected(row for part in rows for row in part)["sessions"]
    return found


def session(*events: Event) -> dict[str, Any]:
    """The one session of these events, in one epoch and in one for each."""
    (row,) = sessions(events).values()
    (other,) = sessions(*([event] for event in events)).values()
    assert {**row, "last_epoch": 0} == {**other, "last_epoch": 0}
    return row


def seconds(count: float) -> int:
    return START_MS + int(count * 1000)


@pytest.mark.parametrize(
    ("apart_ms", "islands"),
    [(GAP_MS - 1, 1), (GAP_MS, 2), (GAP_MS + 1, 2)],
    ids=["just under the gap", "exactly the gap", "just over the gap"],
)
@pytest.mark.parametrize("together", [True, False], ids=["one epoch", "two epochs"])
def test_events_less_than_the_gap_apart_are_one_session(apart_ms: int, islands: int, together: bool) -> None:
    events = [click("a"), click("b", timestamp=START_MS + apart_ms)]
    found = sessions(events) if together else sessions(events[:1], events[1:])
    assert len(found) == islands
    assert sum(row["events"] for row in found.values()) == 2


def test_the_gap_is_between_neighbours_and_not_from_the_start() -> None:
    ((key, row),) = sessions([click(str(n), timestamp=START_MS + n * (GAP_MS - 1)) for n in range(4)]).items()
    assert key == ("s1", at(START_MS))
    assert row["ended_at"] - key[1] == timedelta(milliseconds=3 * (GAP_MS - 1))


@pytest.mark.parametrize(
    ("bridge_ms", "count"),
    [(-500, 2), (0, 2), (500, 1), (1_000, 2), (1_500, 2)],
    ids=["the first only", "exactly the gap from the second", "both", "exactly the gap from the first", "the second"],
)
def test_a_late_event_joins_two_sessions_only_if_it_is_less_than_the_gap_from_both(bridge_ms: int, count: int) -> None:
    # The bridge is (gap - bridge_ms) before the second and (gap - 1000 + bridge_ms) after the first.
    bridge = click("bridge", timestamp=SECOND_MS - GAP_MS + bridge_ms)
    assert len(sessions([click("first"), click("second", timestamp=SECOND_MS)], [bridge])) == count


def test_late_events_within_a_long_session_join_it_however_far_apart_they_are() -> None:
    half = GAP_MS // 2
    long = [click(f"e{n}", timestamp=START_MS + n * half) for n in range(9)]
    inside = [click(f"i{n}", timestamp=START_MS + n * half + 1) for n in (0, 4, 7)]
    assert len(sessions(long, inside)) == 1


def test_sessions_of_different_ids_do_not_meet() -> None:
    assert len(sessions([click("a"), click("b", session_id="s2")], [click("c"), click("d", session_id="s3")])) == 3


def test_the_path_keeps_the_first_50_steps_and_the_sums_keep_all() -> None:
    events = [click(f"e{n:03}", timestamp=seconds(n)) for n in range(60)]
    (row,) = sessions(events[:20:-1], events[10:21], events[:10]).values()
    assert [step[2] for step in row["path"]] == [id_of(event) for event in events[:50]]
    assert row["views"] == 60


def test_the_steps_of_one_instant_are_ordered_by_action_then_id() -> None:
    row = session(click("b"), sale("a"), click("c", action="click"), click("a"))
    assert [step[1:3] for step in row["path"]] == [("click", "c"), ("purchase", "a"), ("view", "a"), ("view", "b")]


def test_two_users_in_one_session_are_one_session_of_the_first() -> None:
    assert session(click("b", user_id="late", timestamp=seconds(1)), click("a", user_id="early"))["user_id"] == "early"


@pytest.mark.parametrize("ids", [("a", "b"), ("e1", "e10"), ("e1", "e1 "), ("same", "same")])
def test_of_two_first_events_in_one_instant_the_lower_id_goes_first_and_a_click_before_its_namesake(
    ids: tuple[str, str],
) -> None:
    row = session(sale(ids[1], user_id="second"), click(ids[0], user_id="first", page_url="/first"))
    assert (row["user_id"], row["entry_page"]) == ("first", "/first")


def test_entry_and_exit_are_of_the_first_and_last_event_that_has_a_page() -> None:
    row = session(
        click("a", page_url=None),
        click("b", page_url="/in", timestamp=seconds(1)),
        click("c", page_url="", timestamp=seconds(2)),
        sale("d", timestamp=seconds(3)),
    )
    assert (row["entry_page"], row["exit_page"]) == ("/in", "")
    assert session(sale("a"))["entry_page"] is None


def test_each_attribute_is_of_the_first_event_that_says_it() -> None:
    row = session(
        sale("a", category=""),
        click("b", page_url=None, category=None, user_agent="phone", timestamp=seconds(1)),
        click("c", page_url=None, category="toys", user_agent="laptop", referrer="ad", timestamp=seconds(2)),
        click("d", page_url="/", category="books", user_agent="phone", referrer="search", timestamp=seconds(3)),
    )
    assert (row["device"], row["browser"], row["os"]) == ("mobile", "Firefox", "Android")
    assert (row["medium"], row["referrer_source"], row["campaign_source"], row["campaign"]) == (
        *("paid", "", "adwords"),
        "spring",
    )
    assert row["category"] == "toys"


def test_what_no_event_says_is_null() -> None:
    row = session(sale("a", category=""))
    assert {row[name] for name in ("device", "browser", "os", "medium", "campaign", "category")} == {None}


def test_an_earlier_event_that_comes_later_takes_the_attributes_over() -> None:
    later = click("b", user_agent="laptop", referrer="search", timestamp=seconds(5))
    earlier = click("a", user_agent="phone", referrer="ad", category="toys", page_url="/in")
    (row,) = sessions([later], [earlier]).values()
    assert (row["device"], row["medium"], row["category"], row["entry_page"]) == ("mobile", "paid", "toys", "/in")


@pytest.mark.parametrize(
    ("agents", "evidence"),
    [
        (("phone", "library"), (49, "http_library", False)),
        (("library", "crawler", "phone"), (50, "known_crawler", True)),
        (("scanner", "crawler"), (50, "scanner", True)),  # of one score the last reason in the order of the alphabet
        (("phone",), (0, None, False)),
    ],
)
def test_a_session_is_as_much_a_bots_as_its_most_bot_like_event(
    agents: tuple[str, ...], evidence: tuple[int, str | None, bool]
) -> None:
    row = session(*(click(f"e{n}", user_agent=agent, timestamp=seconds(n)) for n, agent in enumerate(agents)))
    assert (row["bot_score"], row["bot_reason"], row["bot"]) == evidence


FUNNEL = ("viewed_at", "added_at", "checkout_at", "purchased_at")


def funnel(*steps: tuple[float, str]) -> list[float | None]:
    """Seconds at which each step of the funnel was reached, of events (seconds, action)."""
    events = [
        sale(f"t{n}", timestamp=seconds(second), kind=action)
        if action in ("purchase", "refund")
        else click(f"e{n}", timestamp=seconds(second), action=action)
        for n, (second, action) in enumerate(steps)
    ]
    row = session(*events)
    return [row[name] and (row[name] - at(START_MS)).total_seconds() for name in FUNNEL]


@pytest.mark.parametrize(
    ("steps", "reached"),
    [
        ([(0, "view"), (1, "add_to_cart"), (2, "checkout_start"), (3, "purchase")], [0, 1, 2, 3]),
        ([(0, "page_view"), (5, "view"), (9, "purchase")], [0, None, None, None]),
        ([(0, "add_to_cart"), (1, "view"), (2, "add_to_cart"), (3, "add_to_cart")], [1, 2, None, None]),
        ([(0, "purchase"), (1, "view"), (2, "add_to_cart"), (3, "checkout_start")], [1, 2, 3, None]),
        ([(7, "view"), (7, "add_to_cart"), (7, "checkout_start"), (7, "purchase")], [7, 7, 7, 7]),
        ([(0, "view"), (1, "add_to_cart"), (2, "checkout_start"), (3, "refund")], [0, 1, 2, None]),
        ([(0, "click"), (1, "search"), (2, "scroll"), (3, "other")], [None, None, None, None]),
        ([(0, "checkout_start"), (1, "add_to_cart"), (2, "view")], [2, None, None, None]),
    ],
    ids=["all", "skipped", "a step before its time", "bought first", "one instant", "refund", "no step", "backwards"],
)
def test_a_step_of_the_funnel_counts_only_at_or_after_the_one_before_it(
    steps: list[tuple[float, str]], reached: list[float | None]
) -> None:
    assert funnel(*steps) == reached


def test_an_earlier_view_that_comes_late_moves_the_whole_funnel() -> None:
    add = click("b", action="add_to_cart", timestamp=seconds(1))
    (row,) = sessions([click("c", timestamp=seconds(2)), add], [click("a")]).values()
    assert (row["viewed_at"], row["added_at"]) == (at(START_MS), at(seconds(1)))


def test_the_funnel_reaches_as_far_as_the_path_does() -> None:
    views = [click(f"e{n:02}", timestamp=seconds(n)) for n in range(49)]
    adds = [
        click("f", action="add_to_cart", timestamp=seconds(49)),
        click("g", action="checkout_start", timestamp=seconds(50)),
    ]
    (row,) = sessions([*views, *adds]).values()
    (other,) = sessions(adds, views).values()
    assert {**row, "last_epoch": 2} == other
    assert (row["added_at"], row["checkout_at"], row["checkouts"]) == (at(seconds(49)), None, 1)
