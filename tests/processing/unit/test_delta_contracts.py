"""The contracts of the Delta tables are those in the repository, one for every table."""

import pytest

from contracts.rollups import TABLES
from processing.batch import EVENT_LOG
from processing.delta_contracts import FOLDER, as_text, contracts_of_delta, file_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("place", sorted(contracts_of_delta()))
def test_a_contract_is_up_to_date(place: str) -> None:
    text = file_of(place).read_text("utf-8")
    assert text == as_text(contracts_of_delta()[place]), "run `python -m processing.delta_contracts`"


def test_there_is_a_contract_for_every_table_and_no_orphan() -> None:
    gold = {f"gold/{table.name}" for tables in TABLES.values() for table in tables} | {"gold/anomalies"}
    gold -= {"gold/category_windows"}  # which go when the minutes do
    assert contracts_of_delta().keys() == {"events"} | gold
    assert {*FOLDER.iterdir()} == {file_of(place) for place in contracts_of_delta()}


def test_every_column_has_a_type_and_a_meaning_and_one_partitions() -> None:
    for place, contract in contracts_of_delta().items():
        (table,) = contract["schema"]
        assert all(each["physicalType"] and each["description"] for each in table["properties"]), place
        assert sum(each.get("partitioned", False) for each in table["properties"]) == 1
    (events,) = contracts_of_delta()["events"]["schema"]
    assert [each["name"] for each in events["properties"]] == EVENT_LOG.names
    types = {each["name"]: (each["logicalType"], each["physicalType"]) for each in events["properties"]}
    assert types["amount"] == ("number", "decimal(18,4)")
    assert types["properties"] == ("object", "map<string,string>")
    assert types["epoch"] == ("integer", "long")
