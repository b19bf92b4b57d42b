"""Orders, users and their categories: what belongs together, in whatever order it comes."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.processing.builders import START_MS, at, click, sale
from tests.processing.expected import FIRST_MONDAY
from tests.processing.folding import table_of
from tests.processing.log_rows import logged

pytestmark = pytest.mark.unit

LATER_MS = START_MS + 5_000


def test_lines_of_one_order_and_user_are_one_order() -> None:
    lines = [
        logged(sale("a", order_id="o", quantity=2)),
        logged(sale("b", order_id="o", product_id="p2", timestamp=LATER_MS)),
        logged(sale("c", order_id="o", user_id="u2")),
        logged(sale("d", order_id="o2")),
    ]
    rows = table_of("orders", lines[:1], lines[1:])
    assert {key: (row["lines"], row["units"]) for key, row in rows.items()} == {
        ("o", "u1"): (2, 3),
        ("o", "u2"): (1, 1),
        ("o2", "u1"): (1, 1),
    }
    assert rows["o", "u1"]["ordered_at"] == at(START_MS)


def test_a_line_without_an_order_is_an_order_by_itself() -> None:
    assert table_of("orders", [logged(sale("a")), logged(sale("b"))]).keys() == {("a", "u1"), ("b", "u1")}


def test_a_refund_may_come_before_its_purchase_and_places_no_order() -> None:
    refund = logged(sale("r", order_id="o", kind="refund", amount=Decimal(4), session_id="s9"))
    purchase = logged(sale("p", order_id="o", timestamp=LATER_MS, session_id="s8"))
    (row,) = table_of("orders", [refund]).values()
    assert (row["ordered_at"], row["lines"], row["units"], row["refunds"], row["refunded"]) == (None, 0, 0, 1, 4)
    for epochs in ([refund], [purchase]), ([purchase], [refund]), ([refund, purchase],):
        (row,) = table_of("orders", *epochs).values()
        assert (row["ordered_at"], row["lines"], row["refunds"]) == (at(LATER_MS), 1, 1)
        assert (row["revenue"], row["refunded"], row["session_id"]) == (Decimal("9.99"), 4, "s8")


def test_clicks_are_no_orders() -> None:
    assert table_of("orders", [logged(click()), logged(sale("a", order_id="o"))]).keys() == {("o", "u1")}


def test_an_order_is_a_bots_if_one_of_its_lines_is() -> None:
    lines = [logged(sale("a", order_id="o")), logged(sale("b", order_id="o"), bot=True)]
    for epochs in ([lines], [lines[:1], lines[1:]], [lines[1:], lines[:1]]):
        assert [row["bot"] for row in table_of("orders", *epochs).values()] == [True]


def ms(iso: str) -> int:
    return int(datetime.fromisoformat(iso).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("instant_ms", "monday"),
    [
        (ms("2026-03-01T23:59:59.999"), datetime(2026, 2, 23, tzinfo=UTC)),
        (ms("2026-03-02"), datetime(2026, 3, 2, tzinfo=UTC)),
        (0, FIRST_MONDAY),
        (ms("1970-01-05"), datetime(1970, 1, 5, tzinfo=UTC)),
        (ms("2027-01-01"), datetime(2026, 12, 28, tzinfo=UTC)),
    ],
    ids=["Sunday's end", "Monday's begin", "the first instant", "the first Monday", "a week over New Year"],
)
def test_weeks_are_iso_weeks_counted_from_the_first(instant_ms: int, monday: datetime) -> None:
    (row,) = table_of("users", [logged(click(timestamp=instant_ms))]).values()
    assert row["weeks"] == [(monday - FIRST_MONDAY).days // 7]


def test_the_weeks_of_a_user_are_each_once_and_in_order() -> None:
    week = 7 * 86_400_000
    log = [logged(click(f"e{n}", timestamp=START_MS + place * week)) for n, place in enumerate((9, 0, 3, 0, 9))]
    first = (at(START_MS) - FIRST_MONDAY).days // 7
    for epochs in ([log], [[row] for row in log], [log[3:], log[:3]]):
        (row,) = table_of("users", *epochs).values()
        assert row["weeks"] == [first, first + 3, first + 9]
        assert (row["first_seen"], row["last_seen"]) == (at(START_MS), at(START_MS + 9 * week))


def test_a_user_has_the_highest_bot_score_and_all_sums() -> None:
    log = [
        logged(click("a", user_agent="library")),
        logged(click("b", user_agent="phone", action="click")),
        logged(sale("c", quantity=3)),
        logged(sale("d", kind="refund")),
        logged(click("e", user_id="u2")),
    ]
    rows = table_of("users", log[:2], log[2:])
    row = rows[("u1",)]
    assert (row["events"], row["views"], row["clicks"], row["purchases"], row["units"]) == (4, 1, 1, 1, 3)
    assert (row["revenue"], row["refunded"], row["bot_score"]) == (Decimal("9.99"), Decimal("9.99"), 49)
    assert rows[("u2",)]["events"] == 1


def test_categories_that_are_named_are_counted_per_user() -> None:
    log = [
        *(logged(click(f"e{n}", category=category)) for n, category in enumerate(("books", "toys", "books", None, ""))),
        logged(sale("t", category="books")),
        logged(click("x", user_id="u2", category="toys")),
    ]
    rows = table_of("user_categories", log[:2], log[2:])
    assert {key: row["events"] for key, row in rows.items()} == {
        ("u1", "books"): 3,
        ("u1", "toys"): 1,
        ("u2", "toys"): 1,
    }
