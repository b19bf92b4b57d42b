"""The event log's columns held against those that this version writes: what is missing is added, and nothing else.

A log that another version wrote stays readable: its older files simply lack the new columns, which read as null.
"""

from deltalake import DeltaTable

from processing.errors import LogSchemaError
from processing.log_description import described


def add_missing_columns(table: DeltaTable) -> None:
    """Bring the table's columns to those of `EVENT_LOG`. Raises LogSchemaError before anything is changed."""
    wanted = {field.name: field for field in described().fields}
    held = {field.name: field for field in table.schema().fields}
    unknown = sorted(held.keys() - wanted.keys())
    others = sorted(name for name in held.keys() & wanted.keys() if held[name].type != wanted[name].type)
    if unknown or others:
        raise LogSchemaError(
            f"the event log at {table.table_uri} was written by another version: "
            + "; ".join(
                [f"column {name} is not one of this version's" for name in unknown]
                + [f"column {name} is {held[name].type}, and would be {wanted[name].type}" for name in others]
            )
            + ". Run the version that wrote it, or start with a new Postgres schema and Delta folder"
        )
    missing = [field for name, field in wanted.items() if name not in held]
    if missing:
        table.alter.add_columns(missing)
