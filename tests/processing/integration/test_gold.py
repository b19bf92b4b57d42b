"""Gold tables beside the roll-ups they are made of: what is final is there, in the same numbers, and nothing else."""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from pydantic import SecretStr

from contracts.settings import PostgresSettings
from processing import failpoints
from processing.event_log import EventLog
from processing.gold.flags import FLAGS
from processing.gold.tables import FOLDER, GOLD, GoldTable
from processing.gold.writing import WRITTEN, GoldError, Written, write_gold
from processing.maintenance.retention import kept_for
from processing.store import Store
from tests.processing.builders import START_MS, at, click, sale
from tests.processing.log_rows import Row, log_table, logged
from tests.processing.rolled_shop import HOUR_MS, LONG_AFTER, Shop, a_shop, clicks_at, emptied, grains_made

pytestmark = pytest.mark.integration


def _settings(postgres_url: str, schema: str) -> PostgresSettings:
    return PostgresSettings(url=SecretStr(postgres_url), db_schema=schema)


@pytest.fixture(scope="module")
def tables(postgres_url: str) -> Iterator[Store]:
    store = Store(_settings(postgres_url, "gold"))
    store.create_tables()
    yield store
    store.close()


@pytest.fixture
def shop(tables: Store) -> Shop:
    return a_shop(emptied(tables))


@pytest.fixture
def gold(postgres_url: str, tmp_path: Path) -> "Gold":
    return Gold(_settings(postgres_url, "gold"), tmp_path)


@pytest.fixture(scope="module")
def busy(postgres_url: str) -> Iterator[Shop]:
    """A shop with something in every table, all of it made; nobody changes it."""
    store = Store(_settings(postgres_url, "gold_busy"))
    store.create_tables()
    shop = a_shop(store)
    shop.fold(BUSY[::2], BUSY[1::2])
    shop.make()
    yield shop
    store.close()


@pytest.fixture
def its_gold(busy: Shop, postgres_url: str, tmp_path: Path) -> "Gold":
    return Gold(_settings(postgres_url, "gold_busy"), tmp_path / "delta")


