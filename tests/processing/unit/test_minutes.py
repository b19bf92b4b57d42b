"""The minute tables and the delays: what is counted where, bots apart, money exact."""

from decimal import Decimal

import pytest

from tests.processing.builders import START_MS, at, click, sale
from tests.processing.folding import table_of
from tests.processing.log_rows import logged

pytestmark = pytest.mark.unit

NOON = at(START_MS)
MINUTE_MS = 60_000


def test_a_minute_begins_at_its_first_millisecond() -> None:
    times = (START_MS - 1, START_MS, START_MS + MINUTE_MS - 1, START_MS + MINUTE_MS)
    rows = table_of("site_minutes", [logged(click(f"e{n}", timestamp=ms)) for n, ms in enumerate(times)])
    assert {key[0]: row["events"] for key, row in rows.items()} == {
        at(START_MS - MINUTE_MS): 1,
        NOON: 2,
        at(START_MS + MINUTE_MS): 1,
    }


@pytest.mark.parametrize("name", ["site_minutes", "category_minutes", "product_minutes"])
def test_what_bots_did_is_in_rows_of_its_own(name: str) -> None:
    agents = ("phone", "crawler", "library", "scanner", None)
    rows = table_of(name, [logged(click(f"e{n}", user_agent=agent)) for n, agent in enumerate(agents)])
    assert {key[-1]: row["events"] for key, row in rows.items()} == {False: 3, True: 2}


def test_events_without_a_category_are_in_the_empty_one_and_without_a_product_in_no_product() -> None:
    log = [
        logged(click("a", category=None)),
        logged(click("b", category="")),
        logged(click("c", product_id=None)),
        logged(click("d", product_id="")),
    ]
    counts = {key[1:-1]: row["events"] for key, row in table_of("category_minutes", log).items()}
    assert counts == {("",): 2, ("books",): 2}
    counts = {key[1:-1]: row["events"] for key, row in table_of("product_minutes", log).items()}
    assert counts == {("p1", ""): 2, ("", "books"): 1}


def test_a_refund_is_counted_apart_and_never_subtracted() -> None:
    (row,) = table_of("site_minutes", [logged(sale("a")), logged(sale("b", kind="refund", quantity=7))]).values()
    assert (row["revenue"], row["refunded"]) == (Decimal("9.99"), Decimal("9.99"))
    assert (row["purchases"], row["refunds"], row["units"], row["events"]) == (1, 1, 1, 2)


def test_sums_of_money_are_exact_at_the_widest_amounts() -> None:
    widest = Decimal("99999999999999.9999")
    log = [logged(sale(str(n), amount=widest)) for n in range(1000)]
    (row,) = table_of("site_minutes", log, [logged(sale("one more", amount=widest))]).values()
    assert row["revenue"] == widest * 1001


def test_late_events_are_counted_and_so_is_the_newest_epoch() -> None:
    epochs = [[logged(click(f"e{n}"), epoch=n, late=n in (2, 3))] for n in (1, 2, 3, 4)]
    for name in ("site_minutes", "sessions", "users", "delays"):
        (row,) = table_of(name, *epochs).values()
        assert (row["events"], row["late"], row["last_epoch"]) == (4, 2, 4)


@pytest.mark.parametrize(
    ("delay_ms", "bucket"),
    [(-60_000, 1), (1_000, 1), (1_001, 5), (604_800_000, 604_800), (604_800_001, -1)],
    ids=["ahead of the log's clock", "exactly a bound", "just over it", "the last bound", "above all"],
)
def test_a_delay_is_in_the_bucket_of_its_upper_bound_in_the_minute_of_its_arrival(delay_ms: int, bucket: int) -> None:
    arrived = at(START_MS + delay_ms)
    rows = table_of("delays", [logged(click(), log_time=arrived)])
    assert list(rows) == [(arrived.replace(second=0, microsecond=0), bucket)]


def test_imported_events_have_no_delay() -> None:
    log = [logged(click("a"), imported=True), logged(click("b"))]
    assert [row["events"] for row in table_of("delays", log).values()] == [1]
