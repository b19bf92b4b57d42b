"""Arrow types of tables' columns: every one has one, and what comes in another width is cast, or refused."""

from decimal import Decimal

import pyarrow as pa
import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Numeric, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from contracts import projections
from processing.arrow_types import arrow_type, typed

pytestmark = pytest.mark.unit

TABLE = Table(
    "t",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("money", Numeric(38, 4)),
    Column("small", SmallInteger),
    Column("texts", ARRAY(Text)),
    Column("weeks", ARRAY(Integer)),
    Column("sketch", LargeBinary),
)


def test_every_column_of_every_projection_has_an_arrow_type() -> None:
    for table in projections.ALL:
        for column in table.columns:
            assert not pa.types.is_null(arrow_type(column))


def test_columns_come_in_the_tables_order_and_only_those_there_are() -> None:
    rows = pa.table({"small": pa.array([1], pa.int64()), "name": ["a"], "unknown": [1]})
    assert typed(rows, TABLE).to_pydict() == {"name": ["a"], "small": [1]}
    assert typed(rows, TABLE).schema.types == [pa.string(), pa.int16()]


def test_money_comes_as_text_from_postgres_and_wide_from_an_engine() -> None:
    for values in (
        pa.array(["99999999999999.9999", "-0.5000", None]),
        pa.array([Decimal("99999999999999.9999"), Decimal("-0.5"), None], pa.decimal128(38, 4)),
        pa.array([Decimal("99999999999999.9999"), Decimal("-0.5"), None], pa.decimal128(28, 6)),
        pa.array([Decimal("99999999999999.9999"), Decimal("-0.5"), None], pa.decimal128(18, 4)),
    ):
        money = typed(pa.table({"money": values}), TABLE)["money"]
        assert money.type == pa.decimal128(38, 4)
        assert money.to_pylist() == [Decimal("99999999999999.9999"), Decimal("-0.5000"), None]


def test_lists_are_cast_by_their_items() -> None:
    rows = pa.table({"weeks": pa.array([[1, 2], [], None], pa.list_(pa.int64())), "texts": pa.array([["a"], [], None])})
    found = typed(rows, TABLE)
    assert found.schema.field("weeks").type == pa.list_(pa.int32())
    assert found.to_pydict() == {"texts": [["a"], [], None], "weeks": [[1, 2], [], None]}


def test_a_number_that_does_not_fit_is_an_error_and_not_another_number() -> None:
    with pytest.raises(pa.ArrowInvalid):
        typed(pa.table({"small": pa.array([2**15], pa.int64())}), TABLE)
