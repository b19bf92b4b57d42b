"""DuckDB with Spark's functions: each means what it means in Spark; tables are there for as long as they are lent."""

from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from processing.duck import Duck

pytestmark = pytest.mark.unit

DUCK = Duck()
ROWS = pa.table({"n": [3, 1, 2, 1], "name": ["c", "a", None, "a"]})


def value(sql: str) -> Any:
    (row,) = DUCK.query(f"SELECT {sql} AS value FROM rows", rows=ROWS).to_pylist()
    return row["value"]


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("max(unix_millis(TIMESTAMPTZ '2026-03-01 12:00:00.123'))", 1_772_366_400_123),
        ("max(unix_seconds(TIMESTAMPTZ '2026-03-01 12:00:00.999'))", 1_772_366_400),
        ("max(unix_seconds(TIMESTAMPTZ '1969-12-31 23:59:59.999'))", -1),
        ("array_sort(collect_list(n))", [1, 1, 2, 3]),
        ("array_sort(collect_set(n))", [1, 2, 3]),
        ("slice(array_sort(collect_list(n)), 2, 2)", [1, 2]),
        ("slice(array_sort(collect_list(n)), 1, 9)", [1, 1, 2, 3]),
        ("array_sort(theta_sketch_agg(name, 12))", ["a", "a", "c"]),
        ("max(json_texts('a\"b', NULL, 'ü/', '', chr(1)))", '["a\\"b",null,"ü/","","\\u0001"]'),
    ],
)
def test_a_function_of_spark(sql: str, wanted: object) -> None:
    assert value(sql) == wanted


def test_times_are_utc() -> None:
    assert value("max(date_trunc('day', TIMESTAMPTZ '2026-03-01 23:59:59+00'))") == datetime(2026, 3, 1, tzinfo=UTC)


def test_a_table_is_there_for_one_query() -> None:
    assert DUCK.query("SELECT sum(n)::int AS n FROM lent", lent=ROWS).to_pylist() == [{"n": 7}]
    with pytest.raises(duckdb.CatalogException):
        DUCK.query("SELECT * FROM lent")


def test_a_table_is_held_for_as_many_queries_as_the_block_has_and_gone_after_a_failure() -> None:
    def fail() -> None:
        with DUCK.holding("held_rows", ROWS):
            assert [DUCK.query("SELECT * FROM held_rows").num_rows for _ in range(2)] == [4, 4]
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()
        with pytest.raises(duckdb.CatalogException):
            DUCK.query("SELECT * FROM held_rows")


def test_after_a_query_that_failed_the_next_one_works() -> None:
    with pytest.raises(duckdb.Error):
        DUCK.query("SELECT no_such_column FROM rows", rows=ROWS)
    assert value("count(*)") == 4
