"""Keys and scopes, the list of allowed documents, costs and introspection: over ASGI, before any database is asked."""

import hashlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import GraphQLObjectType, OperationType, get_named_type
from pydantic import SecretStr
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from contracts.people import hash_of
from contracts.settings import LogSettings, PostgresSettings, ShopSettings
from serving.access import ADMIN_ROOTS, PERSONAL_FIELDS, PERSONAL_ROOTS, Access, Denied, scopes_of
from serving.allowed import Allowed
from serving.app import build_app
from serving.schema import build_schema
from serving.settings import ServingSettings

pytestmark = pytest.mark.unit

RANGE = 'range: {from: "2026-03-01T00:00:00", to: "2026-03-02T00:00:00"}'
Write = Callable[..., Path]


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    nowhere = PostgresSettings(url=SecretStr("postgresql://127.0.0.1:1/none"))
    app = build_app(ServingSettings(**settings), nowhere, ShopSettings(), LogSettings())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://serving") as client:
        yield client


async def code(client: httpx.AsyncClient, query: str | None, key: str = "", **members: Any) -> tuple[int, str]:
    """Status and code of an answer; UNAVAILABLE is how one looks here that was let through to the database."""
    headers = {"accept": "application/graphql-response+json"} | ({"authorization": f"Bearer {key}"} if key else {})
    answer = await client.post("/graphql", json={"query": query, **members}, headers=headers)
    (error, *_) = answer.json().get("errors", [{"extensions": {"code": "OK"}}])
    return answer.status_code, error["extensions"]["code"]


@pytest.fixture
def keys(tmp_path: Path) -> Write:
    """Writes a keys file: each key is its own name, with scopes."""

    def write(**scopes: list[str]) -> Path:
        path = tmp_path / "keys.json"
        entries = [
            {"source": name, "sha256": hashlib.sha256(name.encode()).hexdigest(), "scopes": told}
            for name, told in scopes.items()
        ]
        path.write_text(json.dumps(entries))
        return path

    return write


async def test_a_key_reads_what_its_scopes_allow(keys: Write) -> None:
    path = keys(numbers=["analytics"], people=["personal"], all=["analytics", "personal", "write"], sender=["write"])
    sums, single = "{ asOf { epoch } }", "{ users { nodes { id } } }"
    raw = f"{{ rejections({RANGE}) {{ samples {{ raw }} }} }}"
    differing = "{ verifications { examples { key { value } } } }"
    both = "{ ...F } fragment F on Query { asOf { epoch } sessions { nodes { id } } }"
    seen, denied = (200, "UNAVAILABLE"), (403, "FORBIDDEN")
    async with serving(keys_file=path) as client:
        assert [await code(client, each, "all") for each in (sums, both)] == [seen] * 2
        assert [await code(client, each, "numbers") for each in (sums, single, both, raw, differing)] == [
            seen, denied, denied, denied, denied,
        ]  # fmt: skip
        assert [await code(client, each, "people") for each in (sums, both)] == [denied] * 2
        assert await code(client, single, "sender") == denied
        assert await code(client, "{ __typename }", "sender") == (200, "OK")
        for key in ("", "nobody", "numbers2", "x" * 5000):
            assert await code(client, sums, key) == (401, "UNAUTHENTICATED")
        answer = await client.post("/graphql", json={"query": sums})
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert (await client.get("/health/live")).status_code == 200


async def test_a_client_is_told_what_its_key_may(keys: Write) -> None:
    async with serving(keys_file=keys(all=["personal", "analytics"], sender=["write"])) as client:
        for key, query, told in (
            ("all", "{ __typename }", "analytics personal"),
            ("all", "{ requests { key } }", "analytics personal"),
            ("sender", "{ __typename }", ""),
            ("nobody", "{ __typename }", None),
        ):
            answer = await client.get("/graphql", params={"query": query}, headers={"authorization": f"Bearer {key}"})
            assert answer.headers.get("millrace-scopes") == told


async def test_without_a_keys_file_everybody_may(keys: Write) -> None:
    async with serving() as client:
        assert await code(client, "{ users { nodes { id } } }") == (200, "UNAVAILABLE")
        assert "millrace-scopes" not in (await client.post("/graphql", json={"query": "{ __typename }"})).headers


