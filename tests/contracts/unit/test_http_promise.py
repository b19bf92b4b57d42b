"""What clients of the gateway were promised is kept; what is not is named."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from contracts.http_promise import DESCRIBED, PROMISED, broken, promise

pytestmark = pytest.mark.unit

DOCUMENT: dict[str, Any] = {
    "paths": {
        "/events": {
            "post": {
                "parameters": [{"in": "header", "name": "Key", "schema": {"type": "string", "maxLength": 9}}],
                "requestBody": {
                    "content": {"a/json": {"schema": {"oneOf": [{"$ref": "#/components/schemas/Event"}]}}, "a/avro": {}}
                },
                "responses": {
                    "200": {"content": {"a/json": {"schema": {"$ref": "#/components/schemas/Told"}}}},
                    "503": {"description": "later"},
                },
            }
        },
        "/health": {"get": {"responses": {"200": {"description": "well"}}}},
    },
    "components": {
        "schemas": {
            "Event": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string", "minLength": 1},
                    "amount": {"type": ["number", "string"]},
                    "action": {"enum": ["view", "click"]},
                    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 9},
                },
            },
            "Told": {
                "type": "object",
                "required": ["accepted"],
                "properties": {"accepted": {"type": "integer"}, "error": {"enum": ["a"]}, "at": {"format": "date"}},
            },
        }
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The document with something at a place, or without it where the value is None. The last `+` of a path appends."""
    document: Any = deepcopy(DOCUMENT)
    *steps, last = path.split(" ")
    place = document
    for step in steps:
        place = place[int(step) if isinstance(place, list) else step]
    if last == "+":
        place.append(value)
    elif value is None:
        del place[int(last) if isinstance(place, list) else last]
    else:
        place[last] = value
    return document  # type: ignore[no-any-return]


EVENT, TOLD = "components schemas Event", "components schemas Told"
POST = "paths /events post"


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("paths /health", None, "GET /health is gone"),
        (f"{POST} parameters 0", None, "POST /events: header parameter Key is gone"),
        (f"{POST} parameters 0 required", True, "POST /events: header parameter Key has to be given"),
        (f"{POST} parameters 0 schema maxLength", 8, "POST /events: header parameter Key: maxLength is 8"),
        (f"{POST} parameters +", {"in": "query", "name": "q", "required": True}, "query parameter q has to be given"),
        (f"{POST} requestBody required", True, "POST /events: a body has to be sent"),
        (f"{POST} requestBody content a/avro", None, "POST /events: a body of a/avro is not taken"),
        (f"{POST} requestBody content a/json schema oneOf 0", None, "body has 0 shapes instead of 1"),
        (f"{EVENT} required +", "action", "body(1).action has to be sent"),
        (f"{EVENT} properties id minLength", 2, "body(1).id: minLength is 2"),
        (f"{EVENT} properties id pattern", "^e", "body(1).id: pattern is another"),
        (f"{EVENT} properties id enum", ["e"], "body(1).id may not be any other value"),
        (f"{EVENT} properties amount type", "number", "body(1).amount may not be string"),
        (f"{EVENT} properties amount type", ["integer", "string"], "body(1).amount may not be number"),
        (f"{EVENT} properties action enum 1", None, "body(1).action may not be click"),
        (f"{EVENT} properties tags items type", "integer", "body(1).tags[] may not be string"),
        (f"{EVENT} properties tags maxItems", 8, "body(1).tags: maxItems is 8"),
        (f"{EVENT} additionalProperties", False, "body(1): other fields are not taken"),
        (f"{POST} responses 200", None, "POST /events: 200 is never answered"),
        (f"{POST} responses 200 content a/json", None, "POST /events: 200 has no a/json"),
        (f"{TOLD} properties error", None, "200.error is gone"),
        (f"{TOLD} required 0", None, "200.accepted may be missing"),
        (f"{TOLD} properties accepted type", ["integer", "null"], "200.accepted may be null"),
        (f"{TOLD} properties at format", "time", "200.at: format is another"),
    ],
)
def test_a_change_that_breaks_a_client_is_named(path: str, value: Any, named: str) -> None:
    (change,) = broken(DOCUMENT, changed(path, value))
    assert named in change


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("paths /more", {"get": {"responses": {}}}),
        (f"{POST} parameters +", {"in": "query", "name": "q"}),
        (f"{POST} parameters 0 schema maxLength", None),
        (f"{POST} requestBody content a/more", {}),
        (f"{POST} requestBody content a/json schema oneOf +", {"type": "array"}),
        (f"{EVENT} required 0", None),
        (f"{EVENT} properties more", {"type": "string"}),
        (f"{EVENT} properties action enum +", "scroll"),
        (f"{EVENT} properties tags maxItems", 10),
        (f"{POST} responses 503", None),
        (f"{POST} responses 207", {"description": "in part"}),
        (f"{TOLD} properties more", {"type": "string"}),
        (f"{TOLD} required +", "error"),
        (f"{TOLD} properties error enum +", "b"),
    ],
)
def test_what_breaks_nobody_is_free(path: str, value: Any) -> None:
    assert broken(DOCUMENT, changed(path, value)) == []


def test_the_gateway_keeps_what_was_promised() -> None:
    promised, described = (json.loads(path.read_text("utf-8")) for path in (PROMISED, DESCRIBED))
    assert promised["paths"]
    assert broken(promised, described) == [], "see docs/contracts.md"


def test_a_promise_is_not_taken_back(tmp_path: Path) -> None:
    described, promised = tmp_path / "described", tmp_path / "promised"
    described.write_text(json.dumps(DOCUMENT))
    assert promise(described, promised) == []
    described.write_text(json.dumps(changed("paths /health", None)))
    assert promise(described, promised) == ["GET /health is gone"]
    assert json.loads(promised.read_text()) == DOCUMENT
    described.write_text(json.dumps(changed("paths /more", {"get": {"responses": {}}})))
    assert promise(described, promised) == []
    assert "/more" in json.loads(promised.read_text())["paths"]
