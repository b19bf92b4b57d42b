"""Two engines for one definition: the delta SQL of every projection runs on DuckDB and on Spark.

DuckDB computes an epoch's deltas straight from its Arrow table, in one process and without Spark's cost per job
(decision 2). Spark runs the very same text where the events are many: on a cluster, or as the judge of the other. A
property test holds the two equal.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final, Protocol

import pyarrow as pa
from pyspark.sql import SparkSession

from processing import sketches
from processing.arrow_types import typed
from processing.batch import EVENT_LOG
from processing.duck import Duck
from processing.projection import Projection
from processing.projections.measures import SKETCHES
from processing.slices import sliced

TOGETHER: Final = 60_000
"""Events or islands grouped by session at a time: aggregates of texts over more groups cost twice as much per event."""

_SPARK_EXTRA: Final = """
    CREATE OR REPLACE TEMPORARY FUNCTION json_texts(a STRING, b STRING, c STRING, d STRING, e STRING)
    RETURNS STRING RETURN to_json(array(a, b, c, d, e))
"""
"""`json_texts`: five texts as a JSON array, nulls kept. The one function that neither engine has under one name."""


class DeltaEngine(Protocol):
    """Computes projections' deltas over deduplicated events."""

    def deltas(self, events: pa.Table, projections: tuple[Projection, ...]) -> Iterator[tuple[Projection, pa.Table]]:
        """Each projection with its delta; `events` has the columns of `processing.batch.EVENT_LOG`."""


def columns_of(projections: Iterable[Projection]) -> set[str]:
    """The columns of events that the deltas may be about: converting the others costs more than many a delta."""
    return {name for name in EVENT_LOG.names for projection in projections if name in _words(projection.delta)}


@cache
def _words(sql: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", sql))


class DuckDeltas:
    """The engine of one machine."""

    def __init__(self) -> None:
        self._duck = Duck()

    def deltas(self, events: pa.Table, projections: tuple[Projection, ...]) -> Iterator[tuple[Projection, pa.Table]]:
        """See `DeltaEngine.deltas`."""
        parts = 1 + events.num_rows // TOGETHER
        apart = tuple(each for each in projections if parts > 1 and "session_id" in each.fold.common)
        if apart:
            found = [list(self._deltas(part, apart)) for part in sliced(self._duck, events, ("session_id",), parts)]
            for of_each_part in zip(*found, strict=True):
                yield of_each_part[0][0], pa.concat_tables([delta for _, delta in of_each_part])
        yield from self._deltas(events, tuple(each for each in projections if each not in apart))

    def _deltas(self, events: pa.Table, projections: tuple[Projection, ...]) -> Iterator[tuple[Projection, pa.Table]]:
        if not projections:
            return
        needed = columns_of(projections)
        held = events.select([name for name in events.column_names if name in needed])
        with self._duck.holding("events", held):
            for projection in projections:
                yield projection, typed(_sketched(self._duck.query(projection.delta)), projection.table)


class SparkDeltas:
    """The engine for a log that is larger than one machine's memory, and the judge of the other."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        spark.sql(_SPARK_EXTRA)

    def deltas(self, events: pa.Table, projections: tuple[Projection, ...]) -> Iterator[tuple[Projection, pa.Table]]:
        """See `DeltaEngine.deltas`."""
        self._spark.createDataFrame(events).createOrReplaceTempView("events")
        for projection in projections:
            raw = self._spark.sql(projection.delta).toArrow()
            yield projection, typed(_sketched(raw), projection.table)


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