def test_keys_end_and_change_while_serving_runs(keys: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.access._LOOK_EVERY_SECONDS", 0)
    path = keys(a=["analytics"])
    access = Access(path)
    assert access.client("Bearer a", "1.2.3.4").name == "a"
    entry = json.loads(path.read_text())[0]
    path.write_text(json.dumps([entry | {"expires_at": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}]))
    with pytest.raises(Denied):
        access.client("Bearer a", "1.2.3.4")
    keys(b=["analytics"])
    assert access.client("bearer b", "1.2.3.4").name == "b"
    path.write_text("{")
    with capture_logs() as logs:
        assert access.client("Bearer b", "1.2.3.4").name == "b"
        access.client("Bearer b", "1.2.3.4")
    assert [line["event"] for line in logs] == ["keys_not_loaded"]
    with pytest.raises(Denied):
        access.client("Basic b", "1.2.3.4")


def test_a_file_that_is_not_there_lets_nobody_in(tmp_path: Path) -> None:
    with pytest.raises(Denied):
        Access(tmp_path / "none.json").client("Bearer a", "1.2.3.4")


@pytest.mark.parametrize("root", ["session", "sessions", "user", "users", "explain", "changes"])
def test_what_single_people_did_needs_personal(root: str) -> None:
    assert scopes_of(OperationType.QUERY, {root}, frozenset()) == {"personal"}
    assert scopes_of(OperationType.QUERY, {root, "books"}, frozenset()) == {"personal", "analytics"}


def test_ids_of_single_people_are_nowhere_in_reach_of_analytics() -> None:
    schema = build_schema()._schema
    assert schema.query_type is not None
    assert schema.subscription_type is not None
    names, seen = set[str](), set[GraphQLObjectType]()
    ahead = [schema.query_type, schema.subscription_type]
    while ahead:
        fields = ahead.pop().fields
        for name in fields.keys() - PERSONAL_ROOTS - ADMIN_ROOTS - PERSONAL_FIELDS:
            names.add(name)
            type_ = get_named_type(fields[name].type)
            if isinstance(type_, GraphQLObjectType) and type_ not in seen:
                seen.add(type_)
                ahead.append(type_)
    assert not names & {"userId", "sessionId", "eventId", "eventIds", "raw", "path", "purchase"}
    assert {"views", "mismatches", "says"} <= names, "what may be read"


def test_what_changes_something_needs_admin() -> None:
    assert scopes_of(OperationType.MUTATION, {"anything"}, frozenset()) == {"admin"}
    assert scopes_of(OperationType.QUERY, {"requests"}, frozenset()) == {"admin"}
    assert scopes_of(OperationType.QUERY, {"requests", "books"}, frozenset()) == {"admin", "analytics"}


ERASE = 'mutation ($user: ID!) { eraseUser(userId: $user, key: "case 7") { state } }'


@pytest.mark.parametrize(
    ("key", "variables", "line"),
    [
        (
            "ops",
            {"user": "u-17"},
            {"event": "mutation", "outcome": "errors", "codes": ["UNAVAILABLE"], "log_level": "info"},
        ),
        ("ops", {}, {"event": "mutation", "outcome": "invalid", "codes": ["BAD_REQUEST"], "log_level": "info"}),
        ("desk", {"user": "u-17"}, {"event": "mutation_refused", "missing": ["admin"], "log_level": "warning"}),
    ],
    ids=["tried", "misfit", "refused"],
)
async def test_a_mutation_is_a_line_of_the_log_with_a_hash_for_the_user(
    keys: Write, key: str, variables: dict[str, str], line: dict[str, Any]
) -> None:
    async with serving(keys_file=keys(ops=["admin"], desk=["analytics", "personal"])) as client:
        with capture_logs(processors=[merge_contextvars]) as logs:
            members = {"query": ERASE, "variables": variables}
            answer = await client.post("/graphql", json=members, headers={"authorization": f"Bearer {key}"})
    told = {"userHash": hash_of("u-17").hex(), "key": "case 7"} if variables else {}
    expected = line | {"client": key, "asked": [{"root": "eraseUser", **told}]}
    if line["event"] == "mutation":
        expected["correlation_id"] = answer.json()["extensions"]["correlationId"]
    assert logs == [expected]


async def test_a_fault_of_ours_in_a_mutation_has_its_correlation_id(
    keys: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["serving.schema.requests"], "ask", lambda *_: 1 / 0)
    async with serving(keys_file=keys(ops=["admin"])) as client:
        with capture_logs(processors=[merge_contextvars]) as logs:
            members = {"query": ERASE, "variables": {"user": "u-17"}}
            answer = (await client.post("/graphql", json=members, headers={"authorization": "Bearer ops"})).json()
    assert [line["event"] for line in logs] == ["resolver_failed", "mutation"]
    told = {line["correlation_id"] for line in logs}
    assert told == {answer["extensions"]["correlationId"], answer["errors"][0]["extensions"]["correlationId"]}
    assert len(told) == 1


async def test_only_listed_documents_run(tmp_path: Path) -> None:
    text = "query Q { __typename }"
    hash_ = hashlib.sha256(text.encode()).hexdigest()
    path = tmp_path / "documents.json"
    path.write_text(json.dumps({hash_: text}))
    async with serving(documents_file=path) as client:
        assert await code(client, text) == (200, "OK")
        by_hash = {"persistedQuery": {"version": 1, "sha256Hash": hash_}}
        assert await code(client, None, extensions=by_hash) == (200, "OK")
        assert await code(client, "{ __typename }") == (400, "DOCUMENT_NOT_ALLOWED")
        by_hash["persistedQuery"]["sha256Hash"] = "0" * 64
        assert await code(client, None, extensions=by_hash) == (400, "DOCUMENT_NOT_ALLOWED")
        poisoned = {"persistedQuery": {"version": 1, "sha256Hash": hash_}}
        assert await code(client, "{ a: __typename }", extensions=poisoned) == (400, "DOCUMENT_NOT_ALLOWED")
    path.write_text(json.dumps({"0" * 64: text}))
    with pytest.raises(ValueError, match="not the SHA-256"):
        Allowed.read(path)


async def test_variables_that_the_operation_does_not_have_are_passed_over() -> None:
    async with serving() as client:
        answers = [
            await code(client, "query ($x: Boolean = true) { __typename @include(if: $x) }", variables=variables)
            for variables in ({f"v{n}": n for n in range(10_000)}, {"v": [[n] for n in range(10_000)]})
        ]
    assert answers == [(200, "OK")] * 2


async def test_introspection_can_be_off(tmp_path: Path) -> None:
    ask = "{ __schema { types { name } } }"
    async with serving() as client:
        assert await code(client, ask) == (200, "OK")
    async with serving(introspection=False) as client:
        assert (await code(client, ask))[0] == 400
        assert await code(client, "{ __typename }") == (200, "OK")


YEARS = 'range: {from: "1926-03-01T00:00:00", to: "2026-03-01T00:00:00"}'


@pytest.mark.parametrize(
    ("query", "status", "expected"),
    [
        (f"{{ productMetrics({RANGE}) {{ views }} }}", 200, "UNAVAILABLE"),
        ("{" + " ".join(f"r{n}: productMetrics({RANGE}) {{ views }}" for n in range(6)) + "}", 400, "TOO_LARGE"),
        (
            "{" + " ".join(f"r{n}: productMetrics({RANGE}, limit: 5) {{ views }}" for n in range(6)) + "}",
            200,
            "UNAVAILABLE",
        ),
        *(
            (
                "{" + " ".join(f"r{n}: {root}({RANGE}, {more}) {{ windowStart }}" for n in range(3)) + "}",
                *expected,
            )
            for root in ("productMetrics", "revenue", "conversions")
            for more, expected in (
                ('window: "PT1M"', (200, "UNAVAILABLE")),
                ('window: "PT1M", compareWith: WEEK_BEFORE', (400, "TOO_LARGE")),
            )
        ),
        ("{" + " ".join(f"r{n}: users(first: 200) {{ nodes {{ id }} }}" for n in range(6)) + "}", 200, "UNAVAILABLE"),
        (
            "{" + " ".join(f"r{n}: sessions(first: 200) {{ nodes {{ path {{ at }} }} }}" for n in range(6)) + "}",
            400,
            "TOO_LARGE",
        ),
        (f"{{ sales({YEARS}, grain: HOUR) {{ revenue }} }}", 400, "TOO_LARGE"),
        ("{ users(first: 2000000000) { nodes { id } } }", 400, "TOO_LARGE"),
        (f'{{ revenue({RANGE}, window: "PT0S") {{ total }} }}', 200, "INVALID_ARGUMENT"),
        ("{ users(first: 1000000000000) { nodes { id } } }", 400, "BAD_REQUEST"),
        ('{ users(first: "1") { nodes { id } } }', 400, "BAD_REQUEST"),
        ("{ users(first: 1.5) { nodes { id } } }", 400, "BAD_REQUEST"),
    ],
)
async def test_the_cost_is_the_rows_that_are_expected(query: str, status: int, expected: str) -> None:
    async with serving() as client:
        assert await code(client, query) == (status, expected)


def test_a_list_page_by_page_needs_what_the_list_needs() -> None:
    kinds = build_schema()._schema.type_map.values()
    fields = [(kind.name, name) for kind in kinds if isinstance(kind, GraphQLObjectType) for name in kind.fields]
    pages = [(kind, name) for kind, name in fields if name.endswith("Connection")]
    assert len(pages) == 9
    for kind, name in pages:
        needed = [
            scopes_of(OperationType.QUERY, [each] if kind == "Query" else ["rejections"], frozenset({each}))
            for each in (name, name.removesuffix("Connection"))
        ]
        assert needed[0] == needed[1], name
