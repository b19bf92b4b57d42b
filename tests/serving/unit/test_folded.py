"""What serving folds from the event log as of an epoch is what processing's own folds had kept by that epoch."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import duckdb
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import DateTime, Numeric, Table

from contracts import projections
from serving.queries import folded
from serving.queries.folded import Fold
from serving.windows import Span
from tests.examples import examples
from tests.processing.builders import START_MS, at, click, sale
from tests.processing.folding import PROJECTIONS, Tables, deltas, joined
from tests.processing.log_rows import Row, epochs, log_table, logged

pytestmark = pytest.mark.unit

GAP, WITHIN = timedelta(minutes=30), timedelta(minutes=60)
EVER = Span(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
UNREAD: Final = {"last_epoch", "bot_evidence"}
COLUMNS: Final[dict[Table, set[str]]] = {
    projections.sessions: {
        name for name in set(projections.sessions.c.keys()) if not name.endswith("_key") and name not in UNREAD
    },
    projections.users: set(projections.users.c.keys()) - UNREAD,
    projections.user_categories: set(projections.user_categories.c.keys()) - UNREAD,
    projections.orders: {"order_id", "user_id", "ordered_at"},
    projections.carts: set(projections.carts.c.keys()) - UNREAD - {"category", "late"},
}
FOLDED: Final = tuple(each for each in PROJECTIONS if each.table in COLUMNS)


@pytest.fixture(scope="module")
def duck() -> Iterator[DuckDBPyConnection]:
    """One connection for all: to open one costs more than to fold a small log."""
    with duckdb.connect(config={"threads": "1"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def rows_of(duck: DuckDBPyConnection, fold: Fold, log: Sequence[Row], epoch: int) -> list[dict[str, Any]]:
    """The fold of a log as of an epoch, read as often as it must be, with nothing but what it says to read."""
    while True:
        reading = fold.reading(COLUMNS[fold.table], epoch, 1000)
        span = reading.span or EVER
        duck.register("log", log_table(row for row in log if span.start <= row["timestamp"] <= span.end))
        ((number, is_open, rows),) = duck.execute(reading.sql, dict(reading.parameters)).fetchall()
        if not is_open:
            found = json.loads(f"[{rows}]")
            assert len(found) == number
            return comparable(found, fold.table)
        fold = fold.wider()


def comparable(rows: Sequence[dict[str, Any]], table: Table) -> list[dict[str, Any]]:
    """In order. Nothing known and an empty text are the same; steps are compared by what they say, not how it is
    spelled."""
    told = [{name: _value(row[name], table.c[name].type) for name in sorted(COLUMNS[table])} for row in rows]
    return sorted(told, key=lambda row: [str(row[key.name]) for key in table.primary_key])


def _value(value: Any, kind: Any) -> Any:
    if isinstance(kind, DateTime) and isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(kind, Numeric):
        return Decimal(value)
    if isinstance(value, list):
        return [json.loads(each) if isinstance(each, str) else each for each in value]
    return None if value == "" else value


@settings(deadline=None, max_examples=examples(3))
@given(epochs())
def test_as_of_each_epoch_a_fold_is_what_was_kept_then(duck: DuckDBPyConnection, parts: list[list[Row]]) -> None:
    log = [row for part in parts for row in part]
    everybody = sorted({row["user_id"] for row in log})
    folds = (
        *folded.sessions(None, GAP),
        *folded.users(),
        *folded.user_categories(),
        *folded.orders(everybody),
        *folded.additions([EVER], WITHIN),
    )
    tables: Tables = {}
    for epoch, part in enumerate(parts, 1):
        tables = joined(tables, deltas(part, FOLDED))
        for fold in folds:
            rows = tables[fold.table.name].to_pylist() if fold.table.name in tables else []
            rows = [row for row in rows if not row.get("is_purchase")]
            assert rows_of(duck, fold, log, epoch) == comparable(rows, fold.table), (epoch, fold.table.name)


@settings(deadline=None, max_examples=examples(8))
@given(epochs().filter(any), st.data())
def test_sessions_of_spans_are_those_that_start_in_them(
    duck: DuckDBPyConnection, parts: list[list[Row]], data: st.DataObject
) -> None:
    log = [row for part in parts for row in part]
    (all_sessions,) = folded.sessions(None, GAP)
    times = sorted({row["timestamp"] for row in log})
    spans = []
    for length in (timedelta(milliseconds=1), timedelta(hours=2)):
        start = data.draw(st.sampled_from(times)) - data.draw(st.sampled_from([timedelta(0), GAP]))
        spans.append(Span(start, start + length))
    started = [
        row
        for row in rows_of(duck, all_sessions, log, 3)
        if any(span.start <= row["started_at"] < span.end for span in spans)
    ]
    found = [row for fold in folded.sessions(spans, GAP) for row in rows_of(duck, fold, log, 3)]
    key = lambda row: (row["session_id"], row["started_at"])  # noqa: E731
    assert sorted(found, key=key) == sorted(started, key=key)


@pytest.mark.parametrize("hours", [5, 7, 30])
def test_a_session_is_read_to_its_end_however_long_it_goes_on(duck: DuckDBPyConnection, hours: int) -> None:
    steps = [START_MS + number * 29 * 60_000 for number in range(60 * hours // 29)]
    log = [logged(click(f"e{millis}", timestamp=millis)) for millis in steps]
    (fold,) = folded.sessions([Span(at(START_MS), at(START_MS + 1))], GAP)
    (found,) = rows_of(duck, fold, log, 1)
    assert (found["started_at"], found["ended_at"], found["events"]) == (at(steps[0]), at(steps[-1]), len(steps))


@pytest.mark.parametrize(("after_ms", "counts"), [(-1, False), (0, True), (3_600_000, True), (3_600_001, False)])
def test_a_purchase_counts_for_an_addition_up_to_the_last_instant(
    duck: DuckDBPyConnection, after_ms: int, counts: bool
) -> None:
    log = [logged(click("e1", action="add_to_cart")), logged(sale("t1", timestamp=START_MS + after_ms))]
    (fold,) = folded.additions([Span(at(START_MS), at(START_MS + 1))], WITHIN)
    (found,) = rows_of(duck, fold, log, 1)
    assert found["purchase_id"] == ("t1" if counts else None)


def test_what_is_read_for_a_span_ends_with_the_calendar(duck: DuckDBPyConnection) -> None:
    ever = Span(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    log = [logged(click("e1")), logged(click("e2", action="add_to_cart"))]
    for fold in (*folded.sessions([ever], GAP), *folded.additions([ever], WITHIN)):
        assert len(rows_of(duck, fold, log, 1)) == 1, fold.table.name


def test_rows_are_counted_up_to_one_over_the_most(duck: DuckDBPyConnection) -> None:
    log = [logged(click(f"e{n}", session_id=f"s{n}")) for n in range(9)]
    duck.register("log", log_table(log))
    reading = folded.sessions(None, GAP)[0].reading({"session_id"}, 1, 5)
    ((number, _, _),) = duck.execute(reading.sql, dict(reading.parameters)).fetchall()
    assert number == 6
