"""What a newcomer types, and what happens to the data when parts, or all of it, stop."""

import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.millrace import TEST_PRODUCT, TEST_USER, Millrace, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PARTS = {"kafka", "postgres", "gateway", "processing", "serving", "watch"}


def _event(session_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "event_id": uuid.uuid4().hex,
        "user_id": TEST_USER,
        "session_id": session_id,
        "product_id": TEST_PRODUCT,
        "category": "e2e",
        "action": "view",
        "timestamp": datetime.now(UTC).isoformat(),
        **fields,
    }


def _posted(millrace: Millrace, event: dict[str, Any]) -> None:
    """Post until accepted, as a client does that keeps the id."""
    until(lambda: millrace.post(event).status_code == 200 or None, 90, "the gateway to accept")


def _visible(millrace: Millrace, session_id: str, timeout: float = 60) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = millrace.ask(
            "query($id: String) { sessions(sessionId: $id, first: 1) { nodes { sessionId events views revenue } } }",
            {"id": session_id},
        )["sessions"]["nodes"]
        return found[0] if found else None

    return until(look, timeout, f"session {session_id} to be visible")


def test_status_tells_every_part_the_addresses_and_the_books(millrace: Millrace) -> None:
    millrace.post(_event("status"))
    _visible(millrace, "status")
    status = millrace.status()
    assert {part["name"] for part in status["parts"]} == PARTS
    assert all(part["ready"] and part["pid"] and part["since"] for part in status["parts"])
    assert status["urls"].keys() == {"page", "graphql", "gateway"}
    assert status["write_key"] == millrace.write_key
    assert status["freshness_seconds"] >= 0
    assert status["books"] == {"close": True, "residue": 0}
    assert status["watched"].keys() == {"odd", "model_version", "trained_at", "forecast_until", "report_day"}
    assert millrace.command("status", check=False).returncode == 0


def test_a_posted_event_is_seen_in_graphql_by_the_query_command_too(millrace: Millrace) -> None:
    assert millrace.post(_event("posted", event_id="E2E-" + uuid.uuid4().hex)).status_code == 200
    _visible(millrace, "posted")
    printed = millrace.command("query", '{ sessions(sessionId: "posted", first: 1) { nodes { events } } }').stdout
    assert '"events": 1' in printed
    assert millrace.command("query", "{ nonsense }", check=False).returncode == 1


def test_bad_input_gets_a_precise_answer_and_is_kept(millrace: Millrace) -> None:
    bad = _event("bad", action="stare", event_id="bad-" + uuid.uuid4().hex)
    answer = millrace.post([_event("good"), bad])
    assert answer.status_code == 207
    verdict = answer.json()["results"][1]
    assert (verdict["status"], verdict["error"]["code"], verdict["error"]["pointer"]) == (
        "rejected",
        "invalid_enum",
        "/action",
    )
    assert millrace.post(b"{not json").status_code == 400
    unauthorised = millrace.http.post(f"http://127.0.0.1:{millrace.base_port}/v1/events", json=bad)
    assert unauthorised.status_code == 401

    def kept() -> list[str] | None:
        samples = millrace.ask(
            'query { rejections(range: {from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z"})'
            " { samples(first: 50) { raw } } }"
        )["rejections"]["samples"]
        found = [sample["raw"] for sample in samples if bad["event_id"] in sample["raw"]]
        return found or None

    assert until(kept, 60, "the rejected event to be kept")


def test_data_survive_down_and_up(millrace: Millrace) -> None:
    millrace.post(_event("kept-over-a-restart"))
    before = _visible(millrace, "kept-over-a-restart")
    totals = millrace.settled()["books"]["totals"]
    millrace.command("down")
    assert millrace.command("status", "--json", check=False).returncode == 1
    started = time.monotonic()
    millrace.command("up", "--detach", "--no-demo")
    took = time.monotonic() - started
    assert _visible(millrace, "kept-over-a-restart") == before
    assert millrace.settled()["books"]["totals"] == totals
    assert took < 200  # a hang, not a benchmark: docs/benchmarks.md has the time
    assert millrace.post(_event("after-a-restart")).status_code == 200
    _visible(millrace, "after-a-restart")


def _behind(millrace: Millrace) -> int | None:
    told: dict[str, Any] = millrace.status()["processing"] or {}
    return told.get("behind_records")


@pytest.mark.parametrize("part", ["kafka", "postgres", "serving"])
def test_a_killed_part_comes_back_and_nothing_is_lost(millrace: Millrace, part: str) -> None:
    sessions = [f"{part}-{number}" for number in range(5)]
    for number, session_id in enumerate(sessions):
        if number == 2:
            millrace.kill(part)
        _posted(millrace, _event(session_id))
    for session_id in sessions:
        assert _visible(millrace, session_id, timeout=120)["events"] == 1
    books = millrace.settled(timeout=180)["books"]
    assert books["close"] is True, books
    until(lambda: _behind(millrace) == 0, 60, "processing to say that it is not behind")
