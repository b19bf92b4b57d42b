"""The documents that are made from the contracts are those in the repository, and say what the contracts say."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft201909Validator

from contracts.__main__ import FOLDER, documents
from contracts.tables import metadata
from contracts.topics import ALL, RESULTS, TALLIES
from schemas_avro import load_registry

pytestmark = pytest.mark.unit


DOCUMENTS = documents()


@pytest.mark.parametrize("path", sorted(DOCUMENTS), ids=lambda path: path.name)
def test_a_document_is_up_to_date(path: Path) -> None:
    assert path.read_text("utf-8") == DOCUMENTS[path], "run `python -m contracts`"


def test_there_is_a_contract_for_every_table_and_no_orphan() -> None:
    files = {path.name.removesuffix(".odcs.json") for path in (FOLDER / "tables_odcs").iterdir()}
    assert files == set(metadata.tables)


def test_every_contract_names_the_keys_of_its_table() -> None:
    for name, table in metadata.tables.items():
        contract = json.loads((FOLDER / "tables_odcs" / f"{name}.odcs.json").read_text("utf-8"))
        (described,) = contract["schema"]
        keyed = [each for each in described["properties"] if each.get("primaryKey")]
        named = [each["name"] for each in sorted(keyed, key=lambda each: each["primaryKeyPosition"])]
        assert named == [column.name for column in table.primary_key.columns]
        assert all(each["required"] for each in keyed)


STANDARD: Any = json.loads(
    (Path(__file__).parents[1] / "odcs_standard" / "odcs-json-schema-v3.1.0.json").read_text("utf-8")
)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*_odcs/*.json")), ids=lambda path: path.name)
def test_a_contract_is_as_the_standard_wants_it(path: Path) -> None:
    validator = Draft201909Validator(STANDARD)
    contract = json.loads(path.read_text("utf-8"))
    assert [error.message for error in validator.iter_errors(contract)] == []
    contract["schema"][0]["properties"][0]["colour"] = "blue"
    assert not validator.is_valid(contract)


def _document() -> dict[str, Any]:
    told: dict[str, Any] = json.loads((FOLDER / "kafka.asyncapi.json").read_text("utf-8"))
    return told


def test_every_topic_has_its_writer_its_reader_and_every_version_of_its_schema() -> None:
    document = _document()
    assert document["channels"].keys() == {topic.name for topic in ALL}
    assert document["operations"].keys() == {f"{verb}-{topic.name}" for topic in ALL for verb in ("send", "receive")}
    json_messages = {RESULTS.name: {"row"}, TALLIES.name: {"tally"}}
    for topic in ALL:
        versions = {f"v{schema.version}" for schema in load_registry().schemas if schema.subject == topic.subject}
        assert document["channels"][topic.name]["messages"].keys() == (versions or json_messages[topic.name])


def test_every_reference_leads_somewhere() -> None:
    document = _document()
    for operation in document["operations"].values():
        found: Any = document
        for step in operation["channel"]["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        assert found["address"]