class Gold:
    """The gold tables of a test."""

    def __init__(self, postgres: PostgresSettings, path: Path) -> None:
        self.postgres = postgres
        self.path = path

    def write(self, together: int = 100) -> Written:
        return write_gold(self.postgres, self.path, lambda *_: None, together=together)

    def table(self, name: str) -> DeltaTable:
        return DeltaTable(str(self.path / FOLDER / name))

    def rows(self, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.table(name).to_pyarrow_table().to_pylist()
        return rows

    def held(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every table without partition and counted users, in order."""
        return {gold.name: _ordered(gold, self.rows(gold.name)) for gold in GOLD}

    def versions(self) -> list[int]:
        return [self.table(gold.name).version() for gold in GOLD]


def _ordered(gold: GoldTable, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = [name for name in gold.columns.names if name not in (gold.partition, "users", "buyers")]
    return sorted(tuple(Decimal(v) if n in ("revenue", "refunded") else v for n, v in row.items() if n in names)
                  for row in ({name: row[name] for name in names} for row in rows))  # fmt: skip


def usable(shop: Shop) -> dict[str, list[tuple[Any, ...]]]:
    """What the store says of every cell that may be used."""
    told = {}
    for gold in GOLD:
        unit = "day" if gold.grain == "day" else "hour"
        told[gold.name] = _ordered(
            gold,
            shop.query(
                f"SELECT t.* FROM {gold.name} t JOIN roll_ups r ON r.grain = '{gold.grain}' AND NOT r.stale"
                f" AND r.starts_at = date_trunc('{unit}', t.{gold.time}, 'UTC')"
            ),
        )
    return told


BUSY: list[Row] = [
    logged(event, late=number % 5 == 0)
    for number, event in enumerate(
        event
        for hour in (0, 11, 13)
        for event in (
            click(f"c{hour}", action="click", timestamp=START_MS + hour * HOUR_MS, session_id=f"s{hour}"),
            click(f"v{hour}", timestamp=START_MS + hour * HOUR_MS + 1000, session_id=f"s{hour}", user_id=f"v{hour}"),
            sale(f"p{hour}", timestamp=START_MS + hour * HOUR_MS + 60_000, session_id=f"s{hour}"),
        )
    )
]


def test_every_cell_that_was_made_is_in_gold_in_the_numbers_of_the_store(busy: Shop, its_gold: Gold) -> None:
    written = its_gold.write()
    assert its_gold.held() == usable(busy)
    assert all(its_gold.held().values())
    assert written.cells == len(busy.usable())
    assert written.rows == {name: len(rows) for name, rows in its_gold.held().items()} | {FLAGS.name: 0}
    before = its_gold.versions()
    assert its_gold.write().cells == 0
    assert its_gold.versions() == before


def test_users_are_counted(its_gold: Gold) -> None:
    its_gold.write()
    users, buyers = defaultdict(set), defaultdict(set)
    for row in BUSY:
        hour = row["timestamp"].replace(minute=0, second=0, microsecond=0)
        users[hour].add(row["user_id"])
        if row["topic"] == "transactions":
            buyers[hour].add(row["user_id"])
    assert {row["hour"]: (row["users"], row["buyers"]) for row in its_gold.rows("site_hours")} == {
        hour: (len(users[hour]), len(buyers[hour])) for hour in users
    }
    assert {len(users[hour]) for hour in users} == {2}


def test_rows_lie_in_the_partition_of_their_time(its_gold: Gold) -> None:
    gold = its_gold
    gold.write()
    assert all(row["date"] == row["window_start"].date() for row in gold.rows("conversion_hours"))
    assert all(row["month"] == row["day"].strftime("%Y-%m") for row in gold.rows("site_days"))
    assert len(gold.table("site_hours").partitions()) == len({row["hour"].date() for row in gold.rows("site_hours")})


def test_an_hour_is_there_once_it_is_final_and_no_sooner(shop: Shop, gold: Gold) -> None:
    shop.fold(clicks_at(0, 1))
    shop.make(at(START_MS + HOUR_MS - 1))
    gold.write()
    assert not any(gold.held().values())
    shop.make(at(START_MS + HOUR_MS))
    gold.write()
    assert [row["hour"] for row in gold.rows("site_hours")] == [at(START_MS)]


def test_a_cell_to_which_something_came_late_stands_until_it_is_made_again_and_is_then_replaced(
    shop: Shop, gold: Gold
) -> None:
    shop.fold(clicks_at(0, 1, 2))
    shop.make()
    gold.write()
    before = gold.held()
    shop.fold(clicks_at(1.5))
    gold.write()
    assert gold.held() == before
    shop.make()
    gold.write()
    assert gold.held() == usable(shop)
    assert [row["views"] for row in sorted(gold.rows("site_hours"), key=lambda row: row["hour"])] == [1, 2, 1]
    assert [row["views"] for row in gold.rows("site_days")] == [4]


def test_a_cell_that_went_stale_before_it_was_written_waits_until_it_is_made_again(shop: Shop, gold: Gold) -> None:
    shop.fold(clicks_at(0))
    shop.make()
    shop.fold(clicks_at(0.5))
    gold.write()
    assert not any(gold.held().values())
    shop.make()
    gold.write()
    assert gold.held() == usable(shop)
    assert [row["views"] for row in gold.rows("site_hours")] == [2]


def test_late_minutes_of_an_hour_that_has_lost_its_own_are_in_gold_too(tables: Store, gold: Gold) -> None:
    shop = a_shop(emptied(tables), kept=kept_for(1, None, None))
    shop.fold(clicks_at(0, 1))
    shop.make()
    gold.write()
    assert shop.query("SELECT FROM roll_ups WHERE fine_gone AND grain = 'hour'")
    shop.fold(clicks_at(1.5))
    shop.make()
    gold.write()
    assert gold.held() == usable(shop)
    assert [row["views"] for row in sorted(gold.rows("site_hours"), key=lambda row: row["hour"])] == [1, 2]


def test_rows_that_are_no_more_go_from_gold(shop: Shop, gold: Gold) -> None:
    shop.fold(clicks_at(0))
    shop.make()
    gold.write()
    with shop.store.transaction() as transaction:
        transaction.execute(
            "TRUNCATE product_minutes, category_minutes, site_minutes, sessions, conversions, carts, delays"
        )
        transaction.execute("UPDATE roll_ups SET stale = true")
    shop.make()
    gold.write()
    assert not any(gold.held().values())


@pytest.mark.parametrize("name", [GOLD[place].name for place in (0, 4, -1)])
def test_a_write_that_ends_after_any_commit_is_ended_by_the_next(
    busy: Shop, its_gold: Gold, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    def end(place: str) -> None:
        if place == f"{WRITTEN}:{name}":
            raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "at", end)
        with pytest.raises(ZeroDivisionError):
            its_gold.write(together=40)
    its_gold.write(together=30)
    assert its_gold.held() == usable(busy)


def test_tables_of_another_store_are_refused(its_gold: Gold, shop: Shop, gold: Gold) -> None:
    its_gold.write()
    gold.path = its_gold.path
    with pytest.raises(GoldError, match="belong to another"):
        gold.write()


def test_columns_say_what_they_mean_and_a_number_below_zero_is_refused(gold: Gold) -> None:
    for each in GOLD:
        table = each.open(gold.path)
        told = {field.name: field.metadata.get("comment") for field in table.schema().fields}
        assert told == each.comments
        assert all(told.values())
        assert table.metadata().description == each.description
        assert table.metadata().partition_columns == [each.partition]
    site = next(each for each in GOLD if each.name == "site_hours")
    row = dict.fromkeys(site.columns.names, 0) | {
        "date": LONG_AFTER.date(), "hour": LONG_AFTER, "bot": False, "revenue": Decimal(0), "refunded": Decimal(0)
    }  # fmt: skip
    with pytest.raises(DeltaError, match="failed validation"):
        write_deltalake(
            gold.table("site_hours"), pa.Table.from_pylist([row | {"views": -1}], schema=site.columns), mode="append"
        )


def test_days_come_after_all_of_their_hours(shop: Shop, gold: Gold) -> None:
    shop.fold(clicks_at(0, 30))
    shop.make(at(START_MS + 20 * HOUR_MS))
    gold.write()
    assert (len(gold.rows("site_days")), len(gold.rows("site_hours"))) == (len(grains_made(shop)["day"]), 1)


DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture
def filled_home(its_gold: Gold, monkeypatch: pytest.MonkeyPatch) -> Gold:
    """A home with gold tables and an event log, where documents look for them."""
    monkeypatch.setenv("MILLRACE_HOME", str(its_gold.path.parent))
    its_gold.write()
    log = EventLog(its_gold.path, 0.0)
    log.open()
    log.add(1, log_table(BUSY))
    log.flush()
    return its_gold


def test_the_notebook_runs_and_its_days_are_the_sums_of_their_hours(filled_home: Gold) -> None:
    cells = json.loads((DOCS / "notebooks" / "gold.ipynb").read_text("utf-8"))["cells"]
    shown = run_cells(["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"])
    assert shown[0] == repr(sorted(gold.name for gold in (*GOLD, FLAGS)))
    assert len([text for text in shown if "│" in text]) == 4  # the tables that DuckDB draws
    assert shown[-1] == "[]"


def test_the_documented_duckdb_snippet_runs(filled_home: Gold, capsys: pytest.CaptureFixture[str]) -> None:
    (snippet, _) = re.findall(r"```python\n(.*?)```", (DOCS / "delta.md").read_text("utf-8"), re.DOTALL)
    run_cells([snippet])
    printed = capsys.readouterr().out
    assert {f"{row['revenue']:f}" for row in filled_home.rows("site_days") if not row["bot"]} <= set(printed.split())
    assert "click" in printed


def test_the_documents_list_every_gold_table(filled_home: Gold) -> None:
    text = (DOCS / "delta.md").read_text("utf-8")
    assert [gold.name for gold in (*GOLD, FLAGS) if f"`gold/{gold.name}`" not in text] == []


def run_cells(sources: list[str]) -> list[str]:
    """Run code as a notebook does: in one namespace, showing what a cell ends with."""
    namespace: dict[str, Any] = {}
    shown = []
    for source in sources:
        body = ast.parse(source).body
        last = body[-1]
        value = None
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(body[:-1], []), "cell", "exec"), namespace)
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)
        else:
            exec(compile(ast.Module(body, []), "cell", "exec"), namespace)
        shown.append("" if value is None else repr(value))
    return shown
