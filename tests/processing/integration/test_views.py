"""The views for other readers in a real Postgres: what they say, that a swap leaves them right, and Grafana."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from contracts.settings import PostgresSettings, ShopSettings
from contracts.view_promise import PROMISED, broken
from processing.definitions import prepare
from processing.projections import build_projections
from processing.store import Store
from tests.serving.events import Event, Refusal, by_bot, islands, visits
from tests.serving.integration.conftest import new_schema
from tests.serving.shop import Shop, engine, write
from tests.serving.summed_up import sum_up

pytestmark = pytest.mark.integration

SHOP = ShopSettings(currency="CHF")
NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
DASHBOARD = Path(__file__).resolve().parents[3] / "deploy" / "grafana" / "millrace.json"


class Reader:
    """Asks as Grafana would: SQL over one connection."""

    def __init__(self, url: str, schema: str) -> None:
        self.schema = schema
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(url, server_settings={"search_path": schema}))

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self._runner.run(self._connection.fetch(sql))]

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()


@pytest.fixture(scope="module")
def shop() -> Shop:
    refusals = [Refusal(NOW - timedelta(minutes=5), "invalid_enum"), Refusal(NOW, "malformed_avro", None)]
    return Shop(events=visits(5, NOW - timedelta(hours=5), NOW), refusals=refusals, committed_at=NOW)


@pytest.fixture(scope="module")
def reader(postgres_url: str, shop: Shop) -> Iterator[Reader]:
    """The shop in tables and views made twice; hours before midnight are summed up and their minutes spoilt."""
    schema = new_schema()
    store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema=schema))
    for _ in range(2):  # a start, and the next one
        prepare(store, build_projections(SHOP), SHOP)
    store.close()
    asyncio.run(write(postgres_url, schema, shop))
    asyncio.run(_summed_up(postgres_url, schema))
    made = Reader(postgres_url, schema)
    yield made
    made.close()


async def _summed_up(url: str, schema: str) -> None:
    writer = engine(url, schema)
    async with writer.begin() as connection:
        await sum_up(connection, NOW.replace(hour=0, minute=0), drop=False)
    await writer.dispose()


def counted(events: list[Event]) -> tuple[int, int, Decimal]:
    bought = [event for event in events if event.action == "purchase"]
    return len(events), len(bought), sum((event.amount for event in bought), Decimal(0))


def test_hours_are_those_of_the_events_whatever_they_are_read_from(reader: Reader, shop: Shop) -> None:
    keys: dict[str, Callable[[Event], tuple[Any, ...]]] = {
        "site": lambda _: (),
        "category": lambda one: (one.category or "",),
        "product": lambda one: (one.product, one.category or ""),
    }
    columns: dict[str, list[str]] = {"site": [], "category": ["category"], "product": ["product_id", "category"]}
    for name, key in keys.items():
        wanted: dict[Any, list[Event]] = {}
        for event in shop.people:
            if name == "site" or (event.category if name == "category" else event.product):
                wanted.setdefault((event.at.replace(minute=0, second=0, microsecond=0), *key(event)), []).append(event)
        rows = reader.rows(f"SELECT * FROM bi_{name}_hours WHERE NOT bot")
        found = {
            (row["hour"], *(row[column] for column in columns[name])): (
                row["events"], row["purchases"], row["revenue"]
            ) for row in rows if name == "site" or row[columns[name][0]]
        }  # fmt: skip
        assert len(rows) >= len(found) > 5
        assert found == {place: counted(own) for place, own in wanted.items()}


def test_sessions_epochs_and_refusals_are_told(reader: Reader, shop: Shop) -> None:
    (told,) = reader.rows(
        "SELECT count(*) AS n, count(*) FILTER (WHERE bought) AS bought FROM bi_sessions WHERE NOT bot"
    )
    own = [island for island in islands(shop.events) if not by_bot(island)]
    assert told["n"] == len(own)
    assert 0 < told["bought"] < len(own)
    (epoch,) = reader.rows("SELECT epoch, applied, freshness_seconds FROM bi_epochs")
    assert (epoch["epoch"], epoch["applied"]) == (shop.epoch, len(shop.events))
    assert epoch["freshness_seconds"] == pytest.approx(0.9)
    refused = reader.rows("SELECT reason, source, events FROM bi_refusals ORDER BY reason")
    assert [tuple(row.values()) for row in refused] == [("invalid_enum", "web", 1), ("malformed_avro", "", 1)]


def test_conversions_are_those_of_the_events_whatever_they_are_read_from(reader: Reader, shop: Shop) -> None:
    (summed,) = reader.rows(
        "SELECT date_trunc('hour', min(window_start), 'UTC') + interval '1 hour' AS hour FROM bi_conversion_windows"
    )
    hour = f"date_trunc('hour', happened_at, 'UTC') = '{summed['hour'].isoformat()}'"
    reader.rows(f"""INSERT INTO conversion_hours
        SELECT date_bin('5 minutes', happened_at, '1970-01-01T00:00Z'), product_id, bot, count(*), count(purchase_id),
            0, 0, 1 FROM conversions WHERE NOT is_purchase AND {hour} GROUP BY 1, 2, 3""")
    reader.rows(f"DELETE FROM conversions WHERE {hour}")
    reader.rows(f"""INSERT INTO roll_ups (grain, starts_at, stale, marks, made_at, fine_gone)
        VALUES ('conversion_hour', '{summed["hour"].isoformat()}', false, 0, now(), true)""")
    wanted: dict[Any, list[int]] = {}
    bought = [one for one in shop.people if one.action == "purchase"]
    for click in (one for one in shop.people if one.action == "click"):
        led = any(
            (one.user, one.product) == (click.user, click.product)
            and timedelta(0) <= one.at - click.at <= timedelta(minutes=10)
            for one in bought
        )
        start = click.minute - timedelta(minutes=click.minute.minute % 5)
        counts = wanted.setdefault((start, click.product), [0, 0])
        counts[0] += 1
        counts[1] += led
    rows = reader.rows("SELECT * FROM bi_conversion_windows WHERE NOT bot")
    found = {(row["window_start"], row["product_id"]): [row["clicks"], row["converted_clicks"]] for row in rows}
    assert found == wanted
    assert len(rows) == len(found)
    assert {start.replace(minute=0) for start, _ in found} > {summed["hour"]}


def test_additions_and_orders_are_those_of_the_events(reader: Reader, shop: Shop) -> None:
    rows = reader.rows("SELECT added_at, fate, seconds_to_purchase FROM bi_cart_additions WHERE NOT bot")
    fates: Counter[str] = Counter()
    assert shop.watermark is not None
    for addition in (one for one in shop.people if one.action == "add_to_cart"):
        bought = any(
            (one.user, one.product, one.action) == (addition.user, addition.product, "purchase")
            and timedelta(0) <= one.at - addition.at <= timedelta(minutes=SHOP.cart_minutes)
            for one in shop.people
        )
        over = addition.at < shop.watermark - timedelta(minutes=SHOP.cart_minutes)
        fates["bought" if bought else "abandoned" if over else "open"] += 1
    assert Counter(row["fate"] for row in rows) == fates
    assert fates.keys() == {"bought", "abandoned", "open"}
    assert all((row["seconds_to_purchase"] is not None) is (row["fate"] == "bought") for row in rows)
    orders = reader.rows("SELECT * FROM bi_orders WHERE NOT bot")
    lines = [one for one in shop.people if one.action in {"purchase", "refund"}]
    assert len(orders) == len({(one.order or one.id, one.user) for one in lines})
    assert sum(row["revenue"] for row in orders) == sum(one.amount for one in lines if one.action == "purchase")
    assert {row["currency"] for row in orders} == {"CHF"}


def test_flags_are_told(reader: Reader) -> None:
    reader.rows(f"""INSERT INTO anomalies VALUES ('{NOW}', '{NOW + timedelta(minutes=5)}', 'views', 'product', 'p-mug',
        'robust_z', 10, 90, 8, 4, 'critical', 'up', '[]', true, 3, '{NOW}', NULL)""")
    (told,) = reader.rows("SELECT * FROM bi_anomalies WHERE standing")
    assert (told["subject"], told["expected"], told["observed"], told["score"]) == ("p-mug", 10, 90, 8)
    assert told["window_end"] - told["window_start"] == timedelta(minutes=5)


def test_the_views_have_the_columns_that_were_promised(reader: Reader) -> None:
    rows = reader.rows(
        "SELECT relname::text AS view, attname::text AS name, format_type(atttypid, atttypmod) AS type,"
        " col_description(attrelid, attnum) AS meaning"
        " FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        f" WHERE relnamespace = '{reader.schema}'::regnamespace AND relkind = 'v' ORDER BY relname, attnum"
    )
    held: dict[str, dict[str, str]] = {}
    for row in rows:
        kind = row["type"].replace("timestamp with time zone", "timestamptz")
        held.setdefault(row["view"], {})[row["name"]] = kind
    assert broken(json.loads(PROMISED.read_text("utf-8")), held) == []
    assert [(row["view"], row["name"]) for row in rows if not row["meaning"]] == []
    money = {row["meaning"] for row in rows if row["type"] == "numeric"}
    assert all(meaning.endswith(", in the currency") for meaning in money)


def test_views_of_an_earlier_version_get_what_is_new(reader: Reader, postgres_url: str) -> None:
    schema = new_schema()
    store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema=schema))
    prepare(store, build_projections(SHOP), SHOP)
    with store.transaction() as transaction:
        transaction.execute("DROP VIEW bi_orders")
        transaction.execute("CREATE VIEW bi_orders AS SELECT ordered_at FROM orders")
        transaction.execute("COMMENT ON COLUMN bi_orders.ordered_at IS 'what it meant then'")
    prepare(store, build_projections(SHOP), SHOP)
    with store.transaction() as transaction:
        (told,) = transaction.query(
            "SELECT count(*) AS columns, max(col_description(attrelid, attnum)) FILTER (WHERE attnum = 1) AS first"
            " FROM pg_attribute WHERE attrelid = 'bi_orders'::regclass AND attnum > 0"
        ).to_pylist()
    store.close()
    assert told["columns"] > 5
    assert told["first"].startswith("time of its first purchase")


def test_conditions_reach_the_index_through_the_function(reader: Reader) -> None:
    plan = reader.rows("EXPLAIN SELECT * FROM bi_sessions WHERE started_at >= '2026-03-02T00:00:00Z'")
    text = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "Function Scan" not in text
    assert "started_at >=" in text


def test_a_table_that_takes_anothers_place_is_the_one_that_is_read(reader: Reader) -> None:
    before = reader.rows("SELECT count(*) AS n FROM bi_epochs")
    reader.rows("ALTER TABLE epochs RENAME TO epochs_before")
    reader.rows("CREATE TABLE epochs (LIKE epochs_before INCLUDING ALL)")
    assert reader.rows("SELECT count(*) AS n FROM bi_epochs") == [{"n": 0}]
    reader.rows("DROP TABLE epochs")  # nothing hangs on it
    reader.rows("ALTER TABLE epochs_before RENAME TO epochs")
    assert reader.rows("SELECT count(*) AS n FROM bi_epochs") == before


def test_every_panel_of_the_dashboard_can_be_drawn(reader: Reader) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    for panel in panels:
        (target,) = panel["targets"]
        sql = target["rawSql"]
        start = sql.index("$__timeFilter(")
        column = sql[start:].partition("(")[2].partition(")")[0]
        sql = sql.replace(
            f"$__timeFilter({column})", f"{column} BETWEEN '2026-03-01T00:00:00Z' AND '2026-03-03T00:00:00Z'"
        )
        rows = reader.rows(sql)
        assert rows, panel["title"]
        assert ("time" in rows[0]) is (target["format"] == "time_series")
