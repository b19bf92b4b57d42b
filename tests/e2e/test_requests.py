"""What is asked for by mutations is done by the stack itself, as the commands would do it."""

import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import free_base_port
from tests.e2e.millrace import REPOSITORY, TEST_PRODUCT, TEST_USER, Millrace, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

REQUEST = "key state error receipt attempts"
EVERYTHING = '{from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z"}'


@dataclass
class Administrator:
    """Asks with a key."""

    url: str
    http: httpx.Client

    def is_there(self) -> bool | None:
        return self.http.get(f"{self.url}/health/ready").status_code == 200 or None

    def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.http.post(f"{self.url}/graphql", json={"query": query, "variables": variables or {}}).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def done(self, mutation: str, told: Any) -> dict[str, Any]:
        """Ask, wait, and ask again with the same key: it is the same request, done once."""
        variables = {"key": uuid.uuid4().hex, "told": told}
        assert self.ask(mutation, variables)["asked"]["error"] is None

        def finished() -> dict[str, Any] | None:
            found: list[dict[str, Any]] = self.ask(f"{{ requests(first: 5) {{ {REQUEST} }} }}")["requests"]
            (request,) = [each for each in found if each["key"] == variables["key"]]
            return request if request["state"] in {"DONE", "FAILED"} else None

        request = until(finished, 120, "the request to be done")
        assert self.ask(mutation, variables)["asked"] == request
        assert (request["state"], request["attempts"]) == ("DONE", 1), request
        return request


@pytest.fixture
def administrator(millrace: Millrace, tmp_path: Path) -> Iterator[Administrator]:
    """Who asks a second server over the same store: one that wants keys."""
    key, keys = uuid.uuid4().hex, tmp_path / "keys.json"
    digest = hashlib.sha256(key.encode()).hexdigest()
    keys.write_text(json.dumps([{"source": "ops", "sha256": digest, "scopes": ["admin"]}]))
    environment = json.loads(millrace.command("env", "--json").stdout)
    port = free_base_port(millrace.base_port)
    environment |= {"MILLRACE_SERVING_PORT": str(port), "MILLRACE_SERVING_KEYS_FILE": str(keys)}
    server = subprocess.Popen([sys.executable, "-m", "serving"], cwd=REPOSITORY, env={**os.environ, **environment})
    try:
        with httpx.Client(timeout=30, headers={"authorization": f"Bearer {key}"}) as http:
            told = Administrator(f"http://127.0.0.1:{port}", http)
            until(told.is_there, 60, "the server that wants keys")
            yield told
    finally:
        server.terminate()
        server.wait(15)


def test_a_rejected_event_is_sent_again_and_its_user_erased(millrace: Millrace, administrator: Administrator) -> None:
    user = f"{TEST_USER}-{uuid.uuid4().hex[:8]}"
    assert millrace.post(_event(user, "stare")).status_code == 422
    rejection = until(lambda: _rejection_of(millrace, user), 60, "the rejected event to be kept")

    told = administrator.done(
        "mutation ($key: String!, $told: [ID!]) { asked: replayRejected(key: $key, ids: $told,"
        f' patch: ".action = \\"view\\"") {{ {REQUEST} }} }}',
        [rejection],
    )
    assert json.loads(told["receipt"]) == {"counts": {"accepted": 1}, "not_accepted": []}
    until(lambda: _events_of(millrace, user) == 1 or None, 60, "the repaired event to be seen")

    erase = f"mutation ($key: String!, $told: ID!) {{ asked: eraseUser(key: $key, userId: $told) {{ {REQUEST} }} }}"
    receipt = json.loads(administrator.done(erase, user)["receipt"])
    assert receipt["events"]
    assert receipt["erased_at"]
    assert _events_of(millrace, user) == 0
    assert millrace.ask("query ($id: ID!) { user(id: $id) { events } }", {"id": user})["user"] is None


def _rejection_of(millrace: Millrace, user: str) -> str | None:
    query = f"{{ rejections(range: {EVERYTHING}) {{ samples(first: 50) {{ id raw }} }} }}"
    samples = millrace.ask(query)["rejections"]["samples"]
    return next((sample["id"] for sample in samples if user in sample["raw"]), None)


def _events_of(millrace: Millrace, user: str) -> int:
    query = "query ($user: String) { sessions(userId: $user, first: 5) { nodes { events } } }"
    return sum(node["events"] for node in millrace.ask(query, {"user": user})["sessions"]["nodes"])


def _event(user: str, action: str) -> dict[str, Any]:
    return {
        "event_id": uuid.uuid4().hex,
        "user_id": user,
        "session_id": f"of-{user}",
        "product_id": TEST_PRODUCT,
        "action": action,
        "timestamp": datetime.now(UTC).isoformat(),
    }
