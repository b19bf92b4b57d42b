"""Deltas as tables: their columns, types, and that the order of events within an epoch does not show."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.arrow_types import arrow_type
from tests.examples import examples
from tests.processing.builders import click, sale
from tests.processing.folding import PROJECTIONS, deltas
from tests.processing.log_rows import Row, logged, logs

pytestmark = pytest.mark.unit


@settings(max_examples=examples(5), deadline=None)
@given(logs(), st.randoms(use_true_random=False))
def test_the_order_of_events_within_an_epoch_does_not_show(log: list[Row], random: object) -> None:
    shuffled = sorted(log, key=lambda _: random.random())  # type: ignore[attr-defined]  # hypothesis types it loosely
    one, other = (
        {
            each.name: table.sort_by([(key, "ascending") for key in each.keys]).to_pylist()
            for each, table in zip(PROJECTIONS, deltas(rows).values(), strict=True)
        }
        for rows in (log, shuffled)
    )
    assert one == other


@settings(max_examples=examples(5), deadline=None)
@given(logs(), st.integers(1, 20))
def test_many_events_are_grouped_by_session_in_parts_and_it_does_not_show(log: list[Row], together: int) -> None:
    whole = deltas(log)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("processing.deltas.TOGETHER", together)
        in_parts = deltas(log)
    assert in_parts.keys() == whole.keys()
    for each in PROJECTIONS if log else ():
        order = [(key, "ascending") for key in each.keys]
        assert in_parts[each.name].sort_by(order).to_pylist() == whole[each.name].sort_by(order).to_pylist()


def test_columns_of_a_delta_are_columns_of_its_table_in_its_types() -> None:
    for projection, delta in zip(PROJECTIONS, deltas([logged(click()), logged(sale())]).values(), strict=True):
        columns = projection.table.columns
        assert set(delta.column_names) <= set(columns.keys())
        assert set(projection.keys) | set(projection.fold.meeting) <= set(delta.column_names)
        assert [field.type for field in delta.schema] == [arrow_type(columns[name]) for name in delta.column_names]
        assert not any(pa.types.is_null(field.type) for field in delta.schema)
