"""Headers as columns, whatever a producer does with them."""

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.headers import header_columns
from processing.source import RECORDS

pytestmark = pytest.mark.unit

TYPE = RECORDS.field("headers").type
Headers = Sequence[tuple[str, bytes | None]] | None

KEYS = st.sampled_from(("source", "import", "", "SOURCE", "other"))
HEADERS: st.SearchStrategy[Headers] = st.none() | st.lists(
    st.tuples(KEYS, st.none() | st.binary(max_size=3)), max_size=4
)


def column(records: Sequence[Headers]) -> pa.Array:
    rows = [None if each is None else [{"key": key, "value": value} for key, value in each] for each in records]
    return pa.array(rows, TYPE)


def first(headers: Headers, name: str) -> bytes | None:
    return next((value for key, value in headers or () if key == name), None)


@given(st.lists(HEADERS, max_size=8), st.integers(0, 3), st.integers(1, 4))
def test_a_column_has_each_records_first_header_of_its_name(records: list[Headers], skipped: int, size: int) -> None:
    chunks = [column(records[start : start + size]) for start in range(0, len(records), size)]
    found = header_columns(pa.chunked_array(chunks, TYPE).slice(skipped), ("source", "import"))
    assert {name: values.to_pylist() for name, values in found.items()} == {
        name: [first(headers, name) for headers in records[skipped:]] for name in ("source", "import")
    }
    assert {values.type for values in found.values()} == {pa.binary()}


def test_of_repeated_headers_the_first_counts() -> None:
    records = pa.chunked_array([column([[("a", b"1"), ("b", b"2"), ("a", b"3")], [("a", None), ("a", b"4")]])])
    assert header_columns(records, ("a",))["a"].to_pylist() == [b"1", None]
