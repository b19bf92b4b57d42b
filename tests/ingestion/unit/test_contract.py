"""The documents say what the code does: OpenAPI, problems, reasons, metrics, settings."""

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from contracts import metrics, rejections, topics
from contracts.rejections import Reason
from ingestion.adapters.native import MEDIA_TYPES
from ingestion.answers import problem
from ingestion.errors import HANDLING, Problem, RequestRefusedError
from ingestion.registry_api import RegistryApi
from ingestion.settings import GatewaySettings
from ingestion.values import MAX_TEXT
from schemas_avro import load_registry
from tests.ingestion.door import Door

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
OPENAPI = json.loads((ROOT / "contracts/gateway.openapi.json").read_text("utf-8"))
SCHEMAS = OPENAPI["components"]["schemas"]


def test_every_problem_has_one_way_to_be_handled() -> None:
    assert set(HANDLING) == set(Problem)
    for code in Problem:
        answer = problem(RequestRefusedError(code, "why"), 2)
        assert (answer.status in (429, 503)) == (("retry-after", "2") in answer.headers)
        assert json.loads(answer.body)["status"] == answer.status


def test_the_description_lists_every_code_and_status() -> None:
    assert SCHEMAS["Problem"]["properties"]["code"]["enum"] == [code.value for code in Problem]
    assert SCHEMAS["EventError"]["properties"]["code"]["enum"] == [reason.value for reason in Reason]
    responses = OPENAPI["paths"]["/v1/events"]["post"]["responses"]
    not_here = {Problem.NOT_FOUND, Problem.METHOD_NOT_ALLOWED}
    wanted = {str(handling.status) for code, handling in HANDLING.items() if code not in not_here}
    assert set(responses) == wanted | {"200", "207", "422"}


def described_methods(item: dict[str, Any]) -> set[str]:
    if "$ref" in item:
        item = OPENAPI["components"]["pathItems"][item["$ref"].rpartition("/")[2]]
    return {name.upper() for name in item} & {"GET", "POST", "PUT", "DELETE"}


def test_the_description_has_every_path_method_and_media_type(tmp_path: Path) -> None:
    routes = [*Door(tmp_path).application.routes, *RegistryApi(load_registry(), topics.ALL, "", 1).routes()]
    served = {route.path: set(route.handlers) - {"HEAD"} for route in routes}
    assert {path: described_methods(item) for path, item in OPENAPI["paths"].items()} == served
    assert tuple(OPENAPI["paths"]["/v1/events"]["post"]["requestBody"]["content"]) == MEDIA_TYPES


@pytest.mark.parametrize(("name", "subject"), [("Clickstream", "clickstream"), ("Transaction", "transactions")])
def test_the_description_has_the_fields_of_the_latest_schema(name: str, subject: str) -> None:
    described = SCHEMAS[name]
    fields = {field["name"]: field for field in load_registry().latest(subject).definition["fields"]}
    assert set(described["properties"]) == {"type", *fields}
    assert set(described["required"]) == {name for name, field in fields.items() if "default" not in field}
    for field, limit in MAX_TEXT.items():
        if field in described["properties"]:
            assert described["properties"][field]["maxLength"] == limit


def test_every_reason_is_explained_and_the_page_is_up_to_date() -> None:
    assert set(rejections.TABLE) == set(Reason)
    assert (ROOT / "docs/rejections.md").read_text("utf-8") == rejections.markdown()


def test_metrics_are_named_by_the_prometheus_rules_and_can_be_made() -> None:
    registry = CollectorRegistry()
    made = metrics.Instruments(metrics.ALL, registry)
    assert list(made) == [metric.name for metric in metrics.ALL]
    for metric in metrics.ALL:
        assert metric.name.startswith("millrace_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert metric.meaning.endswith(".")
    assert b"millrace_gateway_kafka_up 0.0" in generate_latest(registry)


def test_the_guide_names_every_problem_and_every_setting() -> None:
    guide = (ROOT / "docs/gateway.md").read_text("utf-8")
    for code in Problem:
        assert f"`{code.value}`" in guide
    for name in GatewaySettings.model_fields:
        assert f"`{name}`" in guide
