"""Flags over real tables: windows that close, that are judged again, and that late events take back."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.settings import PostgresSettings, ShopSettings
from processing.errors import AnotherProcessorError
from processing.store import Store
from processing.watch.look import Watcher
from processing.watch.settings import WatchSettings
from schemas_avro import load_registry
from tests.processing.emptied import empty
from tests.processing.minutes_of import MINUTE, commit, rows, write_category, write_minute, write_minutes

pytestmark = pytest.mark.integration

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)
TABLES = ("site_minutes", "category_minutes", "product_minutes", "epochs", "anomalies", "watched")
CALM = {"events": 200.0, "views": 120.0}
SITE_MINUTES = (
    "SELECT * FROM anomalies WHERE scope = 'site' AND window_end = window_start + interval '1 minute'"
    " ORDER BY window_start, metric, method"
)


@pytest.fixture(scope="module")
def shared(postgres_url: str) -> Iterator[Store]:
    """Tables that the tests empty, and fill, one after another."""
    store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema=f"t{uuid.uuid4().hex}"))
    store.create_tables()
    yield store
    store.close()


@pytest.fixture
def store(shared: Store) -> Store:
    """A calm shop from seven to nine, all of it closed."""
    with shared.transaction() as transaction:
        empty(transaction, TABLES)
        write_minutes(transaction, NINE - 120 * MINUTE, NINE - MINUTE, 1, CALM)
        commit(transaction, 1, NINE)
    return shared


@pytest.fixture
def watch(store: Store, postgres_url: str) -> Iterator[Store]:
    """The watch's own connection beside the processor's."""
    own = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema=store.schema), role="watch")
    yield own
    own.close()


def _watcher(watch: Store, hours: float = 6) -> Watcher:
    options = WatchSettings(look_back_hours=hours, alert_seconds=1e9)
    return Watcher(watch, options, ShopSettings(), load_registry())


def _epoch(store: Store, epoch: int, watermark: datetime, minutes: dict[datetime, dict[str, float]]) -> None:
    with store.transaction() as transaction:
        for minute, measures in minutes.items():
            write_minute(transaction, minute, epoch, measures)
        commit(transaction, epoch, watermark)


def _keys(found: list[dict[str, Any]]) -> set[tuple[str, str, bool]]:
    return {(row["metric"], row["method"], row["standing"]) for row in found}


def test_a_calm_shop_has_no_flags(watch: Store) -> None:
    looked = _watcher(watch).look()
    assert looked is not None
    assert looked.seen is not None
    assert looked.flags == []
    assert rows(watch, "SELECT * FROM anomalies") == []


def test_a_spike_is_flagged_once_its_minute_is_closed_and_not_before(watch: Store, store: Store) -> None:
    watcher = _watcher(watch)
    watcher.look()
    spike = {NINE: {"events": 900.0, "views": 700.0}, NINE + MINUTE: CALM}
    _epoch(store, 2, NINE + timedelta(seconds=59), spike)
    watcher.look()
    assert rows(watch, SITE_MINUTES) == []
    _epoch(store, 3, NINE + MINUTE, {})
    watcher.look()
    found = rows(watch, SITE_MINUTES)
    assert _keys(found) == {(metric, method, True) for metric in ("events", "views") for method in ("robust_z", "iqr")}
    views = next(row for row in found if (row["metric"], row["method"]) == ("views", "robust_z"))
    assert (views["window_start"], views["window_end"]) == (NINE, NINE + MINUTE)
    assert (views["observed"], views["expected"], views["direction"]) == (700, 120, "up")
    assert (views["severity"], views["epoch"]) == ("critical", 3)


def test_a_flag_names_the_categories_that_moved_with_it_the_most_first(watch: Store, store: Store) -> None:
    _watcher(watch).look()
    with store.transaction() as transaction:
        write_minute(transaction, NINE, 2, {"events": 900, "views": 700})
        write_category(transaction, NINE, "shoes", 2, {"events": 840, "views": 630})
        write_category(transaction, NINE, "books", 2, {"events": 60, "views": 70})
        commit(transaction, 2, NINE + MINUTE)
    _watcher(watch).look()
    views = next(row for row in rows(watch, SITE_MINUTES) if row["metric"] == "views")
    assert [(part["value"], part["observed"]) for part in views["contributions"]] == [("shoes", 630), ("books", 70)]
    assert views["contributions"][0]["expected"] == pytest.approx(60, rel=0.05)


def test_late_events_change_a_flag_take_it_back_and_bring_it_back_and_it_stays_one_row(
    watch: Store, store: Store
) -> None:
    watcher = _watcher(watch)
    _epoch(store, 2, NINE + MINUTE, {NINE: {"events": 20.0, "views": 12.0}})
    watcher.look()
    assert {(row["observed"], row["direction"]) for row in rows(watch, SITE_MINUTES)} == {(20, "down"), (12, "down")}
    _epoch(store, 3, NINE + MINUTE, {NINE: {"events": 30.0, "views": 12.0}})
    watcher.look()
    changed = rows(watch, SITE_MINUTES)
    assert {row["observed"] for row in changed} == {30, 12}
    assert {row["epoch"] for row in changed} == {3}
    _epoch(store, 4, NINE + MINUTE, {NINE: CALM})
    watcher.look()
    taken_back = rows(watch, SITE_MINUTES)
    assert len(taken_back) == len(changed)
    assert not any(row["standing"] for row in taken_back)
    _epoch(store, 5, NINE + MINUTE, {NINE: {"events": 20.0, "views": 12.0}})
    watcher.look()
    assert all(row["standing"] for row in rows(watch, SITE_MINUTES))


def test_looking_again_at_the_same_changes_nothing(watch: Store, store: Store) -> None:
    _epoch(store, 2, NINE + MINUTE, {NINE: {"events": 900.0, "views": 700.0}})
    _watcher(watch).look()
    before = rows(watch, "SELECT * FROM anomalies ORDER BY scope, metric, method, window_start")
    _watcher(watch).look()
    assert rows(watch, "SELECT * FROM anomalies ORDER BY scope, metric, method, window_start") == before
    with watch.transaction() as transaction:
        transaction.execute("DELETE FROM watched")  # as if the watch had never looked
    _watcher(watch).look()
    again = rows(watch, "SELECT * FROM anomalies ORDER BY scope, metric, method, window_start")
    assert [{**row, "judged_at": None} for row in again] == [{**row, "judged_at": None} for row in before]


def test_windows_longer_ago_than_is_looked_back_are_left_alone(watch: Store, store: Store) -> None:
    _epoch(store, 2, NINE + MINUTE, {NINE - 10 * MINUTE: {"events": 900.0, "views": 700.0}})
    _watcher(watch, hours=0.1).look()
    assert rows(watch, SITE_MINUTES) == []
    with watch.transaction() as transaction:
        transaction.execute("DELETE FROM watched")
    _watcher(watch, hours=1).look()
    assert {row["window_start"] for row in rows(watch, SITE_MINUTES)} == {NINE - 10 * MINUTE}


def test_what_bots_do_is_not_judged(watch: Store, store: Store) -> None:
    with store.transaction() as transaction:
        write_minute(transaction, NINE, 2, CALM)
        write_minute(transaction, NINE, 2, {"events": 90_000, "views": 90_000}, bot=True)
        commit(transaction, 2, NINE + MINUTE)
    _watcher(watch).look()
    assert rows(watch, "SELECT * FROM anomalies") == []


def test_a_minute_without_any_event_is_not_judged_since_silence_is_another_question(watch: Store, store: Store) -> None:
    _epoch(store, 2, NINE + 3 * MINUTE, {NINE + 2 * MINUTE: CALM})
    _watcher(watch).look()
    assert rows(watch, SITE_MINUTES) == []


def test_a_category_and_a_product_are_judged_in_longer_windows(watch: Store, store: Store) -> None:
    minutes = {NINE + number * MINUTE: {"events": 900.0, "views": 700.0} for number in range(10)}
    _epoch(store, 2, NINE + 10 * MINUTE, minutes)
    _watcher(watch).look()
    found = rows(
        watch,
        "SELECT DISTINCT scope, subject, extract(epoch FROM window_end - window_start)::int / 60 AS minutes"
        " FROM anomalies WHERE scope <> 'site'",
    )
    assert {(row["scope"], row["subject"], row["minutes"]) for row in found} == {
        ("category", "books", 5),
        ("category", "shoes", 5),
        ("product", "b-1", 10),  # two hours are the shortest history that there may be
        ("product", "s-1", 10),
    }


def test_a_late_event_in_a_window_that_is_still_open_does_not_have_it_judged(watch: Store, store: Store) -> None:
    _epoch(store, 2, NINE + 2 * MINUTE, {NINE: CALM, NINE + MINUTE: CALM})
    _watcher(watch).look()
    _epoch(store, 3, NINE + 2 * MINUTE, {NINE: CALM})  # the category's five minutes have but two of them
    _watcher(watch).look()
    assert rows(watch, "SELECT * FROM anomalies") == []


def test_two_watches_do_not_judge_the_same_store(watch: Store, postgres_url: str) -> None:
    _watcher(watch).look()
    second = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema=watch.schema), role="watch")
    with pytest.raises(AnotherProcessorError, match="another watch"):
        _watcher(second).look()


def test_before_the_tables_are_made_there_is_nothing_to_look_at(postgres: PostgresSettings) -> None:
    empty = Store(postgres, role="watch")
    assert _watcher(empty).look() is None
    empty.close()
