"""Roll-ups over real tables: a cell that may be used says what the finer rows say, whatever comes late."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from contracts import rollups
from contracts.settings import PostgresSettings
from processing.maintenance import coarser, session_hours
from processing.maintenance.cells import Cell
from processing.maintenance.registry import mark_stale
from processing.merge import fold_in
from processing.store import Store
from tests.examples import examples
from tests.processing.builders import GAP_MS, START_MS, at, click, sale
from tests.processing.expected import Rows
from tests.processing.expected_rollups import expected_rollups
from tests.processing.folding import PROJECTIONS, deltas
from tests.processing.log_rows import Row, epochs, logged, logs
from tests.processing.rolled_shop import HOUR_MS, LONG_AFTER, Shop, a_shop, clicks_at, emptied, grains_made, one_piece

pytestmark = pytest.mark.integration

LAWS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def tables(postgres_url: str) -> Iterator[Store]:
    """One set of tables for all of these tests: making them takes longer than most."""
    store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema="rollups"))
    store.create_tables()
    yield store
    store.close()


@pytest.fixture
def shop(tables: Store) -> Shop:
    return a_shop(emptied(tables))


def cell_of(name: str, key: tuple[Any, ...]) -> Cell:
    """The cell that a row of a roll-up is in."""
    (grain,) = (grain for grain, of_grain in rollups.TABLES.items() if name in [table.name for table in of_grain])
    unit = rollups.GRAINS[grain]
    return Cell(key[0] - (key[0] - datetime(1970, 1, 1, tzinfo=UTC)) % unit, grain)


def in_cells(rows: dict[str, Rows], cells: set[Cell]) -> dict[str, Rows]:
    return {
        name: {key: row for key, row in of_table.items() if cell_of(name, key) in cells}
        for name, of_table in rows.items()
    }


@settings(LAWS, max_examples=examples(3))
@given(epochs())
def test_once_all_is_made_every_roll_up_is_what_one_delta_over_all_events_gives(
    tables: Store, parts: list[list[Row]]
) -> None:
    shop = a_shop(emptied(tables))
    shop.fold(*filter(None, parts))
    shop.make()
    assert shop.held() == expected_rollups(shop.log)
    assert {cell_of(name, key) for name, rows in shop.held().items() for key in rows} <= shop.usable()


@settings(LAWS, max_examples=examples(3))
@given(
    epochs(max_size=20, count=5), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=5), st.booleans()
)
def test_a_cell_that_may_be_used_is_right_after_every_step_whatever_comes_late(
    tables: Store, parts: list[list[Row]], between: list[tuple[int, int]], slowly: bool
) -> None:
    """Between two epochs a few steps are taken at some watermark, each of one piece of work or of all there is."""
    shop = a_shop(emptied(tables), step_seconds=0.0 if slowly else 3600.0)
    for number, part in enumerate(filter(None, parts)):
        shop.fold(part)
        steps, hours = between[number] if number < len(between) else (0, 0)
        for _ in range(steps * (3 if slowly else 1)):
            one_piece(shop, at(START_MS + hours * HOUR_MS // 2)) if slowly else shop.make(
                at(START_MS + hours * HOUR_MS)
            )
        usable = shop.usable()
        assert in_cells(shop.held(), usable) == in_cells(expected_rollups(shop.log), usable)
    shop = Shop(shop.store, a_shop(shop.store).roll_ups, shop.epoch, shop.log)  # a start, with nothing remembered
    shop.make()
    assert shop.held() == expected_rollups(shop.log)


@settings(LAWS, max_examples=examples(1))
@given(logs())
def test_slices_of_a_cell_add_up_to_it(tables: Store, log: list[Row]) -> None:
    whole, sliced = a_shop(emptied(tables)), a_shop(tables)
    whole.fold(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coarser, "_SLICE_BYTES", 300)
        patch.setattr(session_hours, "_SLICE_SESSIONS", 2)
        sliced.make()
    assert whole.held() == expected_rollups(whole.log)


@pytest.mark.parametrize(
    ("minutes", "made"),
    [
        (59.99, ""),
        (60, "hour window_hour delay_hour"),
        (69.99, "hour window_hour delay_hour"),
        (70, "hour window_hour delay_hour conversion_hour"),
        (89.99, "hour window_hour delay_hour conversion_hour"),
        (90, "hour window_hour delay_hour conversion_hour session_hour"),
        (719.99, "hour window_hour delay_hour conversion_hour session_hour"),
        (720, "hour window_hour delay_hour conversion_hour session_hour day"),
    ],
)
def test_a_cell_is_made_once_its_rows_only_change_when_something_comes_late(
    shop: Shop, minutes: float, made: str
) -> None:
    shop.fold([logged(click("e", action="click"))])
    shop.make(at(START_MS + int(minutes * 60_000)))
    assert grains_made(shop) == {grain: [-12 if grain == "day" else 0] for grain in made.split()}


def test_an_hour_of_sessions_waits_for_the_last_of_them_to_be_completed_and_is_not_begun_before(shop: Shop) -> None:
    shop.fold([logged(click(f"e{n}", timestamp=START_MS + n * GAP_MS // 2)) for n in range(8)])  # until 105 minutes
    shop.make(at(START_MS + 135 * 60_000 - 1))
    assert "session_hour" not in grains_made(shop)
    assert shop.query("SELECT FROM roll_ups WHERE grain = 'session_hour'") == []
    shop.make(at(START_MS + 135 * 60_000))
    assert grains_made(shop)["session_hour"] == [0]


def test_after_a_start_a_session_that_goes_on_is_found_and_its_hour_left_to_be(shop: Shop) -> None:
    shop.fold([logged(click(f"e{n}", timestamp=START_MS + n * GAP_MS // 2)) for n in range(8)])
    later = Shop(shop.store, a_shop(shop.store).roll_ups, shop.epoch, shop.log)
    later.make(at(START_MS + 135 * 60_000 - 1))
    assert "session_hour" not in grains_made(later)
    later.make(at(START_MS + 135 * 60_000))
    assert grains_made(later)["session_hour"] == [0]
    assert later.held()["session_hours"] == expected_rollups(later.log)["session_hours"]


def test_late_events_make_their_hour_and_its_day_stale_and_no_others_and_both_are_made_again(shop: Shop) -> None:
    shop.fold(clicks_at(0, 1, 2, 13))
    shop.make()
    assert grains_made(shop)["hour"] == [0, 1, 2, 13]
    assert grains_made(shop)["day"] == [-12, 12]
    shop.fold(clicks_at(1.5))
    assert (grains_made(shop)["hour"], grains_made(shop)["day"]) == ([0, 2, 13], [12])
    assert grains_made(shop)["session_hour"] == grains_made(shop)["window_hour"] == [0, 2, 13]
    shop.make()
    assert grains_made(shop)["day"] == [-12, 12]
    assert shop.held() == expected_rollups(shop.log)


def test_events_of_an_hour_that_had_none_make_its_day_stale(shop: Shop) -> None:
    shop.fold(clicks_at(0))
    shop.make()
    shop.fold(clicks_at(5))
    assert "day" not in grains_made(shop)
    shop.make()
    assert shop.held() == expected_rollups(shop.log)


def test_a_day_found_due_is_not_made_while_an_hour_of_it_is_stale(shop: Shop) -> None:
    shop.fold(clicks_at(0))
    while set(grains_made(shop)) != {"hour", "window_hour", "session_hour", "delay_hour"}:
        one_piece(shop, LONG_AFTER)
    assert [cell.grain for cell in shop.roll_ups._queue] == ["day"]
    shop.fold(clicks_at(0.5))
    one_piece(shop, LONG_AFTER)
    assert "day" not in grains_made(shop)


def test_a_cell_that_went_stale_is_not_made_again_at_once(shop: Shop) -> None:
    shop.roll_ups._again_seconds = 3600
    shop.fold(clicks_at(0))
    shop.make()
    shop.fold(clicks_at(0.5))
    shop.make()
    assert "hour" not in grains_made(shop)
    with shop.store.transaction() as transaction:
        transaction.execute("UPDATE roll_ups SET made_at = made_at - interval '1 hour'")
    shop.make()
    assert grains_made(shop)["hour"] == [0]


def test_a_cell_touched_while_it_is_made_stays_stale_and_is_made_later(shop: Shop) -> None:
    shop.fold(clicks_at(0))
    for _ in range(3):
        one_piece(shop, LONG_AFTER)  # the hour's windows, its sessions, and what was viewed together in them
    one_piece(shop, LONG_AFTER)  # the first of the hour's tables
    assert shop.query("SELECT grain FROM roll_ups WHERE stale") == [{"grain": "hour"}]
    shop.fold(clicks_at(0.25), clicks_at(0.5))
    for _ in range(3):
        one_piece(shop, LONG_AFTER)
    assert shop.held() != expected_rollups(shop.log)
    shop.make()
    assert shop.held() == expected_rollups(shop.log)


def test_an_epoch_that_is_rolled_back_leaves_what_was_made_usable_and_the_next_one_marks_it(shop: Shop) -> None:
    shop.fold(clicks_at(0))
    shop.make()
    before = shop.usable()

    def fail() -> None:
        found = deltas(clicks_at(0.5))
        with shop.store.transaction() as transaction:
            shop.roll_ups.note(
                transaction, [fold_in(transaction, p, found[p.name]) for p in PROJECTIONS if p.name in found]
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert shop.usable() == before
    shop.fold(clicks_at(0.5))
    assert "hour" not in grains_made(shop)


def test_a_session_that_turns_out_to_have_begun_earlier_makes_both_hours_stale(shop: Shop) -> None:
    one = logged(click("a", timestamp=START_MS + HOUR_MS + 60_000))
    shop.fold([one, *clicks_at(0.1)])
    shop.make()
    assert grains_made(shop)["session_hour"] == [0, 1]
    shop.fold([logged(click("b", timestamp=START_MS + HOUR_MS - 60_000))])
    assert "session_hour" not in grains_made(shop)
    shop.make()
    assert shop.held() == expected_rollups(shop.log)


def test_a_purchase_makes_the_hour_of_the_click_that_it_converts_stale(shop: Shop) -> None:
    shop.fold([logged(click("c", action="click", timestamp=START_MS + HOUR_MS - 1_000))])
    shop.make()
    shop.fold([logged(sale("p", timestamp=START_MS + HOUR_MS + 1_000))])
    assert "conversion_hour" not in grains_made(shop)
    shop.make()
    assert shop.held() == expected_rollups(shop.log)


def test_what_is_viewed_together_counts_sessions_of_people_each_once_whatever_products_are_called(shop: Shop) -> None:
    odd = 'a"b\\c [ünï]'
    for session, agent in (("s1", None), ("s2", "phone"), ("s3", "crawler")):
        views = [(odd, "view"), ("p", "page_view"), ("p", "view"), ("added", "add_to_cart"), (None, "view")]
        shop.fold(
            logged(click(f"{session}{n}", session_id=session, user_agent=agent, product_id=product, action=action))
            for n, (product, action) in enumerate(views)
        )
    shop.make()
    rows = shop.query("SELECT product_id, other_id, sessions FROM pair_hours")
    assert {(row["product_id"], row["other_id"]): row["sessions"] for row in rows} == {
        (one, other): 2 for one in (odd, "p") for other in (odd, "p")
    }


def test_after_fine_rows_were_replaced_cells_marked_by_hand_are_made_again(shop: Shop) -> None:
    shop.fold(clicks_at(0, 30))
    shop.make()
    with shop.store.transaction() as transaction:
        transaction.execute("UPDATE site_minutes SET views = views + 1")
        mark_stale(transaction, at(START_MS + 24 * HOUR_MS))
    assert grains_made(shop)["hour"] == [0]
    shop.make()
    views = [row["views"] for row in shop.query("SELECT views FROM site_hours ORDER BY hour")]
    assert views == [1, 2]


def test_rows_that_are_no_more_go_from_the_hour(shop: Shop) -> None:
    shop.fold(clicks_at(0))
    shop.make()
    with shop.store.transaction() as transaction:
        transaction.execute(
            "TRUNCATE product_minutes, category_minutes, site_minutes, sessions, conversions, carts, delays"
        )
        mark_stale(transaction)
    shop.make()
    assert not any(shop.held().values())


def test_a_fault_while_a_cell_is_made_leaves_it_to_the_next_step(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.fold(clicks_at(0))

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(coarser.RollUp, "combined", fail)
        with pytest.raises(ZeroDivisionError):
            shop.make()
    assert shop.usable() == set()
    shop.make()
    assert shop.held() == expected_rollups(shop.log)


def test_work_says_whether_cells_are_left_that_it_had_no_time_for(shop: Shop) -> None:
    shop.fold(clicks_at(0))
    for seconds, has_more in ((0.0, True), (60.0, False)):
        shop.roll_ups._step_seconds = seconds
        shop.roll_ups.work(shop.epoch, LONG_AFTER)
        assert shop.roll_ups.has_more is has_more


def test_before_there_is_a_watermark_nothing_is_made(shop: Shop) -> None:
    shop.fold(clicks_at(0))
    assert shop.roll_ups.step(1, None) is False
    assert shop.usable() == set()


def test_sketches_of_hours_and_days_stay_sketches_past_4096_users(shop: Shop) -> None:
    users: Sequence[Row] = [
        logged(click(f"e{n}", user_id=f"user-{n}", session_id="s1", timestamp=START_MS + n % 7 * 20 * 60_000))
        for n in range(6_000)
    ]
    shop.fold(users[:2_000], users[2_000:])
    shop.make()
    wanted, held = expected_rollups(shop.log), shop.held()
    for name in ("site_hours", "site_days", "product_days"):
        assert held[name] == wanted[name]
