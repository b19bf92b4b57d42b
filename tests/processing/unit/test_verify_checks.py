"""The SQL that verification computes tables by, against the folds and the plain Python of `expected`: three ways, one
answer, for any log, any span of it and any number of slices.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import projections
from contracts.rollups import TABLES
from contracts.settings import ShopSettings
from processing import sketches
from processing.arrow_types import arrow_type
from processing.maintenance.coarser import roll_ups
from processing.verification.check import Check
from processing.verification.compare import Verdict, compare
from processing.verification.run import CHECKS, GATHERINGS
from processing.verification.served import WHOLE, Span
from processing.verification.slices import Slices
from tests.examples import examples
from tests.processing.builders import START_MS, at, click, sale
from tests.processing.folding import PROJECTIONS, Tables, folded
from tests.processing.log_rows import Row, epochs, log_table, logged

pytestmark = pytest.mark.unit

LAWS = settings(deadline=None, max_examples=examples(2))
SHOP = ShopSettings()
SPANS = st.builds(
    lambda start, length: Span(
        at(START_MS) + timedelta(minutes=start), at(START_MS) + timedelta(minutes=start + length)
    ),
    st.integers(-61, 240),
    st.sampled_from((1, 30, 90)),
)
ROLL_UPS = {each.coarse.name: each for of_grain in roll_ups(PROJECTIONS).values() for each in of_grain}
CELLS = pa.schema(
    [("grain", pa.string()), ("starts_at", pa.timestamp("us", "UTC")), ("stale", pa.bool_()), ("fine_gone", pa.bool_())]
)


def with_roll_ups(tables: Tables) -> Tables:
    """The tables with every hour and day made of them."""
    found = dict(tables)
    for name, roll_up in ROLL_UPS.items():
        if roll_up.fine.name in found:
            fine, time = found[roll_up.fine.name], next(iter(roll_up.coarse.columns)).name
            length = {"multiple": 5, "unit": "minute"} if time == "window_start" else {"unit": time}
            starts = pc.floor_temporal(fine[fine.column_names[0]], **length)
            found[name] = roll_up.combined(fine.set_column(0, time, starts))
    return found


def cells_of(tables: Tables) -> pa.Table:
    """The registry, by which every roll-up that is there may be used."""
    cells = [
        {"grain": grain, "starts_at": at, "stale": False, "fine_gone": False}
        for grain, of_grain in roll_ups(PROJECTIONS).items()
        if of_grain[-1].coarse.name in tables
        for at in _cells(grain, tables[of_grain[-1].coarse.name].column(0))
    ]
    return pa.Table.from_pylist(cells, CELLS)


def _cells(grain: str, times: pa.ChunkedArray) -> list[datetime]:
    cells: list[datetime] = pc.floor_temporal(times, unit="day" if grain == "day" else "hour").unique().to_pylist()
    return cells


@contextmanager
def opened() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as duck:
        duck.execute("SET TimeZone = 'UTC'")
        yield duck


@pytest.fixture
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with opened() as duck:
        yield duck


def verify(
    duck: duckdb.DuckDBPyConnection,
    rows: Sequence[Row],
    tables: Tables,
    folder: Path,
    *,
    span: Span = WHOLE,
    slices: int = 1,
    checks: Sequence[Check] = CHECKS,
) -> dict[str, Verdict]:
    """Checks of what is served against a log."""
    duck.register("rows", log_table(rows))
    duck.register("cells", cells_of(tables))
    duck.execute("CREATE OR REPLACE TEMP VIEW log AS FROM rows")
    cut, verdicts = Slices(duck, folder / "slices", slices), {}
    for check in checks:
        for table in {check.table, projections.users}:  # which conditions on other tables name
            schema = pa.schema([(column.name, arrow_type(column)) for column in table.columns])
            duck.register(table.name, tables.get(table.name, schema.empty_table()))
        condition = span.fill(check.served, SHOP)
        duck.execute(f"CREATE TABLE served_{check.name} AS FROM {check.name} WHERE {condition}")
        parts = [
            compare(duck, check, span.fill(check.members, SHOP), span.fill(check.expected, SHOP)) for _ in cut.of(check)
        ]
        verdicts[check.name] = reduce(add, parts)
    return verdicts


def differing(verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
    return {name: verdict for name, verdict in verdicts.items() if verdict.mismatches}


def test_every_projection_and_every_roll_up_of_minutes_is_checked() -> None:
    assert {check.name for check in CHECKS} == {table.name for table in projections.ALL} | ROLL_UPS.keys()
    gathered = [check.name for gathering in GATHERINGS for check in gathering.checks]
    assert {*gathered, *ROLL_UPS} == {table.name for tables in TABLES.values() for table in tables}


def hours_of(rows: Sequence[Row], folder: Path, *, span: Span = WHOLE, slices: int = 1) -> dict[str, list[Any]]:
    """By table: the rows that are expected of its hours, in the order of their keys."""
    found = {}
    with opened() as duck:
        duck.register("rows", log_table(rows))
        duck.execute("CREATE TEMP VIEW log AS FROM rows")
        cut = Slices(duck, folder / "slices", slices)
        for gathering in GATHERINGS:
            cut.gather(gathering.by, span.fill(gathering.rows, SHOP))
            for check in gathering.checks:
                expected = f"WITH members AS ({check.members}) FROM ({check.expected}) ORDER BY ALL"
                found[check.name] = duck.sql(expected).to_arrow_table().to_pylist()
            duck.execute("DROP TABLE gathered")
    return found


@LAWS
@given(epochs(40, count=1), SPANS)
def test_hours_are_the_same_in_any_number_of_slices_and_those_of_a_span_are_whole(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[Row]], span: Span
) -> None:
    (rows,), folder = parts, tmp_path_factory.mktemp("slices")
    whole = hours_of(rows, folder)
    assert hours_of(rows, folder, slices=3) == whole
    assert span.since is not None
    assert span.until is not None
    for name, hours in hours_of(rows, folder, span=span).items():
        time = "window_start" if name == "conversion_hours" else "hour"
        assert hours == [row for row in whole[name] if span.since <= row[time] < span.until]


@LAWS
@given(epochs(24, count=2), st.sampled_from((1, 3)), SPANS, st.randoms())
def test_what_the_folds_make_of_any_log_is_found_right_in_any_span_and_wrong_without_any_one_event(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[Row]], slices: int, span: Span, dice: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("slices")
    rows, tables = [row for part in parts for row in part], with_roll_ups(folded(parts))
    with opened() as duck:
        verdicts = verify(duck, rows, tables, folder, slices=slices)
        assert not differing(verdicts)
        assert {name: verdict.rows for name, verdict in verdicts.items()} == {
            check.name: tables[check.name].num_rows if check.name in tables else 0 for check in CHECKS
        }
        assert not differing(verify(duck, rows, tables, folder, span=span))
        lost = rows.pop(dice.randrange(len(rows)))
        assert tables_of(lost) <= differing(verify(duck, rows, tables, folder)).keys()


def tables_of(event: Row) -> set[str]:
    """The tables that count the event whatever others there are."""
    there = {
        "product_minutes": event["product_id"] is not None,
        "orders": event["kind"] is not None,
        "user_categories": bool(event["category"]),
        "delays": not event["imported"],
    }
    there |= {name: there.get(roll_up.fine.name, True) for name, roll_up in ROLL_UPS.items() if "days" not in name}
    return {"site_minutes", "category_minutes", "sessions", "users"} | {name for name in there if there[name]}


@pytest.mark.parametrize(("name", "action", "minutes"), [("conversions", "click", 10), ("carts", "add_to_cart", 60)])
def test_a_purchase_is_led_to_until_the_end_of_its_minutes_and_no_longer(
    duck: duckdb.DuckDBPyConnection, tmp_path: Path, name: str, action: str, minutes: int
) -> None:
    events = [
        click("a", action=action),
        sale("t", timestamp=START_MS + minutes * 60_000),
        click("b", action=action, user_id="u2"),
        sale("u", timestamp=START_MS + minutes * 60_000 + 1, user_id="u2"),
    ]
    rows = [logged(event) for event in events]
    tables = folded([rows])
    checks = [check for check in CHECKS if check.name == name]
    assert not differing(verify(duck, rows, tables, tmp_path, checks=checks))
    led_to = dict(zip(*(tables[name][column].to_pylist() for column in ("event_id", "purchase_id")), strict=True))
    assert led_to == {"a": "t", "b": None, "t": None, "u": None}


def one(verdicts: dict[str, Verdict], name: str) -> Verdict:
    assert list(differing(verdicts)) == [name]
    return verdicts[name]


def shop() -> list[list[Row]]:
    """Two users, a session each, one order."""
    minute = 60_000
    events = [
        click("a1", action="page_view", category=None, product_id=None),
        click("a2", timestamp=START_MS + minute),
        click("a3", timestamp=START_MS + minute, action="click"),
        sale("a4", timestamp=START_MS + 2 * minute),
        click("b1", user_id="u2", session_id="s2", timestamp=START_MS + minute),
    ]
    return [[logged(event, epoch=1 + number % 2) for number, event in enumerate(events)]]


def changed(tables: Tables, name: str, column: str, value: object, row: int = 0) -> Tables:
    """The tables with one cell of one row changed."""
    table = tables[name]
    values = table[column].to_pylist()
    values[row] = value
    place = table.schema.get_field_index(column)
    return tables | {name: table.set_column(place, column, pa.array(values, table.schema.field(column).type))}


def test_a_changed_count_is_named_with_its_cell_and_the_events_behind_it(
    duck: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    (rows,) = shop()
    wrong = changed(folded([rows]), "site_minutes", "views", 7, row=1)
    verdict = one(verify(duck, rows, wrong, tmp_path), "site_minutes")
    assert (verdict.rows, verdict.mismatches) == (3, 1)
    (mismatch,) = verdict.examples
    assert mismatch.key == {"minute": "2026-03-01T12:01:00Z", "bot": False}
    assert mismatch.kind == "different"
    assert [(cell.column, cell.expected, cell.found) for cell in mismatch.cells] == [("views", 2, 7)]
    assert mismatch.evidence.events == 3
    assert mismatch.evidence.event_ids == ["a2", "a3", "b1"]
    assert mismatch.evidence.epochs == [1, 2]


def test_a_missing_session_and_one_too_many_are_told_apart(duck: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (rows,) = shop()
    tables = folded([rows])
    renamed = tables["sessions"]["session_id"].to_pylist()
    renamed[0] = "s9"
    place = tables["sessions"].schema.get_field_index("session_id")
    wrong = tables | {"sessions": tables["sessions"].set_column(place, "session_id", pa.array(renamed))}
    verdict = one(verify(duck, rows, wrong, tmp_path), "sessions")
    assert [(each.kind, each.key["session_id"]) for each in verdict.examples] == [("missing", "s1"), ("extra", "s9")]
    assert verdict.examples[0].evidence.event_ids == ["a1", "a2", "a3", "a4"]
    assert verdict.examples[1].evidence.events == 0


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_no_column_of_any_table_can_be_changed_unseen(
    duck: duckdb.DuckDBPyConnection, tmp_path: Path, check: Check
) -> None:
    (rows,) = shop()
    tables = with_roll_ups(folded([rows]))
    others = [column for column in check.table.columns if not column.primary_key]
    for column in others:
        value = tables[check.name][column.name].to_pylist()[0]
        tables = changed(tables, check.name, column.name, other_than(value, arrow_type(column)))
    (mismatch,) = verify(duck, rows, tables, tmp_path, checks=(check,))[check.name].examples
    assert [cell.column for cell in mismatch.cells] == [column.name for column in others]


def other_than(value: object, arrow: pa.DataType) -> object:
    """Another value of the type; of a sketch one of as many users."""
    if value is None:
        return at(START_MS) if pa.types.is_timestamp(arrow) else "x"
    if isinstance(value, bytes):
        return sketches.of([f"other-{n}" for n in range(round(sketches.estimate(value)) or 1)])
    if isinstance(value, list):
        return [*value, value[0]]
    others: dict[type, Any] = {str: "x", datetime: timedelta(milliseconds=1)}
    return not value if isinstance(value, bool) else value + others.get(type(value), 1)
