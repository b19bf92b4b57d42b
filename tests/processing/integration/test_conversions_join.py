"""Conversions judged by Spark: what folds leave, in whatever order, is one left outer interval join over the log.

The join, and the numbers that are served of it, are written here once more in Spark SQL, from the events alone.
"""

import random
from collections.abc import Iterator
from typing import Any, Final

import pytest
from pydantic import SecretStr
from pyspark.sql import SparkSession

from contracts.settings import PostgresSettings
from processing.merge import fold_in
from processing.store import Store
from tests.processing.builders import START_MS, Event, click, sale
from tests.processing.folding import PROJECTIONS, deltas
from tests.processing.log_rows import Row, in_epochs, log_table, logged

pytestmark = pytest.mark.integration

HOUR_MS: Final = 3_600_000

JOIN: Final = """
    WITH clicks AS (SELECT * FROM events WHERE action = 'click' AND product_id IS NOT NULL),
    purchases AS (SELECT * FROM events WHERE kind = 'purchase' AND product_id IS NOT NULL),
    joined AS (
      SELECT c.product_id, c.event_id AS click_id, c.timestamp AS clicked_at,
        min(struct(p.timestamp, p.event_id)) AS first
      FROM clicks c LEFT OUTER JOIN purchases p ON p.user_id = c.user_id AND p.product_id = c.product_id
        AND p.timestamp >= c.timestamp AND p.timestamp <= c.timestamp + INTERVAL 10 MINUTES
      GROUP BY c.product_id, c.event_id, c.timestamp
    )
"""
PAIRS: Final = JOIN + "SELECT click_id, first.timestamp AS purchased_at, first.event_id AS purchase_id FROM joined"
WINDOWS: Final = (
    JOIN
    + """
    SELECT window(clicked_at, '5 minutes').start AS starts_at, product_id, count(*) AS clicks,
      count(first.event_id) AS converted, count(DISTINCT first.event_id) AS purchases
    FROM joined GROUP BY 1, 2
"""
)
TABLE_PAIRS: Final = "SELECT event_id AS click_id, purchased_at, purchase_id FROM conversions WHERE NOT is_purchase"
TABLE_WINDOWS: Final = """
    SELECT date_bin('5 minutes', happened_at, '2000-01-01Z') AS starts_at, product_id, count(*) AS clicks,
      count(purchase_id) AS converted, count(DISTINCT purchase_id) AS purchases
    FROM conversions WHERE NOT is_purchase GROUP BY 1, 2
"""


@pytest.fixture(scope="module")
def store(postgres_url: str) -> Iterator[Store]:
    store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema="conversions_join"))
    store.create_tables()
    yield store
    store.close()


def shop(dice: random.Random, count: int) -> Iterator[Event]:
    """Clicks, purchases and other events of few users and products within an hour; many at whole minutes."""
    for number in range(count):
        shared: dict[str, Any] = {
            "user_id": f"u{dice.randrange(6)}",
            "product_id": dice.choice(("p1", "p2", "p3")),
            "timestamp": START_MS + dice.randrange(60) * 60_000 + dice.choice((0, 0, 0, 1, dice.randrange(60_000))),
        }
        if dice.random() < 0.4:
            yield sale(f"{number:04}", **shared, kind=dice.choice(("purchase", "purchase", "purchase", "refund")))
        else:
            yield click(f"{number:04}", **shared, action=dice.choice(("click", "click", "view")))
            if dice.random() < 0.1:
                yield click(f"none-{number}", **shared | {"product_id": None}, action="click")


def by_key(rows: list[dict[str, Any]], *keys: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    found = {tuple(row[key] for key in keys): row for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_after_epochs_in_any_order_the_table_is_the_join_over_the_log(
    spark: SparkSession, store: Store, seed: int
) -> None:
    dice = random.Random(seed)
    log: list[Row] = [logged(event) for event in shop(dice, 400)]
    parts = in_epochs(log, [dice.randint(1, 12) for _ in log], 12)
    dice.shuffle(parts)
    (projection,) = (each for each in PROJECTIONS if each.name == "conversions")
    with store.transaction() as transaction:
        transaction.execute("TRUNCATE conversions")
    for part in parts:
        with store.transaction() as transaction:
            fold_in(transaction, projection, deltas(part, [projection])["conversions"])
    with store.transaction() as transaction:
        pairs, windows = (transaction.query(sql).to_pylist() for sql in (TABLE_PAIRS, TABLE_WINDOWS))
    spark.createDataFrame(log_table(log)).createOrReplaceTempView("events")
    joined, counted = (spark.sql(sql).toArrow().to_pylist() for sql in (PAIRS, WINDOWS))
    assert by_key(pairs, "click_id") == by_key(joined, "click_id")
    assert by_key(windows, "starts_at", "product_id") == by_key(counted, "starts_at", "product_id")
    converted = sum(row["converted"] for row in counted)
    assert 0 < sum(row["purchases"] for row in counted) < converted < sum(row["clicks"] for row in counted)
