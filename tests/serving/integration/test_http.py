"""GraphQL over HTTP and what stands around it: media types, statuses, refusals, health, the page's headers."""

import httpx
import pytest

from tests.serving.integration.conftest import Server

pytestmark = pytest.mark.integration

RESPONSE_JSON = "application/graphql-response+json"


def post(server: Server, body: object, **headers: str) -> httpx.Response:
    return httpx.post(f"{server.url}/graphql", json=body, headers=headers, timeout=30)


@pytest.mark.parametrize(
    ("accept", "media_type", "status"),
    [
        (RESPONSE_JSON, RESPONSE_JSON, 400),
        (f"{RESPONSE_JSON}, application/json;q=0.9", RESPONSE_JSON, 400),
        ("application/json", "application/json", 200),
        ("*/*", "application/json", 200),
    ],
)
@pytest.mark.parametrize("query", ["{ nope }", "{", "query ($a: Int!) { sessions(first: $a) { nodes { id } } }"])
def test_a_document_that_can_not_run_has_no_data(
    server: Server, accept: str, media_type: str, status: int, query: str
) -> None:
    answer = post(server, {"query": query}, accept=accept)
    assert (answer.status_code, answer.headers["content-type"]) == (status, f"{media_type}; charset=utf-8")
    assert "data" not in answer.json()
    assert {error["extensions"]["code"] for error in answer.json()["errors"]} == {"BAD_REQUEST"}


def test_a_field_error_is_an_answer(server: Server) -> None:
    answer = post(server, {"query": '{ asOf { epoch } session(id: "x") { id } }'}, accept=RESPONSE_JSON)
    assert answer.status_code == 200
    assert answer.json()["data"] == {"asOf": {"epoch": 1}, "session": None}
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_CURSOR"


def test_a_query_may_be_a_get_but_a_mutation_may_not(server: Server) -> None:
    answer = httpx.get(f"{server.url}/graphql", params={"query": "{ asOf { epoch } }"})
    assert answer.json()["data"] == {"asOf": {"epoch": 1}}
    refused = httpx.get(f"{server.url}/graphql", params={"query": "mutation { x }"})
    assert refused.status_code in {400, 405}
    assert "data" not in refused.json()


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'[{"query":"{ asOf { epoch } }"}]', "application/json", 400),
        (b'{"query":1}', "application/json", 400),
        (b"{}", "application/json", 400),
        (b'"query"', "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"query":"{ asOf { epoch } }"}', "text/plain", 415),
        (b'{"query":"{ asOf { epoch } }"}', "application/json; charset=utf-16", 415),
        (b"--x--", "multipart/form-data; boundary=x", 415),
        (b'{"query":"' + b" " * 300_000 + b'"}', "application/json", 413),
    ],
)
def test_a_bad_request_gets_a_4xx_that_says_why(server: Server, content: bytes, content_type: str, status: int) -> None:
    answer = httpx.post(f"{server.url}/graphql", content=content, headers={"content-type": content_type}, timeout=30)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["message"]
    assert server.data("{ asOf { epoch } }") == {"asOf": {"epoch": 1}}


def test_an_answer_nobody_accepts_is_refused(server: Server) -> None:
    assert post(server, {"query": "{ asOf { epoch } }"}, accept="text/html").status_code == 406


def test_there_is_no_ide(server: Server) -> None:
    answer = httpx.get(f"{server.url}/graphql", headers={"accept": "text/html"})
    assert answer.status_code >= 400
    assert "<script" not in answer.text


def test_the_server_is_ready_and_counts(server: Server) -> None:
    assert server.ready().json() == {"ready": True}
    metrics = httpx.get(f"{server.url}/metrics").text
    for name in ('requests_total{outcome="data"}', "request_seconds_count", "feed_connected 1.0", "epoch 1.0"):
        assert f"millrace_serving_{name}" in metrics


@pytest.mark.parametrize(
    "path", ["/", "/sales", "/page/css/shell.css", "/page/js/app.js", "/page/vendor/echarts/echarts.min.js"]
)
def test_the_page_comes_whole_from_here_and_under_a_strict_policy(server: Server, path: str) -> None:
    answer = httpx.get(f"{server.url}{path}")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/page/../settings.py",
        "/page/%2e%2e/settings.py",
        "/page/js/",
        "/nothing",
        "/graphiql",
        "/graphiql/vendor/graphiql.min.js",
    ],
)
def test_nothing_else_is_served(server: Server, path: str) -> None:
    assert httpx.get(f"{server.url}{path}").status_code == 404
