"""The Delta tables as Open Data Contracts, made from their definitions: the event log, and every gold table.

`python -m processing.delta_contracts` writes `contracts/delta_odcs/*.odcs.json`; a test says when that is due.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from deltalake import Field, Schema
from deltalake.schema import MapType

from contracts.odcs import document
from processing.gold.flags import FLAGS
from processing.gold.tables import FOLDER as GOLD_FOLDER
from processing.gold.tables import GOLD
from processing.log_description import CONSTRAINTS, DESCRIPTION, described

FOLDER: Final = Path(__file__).resolve().parent.parent / "contracts" / "delta_odcs"
_LOGICAL: Final = {
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "string": "string",
    "double": "number",
}
_APPENDED: Final = "Appended within seconds of an epoch; rows change only when a person is erased."
_REPLACED: Final = "Written once final, by whole hours and days; a cell that has changed is replaced as a whole."


def contracts_of_delta() -> dict[str, dict[str, Any]]:
    """Every Delta table's contract by its place below the folder of the tables."""
    found = {"events": _contract("events", described(), "date", purpose=DESCRIPTION, limitations=_APPENDED)}
    _add_rules(found["events"], CONSTRAINTS)
    for table in (*GOLD, FLAGS):
        place = f"{GOLD_FOLDER}/{table.name}"
        found[place] = _contract(place, table.schema, table.partition, purpose=table.description, limitations=_REPLACED)
        _add_rules(found[place], table.constraints)
    return found


def physical_type(field: Field) -> str:
    """A column's type as Delta's protocol names it."""
    if isinstance(field.type, MapType):
        return f"map<{field.type.key_type.type},{field.type.value_type.type}>"
    return str(field.type.type)


def as_text(contract: Mapping[str, Any]) -> str:
    """A contract as it is written."""
    return json.dumps(contract, indent=2, ensure_ascii=False) + "\n"


def file_of(place: str) -> Path:
    """Where a table's contract is kept."""
    return FOLDER / f"{place.replace('/', '_')}.odcs.json"


def main() -> None:
    """Write them all, and take away those of tables that are no more."""
    FOLDER.mkdir(exist_ok=True)
    texts = {file_of(place): as_text(contract) for place, contract in contracts_of_delta().items()}
    for path in FOLDER.glob("*.odcs.json"):
        if path not in texts:
            path.unlink()
    for path, text in texts.items():
        path.write_text(text, "utf-8")


def _contract(place: str, schema: Schema, partition: str, *, purpose: str, limitations: str) -> dict[str, Any]:
    return document(
        place.replace("/", "_"),
        [_property(each, partition) for each in schema.fields],
        place=place,
        physical_type="delta",
        purpose=purpose,
        limitations=limitations,
    )


def _add_rules(contract: dict[str, Any], constraints: Mapping[str, str]) -> None:
    """What every writer checks."""
    (table,) = contract["schema"]
    table["quality"] = [
        {"name": rule, "type": "sql", "query": f"SELECT count(*) FROM {{object}} WHERE NOT ({holds})", "mustBe": 0}
        for rule, holds in constraints.items()
    ]


def _property(field: Field, partition: str) -> dict[str, Any]:
    physical = physical_type(field)
    logical = _LOGICAL.get(physical, "integer")
    if isinstance(field.type, MapType):
        logical = "object"
    elif physical.startswith("decimal"):
        logical = "number"
    told = {
        "name": field.name,
        "logicalType": logical,
        "physicalType": physical,
        "required": not field.nullable,
        "description": field.metadata["comment"],
    }
    return told | ({"partitioned": True, "partitionKeyPosition": 1} if field.name == partition else {})


if __name__ == "__main__":
    main()
