"""One definition, two engines: what DuckDB and Spark make of the same events is the same, to the byte."""

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from pyspark.sql import SparkSession

from processing.deltas import DuckDeltas, SparkDeltas
from tests.examples import examples
from tests.processing.builders import START_MS, click
from tests.processing.folding import PROJECTIONS
from tests.processing.log_rows import Row, event_table, log_table, logs

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def engines(spark: SparkSession) -> tuple[DuckDeltas, SparkDeltas]:
    return DuckDeltas(), SparkDeltas(spark)


def assert_equal(engines: tuple[DuckDeltas, SparkDeltas], events: pa.Table) -> None:
    ours, theirs = (
        {
            projection.name: delta.sort_by([(key.name, "ascending") for key in projection.table.primary_key])
            for projection, delta in engine.deltas(events, PROJECTIONS)
        }
        for engine in engines
    )
    assert ours.keys() == theirs.keys() == {projection.name for projection in PROJECTIONS}
    for name, delta in ours.items():
        assert delta.schema.names == theirs[name].schema.names
        assert delta.schema.types == theirs[name].schema.types
        assert delta.to_pylist() == theirs[name].to_pylist()


@settings(max_examples=examples(3), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logs(60))
def test_both_engines_make_the_same_of_a_stream(engines: tuple[DuckDeltas, SparkDeltas], log: list[Row]) -> None:
    assert_equal(engines, log_table(log))


def test_both_engines_make_the_same_of_more_users_than_are_counted_exactly_and_of_every_character(
    engines: tuple[DuckDeltas, SparkDeltas],
) -> None:
    """Two facts in one pass: a pass through Spark costs seconds, whatever is in it."""
    odd = [*map(chr, range(1, 0x100)), "\u2028", "\ufeff", "\uffff", "🛒", "</script>", "\\u0000", '"', "a/b"]
    assert_equal(
        engines,
        event_table(
            [
                *(click(f"e{n}", user_id=f"ü-{n}", session_id=f"s{n % 50}") for n in range(9_000)),
                *(
                    click(f"o{n:04}", page_url=text, session_id=f"odd-{n % 7}", timestamp=START_MS + n)
                    for n, text in enumerate(odd)
                ),
            ]
        ),
    )
