"""What consumers send is valid by the SDL: a change that would break one of them fails here."""

import json
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate
from jsonschema import Draft202012Validator

from contracts.__main__ import FOLDER

pytestmark = pytest.mark.unit

SCHEMA = build_schema((FOLDER / "schema.graphql").read_text("utf-8"))
OPERATIONS = sorted((FOLDER / "consumers").glob("*/*.graphql"))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_operation_is_valid_by_the_sdl(operation: Path) -> None:
    assert validate(SCHEMA, parse(operation.read_text("utf-8"))) == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_is_expected_of_it_is_a_schema(operation: Path) -> None:
    told = json.loads(operation.with_suffix(".json").read_text("utf-8"))
    assert told.keys() == {"variables", "expects"}
    Draft202012Validator.check_schema(told["expects"])


def test_every_consumer_is_described_and_has_operations() -> None:
    described = (FOLDER / "consumers" / "README.md").read_text("utf-8")
    folders = {path.name for path in (FOLDER / "consumers").iterdir() if path.is_dir()}
    consumers = folders - {"__pycache__"}  # of the client that stands beside them
    assert len(consumers) == 3
    assert {operation.parent.name for operation in OPERATIONS} == consumers
    assert all(f"`{name}`" in described for name in consumers)
