"""DuckDB as processing uses it: a connection per thread, which knows the part of Spark's SQL that deltas use.

The text of a delta is Spark's dialect (decision 2); DuckDB gets the few Spark functions it lacks as macros.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

import duckdb
import pyarrow as pa

_SPARK_FUNCTIONS: Final = (
    "CREATE MACRO unix_millis(instant) AS epoch_ms(instant)",
    "CREATE MACRO unix_seconds(instant) AS CAST(floor(epoch_ms(instant) / 1000) AS BIGINT)",
    "CREATE MACRO json_texts(a, b, c, d, e) AS CAST(to_json([a, b, c, d, e]) AS VARCHAR)",
    "CREATE MACRO array_sort(items) AS list_sort(items)",
    "CREATE MACRO slice(items, first, length) AS list_slice(items, first, first + length - 1)",
    "CREATE MACRO collect_list(item) AS list(item)",
    "CREATE MACRO collect_set(item) AS list(DISTINCT item)",
    # The members, of which `processing.deltas` makes the sketch: to tell equal ones apart here costs a table per group.
    "CREATE MACRO theta_sketch_agg(member, lg_entries) AS list(member) FILTER (WHERE member IS NOT NULL)",
)

_ROWS_TOGETHER: Final = 1_000_000
"""Rows of a result per chunk: all of an epoch's. A table asked for at once costs a quarter more."""

_KEPT_STATEMENTS: Final = 256

# It would have us use a relation, which is bound once to be made and once more to be run: of an epoch's small queries
# that is half. The copy it warns of costs less than a tenth for half a million rows.
warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)


class Duck:
    """A connection in UTC with Spark's functions. Not thread-safe.

    One thread runs its queries: an epoch's tables are small, and two threads that wait for each other cost half as
    much again in processor time, and several times the wall time where the cores have other work.
    """

    def __init__(self) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("SET TimeZone = 'UTC'")
        for macro in _SPARK_FUNCTIONS:
            self._connection.execute(macro)
        self._parsed = lru_cache(_KEPT_STATEMENTS)(self._parse)

    def query(self, sql: str, **tables: pa.Table) -> pa.Table:
        """Run a query over Arrow tables, given by the names it uses."""
        for name, table in tables.items():
            self._connection.register(name, table)
        try:
            reader: Any = self._connection.execute(self._parsed(sql)).to_arrow_reader(_ROWS_TOGETHER)
            return reader.read_all()
        finally:
            for name in tables:
                self._connection.unregister(name)

    def _parse(self, sql: str) -> duckdb.Statement:
        (statement,) = self._connection.extract_statements(sql)
        return statement

    @contextmanager
    def holding(self, name: str, table: pa.Table) -> Iterator[None]:
        """Hold an Arrow table as one of DuckDB's own: several queries over it then pay for its conversion once."""
        self._connection.register("held", table)
        self._connection.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM held")
        self._connection.unregister("held")
        try:
            yield
        finally:
            self._connection.execute(f"DROP TABLE {name}")
