"""Two engines for one definition: the delta SQL of every projection runs on DuckDB and on Spark.

DuckDB computes an epoch's deltas straight from its Arrow table, in one process and without Spark's cost per job
(decision 2). Spark runs the very same text where the events are many: over the whole log, or on a cluster. A property
test holds the two equal. The text is Spark's dialect; DuckDB gets the few Spark functions it lacks as macros.
"""

from collections.abc import Iterator
from typing import Final, Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession
from sqlalchemy import BigInteger, DateTime, LargeBinary, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from processing import sketches
from processing.projection import Projection
from processing.projections.measures import SKETCHES

_SPARK_FUNCTIONS: Final = (
    "CREATE MACRO unix_millis(instant) AS epoch_ms(instant)",
    "CREATE MACRO json_texts(a, b, c, d, e) AS CAST(to_json([a, b, c, d, e]) AS VARCHAR)",
    "CREATE MACRO array_sort(items) AS list_sort(items)",
    "CREATE MACRO slice(items, first, length) AS list_slice(items, first, first + length - 1)",
    "CREATE MACRO collect_list(item) AS list(item)",
    # The members; `_sketched` makes the sketch of them.
    "CREATE MACRO theta_sketch_agg(member, lg_entries) AS list(DISTINCT member) FILTER (WHERE member IS NOT NULL)",
)

_SPARK_EXTRA: Final = """
    CREATE OR REPLACE TEMPORARY FUNCTION json_texts(a STRING, b STRING, c STRING, d STRING, e STRING)
    RETURNS STRING RETURN to_json(array(a, b, c, d, e))
"""
"""`json_texts`: five texts as a JSON array, nulls kept. The one function that neither engine has under one name."""


class DeltaEngine(Protocol):
    """Computes projections' deltas over deduplicated events."""

    def deltas(self, events: pa.Table, projections: tuple[Projection, ...]) -> Iterator[tuple[Projection, pa.Table]]:
        """Each projection with its delta; `events` has the columns of `processing.batch.EVENT_LOG`."""


class DuckDeltas:
    """The engine of one machine."""

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        for macro in _SPARK_FUNCTIONS:
            self._connection.execute(macro)

    def deltas(self, events: pa.Table, projections: tuple[Projection, ...]) -> Iterator[tuple[Projection, pa.Table]]:
        """See `DeltaEngine.deltas`."""
        self._connection.register("events", events)
        for projection in projections:
            raw = self._connection.sql(projection.delta).to_arrow_table()
            yield projection, _typed(raw, projection.table)


class SparkDeltas:
    """The engine for a log that is larger than one machine's memory, and the judge of the other."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        spark.sql(_SPARK_EXTRA)

    def deltas(self, events: pa.Table, projections: tuple[Projection, ...]) -> Iterator[tuple[Projection, pa.Table]]:
        """See `DeltaEngine.deltas`."""
        self._spark.createDataFrame(events).createOrReplaceTempView("events")
        for projection in projections:
            yield projection, _typed(self._spark.sql(projection.delta).toArrow(), projection.table)


def _sketched(raw: pa.Table) -> pa.Table:
    """Sketch columns in one form: from DuckDB come lists of members, from Spark sketches in a compressed format."""
    for name in SKETCHES:
        if name in raw.column_names:
            column = raw[name]
            if pa.types.is_list(column.type):
                made = [sketches.of(members or ()) for members in column.to_pylist()]
            else:
                made = [sketches.canonical(sketch) for sketch in column.to_pylist()]
            raw = raw.set_column(raw.schema.get_field_index(name), name, pa.array(made, pa.binary()))
    return raw


def _typed(raw: pa.Table, table: Table) -> pa.Table:
    """The delta in the types of its table: engines count in different widths."""
    sketched = _sketched(raw)
    types = {column.name: _ARROW_TYPES.get(type(column.type)) for column in table.columns}
    return pa.table({name: pc.cast(sketched[name], types[name]) for name in sketched.column_names})


_ARROW_TYPES: Final[dict[type, pa.DataType]] = {
    ARRAY: pa.list_(pa.string()),
    DateTime: pa.timestamp("us", "UTC"),
    Numeric: pa.decimal128(38, 4),
    BigInteger: pa.int64(),
    LargeBinary: pa.binary(),
    Text: pa.string(),
}
"""Arrow type of a table column's type, for the column types that deltas have."""
