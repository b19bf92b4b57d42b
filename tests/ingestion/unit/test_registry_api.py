"""The schema registry's API: which schema is the same, what may live beside it, and every error code."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.problems import Problem
from contracts.topics import ALL
from ingestion.errors import RequestRefusedError
from ingestion.registry_api import PREFIX, RegistryApi
from ingestion.routes import Routes
from ingestion.schema_lookup import InvalidSchemaError, conflicts, find_same, parse_candidate
from schemas_avro import load_registry

pytestmark = pytest.mark.unit

REGISTRY = load_registry()
CLICKSTREAM = REGISTRY.versions("clickstream")
ROUTES = Routes()
for served in RegistryApi(REGISTRY, ALL, "", 1).routes():
    ROUTES.add(served)


class Body:
    """A request body."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __call__(self) -> bytes:
        return self._content


async def call(method: str, path: str, query: str = "", body: Any = None) -> tuple[int, Any]:
    """Status and parsed answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    route, parts = ROUTES.find(PREFIX + path)
    assert route is not None
    handler = route.handler(method)
    assert handler is not None
    scope = SimpleNamespace(query_string=query, headers={"content-length": str(len(content))})
    answer = await handler(scope, Body(content), *parts)
    assert ("content-type", "application/vnd.schemaregistry.v1+json") in answer.headers
    return answer.status, json.loads(answer.body)


def presented(definition: Any) -> dict[str, str]:
    return {"schema": definition if isinstance(definition, str) else json.dumps(definition)}


def changed(definition: dict[str, Any], field: str, **change: Any) -> dict[str, Any]:
    """A schema with attributes of one field changed."""
    fields = [{**told, **change} if told["name"] == field else told for told in definition["fields"]]
    return {**definition, "fields": fields}


LATEST = CLICKSTREAM[-1].definition
ACTION = next(field["type"] for field in LATEST["fields"] if field["name"] == "action")
UNDOCUMENTED = json.loads(json.dumps(LATEST), object_hook=lambda told: {k: told[k] for k in told if k != "doc"})


@pytest.mark.parametrize("schema", REGISTRY.schemas, ids=lambda schema: f"{schema.subject}-v{schema.version}")
async def test_every_schema_is_found_by_every_way_there_is(schema: Any) -> None:
    subject = f"{schema.subject}-value"
    told = {"subject": subject, "version": schema.version, "id": schema.id, "schema": schema.text}
    assert await call("GET", f"/subjects/{subject}/versions/{schema.version}") == (200, told)
    assert await call("GET", f"/subjects/{subject}/versions/{schema.version}/schema") == (200, schema.definition)
    assert await call("GET", f"/subjects/{subject}/versions/{schema.version}/referencedby") == (200, [])
    assert await call("GET", f"/schemas/ids/{schema.id}") == (200, {"schema": schema.text})
    assert await call("GET", f"/schemas/ids/{schema.id}/schema") == (200, schema.definition)
    assert await call("GET", f"/schemas/ids/{schema.id}/subjects") == (200, [subject])
    assert await call("GET", f"/schemas/ids/{schema.id}/subjects", "subject=other") == (200, [])
    version = {"subject": subject, "version": schema.version}
    assert await call("GET", f"/schemas/ids/{schema.id}/versions") == (200, [version])
    assert await call("POST", f"/subjects/{subject}", "normalize=False", presented(schema.text)) == (200, told)
    registered = await call("POST", f"/subjects/{subject}/versions", "normalize=False", presented(schema.text))
    assert registered == (200, {"id": schema.id})


async def test_lists_latest_and_settings() -> None:
    subjects = ["clickstream-value", "rejected-value", "transactions-value"]
    assert await call("GET", "/subjects") == (200, subjects)
    assert await call("GET", "/subjects", "subjectPrefix=t") == (200, subjects[2:])
    assert await call("GET", "/subjects", "offset=1&limit=1&deleted=False") == (200, subjects[1:2])
    assert await call("GET", "/subjects", "limit=-1") == (200, subjects)
    assert await call("GET", "/subjects/clickstream-value/versions") == (200, [1, 2])
    for latest in ("latest", "-1"):
        status, told = await call("GET", f"/subjects/clickstream-value/versions/{latest}")
        assert (status, told["version"], told["id"]) == (200, 2, CLICKSTREAM[-1].id)
    assert (await call("GET", "/subjects/clickstream-value/metadata"))[1]["version"] == 2
    assert [told["id"] for told in (await call("GET", "/schemas"))[1]] == [1, 2, 3, 4, 5]
    assert [told["id"] for told in (await call("GET", "/schemas", "latestOnly=true&subjectPrefix=click"))[1]] == [4]
    assert await call("GET", "/schemas/types") == (200, ["AVRO"])
    assert await call("GET", "/contexts") == (200, ["."])
    assert await call("GET", "") == await call("GET", "/") == (200, {})
    assert await call("GET", "/config") == (200, {"compatibilityLevel": "FULL_TRANSITIVE"})
    assert await call("GET", "/config/x", "defaultToGlobal=true") == (200, {"compatibilityLevel": "FULL_TRANSITIVE"})
    assert await call("GET", "/mode") == (200, {"mode": "READONLY"})
    assert await call("GET", "/mode/x", "defaultToGlobal=True") == (200, {"mode": "READONLY"})


STRANGER = {"type": "record", "name": "A", "fields": [{"name": "a", "type": "int"}]}


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/subjects/other/versions", None, 40401),
        ("GET", "/subjects/other/versions/latest", None, 40401),
        ("GET", "/subjects/clickstream/versions", None, 40401),
        ("GET", "/subjects/clickstream-key/versions", None, 40401),
        ("POST", "/subjects/other", presented(LATEST), 40401),
        ("POST", "/compatibility/subjects/other/versions", presented(LATEST), 40401),
        ("GET", "/subjects/clickstream-value/versions/3", None, 40402),
        ("POST", "/compatibility/subjects/clickstream-value/versions/99", presented(LATEST), 40402),
        ("GET", "/subjects/clickstream-value/versions/0", None, 42202),
        ("GET", "/subjects/clickstream-value/versions/-2", None, 42202),
        ("GET", "/subjects/clickstream-value/versions/first", None, 42202),
        ("GET", "/subjects/clickstream-value/versions/2147483648", None, 42202),
        ("GET", f"/subjects/clickstream-value/versions/{'9' * 5000}", None, 42202),
        ("GET", "/subjects/clickstream-value/versions/²", None, 42202),
        ("GET", "/schemas/ids/99", None, 40403),
        ("GET", "/schemas/ids/0", None, 40403),
        ("GET", "/schemas/ids/x", None, 40403),
        ("GET", f"/schemas/ids/{'9' * 5000}", None, 40403),
        ("GET", "/schemas/guids/00000000-0000-0000-0000-000000000000", None, 40403),
        ("POST", "/subjects/clickstream-value", presented(STRANGER), 40403),
        ("GET", "/config/clickstream-value", None, 40408),
        ("GET", "/mode/clickstream-value", None, 40409),
        ("POST", "/subjects/clickstream-value/versions", presented(STRANGER), 42205),
        ("POST", "/subjects/new-value/versions", presented(STRANGER), 42205),
        ("POST", "/subjects/clickstream-value/versions", presented("{"), 42201),
        ("POST", "/subjects/clickstream-value", {"schema": "{}", "schemaType": "PROTOBUF"}, 42201),
        ("POST", "/compatibility/subjects/clickstream-value/versions", presented('{"type":"nonsense"}'), 42201),
        ("PUT", "/config", {"compatibility": "NONE"}, 42205),
        ("PUT", "/config/clickstream-value", {"compatibility": "NONE"}, 42205),
        ("DELETE", "/config/clickstream-value", None, 42205),
        ("PUT", "/mode", {"mode": "READWRITE"}, 42205),
        ("DELETE", "/subjects/clickstream-value", None, 42205),
        ("DELETE", "/subjects/clickstream-value/versions/1", None, 42205),
        ("GET", "/associations/resources/-/clickstream", None, 404),
    ],
)
async def test_every_error_has_the_registrys_code(method: str, path: str, body: Any, code: int) -> None:
    status, told = await call(method, path, body=body)
    assert (status, told["error_code"]) == (int(str(code)[:3]), code)
    assert set(told) == {"error_code", "message"}
    assert len(told["message"]) < 600


async def test_a_page_that_is_no_number_is_refused() -> None:
    assert (await call("GET", "/subjects", "offset=x"))[0] == 422
    assert (await call("GET", "/subjects", "limit=-7"))[0] == 422


def test_a_refusal_that_is_not_the_registrys_own_has_its_form() -> None:
    route, _ = ROUTES.find("/registry/subjects")
    assert route is not None
    answer = route.problem(RequestRefusedError(Problem.OVERLOADED, "why"), 2)
    assert (answer.status, json.loads(answer.body)["error_code"]) == (503, 503)
    assert ("retry-after", "2") in answer.headers


@pytest.mark.parametrize(
    "same",
    [
        UNDOCUMENTED,
        {key: LATEST[key] for key in reversed(LATEST)},
        {**{key: LATEST[key] for key in LATEST if key != "namespace"}, "name": "millrace.Clickstream"},
        changed(LATEST, "event_id", type={"type": "string", "avro.java.string": "String"}),
        changed(LATEST, "event_id", doc="another"),
        changed(LATEST, "action", type={**ACTION, "name": "millrace.Action"}),
    ],
    ids=[
        "without docs",
        "attributes in another order",
        "a full name",
        "as Java writes it",
        "another doc",
        "an inner full name",
    ],
)
def test_what_changes_no_bytes_and_no_meaning_is_the_same_schema(same: Any) -> None:
    assert find_same(CLICKSTREAM, same) is CLICKSTREAM[-1]


@pytest.mark.parametrize(
    "other",
    [
        changed(LATEST, "timestamp", type={"type": "long", "logicalType": "timestamp-micros"}),
        changed(LATEST, "timestamp", type="long"),
        changed(LATEST, "category", default="shoes", type=["string", "null"]),
        changed(LATEST, "user_id", name="user"),
        {**LATEST, "fields": LATEST["fields"][:-1]},
        {**LATEST, "namespace": "elsewhere"},
        "string",
        [LATEST],
    ],
)
def test_what_changes_bytes_or_meaning_is_another_schema(other: Any) -> None:
    assert find_same(CLICKSTREAM, other) is None


async def test_compatibility_is_answered_truthfully_against_all_versions_or_one() -> None:
    more = {**LATEST, "fields": [*LATEST["fields"], {"name": "device", "type": "string", "default": ""}]}
    micros = changed(LATEST, "timestamp", type={"type": "long", "logicalType": "timestamp-micros"})
    path = "/compatibility/subjects/clickstream-value/versions"
    assert await call("POST", path, "", presented(more)) == (200, {"is_compatible": True})
    status, told = await call("POST", path, "verbose=True", presented(micros))
    assert (status, told["is_compatible"]) == (200, False)
    assert len(told["messages"]) == 4  # two versions, both ways
    assert "timestamp" in told["messages"][0]
    assert (await call("POST", f"{path}/latest", "verbose=true", presented(more)))[1]["messages"] == []
    # A required field that version 1 has as well, but the latest reads by its default.
    required = changed(LATEST, "properties", type={"type": "map", "values": "string"})
    required["fields"] = [{k: f[k] for k in f if k != "default" or f["name"] != "properties"} for f in LATEST["fields"]]
    assert (await call("POST", f"{path}/2", "", presented(required)))[1] == {"is_compatible": True}
    assert (await call("POST", f"{path}/1", "", presented(required)))[1] == {"is_compatible": False}
    assert (await call("POST", path, "", presented(required)))[1] == {"is_compatible": False}


NASTY = [
    b"", b"{", b"[]", b'"x"', b'{"schema":1}', b'{"schema":"\\ud800"}', b"\xff\xfe",
    json.dumps({"schema": '"string"', "references": [{"name": "a"}]}).encode(),
    *(json.dumps(presented(told)).encode() for told in (
        "", "null", "1", "[[]]", '{"type":"record"}', '{"type":"record","name":"A","fields":{}}',
        '{"type":"record","name":"A","fields":[1]}', '{"type":"enum","name":"A","symbols":[1,1]}',
        '{"name":"A","type":"A"}', '{"type":"fixed","name":"A","size":"x"}', '["A","A"]', '{"type":{"type":{}}}',
        "[" * 5000 + "]" * 5000, '{"type":"array","items":' * 3000 + '"int"' + "}" * 3000,
        '{"type":"bytes","logicalType":"decimal","precision":0}', '{"type":"record","name":"1","fields":[]}',
    )),
]  # fmt: skip


@pytest.mark.parametrize("body", NASTY)
async def test_a_schema_that_is_none_is_refused_everywhere(body: bytes) -> None:
    subject = "clickstream-value"
    for path in (
        f"/subjects/{subject}",
        f"/subjects/{subject}/versions",
        f"/compatibility/subjects/{subject}/versions",
    ):
        status, told = await call("POST", path, body=body)
        assert status in (200, 404, 422), (path, told)
        assert told.get("error_code") in (42201, 40403, 42205) or told == {"is_compatible": False}


AVRO_TYPES: Any = st.recursive(
    st.sampled_from(["null", "int", "string", "Action", "A", "millrace.A", ""]) | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {"type": st.sampled_from(["record", "enum", "array", "map", "fixed", "error"]) | inner},
            optional={
                "name": st.sampled_from(["A", "Clickstream", "millrace.Clickstream", "1"]),
                "namespace": st.sampled_from(["", "millrace"]),
                "fields": st.lists(
                    st.fixed_dictionaries({"name": st.sampled_from(["event_id", "b"]), "type": inner}), max_size=3
                ),
                "symbols": st.just(["a"]),
                "items": inner,
                "values": inner,
                "size": st.integers(-1, 4),
                "logicalType": st.sampled_from(["decimal", "timestamp-millis"]),
                "aliases": inner,
            },
        )
    ),
    max_leaves=8,
)


@given(AVRO_TYPES)
def test_whatever_is_presented_gets_an_answer(definition: Any) -> None:
    try:
        candidate = parse_candidate(json.dumps(presented(definition)).encode())
        find_same(CLICKSTREAM, candidate)
        conflicts(CLICKSTREAM, candidate)
    except InvalidSchemaError:
        pass
