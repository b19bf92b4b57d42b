"""Fine rows that are not kept: dropped once their roll-ups are made, and what comes later is still counted."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from contracts.rollups import COARSER
from contracts.settings import PostgresSettings
from processing.maintenance import retention
from processing.maintenance.registry import mark_stale
from processing.store import Store
from tests.examples import examples
from tests.processing.builders import START_MS, at, click, sale
from tests.processing.expected import expected, without_epochs
from tests.processing.expected_rollups import expected_rollups
from tests.processing.log_rows import Row, epochs, logged
from tests.processing.rolled_shop import HOUR_MS, LONG_AFTER, Shop, a_shop, clicks_at, emptied, grains_made, rows_of

pytestmark = pytest.mark.integration

LAWS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ALL_KINDS = retention.kept_for(minutes=1, conversions=1, paths=1)
OF_MINUTES = sorted(set(COARSER) | {table.name for tables in COARSER.values() for table in tables})
MIDNIGHT_MS = START_MS - 12 * HOUR_MS


@pytest.fixture(autouse=True)
def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_LOOK_EVERY_SECONDS", 0.0)


@pytest.fixture(scope="module")
def tables(postgres_url: str) -> Iterator[Store]:
    store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema="retention"))
    store.create_tables()
    yield store
    store.close()


@pytest.fixture
def shop(tables: Store) -> Shop:
    """It keeps everything for one whole day before the day of the watermark."""
    return a_shop(emptied(tables), kept=ALL_KINDS)


def days_after_midnight(days: float) -> datetime:
    return at(MIDNIGHT_MS + int(days * 24) * HOUR_MS)


def rows_in(shop: Shop, table: str) -> int:
    return int(shop.query(f"SELECT count(*) AS rows FROM {table}")[0]["rows"])


def dropped(shop: Shop) -> dict[str, int]:
    """How many cells of each grain have lost their fine rows."""
    rows = shop.query("SELECT grain, count(*) AS cells FROM roll_ups WHERE fine_gone GROUP BY 1")
    return {row["grain"]: row["cells"] for row in rows}


def test_by_default_all_is_kept(tables: Store) -> None:
    shop = a_shop(emptied(tables))
    assert retention.kept_for(None, None, None) == ()
    shop.fold(clicks_at(0))
    shop.make()
    assert dropped(shop) == {}


@pytest.mark.parametrize(("days", "gone"), [(1.99, False), (2, True)])
def test_a_day_is_kept_until_the_watermark_is_in_the_day_that_many_days_after_it(
    shop: Shop, days: float, gone: bool
) -> None:
    shop.fold([logged(click("e", action="click")), logged(click("a", action="add_to_cart")), *clicks_at(23)])
    shop.make(days_after_midnight(days))
    assert dropped(shop) == (
        dict.fromkeys(("hour", "delay_hour", "conversion_hour", "session_hour"), 1) if gone else {}
    )
    for table in ("product_minutes", "category_minutes", "category_windows", "site_minutes", "delays"):
        assert rows_in(shop, table) == 2 - gone
    assert rows_in(shop, "conversions") == rows_in(shop, "carts") == 1 - gone
    assert rows_in(shop, "sessions") == 2
    assert [len(row["path"]) for row in shop.query("SELECT path FROM sessions ORDER BY started_at")] == [
        2 - 2 * gone,
        1,
    ]


def test_only_what_is_set_is_dropped(tables: Store) -> None:
    shop = a_shop(emptied(tables), kept=retention.kept_for(minutes=None, conversions=None, paths=1))
    shop.fold([logged(click("e", action="click"))])
    shop.make()
    assert dropped(shop) == {"session_hour": 1}
    assert rows_in(shop, "site_minutes") == rows_in(shop, "conversions") == 1


def test_nothing_is_dropped_before_its_hour_and_day_are_made(shop: Shop) -> None:
    shop.roll_ups._again_seconds = 3600
    shop.fold(clicks_at(0, 1))
    shop.make(days_after_midnight(1))
    shop.fold(clicks_at(0.5))  # hour and day are stale, and will be for an hour
    shop.make()
    assert "day" not in grains_made(shop)
    assert "hour" not in dropped(shop)
    assert rows_in(shop, "site_minutes") == 3


@settings(LAWS, max_examples=examples(3))
@given(epochs(max_size=16, count=4), st.lists(st.integers(0, 10), min_size=4, max_size=4))
def test_hours_and_days_count_all_events_whenever_they_come(
    tables: Store, parts: list[list[Row]], days: list[int]
) -> None:
    shop = a_shop(emptied(tables), kept=retention.kept_for(minutes=1, conversions=None, paths=None))
    for part, day in zip(filter(None, parts), sorted(days), strict=False):
        shop.fold(part)
        shop.make(days_after_midnight(day))
    shop.make()
    wanted, held = expected_rollups(shop.log), shop.held()
    assert {name: held[name] for name in OF_MINUTES if name in held} == {
        name: wanted[name] for name in OF_MINUTES if name in wanted
    }
    assert rows_in(shop, "product_minutes") == rows_in(shop, "category_minutes") == rows_in(shop, "site_minutes") == 0


def test_late_minutes_of_a_dropped_hour_are_in_the_hour_at_once_and_in_no_minute(shop: Shop) -> None:
    shop.fold(clicks_at(0, 1))
    shop.make()
    shop.fold([*clicks_at(0.5, 1.5, 40), logged(sale("t", timestamp=START_MS))])
    wanted = expected_rollups(shop.log)
    hours = shop.held()["site_hours"]
    assert rows_in(shop, "category_windows") == 0
    assert hours == {key: wanted["site_hours"][key] for key in hours}
    assert [row["events"] for row in hours.values()] == [3, 2]
    assert shop.query("SELECT minute FROM site_minutes") == [{"minute": at(START_MS + 40 * HOUR_MS)}]
    assert grains_made(shop)["hour"] == [0, 1]
    assert "day" not in grains_made(shop)
    shop.make()
    assert shop.held()["product_days"] == wanted["product_days"]


def test_an_epoch_that_is_rolled_back_has_added_nothing(shop: Shop) -> None:
    shop.fold(clicks_at(0))
    shop.make()
    before = shop.held()
    fold_in_vain(shop, clicks_at(0.5))
    assert shop.held() == before
    shop.fold(clicks_at(0.5))
    assert shop.held()["site_hours"] == expected_rollups(shop.log)["site_hours"]


def fold_in_vain(shop: Shop, rows: list[Row]) -> None:
    epoch, log = shop.epoch, list(shop.log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shop.roll_ups.registry, "note", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            shop.fold(rows)
    shop.epoch, shop.log = epoch, log


def test_after_a_start_dropped_hours_are_still_known(shop: Shop, tables: Store) -> None:
    shop.fold(clicks_at(0))
    shop.make()
    later = Shop(tables, a_shop(tables, kept=ALL_KINDS).roll_ups, shop.epoch, shop.log)
    later.fold(clicks_at(0.5))
    assert later.held()["site_hours"] == expected_rollups(later.log)["site_hours"]


def test_conversions_and_sessions_of_dropped_cells_stay_as_they_were(shop: Shop) -> None:
    shop.fold([logged(click("c", action="click"))])
    shop.make()
    before = shop.held()
    shop.fold(
        [logged(sale("p", timestamp=START_MS + 1_000)), logged(click("d", action="click", timestamp=START_MS + 2))]
    )
    shop.make()
    for name in ("conversion_hours", "session_hours", "journey_hours", "step_hours", "pair_hours"):
        assert shop.held()[name] == before[name]


def test_once_all_fine_rows_are_there_again_everything_is_made_of_them_again(shop: Shop) -> None:
    rows = [logged(click("c", action="click")), *clicks_at(1)]
    shop.fold(rows)
    shop.make()
    with shop.store.transaction() as transaction:
        transaction.execute("TRUNCATE sessions, users, user_categories")
        mark_stale(transaction)
    refilled = a_shop(shop.store)
    refilled.fold(rows)
    refilled.make(LONG_AFTER)
    assert dropped(refilled) == {}
    wanted = expected_rollups(refilled.log)
    assert refilled.held() == wanted
    with shop.store.transaction() as transaction:
        found = {"site_minutes": rows_of(transaction, "site_minutes")}
    assert without_epochs(found) == without_epochs({"site_minutes": expected(refilled.log)["site_minutes"]})
