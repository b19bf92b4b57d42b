"""The views for other readers in a real Postgres: what they say, that a swap leaves them right, and Grafana."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from contracts.settings import PostgresSettings, ShopSettings
from contracts.views import VIEWS
from processing.definitions import prepare
from processing.projections import build_projections
from processing.store import Store
from tests.serving.events import Event, Refusal, by_bot, islands, visits
from tests.serving.integration.conftest import new_schema
from tests.serving.shop import Shop, engine, write
from tests.serving.summed_up import sum_up

pytestmark = pytest.mark.integration

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
        prepare(store, build_projections(ShopSettings()))
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


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_has_the_columns_it_promises(reader: Reader, view: Any) -> None:
    rows = reader.rows(
        "SELECT column_name, data_type FROM information_schema.columns"
        f" WHERE table_schema = '{reader.schema}' AND table_name = '{view.name}' ORDER BY ordinal_position"
    )
    spelled = {"timestamptz": "timestamp with time zone"}
    assert {row["column_name"]: row["data_type"] for row in rows} == {
        name: spelled.get(kind, kind) for name, kind in view.columns.items()
    }


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
