"""Keys of running workers: made, rotated, revoked, limited while requests come in."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from stack.keys import create_key, key_id, revoke_keys, rotate_key
from stack.layout import Layout

pytestmark = pytest.mark.integration


def click(event_id: str) -> dict[str, Any]:
    now = time.time_ns() // 1_000_000
    return {"event_id": event_id, "user_id": "u", "session_id": "s", "action": "view", "timestamp": now}


def post(gateway: Any, key: str, *event_ids: str) -> httpx.Response:
    answer: httpx.Response = gateway.client.post(
        "/v1/events", json=[click(event_id) for event_id in event_ids], headers={"authorization": f"Bearer {key}"}
    )
    return answer


def until_status(gateway: Any, key: str, status: int, timeout_seconds: float = 5) -> float:
    """Seconds until five requests in a row get this status, each on a connection of its own: workers share the port."""
    started, row = time.monotonic(), 0
    while row < 5:
        assert time.monotonic() < started + timeout_seconds
        answer = httpx.post(
            f"{gateway.client.base_url}/v1/events", json=click("e"), headers={"authorization": f"Bearer {key}"}
        )
        row = row + 1 if answer.status_code == status else 0
        time.sleep(0.02)
    return time.monotonic() - started


def test_running_workers_take_changes_of_keys_within_seconds(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(WORKERS="2").started_ready()
    layout = Layout(gateway.home)
    first, entry = create_key(layout, "app", ["write"])
    until_status(gateway, first, 200)
    second, _, _ = rotate_key(layout, "app", timedelta(seconds=3))
    until_status(gateway, second, 200)
    until_status(gateway, first, 200, 2)  # both are good for a while
    until_status(gateway, first, 401)
    until_status(gateway, second, 200)
    third, _, _ = rotate_key(layout, "app", timedelta(0))
    until_status(gateway, second, 401)
    revoke_keys(layout, "app")
    until_status(gateway, third, 401)
    assert key_id(entry) not in (gateway.home / "gateway.log").read_text()


def test_a_source_over_its_rate_gets_429_and_nothing_of_the_request_is_taken(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway()
    key, _ = create_key(Layout(gateway.home), "app", ["write"], rate=2, burst=4)
    free, _ = create_key(Layout(gateway.home), "other", ["write"])
    gateway.started_ready()
    taken = post(gateway, key, "1", "2", "3")
    assert taken.status_code == 200
    assert taken.headers["ratelimit"].startswith('"source";r=1;')
    refused = post(gateway, key, "4", "5", "6")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["ratelimit-policy"] == '"source";q=4;w=2;qu="events"'
    assert refused.headers["ratelimit"].startswith('"source";r=1;')
    assert refused.headers["retry-after"] == "1"
    unreadable = gateway.client.post(
        "/v1/events", content=b"[", headers={"authorization": f"Bearer {key}", "content-type": "application/json"}
    )
    assert unreadable.status_code in (400, 429)
    other = post(gateway, free, "7")
    assert other.status_code == 200
    assert "ratelimit" not in other.headers
    time.sleep(2.1)  # full again, and more was not asked for
    assert post(gateway, key, "4", "5", "6").status_code == 200
    assert {record["event_id"] for record, _, _ in gateway.records("clickstream")} == set("1234567")
    metrics = gateway.client.get("/metrics").text
    assert 'millrace_gateway_rate_limited_requests_total{source="app"}' in metrics


def test_an_exhausted_source_is_refused_before_its_body_is_read(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway()
    key, _ = create_key(Layout(gateway.home), "app", ["write"], rate=0.01, burst=1)
    gateway.started_ready()
    assert post(gateway, key, "1").status_code == 200
    before = body_bytes(gateway)
    assert post(gateway, key, *(json.dumps(n) for n in range(1000))).status_code == 429
    assert body_bytes(gateway) == before
    assert gateway.records("rejected") == []


def body_bytes(gateway: Any) -> str:
    lines: list[str] = gateway.client.get("/metrics").text.splitlines()
    return next(line for line in lines if line.startswith("millrace_gateway_body_bytes_total"))
