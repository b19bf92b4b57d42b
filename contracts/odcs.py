"""The serving store's tables as Open Data Contracts (ODCS 3.1.0), one per table, made from their definitions.

`contracts/tables_odcs/*.odcs.json` are these documents; a test compares them, another compares them with a database.
JSON is YAML, which the standard asks for.
"""

from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Double, Integer, Numeric, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

import contracts.alerts
import contracts.models
import contracts.projections
import contracts.rollups  # noqa: F401 - registers its tables, as the two above
from contracts.tables import metadata

VERSION: Final = "0.1.0"
_LOGICAL: Final[tuple[tuple[type, str], ...]] = (
    (Boolean, "boolean"), (Integer, "integer"), (BigInteger, "integer"), (Double, "number"), (Numeric, "number"),
    (DateTime, "timestamp"), (ARRAY, "array"), (JSONB, "object"),
)  # fmt: skip


def contracts_of_tables() -> dict[str, dict[str, Any]]:
    """Every table's contract by the table's name."""
    return {table.name: _contract(table) for table in metadata.sorted_tables}


def physical_type(column: "Column[Any]") -> str:
    """A column's type as Postgres names it (`format_type`)."""
    if isinstance(column.type, UserDefinedType):
        return "bytea"  # with a way of storing it that is no part of the type
    told = str(column.type.compile(postgresql.dialect())).lower()  # type: ignore[no-untyped-call]
    return told.replace(", ", ",").replace(' collate "c"', "")


def document(
    name: str, properties: list[dict[str, Any]], *, place: str, physical_type: str, purpose: str, limitations: str
) -> dict[str, Any]:
    """A contract of one table; `place` is what it is called where it is."""
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"millrace-{name.replace('_', '-')}",
        "name": name,
        "version": VERSION,
        "status": "active",
        "domain": "shop analytics",
        "dataProduct": "millrace",
        "description": {"purpose": purpose, "limitations": limitations},
        "schema": [
            {
                "name": name,
                "physicalName": place,
                "logicalType": "object",
                "physicalType": physical_type,
                "description": purpose,
                "properties": properties,
            }
        ],
    }


def _contract(table: Table) -> dict[str, Any]:
    return document(
        table.name,
        [_property(table, column) for column in table.columns],
        place=table.name,
        physical_type="table",
        purpose=table.comment or table.name,
        limitations="Written by processing alone, rows of an epoch in one transaction; read in one snapshot.",
    )


def _property(table: Table, column: "Column[Any]") -> dict[str, Any]:
    keys = list(table.primary_key.columns)
    told: dict[str, Any] = {
        "name": column.name,
        "logicalType": _logical(column),
        "physicalType": physical_type(column),
        "required": not column.nullable,
    }
    if column in keys:
        told |= {"primaryKey": True, "primaryKeyPosition": keys.index(column) + 1}
    if column.comment:
        told["description"] = column.comment
    if told["logicalType"] == "array":
        whole = told["physicalType"].startswith("integer")
        told["items"] = {"logicalType": "integer" if whole else "string"}
    return told


def _logical(column: "Column[Any]") -> str:
    return next((name for kind, name in _LOGICAL if isinstance(column.type, kind)), "string")
