"""The documents say what the code does: OpenAPI, problems, reasons, metrics, settings."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from contracts import metrics, rejections, topics
from contracts.problems import HANDLING, Problem
from contracts.rejections import Reason
from ingestion.adapters.native import JSON, MEDIA_TYPES, NDJSON
from ingestion.answers import problem
from ingestion.errors import RequestRefusedError
from ingestion.registry_api import RegistryApi
from ingestion.settings import GatewaySettings
from ingestion.values import MAX_TEXT
from schemas_avro import load_registry
from tests.ingestion.door import KEY, Door

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
OPENAPI = json.loads((ROOT / "contracts/gateway.openapi.json").read_text("utf-8"))
SCHEMAS = OPENAPI["components"]["schemas"]


def test_every_problem_has_one_way_to_be_handled() -> None:
    assert set(HANDLING) == set(Problem)
    for code in Problem:
        answer = problem(RequestRefusedError(code, "why"), 2)
        assert (answer.status in (409, 429, 503)) == (("retry-after", "2") in answer.headers)
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


def described_contents() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Where, media type, and what is said of it: every body that is asked for or given."""
    items = {**OPENAPI["paths"], **OPENAPI["components"]["pathItems"]}
    bodies = {name: OPENAPI["components"]["responses"][name] for name in OPENAPI["components"]["responses"]}
    for path, item in items.items():
        for method, operation in item.items():
            if isinstance(operation, dict):
                bodies[f"{method} {path}"] = operation.get("requestBody", {})
                bodies |= {f"{method} {path} {status}": told for status, told in operation["responses"].items()}
    for where, body in bodies.items():
        for media_type, content in body.get("content", {}).items():
            yield where, media_type, content


def test_every_body_in_the_description_has_an_example_that_its_schema_allows() -> None:
    seen = 0
    for where, media_type, content in described_contents():
        schema = content["schema"]
        if media_type in ("application/avro", "image/gif"):
            continue  # bytes
        examples = [told["value"] for told in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else []
        if "$ref" in schema and not examples:
            examples = SCHEMAS[schema["$ref"].rpartition("/")[2]].get("examples", [])
        assert examples, f"{where} {media_type} has no example"
        rules = {**schema, "components": OPENAPI["components"]}
        for example in examples:
            jsonschema.Draft202012Validator(rules).validate(example)
            seen += 1
    assert seen > 100


def test_the_examples_of_the_native_protocol_are_answered_as_described(tmp_path: Path) -> None:
    operation = OPENAPI["paths"]["/v1/events"]["post"]
    door, head = Door(tmp_path), {"authorization": f"Bearer {KEY}"}
    contents = operation["requestBody"]["content"]
    bodies = [(JSON, json.dumps(told["value"]).encode()) for told in contents[JSON]["examples"].values()]
    for media_type, body in [*bodies, (NDJSON, contents[NDJSON]["example"].encode())]:
        answer = door.send("POST", "/v1/events?import=true", body, content_type=media_type, **head)
        assert answer.status == 200, answer.body
    answer = door.send("POST", "/v1/events?import=true", bodies[0][1], content_type=JSON, **head)
    assert json.loads(answer.body) == operation["responses"]["200"]["content"][JSON]["example"]


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
