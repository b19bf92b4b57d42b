"""Rows of one key become one row, as its rules say: held against plain Python."""

from collections import defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing import sketches
from processing.grouping import Rule, combined

pytestmark = pytest.mark.unit

RULES = {
    "count": Rule.SUM,
    "first": Rule.MIN,
    "last": Rule.MAX,
    "ever": Rule.MAX,
    "weeks": Rule.GATHER,
    "users": Rule.UNITE,
}
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "shop": st.sampled_from("ab"),
            "product": st.sampled_from(["", "x", "ä"]),
            "count": st.integers(-(2**40), 2**40),
            "first": st.one_of(st.none(), st.text(max_size=3)),
            "last": st.integers(-9, 9),
            "ever": st.booleans(),
            "weeks": st.lists(st.integers(0, 5), max_size=4).map(sorted),
            "users": st.lists(st.sampled_from("uvw"), max_size=3),
        }
    ),
    max_size=8,
)
TYPES = pa.schema(
    {
        "shop": pa.string(),
        "product": pa.string(),
        "count": pa.int64(),
        "first": pa.string(),
        "last": pa.int32(),
        "ever": pa.bool_(),
        "weeks": pa.list_(pa.int32()),
        "users": pa.binary(),
    }
)


@given(ROWS)
def test_one_row_per_key_by_its_rules(rows: list[dict[str, Any]]) -> None:
    given_rows = [row | {"users": sketches.of(row["users"])} for row in rows]
    groups = defaultdict(list)
    for row in rows:
        groups[row["shop"], row["product"]].append(row)
    expected = {
        key: {
            "count": sum(row["count"] for row in group),
            "first": min((row["first"] for row in group if row["first"] is not None), default=None),
            "last": max(row["last"] for row in group),
            "ever": any(row["ever"] for row in group),
            "weeks": sorted({week for row in group for week in row["weeks"]}),
            "users": sketches.of(sorted({user for row in group for user in row["users"]})),
        }
        for key, group in groups.items()
    }
    found = combined(pa.Table.from_pylist(given_rows, TYPES), ("shop", "product"), RULES).to_pylist()
    assert {(row.pop("shop"), row.pop("product")): row for row in found} == expected
    assert len(found) == len(expected)
