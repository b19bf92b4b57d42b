"""Statuses, media types and caching headers, over ASGI and without a database: what needs none is answered."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from contracts.settings import LogSettings, PostgresSettings, ShopSettings
from serving.app import Application, build_app
from serving.settings import ServingSettings, Statuses

pytestmark = pytest.mark.unit

RESPONSE_JSON = "application/graphql-response+json"
Ask = Callable[..., Any]


def app(statuses: Statuses = "audited") -> Application:
    nowhere = PostgresSettings(url=SecretStr("postgresql://127.0.0.1:1/none"))
    return build_app(ServingSettings(statuses=statuses, max_body_bytes=4096), nowhere, ShopSettings(), LogSettings())


@pytest.fixture
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app(getattr(request, "param", "audited")))
    async with httpx.AsyncClient(transport=transport, base_url="http://serving") as client:
        yield client


BODIES: dict[str, dict[str, Any]] = {
    "data": {"query": "{ __typename }"},
    "partial": {"query": "{ asOf { epoch } }"},
    "no document": {"query": "{"},
    "no field": {"query": "{ nope }"},
    "no operation": {"query": "{ __typename }", "operationName": "x"},
    "bad variable": {"query": "query($n: Int!) { users(first: $n) { nodes { id } } }", "variables": {"n": None}},
    "no query": {"qeury": "{ __typename }"},
    "bad member": {"query": "{ __typename }", "variables": []},
}


@pytest.mark.parametrize(
    ("client", "accept", "expected"),
    [
        ("audited", RESPONSE_JSON, [200, 200, 400, 400, 400, 400, 400, 400]),
        ("audited", "application/json", [200, 200, 200, 200, 200, 200, 400, 400]),
        ("draft-2026", RESPONSE_JSON, [200, 294, 400, 422, 422, 422, 422, 422]),
        ("draft-2026", "application/json", [200, 294, 400, 422, 422, 422, 422, 422]),
    ],
    indirect=["client"],
)
async def test_the_status_says_how_it_went(client: httpx.AsyncClient, accept: str, expected: list[int]) -> None:
    answers = [await client.post("/graphql", json=body, headers={"accept": accept}) for body in BODIES.values()]
    assert dict(zip(BODIES, [answer.status_code for answer in answers], strict=True)) == dict(
        zip(BODIES, expected, strict=True)
    )
    for answer in answers[:6]:
        assert answer.headers["content-type"] == f"{accept}; charset=utf-8"
    assert ["data" in answer.json() for answer in answers] == [True, True, *[False] * 6]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/html, application/json;q=0.5, */*;q=0.1", "application/json"),
        (f"application/json;q=0.5, {RESPONSE_JSON}", RESPONSE_JSON),
        (f"{RESPONSE_JSON};q=0, application/json", "application/json"),
        ("APPLICATION/JSON", "application/json"),
        ("application/*", "application/json"),
        ("", "application/json"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=much", None),
    ],
)
async def test_the_client_chooses_the_media_type(
    client: httpx.AsyncClient, accept: str, media_type: str | None
) -> None:
    answer = await client.post("/graphql", json=BODIES["data"], headers={"accept": accept})
    if media_type is None:
        assert answer.status_code == 406
    else:
        assert (answer.status_code, answer.headers["content-type"]) == (200, f"{media_type}; charset=utf-8")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_other_methods_are_not_allowed(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/graphql", json=BODIES["data"])
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("query", ["mutation { nope }", "mutation { __typename } query Q { __typename }"])
async def test_a_get_does_not_write_and_says_what_does(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get("/graphql", params={"query": query, "operationName": "M"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_body_may_come_in_pieces_and_not_be_too_long(client: httpx.AsyncClient) -> None:
    async def pieces(size: int) -> AsyncIterator[bytes]:
        for byte in json.dumps({**BODIES["data"], "pad": "x" * size}).encode():
            yield bytes([byte])

    headers = {"content-type": "application/json"}
    assert (await client.post("/graphql", content=pieces(10), headers=headers)).status_code == 200
    for long in (pieces(5000), b"x" * 5000):
        answer = await client.post("/graphql", content=long, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (413, "TOO_LARGE")


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {"content-type": "multipart/form-data; boundary=x"},
    ],
)
async def test_a_body_of_another_kind_is_not_taken(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.post("/graphql", content=json.dumps(BODIES["data"]), headers=headers)).status_code == 415


async def test_a_subscription_is_not_one_answer(client: httpx.AsyncClient) -> None:
    answer = await client.post("/graphql", json={"query": "subscription { epochs { epoch } }"})
    assert answer.status_code == 400
    assert "WebSocket" in answer.json()["errors"][0]["message"]


async def test_what_may_be_kept_is_said(client: httpx.AsyncClient) -> None:
    for answer in (
        await client.post("/graphql", json=BODIES["data"]),
        await client.get("/graphql", params=BODIES["partial"]),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
