"""The stack's commands and the load side present a read key where one is set, and none where none is."""

import json
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from contracts.settings import GraphqlSettings
from loadtest.graphql import GraphqlClient
from stack import cli, status

pytestmark = pytest.mark.unit

KEYS = [("", None), ("mr_reader", "Bearer mr_reader")]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """The requests that are sent meanwhile; the answer knows no epoch."""
    seen: list[httpx.Request] = []

    def answer(url: str, **told: Any) -> httpx.Response:
        request = httpx.Request("POST", url, json=told["json"], headers=told.get("headers"))
        seen.append(request)
        return httpx.Response(200, json={"data": {"asOf": None}}, request=request)

    monkeypatch.setattr(httpx, "post", answer)
    return seen


@pytest.mark.parametrize(("key", "header"), KEYS)
def test_query_and_status_send_the_key(
    asked: list[httpx.Request], monkeypatch: pytest.MonkeyPatch, key: str, header: str | None
) -> None:
    monkeypatch.setenv("MILLRACE_GRAPHQL_READ_KEY", key)
    told = CliRunner().invoke(cli.app, ["query", "{ asOf { epoch } }"])
    assert (told.exit_code, json.loads(told.output)) == (0, {"data": {"asOf": None}})
    status._ask_figures("http://graphql/", GraphqlSettings().headers)
    assert [request.headers.get("authorization") for request in asked] == [header, header]


@pytest.mark.parametrize(("key", "header"), KEYS)
async def test_the_load_side_sends_the_key(key: str, header: str | None) -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(200, json={"data": {"asOf": None}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        assert await GraphqlClient(http, "http://graphql/", SecretStr(key)).epoch() is None
    assert seen == [header]
    assert key == "" or key not in repr(GraphqlSettings(read_key=SecretStr(key)))
