"""The description of the gateway holds for the gateway: Schemathesis sends every operation what it allows, and not."""

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok

pytestmark = pytest.mark.integration

KEY = "mr_" + "k" * 32
DESCRIPTION = schemathesis.openapi.from_dict(json.loads(Path("contracts/gateway.openapi.json").read_text("utf-8")))
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_operation_answers_as_described(gateway: Any, mode: GenerationMode) -> None:
    address = str(gateway.client.base_url)
    asked = 0
    for result in DESCRIPTION.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue  # where any text will do there is nothing to get wrong

        @settings(max_examples=5, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(mode))
        def ask(case: Any) -> None:
            case.call_and_validate(base_url=address, headers={"authorization": f"Bearer {KEY}"}, checks=CHECKS)

        ask()
        asked += 1
    assert asked > 20
    for _, _, headers in (*gateway.records("clickstream"), *gateway.records("rejected")):
        assert headers["source"] == b"demo"
