"""The laws of the fold, for every projection: neither cuts nor order nor batching can show.

fold(fold(∅, d₁), d₂) = fold(∅, d₁ ∪ d₂) is what makes a stream, a replay, a rebuild and late arrival equal. Here rows
meet in memory; `integration/test_merge.py` has the same through Postgres.
"""

from collections import defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.projections.measures import COUNTS
from tests.examples import examples
from tests.processing.builders import click
from tests.processing.expected import expected, names
from tests.processing.folding import PROJECTIONS, Tables, as_rows, deltas, folded, joined
from tests.processing.log_rows import Row, epochs, logged, logs

pytestmark = pytest.mark.unit


def columns(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """Every column of every row, but the epoch in which it was last touched."""
    return {name: table.drop_columns("last_epoch").to_pylist() for name, table in tables.items()}


def test_every_table_of_the_contract_has_its_projection() -> None:
    assert sorted(projection.name for projection in PROJECTIONS) == sorted(names())


@settings(deadline=None, max_examples=examples(8))
@given(epochs(count=3), st.permutations(range(3)))
def test_epoch_after_epoch_in_any_order_or_at_once_is_what_the_oracle_says(
    parts: list[list[Row]], order: list[int]
) -> None:
    log = [row for part in parts for row in part]
    first, second, third = (deltas(part) for part in parts)
    in_order = joined(joined(joined(first), second), third)
    assert as_rows(in_order) == expected(log)
    one, other, last = ((first, second, third)[number] for number in order)
    assert columns(joined(one, joined(other, last))) == columns(in_order)
    assert columns(joined(deltas(log))) == columns(in_order)


@settings(deadline=None, max_examples=examples(5))
@given(logs())
def test_the_categories_sum_up_to_the_site(log: list[Row]) -> None:
    tables = as_rows(folded([log], [p for p in PROJECTIONS if p.name in ("site_minutes", "category_minutes")]))
    sums: dict[Any, dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    for (minute, _, bot), row in tables["category_minutes"].items():
        for name in (*COUNTS, "refunds", "revenue", "refunded", "late"):
            sums[minute, bot][name] += row[name]
    assert sums == {key: {name: row[name] for name in sums[key]} for key, row in tables["site_minutes"].items()}


@settings(deadline=None, max_examples=examples(3))
@given(epochs(count=2))
def test_rows_that_agree_in_no_common_column_never_meet(parts: list[list[Row]]) -> None:
    found = [deltas(part) for part in parts]
    whole = joined(*found)
    for name, common in ((each.name, [*each.fold.common]) for each in PROJECTIONS if each.name in whole):
        rows = pa.concat_tables([each[name] for each in found if name in each])
        share = [hash(tuple(row.values())) % 2 for row in rows.select(common).to_pylist()]
        apart = [
            joined({name: rows.filter(pa.array([place == half for place in share], pa.bool_()))}) for half in (0, 1)
        ]
        together = [row for tables in apart for row in tables[name].to_pylist()]
        assert sorted(together, key=repr) == sorted(whole[name].to_pylist(), key=repr)


def test_sketches_stay_mergeable_past_4096_users() -> None:
    log = [logged(click(f"e{n}", user_id=f"user-{n}", session_id=f"s{n}")) for n in range(9_000)]
    minutes = [projection for projection in PROJECTIONS if projection.name.endswith("_minutes")]
    rows = folded([log[5_000:], log[:2_000], log[2_000:5_000]], minutes)
    wanted = as_rows(folded([log], minutes))
    assert as_rows(rows) == wanted
    oracle = expected(log)
    assert all(wanted[projection.name] == oracle[projection.name] for projection in minutes)
