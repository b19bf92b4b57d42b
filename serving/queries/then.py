"""A statement over the store's tables, asked of what these tables were: under their names stand other rows."""

from collections.abc import Mapping

from sqlalchemy import Column, Table, text
from sqlalchemy.sql import visitors

from serving.queries import Asked, Statement


def columns_read(statement: Statement) -> Mapping[Table, set[str]]:
    """The tables that the statement reads, and which of their columns."""
    found: dict[Table, set[str]] = {}
    for each in visitors.iterate(statement):
        if isinstance(each, Column) and isinstance(each.table, Table):
            found.setdefault(each.table, set()).add(each.name)
    return found


def asked_then(statement: Statement, held: Mapping[Table, str]) -> Asked:
    """The statement about the rows that are given of each table, JSON objects parted by commas; not about any other.

    To Postgres a name is first that of a common table expression, so the statement stays as it is, whatever it asks.
    """
    values = {}
    for table, rows in held.items():
        values[f"rows_of_{table.name}"] = f"[{rows}]"
        sql = f"SELECT * FROM json_populate_recordset(NULL::{table.name}, CAST(:rows_of_{table.name} AS json))"
        statement = statement.add_cte(text(sql).columns().cte(table.name))
    return Asked(statement, values)
