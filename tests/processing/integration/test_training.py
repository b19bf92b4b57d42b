"""Detectors trained on real tables: models written down, hours judged by them once they are made, and judged again."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable, Schema
from pydantic import SecretStr
from sqlalchemy import Table

from contracts.rollups import category_hours, product_hours, site_hours
from contracts.settings import PostgresSettings, ShopSettings
from processing.alerting import anomalies
from processing.detection import models
from processing.detection.seasonal_trend import SeasonalTrend
from processing.detection.series import Series
from processing.detection.training import train
from processing.detection.watches import HOURLY
from processing.forecasting.run import forecast
from processing.gold.flags import FLAGS, write_flags
from processing.store import Store, Transaction, one_transaction
from processing.watch.look import Watcher
from processing.watch.settings import WatchSettings
from schemas_avro import load_registry
from tests.processing.minutes_of import HALVES, commit, rows

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 3, 23, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEKS = 3
THRESHOLDS = WatchSettings().trained.thresholds
OF_HOURS = (
    "SELECT * FROM anomalies WHERE scope = $1 AND window_end = window_start + interval '1 hour' ORDER BY metric, method"
)


def _usual(start: datetime, dice: np.random.Generator) -> float:
    day = 1 + 0.5 * np.sin(2 * np.pi * start.hour / 24)
    return float(np.round(2000 * day * (1.3 if start.weekday() >= 5 else 1) * dice.normal(1, 0.02)))


def _write_hours(store: Store, views: dict[datetime, dict[str, float]], making: int) -> None:
    """Hours with so many views of each category, made, instead of what was there."""
    hours = list(views)
    with store.transaction() as transaction:
        for table in (site_hours, category_hours, product_hours):
            transaction.execute(f"DELETE FROM {table.name} WHERE hour = ANY($1)", (hours,))
        _write(transaction, site_hours, hours, [sum(each.values()) for each in views.values()], {})
        for category, product in HALVES.items():
            own = [each[category] for each in views.values()]
            keys = {"category": category, "product_id": product}
            _write(transaction, category_hours, hours, own, {"category": category})
            _write(transaction, product_hours, hours, own, keys)
        transaction.execute(
            "INSERT INTO roll_ups (grain, starts_at, stale, marks, made_at, making, fine_gone)"
            " SELECT 'hour', hour, false, 0, now(), $2, false FROM unnest($1::timestamptz[]) AS hour"
            " ON CONFLICT (grain, starts_at) DO UPDATE SET making = excluded.making",
            (hours, making),
        )


def _write(
    transaction: Transaction, table: Table, hours: Sequence[datetime], views: Sequence[float], keys: dict[str, str]
) -> None:
    given = {"hour": "hour", "events": "views", "views": "views", "bot": "false", "users": "''", "buyers": "''"}
    given |= {name: f"${place}" for place, name in enumerate(keys, start=3)}
    nothing = {column.name: "0" for column in table.columns if column.name not in given}
    columns = given | nothing
    transaction.execute(
        f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
        " FROM unnest($1::timestamptz[], $2::float8[]) AS given (hour, views)",
        (list(hours), list(views), *keys.values()),
    )


@pytest.fixture(scope="module")
def store(postgres_url: str) -> Iterator[Store]:
    """Three weeks of a shop of two categories, all of it closed."""
    store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema=f"t{uuid.uuid4().hex}"))
    store.create_tables()
    dice = np.random.default_rng(1)
    starts = [NOW - number * HOUR for number in range(WEEKS * 168, 0, -1)]
    _write_hours(store, {start: dict.fromkeys(HALVES, _usual(start, dice)) for start in starts}, 1)
    with store.transaction() as transaction:
        commit(transaction, 1, NOW)
    yield store
    store.close()


@pytest.fixture(scope="module")
def settings(postgres_url: str, store: Store) -> PostgresSettings:
    return PostgresSettings(url=SecretStr(postgres_url), db_schema=store.schema)


@pytest.fixture(scope="module")
def trained(settings: PostgresSettings) -> dict[str, Any]:
    """What the command told."""
    done = _command(settings, "train", "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture
def watcher(settings: PostgresSettings, trained: dict[str, Any], store: Store) -> Iterator[Watcher]:
    """A watch that has looked at all there is."""
    with store.transaction() as transaction:
        transaction.execute("DELETE FROM watched")
        transaction.execute("DELETE FROM anomalies")
    own = Store(settings, role="watch")
    watcher = Watcher(own, WatchSettings(alert_seconds=1e9), ShopSettings(), load_registry())
    looked = watcher.look()
    assert looked is not None
    assert looked.flags == []
    yield watcher
    own.close()


def _command(settings: PostgresSettings, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")},
        "PYTHONPATH": str(ROOT),
        "MILLRACE_POSTGRES_URL": settings.url.get_secret_value(),
        "MILLRACE_POSTGRES_DB_SCHEMA": settings.db_schema,
    }
    command = [sys.executable, "-m", "processing.watch", "detect", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_every_series_with_something_in_it_is_trained_by_every_method(
    settings: PostgresSettings, trained: dict[str, Any]
) -> None:
    assert (trained["series"], trained["models"]) == (
        6,
        18,
    )  # events and views of the site, views of two halves, two products
    assert trained["until"] == "2026-03-23 15:00:00+00:00"
    again = train(settings, THRESHOLDS, lambda *_: None, timedelta(hours=1))
    assert (again.version, again.why) == (None, "the last training is young enough")
    listed = json.loads(_command(settings, "models", "--json").stdout)
    assert {(row["version"], row["hours"]) for row in listed} == {(trained["version"], WEEKS * 168)}
    assert {(row["scope"], row["subject"], row["metric"]) for row in listed} == {
        *(("site", "", metric) for metric in ("events", "views")),
        *(("category", category, "views") for category in HALVES),
        *(("product", product, "views") for product in HALVES.values()),
    }
    assert {row["method"] for row in listed} == set(models.METHODS)
    assert all(row["parameters"]["period_hours"] == 168 for row in listed)
    assert all(row["parameters"]["libraries"].keys() == {"numpy", "statsmodels", "scikit-learn"} for row in listed)


def test_an_hour_is_judged_once_it_is_made_and_again_once_it_is_made_again(
    watcher: Watcher, store: Store, trained: dict[str, Any]
) -> None:
    usual = _usual(NOW, np.random.default_rng(2))
    _write_hours(store, {NOW: {"books": usual, "shoes": 3 * usual}}, 2)
    watcher.look()
    site = rows(store, OF_HOURS, "site")
    assert {row["metric"] for row in site} == {"events", "views"}
    assert {row["method"] for row in site} >= {"seasonal_trend", "one_class_svm"}
    assert {row["model_version"] for row in site} == {trained["version"]}
    surest = next(row for row in site if row["method"] == "seasonal_trend")
    assert (surest["observed"], surest["direction"], surest["severity"]) == (4 * usual, "up", "critical")
    assert surest["expected"] == pytest.approx(2 * usual, rel=0.06)
    (part,) = surest["contributions"]
    # Of the same hour of the days before, five working days and a weekend.
    assert (part["value"], part["observed"]) == ("shoes", 3 * usual)
    assert part["expected"] == pytest.approx(usual * (5 + 2 * 1.3) / 7, rel=0.06)
    assert {row["subject"] for row in rows(store, OF_HOURS, "category")} == {"shoes"}
    assert {row["subject"] for row in rows(store, OF_HOURS, "product")} == {"s-1"}
    with store.transaction() as transaction:
        (alert, *_) = anomalies.firings(anomalies.read(transaction, NOW + HOUR))
    assert (alert.key, alert.title) == ("anomaly:events:up:hour", "Events up, by the hour")
    _write_hours(store, {NOW: {"books": usual, "shoes": usual}}, 3)
    watcher.look()
    taken_back = rows(store, OF_HOURS, "site")
    assert len(taken_back) == len(site)
    assert not any(row["standing"] for row in taken_back)


def test_what_shorter_windows_rang_for_is_not_told_again_by_the_hour(watcher: Watcher, store: Store) -> None:
    usual = _usual(NOW, np.random.default_rng(2))
    _write_hours(store, {NOW: dict.fromkeys(HALVES, 3 * usual)}, 4)
    watcher.look()
    with store.transaction() as transaction:
        transaction.execute(
            "INSERT INTO anomalies SELECT window_start + interval '9 minutes', window_start + interval '10 minutes',"
            " metric, scope, subject, 'robust_z', expected, observed, score, threshold, 'critical', direction,"
            " contributions, standing, epoch, judged_at FROM anomalies WHERE method = 'seasonal_trend'"
            " AND metric = 'views'"
        )
        told = anomalies.firings(anomalies.read(transaction, NOW + HOUR))
    assert [alert.key for alert in told] == ["anomaly:events:up:hour"]


def test_a_model_that_can_not_be_read_is_left_out_and_the_watch_goes_on(
    settings: PostgresSettings, trained: dict[str, Any], store: Store
) -> None:
    thresholds = {"seasonal_trend": 5.0, "one_class_svm": 6.0}
    found = models.Models(thresholds)
    with store.transaction() as transaction:
        transaction.execute(
            "UPDATE detector_models SET numbers = substr(numbers, 1, 40) WHERE method = 'seasonal_trend'"
            " AND version = $1 AND metric = 'events'",
            (trained["version"],),
        )
        found.refresh(transaction)
    series = {metric: Series("", metric, np.zeros(1), np.zeros(1)) for metric in ("events", "views", "purchases")}
    by_metric = {metric: found.of(HOURLY[0], each) for metric, each in series.items()}
    assert {metric: [each.method for each in own] for metric, own in by_metric.items()} == {
        "events": ["one_class_svm"],
        "views": ["seasonal_trend", "one_class_svm"],  # the forest has no threshold, so it is not asked
        "purchases": [],
    }


def test_the_last_trainings_are_kept_and_no_more(
    settings: PostgresSettings, trained: dict[str, Any], store: Store
) -> None:
    with store.transaction() as transaction:
        numbers = transaction.query("SELECT numbers FROM detector_models WHERE metric = 'views'")["numbers"][0].as_py()
        detector = SeasonalTrend.of(models.unpacked(numbers), 5.0, 1)
        for _ in range(models.KEPT):
            models.write(transaction, [models.Model(("site", "", "views"), detector, 1)], NOW, NOW)
        kept = {row["version"] for row in models.listed(transaction, every=True)}
        newest = models.newest(transaction)
        transaction.execute("DELETE FROM detector_models WHERE hours = 1")
    assert kept == {newest - number for number in range(models.KEPT)}


def test_the_next_day_is_forecast_and_a_past_hour_keeps_what_was_expected_of_it(
    settings: PostgresSettings, store: Store
) -> None:
    until = _until(store)
    made = forecast(settings, lambda *_: None, due=True)
    assert (made.series, made.until) == (5, until)  # views of the site, of two categories, of two products
    assert forecast(settings, lambda *_: None, due=True).why == "no hour has closed since the last forecast"
    first = rows(store, "SELECT * FROM forecasts WHERE scope = 'site' ORDER BY hour")
    assert [row["hour"] for row in first] == [until + ahead * HOUR for ahead in range(24)]
    usual = 2 * _usual(first[5]["hour"], np.random.default_rng(2))
    assert first[5]["low"] < first[5]["expected"] < first[5]["high"]
    assert first[5]["expected"] == pytest.approx(usual, rel=0.1)
    _write_hours(store, {until: dict.fromkeys(HALVES, 1.0)}, 9)
    assert forecast(settings, lambda *_: None, due=True).until == until + HOUR
    second = rows(store, "SELECT * FROM forecasts WHERE scope = 'site' ORDER BY hour")
    assert second[0] == first[0]
    assert [row["hour"] for row in second] == [until + ahead * HOUR for ahead in range(25)]
    assert {row["made_until"] for row in second[1:]} == {until + HOUR}


def _until(store: Store) -> datetime:
    (row,) = rows(store, "SELECT max(starts_at) + interval '1 hour' AS until FROM roll_ups")
    until: datetime = row["until"]
    return until


def test_flags_are_in_delta_and_change_with_the_store(settings: PostgresSettings, store: Store, tmp_path: Path) -> None:
    days = [NOW - timedelta(days=1), NOW]
    with store.transaction() as transaction:
        transaction.execute("DELETE FROM anomalies")
        for day, age in zip(days, ("1 hour", "0"), strict=True):
            transaction.execute(
                "INSERT INTO anomalies VALUES ($1, $1 + interval '1 hour', 'views', 'site', '', 'iqr', 10, 20, 5, 2.5,"
                f""" 'critical', 'up', '[{{"value": "shoes"}}]', true, 1, clock_timestamp() - interval '{age}', 4)""",
                (day,),
            )
    older = [each for each in FLAGS.schema.fields if each.name != "model_version"]  # as a version before made it
    DeltaTable.create(str(tmp_path / "gold" / "anomalies"), Schema(older), partition_by=[FLAGS.partition])
    table = FLAGS.open(tmp_path)

    def written() -> int:
        with one_transaction(settings, settings.db_schema) as reading:
            return write_flags(reading, table)

    assert written() == 2
    first = table.version()
    assert (written(), table.version()) == (0, first)
    with store.transaction() as transaction:
        transaction.execute(
            "UPDATE anomalies SET standing = false, model_version = NULL,"
            " judged_at = clock_timestamp() + interval '1 hour' WHERE window_start = $1",
            (NOW,),
        )
    assert written() == 1
    held = sorted(FLAGS.open(tmp_path).to_pyarrow_table().to_pylist(), key=lambda row: row["window_start"])
    assert [(row["window_start"], row["standing"], row["score"], row["model_version"]) for row in held] == [
        (days[0], True, 5.0, 4),
        (days[1], False, 5.0, None),
    ]
    assert json.loads(held[0]["contributions"]) == [{"value": "shoes"}]


def test_too_little_to_learn_from_is_said_and_is_no_model(postgres_url: str) -> None:
    empty = PostgresSettings(url=SecretStr(postgres_url), db_schema=f"t{uuid.uuid4().hex}")
    store = Store(empty)
    store.create_tables()
    assert train(empty, THRESHOLDS, lambda *_: None).why == "no hour of the shop is closed yet"
    _write_hours(store, {NOW - number * HOUR: dict.fromkeys(HALVES, 500.0) for number in range(1, 60)}, 1)
    assert forecast(empty, lambda *_: None, due=False).why.startswith("three days of hours")
    told = train(empty, THRESHOLDS, lambda *_: None)
    assert (told.version, told.why) == (None, "three days of hours with something in them are the least to learn from")
    store.close()
