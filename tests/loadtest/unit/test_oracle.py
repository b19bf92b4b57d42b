"""The oracle against examples worked by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.client_log import Attempt, Verdict
from loadtest.facts import Fact, to_fact
from loadtest.oracle import MINUTE, Oracle, RevenueWindow

pytestmark = pytest.mark.unit

NOON = datetime(2024, 3, 5, 12, 0, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def click(event_id: str, minutes: float, action: str = "view", **fields: Any) -> dict[str, Any]:
    return {
        "type": "clickstream",
        "event_id": event_id,
        "user_id": "ann",
        "session_id": "s1",
        "action": action,
        "timestamp": NOON_MS + round(minutes * 60_000),
        **fields,
    }


def sale(event_id: str, minutes: float, amount: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "transaction",
        "transaction_id": event_id,
        "user_id": "ann",
        "session_id": "s1",
        "product_id": "p1",
        "category": "books",
        "amount": amount,
        "quantity": 2,
        "payment_method": "card",
        "timestamp": NOON_MS + round(minutes * 60_000),
        **fields,
    }


def oracle(*events: dict[str, Any]) -> Oracle:
    return Oracle(to_fact(event) for event in events)


def test_each_action_is_counted_in_its_column() -> None:
    actions = {
        "page_view": "views",
        "view": "views",
        "click": "clicks",
        "search": "searches",
        "add_to_cart": "adds",
        "remove_from_cart": "removes",
        "checkout_start": "checkouts",
    }
    judged = oracle(*(click(f"e{n}", 0, action) for n, action in enumerate([*actions, "scroll", "other"])))
    whole = judged.site_minutes[NOON,]
    assert whole.events == 9
    assert whole.views == 2
    assert [getattr(whole, column) for column in ("clicks", "searches", "adds", "removes", "checkouts")] == [1] * 5


def test_purchases_make_revenue_and_refunds_do_not_reduce_it() -> None:
    judged = oracle(
        sale("t1", 0, "19.99"),
        sale("t2", 0, "0.01", user_id="bob", quantity=1),
        sale("t3", 0, "5", kind="refund", user_id="cleo"),
    )
    minute = judged.product_minutes[NOON, "p1", "books"]
    assert (minute.purchases, minute.units, minute.revenue) == (2, 3, Decimal("20.00"))
    assert (minute.refunds, minute.refunded) == (1, Decimal(5))
    assert (minute.users, minute.buyers) == ({"ann", "bob", "cleo"}, {"ann", "bob"})


def test_product_minutes_have_only_events_with_a_product_and_categories_only_what_was_named() -> None:
    judged = oracle(
        click("e1", 0.99, product_id="p1"),
        click("e2", 1, product_id="p1", category="books"),
        click("e3", 1),
    )
    assert set(judged.product_minutes) == {(at(0), "p1", ""), (at(1), "p1", "books")}
    assert {key: m.events for key, m in judged.category_minutes.items()} == {
        (at(0), ""): 1,
        (at(1), "books"): 1,
        (at(1), ""): 1,
    }
    assert {key: m.events for key, m in judged.site_minutes.items()} == {(at(0),): 1, (at(1),): 2}


@pytest.mark.parametrize(("gap", "sessions"), [(29.99, 1), (30, 2), (30.01, 2)])
def test_exactly_thirty_minutes_split_a_session(gap: float, sessions: int) -> None:
    judged = oracle(click("e1", 0), click("e2", gap))
    assert len(judged.sessions) == sessions


def test_a_session_has_its_first_user_its_pages_and_its_path_in_order_of_time() -> None:
    judged = oracle(
        sale("t1", 3, "7.50", user_id="bob"),
        click("e3", 2, "click", product_id="p1", page_url="/p1"),
        click("e2", 1, page_url="/home"),
        click("e1", 0, "scroll"),
        click("other", 0, session_id="s2"),
    )
    session = judged.sessions["s1", NOON]
    assert (session.user_id, session.ended_at, session.duration) == ("ann", at(3), timedelta(minutes=3))
    assert (session.entry_page, session.exit_page) == ("/home", "/p1")
    assert (session.measures.purchases, session.measures.revenue) == (1, Decimal("7.50"))
    assert [step[1:] for step in session.path] == [
        ("scroll", "e1", None, None),
        ("view", "e2", None, "/home"),
        ("click", "e3", "p1", "/p1"),
        ("purchase", "t1", "p1", None),
    ]
    assert not session.bounced
    assert judged.sessions["s2", NOON].bounced


def test_steps_at_one_instant_are_in_the_order_of_their_actions_and_then_of_their_ids() -> None:
    judged = oracle(
        click("a", 0, "view", user_id="bob", page_url="/a"),
        click("b", 0, "add_to_cart", page_url="/b"),
        click("c", 0, "add_to_cart", page_url="/c"),
    )
    session = judged.sessions["s1", NOON]
    assert [step[1:3] for step in session.path] == [("add_to_cart", "b"), ("add_to_cart", "c"), ("view", "a")]
    # Whose it is and where it began and ended go by time and id alone.
    assert (session.user_id, session.entry_page, session.exit_page) == ("bob", "/a", "/c")


@pytest.mark.parametrize(("minutes", "completed"), [(29.99, False), (30, True), (31, True)])
def test_a_session_is_completed_when_the_watermark_is_half_an_hour_past_it(minutes: float, completed: bool) -> None:
    assert oracle(click("e1", 0)).sessions["s1", NOON].completed(at(minutes)) is completed


def test_revenue_windows_count_lines_and_average_them() -> None:
    judged = oracle(sale("t1", 0, "1.00"), sale("t2", 4.99, "2.00"), sale("t3", 5, "9.00"), click("e1", 10))
    windows = judged.revenue()
    assert windows == {
        (at(0), "books"): RevenueWindow(2, Decimal("3.00")),
        (at(5), "books"): RevenueWindow(1, Decimal("9.00")),
    }
    assert windows[at(0), "books"].average == Decimal("1.5")


def test_sliding_windows_see_an_event_once_per_slide() -> None:
    judged = oracle(click("e1", 7, product_id="p1"))
    windows = judged.product_windows(timedelta(minutes=10), timedelta(minutes=5))
    assert set(windows) == {(at(5), "p1"), (at(0), "p1")}


def test_top_products_break_ties_by_id_and_leave_out_nothings() -> None:
    judged = oracle(
        *(click(f"b{n}", n, product_id="b") for n in range(2)),
        *(click(f"a{n}", n, product_id="a") for n in range(2)),
        click("c", 0, product_id="c"),
        click("d", 0, "click", product_id="d"),
    )
    assert judged.top_products("views", at(0), at(60), 3) == [("a", 2), ("b", 2), ("c", 1)]
    assert judged.top_products("views", at(1), at(60)) == [("a", 1), ("b", 1)]
    assert judged.between(at(1), at(2)).views == 2


def test_days_are_those_of_the_zone_and_may_have_twenty_three_hours() -> None:
    # Berlin, 31 March 2024: clocks go from 02:00 to 03:00.
    start = datetime(2024, 3, 30, 23, 0, tzinfo=UTC)
    minutes = (start - NOON) / MINUTE
    judged = oracle(click("e1", minutes), click("e2", minutes + 23 * 60 - 1), click("e3", minutes + 23 * 60))
    days = judged.sales("day", "Europe/Berlin")
    assert {day: m.events for day, m in days.items()} == {start: 2, start + timedelta(hours=23): 1}


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    # Berlin, 27 October 2024: 02:30 exists twice.
    first = datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    minutes = (first - NOON) / MINUTE
    hours = oracle(click("e1", minutes), click("e2", minutes + 60)).sales("hour", "Europe/Berlin")
    assert set(hours) == {first.replace(minute=0), first.replace(hour=1, minute=0)}


def test_hours_begin_on_the_half_hour_where_the_zone_does() -> None:
    hours = oracle(click("e1", 15)).sales("hour", "Asia/Kolkata")
    assert set(hours) == {at(-30)}


def _attempt(
    number: int, event: dict[str, Any], verdict: Verdict = Verdict.ACCEPTED, code: str | None = None
) -> Attempt:
    event_id = event.get("event_id") or event["transaction_id"]
    return Attempt(number, 1, None, "valid", "", event_id, event, None, 0, False, 200, verdict, code)


def test_of_one_id_the_first_accepted_counts_and_the_others_are_duplicates_or_conflicts() -> None:
    judged = Oracle.from_attempts(
        [
            _attempt(1, sale("t1", 0, "1.00"), Verdict.UNKNOWN),
            _attempt(2, sale("t1", 0, "1.00")),
            _attempt(3, sale("t1", 0, "1.0")),
            _attempt(4, sale("t1", 0, "2.00")),
            _attempt(5, click("t1", 0)),
            _attempt(6, click("lost", 0), Verdict.UNKNOWN),
            _attempt(7, click("bad", 0), Verdict.REJECTED, "invalid_id"),
        ]
    )
    books = judged.books
    assert books
    assert (books.accepted, books.applied, books.duplicates, books.conflicts) == (4, 2, 2, 1)
    assert (books.rejected, books.reasons) == (1, {"invalid_id": 1})
    assert (books.unanswered, set(books.undecided)) == (2, {"lost"})
    assert judged.between(at(0), at(1)).revenue == Decimal("1.00")


def test_spellings_of_one_event_are_one_fact() -> None:
    upper = "3F2504E0-4F89-11D3-9A0C-0305E82C3301"
    one = sale(upper, 0, "1.5", session_id=upper)
    other = sale(upper.lower(), 0, "1.50", session_id=upper.lower())
    spelt = {"timestamp": "2024-03-05T14:00:00.000+02:00", "product_id": "p1"}
    assert to_fact(one) == to_fact({**other, **spelt})
    assert to_fact(click("E1", 0)) != to_fact(click("e1", 0))
    assert to_fact({**click("e", 0), "timestamp": "2024-03-05T12:00:00.0019"}).at_ms == NOON_MS + 1


_facts = st.builds(
    Fact,
    topic=st.just("clickstream"),
    event_id=st.uuids().map(str),
    user_id=st.sampled_from("abc"),
    session_id=st.sampled_from("xyz"),
    product_id=st.none() | st.sampled_from("pq"),
    category=st.none() | st.sampled_from("kl"),
    action=st.sampled_from(["view", "click", "add_to_cart", "purchase", "refund", "scroll"]),
    at_ms=st.integers(0, 6 * 3_600_000),
    amount=st.decimals(0, 100, places=2),
    quantity=st.integers(1, 5),
)


@given(st.lists(_facts, max_size=60, unique_by=lambda fact: fact.event_id), st.randoms())
def test_parts_sum_up_to_the_whole_in_any_order(facts: list[Fact], dice: Any) -> None:
    judged = Oracle(facts)
    shuffled = Oracle(dice.sample(facts, len(facts)))
    assert shuffled.sessions == judged.sessions
    assert shuffled.product_minutes == judged.product_minutes
    revenue = sum((fact.amount for fact in facts if fact.action == "purchase"), Decimal(0))
    for parts in (judged.site_minutes, judged.category_minutes):
        assert sum(m.events for m in parts.values()) == len(facts)
        assert sum((m.revenue for m in parts.values()), Decimal(0)) == revenue
    assert sum(s.measures.events for s in judged.sessions.values()) == len(facts)
    assert all(m.buyers <= m.users for m in judged.site_minutes.values())
