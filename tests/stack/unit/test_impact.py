"""What a changed schema touches is found in the code: the adapters, the projections, the roots of GraphQL."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema
from typer.testing import CliRunner

from contracts.schema_promise import PROMISED, promise
from schemas_avro.registry import FOLDER, append_to_lock
from stack.checks import STEPS
from stack.cli import app
from stack.impact import SchemaFileError, impact_of, roots_by_table
from stack.settings import REPOSITORY

pytestmark = pytest.mark.unit

TRANSACTIONS = REPOSITORY / "schemas_avro" / "transactions" / "v2.avsc"


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    def change(*, without: str = "", **types: Any) -> Path:
        schema = json.loads(TRANSACTIONS.read_text("utf-8"))
        schema["fields"] = [field for field in schema["fields"] if field["name"] != without]
        for field in schema["fields"]:
            field["type"] = types.pop(field["name"], field["type"])
        schema["fields"] += [{"name": name, "type": type_, "default": None} for name, type_ in types.items()]
        path = tmp_path / "v3.avsc"
        path.write_text(json.dumps(schema))
        return path

    return change


def test_a_field_that_goes_is_told_with_those_who_fill_and_read_it(changed: Callable[..., Path]) -> None:
    impact = impact_of(changed(without="order_id"))
    assert (impact.subject, impact.against, impact.conflicts) == ("transactions", 2, [])
    (gone,) = impact.fields
    assert (gone.field, gone.change, gone.projections) == ("order_id", "removed", ["orders"])
    assert {"native", "segment_commerce"} <= set(gone.producers)
    assert "cloudevents" not in gone.producers
    assert {"sales", "user"} <= set(gone.roots)
    assert "topProducts" not in gone.roots


def test_a_new_field_touches_nobody_yet(changed: Callable[..., Path]) -> None:
    (new,) = impact_of(changed(coupon=["null", "string"])).fields
    assert (new.field, new.change, new.producers, new.projections, new.roots) == ("coupon", "added", ["native"], [], [])


def test_a_change_that_cannot_live_beside_older_versions_says_why(changed: Callable[..., Path]) -> None:
    path = changed(quantity="string")
    impact = impact_of(path)
    assert any("the file cannot read v1: quantity" in conflict for conflict in impact.conflicts)
    told = CliRunner().invoke(app, ["impact", str(path)])
    assert told.exit_code == 1
    assert "quantity (changed)" in told.output
    assert (
        json.loads(CliRunner().invoke(app, ["impact", str(path), "--json"]).stdout)["fields"][0]["field"] == "quantity"
    )


def test_a_copy_of_the_newest_version_changes_nothing(changed: Callable[..., Path]) -> None:
    assert impact_of(changed()).fields == []
    told = CliRunner().invoke(app, ["impact", str(changed())])
    assert (told.exit_code, told.output) == (0, "transactions, v3.avsc against version 2:\n  no field changes\n")


def test_a_version_is_compared_with_the_one_before_it() -> None:
    impact = impact_of(TRANSACTIONS)
    assert impact.against == 1
    assert {(each.field, each.change) for each in impact.fields} >= {("currency", "added"), ("kind", "added")}
    assert impact_of(TRANSACTIONS.with_name("v1.avsc")).fields == []


@pytest.fixture
def schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of schemas, copied to where there is no history of it."""
    folder = tmp_path / "schemas"
    shutil.copytree(FOLDER, folder)
    monkeypatch.setattr("stack.impact.FOLDER", folder)
    return folder


def test_nothing_newer_than_what_was_promised_is_told_with_no_word(schemas: Path) -> None:
    assert schemas.is_dir()
    told = CliRunner().invoke(app, ["impact"])
    assert (told.exit_code, told.output) == (0, "")
    assert "impact" in {step.name for step in STEPS if step.arguments == ("stack", "impact")}


def test_a_new_version_is_told_whether_it_is_registered_or_not(schemas: Path, changed: Callable[..., Path]) -> None:
    changed(without="order_id", coupon=["null", "string"]).rename(schemas / "transactions" / "v3.avsc")
    told = CliRunner().invoke(app, ["impact"])
    assert told.exit_code == 0
    assert told.output.startswith("transactions, v3.avsc against version 2:\n  coupon (added)\n")
    assert "GraphQL      sales, user" in told.output.replace("report, ", "")
    append_to_lock(schemas)
    assert CliRunner().invoke(app, ["impact"]).output == told.output
    changed(quantity="string").rename(schemas / "transactions" / "v4.avsc")
    assert CliRunner().invoke(app, ["impact"]).exit_code == 1


def test_what_was_promised_is_not_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "promised.json"
    assert promise(path) == []
    newest = json.loads(path.read_text("utf-8"))
    assert newest["transactions"] >= json.loads(PROMISED.read_text("utf-8"))["transactions"] >= 2
    path.write_text(json.dumps(newest | {"transactions": 99}))
    assert promise(path) == ["transactions: version 99 was promised and is gone"]
    assert json.loads(path.read_text("utf-8"))["transactions"] == 99


@pytest.mark.parametrize("text", ["", "[]", '{"type":"record","name":"Basket","fields":[]}'])
def test_what_is_no_schema_of_ours_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.avsc"
    path.write_text(text)
    with pytest.raises(SchemaFileError, match=r"x\.avsc"):
        impact_of(path)


def test_every_root_that_reads_projections_is_known() -> None:
    """A root that the walk does not find would be missing in every answer."""
    sdl = build_schema((REPOSITORY / "contracts" / "schema.graphql").read_text("utf-8"))
    assert sdl.query_type is not None
    found = roots_by_table()
    assert found["sales"] >= {"site_minutes", "orders"}
    assert found["productMetrics"] == {"product_minutes"}
    assert {"sessions"} <= found["session"] & found["funnel"] & found["journeys"]
    assert sdl.query_type.fields.keys() - {"asOf"} <= found.keys() | {"alerts", "anomalies"}
