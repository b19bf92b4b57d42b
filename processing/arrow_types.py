"""The Arrow types of table columns: engines and Postgres give other widths, and money from Postgres is text."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

_ARROW: Final[dict[type, pa.DataType]] = {
    DateTime: pa.timestamp("us", "UTC"),
    Numeric: pa.decimal128(38, 4),
    SmallInteger: pa.int16(),
    BigInteger: pa.int64(),
    Integer: pa.int32(),
    Boolean: pa.bool_(),
    LargeBinary: pa.binary(),
    Text: pa.string(),
    Double: pa.float64(),
    JSONB: pa.string(),
}


def arrow_type(column: Column[object]) -> pa.DataType:
    """The Arrow type that holds this column's values."""
    if isinstance(column.type, ARRAY):
        return pa.list_(_ARROW[type(column.type.item_type)])
    return _ARROW[type(column.type)]


def typed(rows: pa.Table, table: Table) -> pa.Table:
    """The rows with each column in the type of the table's column of that name, in the table's order."""
    names = [column.name for column in table.columns if column.name in rows.column_names]
    return pa.table({name: _cast(rows[name], arrow_type(table.columns[name])) for name in names})


def _cast(values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_decimal(wanted) and pa.types.is_decimal(values.type) and values.type.scale > wanted.scale:
        return pc.cast(values, wanted, safe=False)
    return values if values.type == wanted else pc.cast(values, wanted)
