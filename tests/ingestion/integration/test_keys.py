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


def until_status(gateway: Any, key: str, status: int, timeout_seconds: float = 30) -> None:
    """Wait until five requests in a row get this status, each on a connection of its own: workers share the port."""
    deadline, row = time.monotonic() + timeout_seconds, 0
    while row < 5:
        assert time.monotonic() < deadline
        answer = httpx.post(
            f"{gateway.client.base_url}/v1/events", json=click("e"), headers={"authorization": f"Bearer {key}"}
        )
        row = row + 1 if answer.status_code == status else 0
        time.sleep(0.02)


def test_running_workers_take_changes_of_keys_within_seconds(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway(WORKERS="2").started_ready()
    layout = Layout(gateway.home)
    first, entry = create_key(layout, "app", ["write"])
    until_status(gateway, first, 200)
    second, _, _ = rotate_key(layout, "app", timedelta(minutes=5))
    until_status(gateway, second, 200)
    until_status(gateway, first, 200)  # both are good for a while
    third, _, _ = rotate_key(layout, "app", timedelta(seconds=2))
    until_status(gateway, second, 401)  # by the clock: nobody touches the file
    until_status(gateway, first, 401)
    until_status(gateway, third, 200)
    fourth, _, _ = rotate_key(layout, "app", timedelta(0))
    until_status(gateway, third, 401)
    revoke_keys(layout, "app")
    until_status(gateway, fourth, 401)
    assert key_id(entry) not in (gateway.home / "gateway.log").read_text()


def test_a_source_over_its_rate_gets_429_and_nothing_of_the_request_is_taken(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway()
    layout = Layout(gateway.home)
    slow, _ = create_key(layout, "slow", ["write"], rate=0.01, burst=4)  # so that a busy machine changes nothing
    quick, _ = create_key(layout, "quick", ["write"], rate=2, burst=4)
    free, _ = create_key(layout, "free", ["write"])
    gateway.started_ready()
    taken = post(gateway, slow, "1", "2", "3")
    assert taken.status_code == 200
    assert taken.headers["ratelimit"].startswith('"source";r=1;')
    refused = post(gateway, slow, "a", "b", "c")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["ratelimit-policy"] == '"source";q=4;w=400;qu="events"'
    assert refused.headers["ratelimit"].startswith('"source";r=1;')
    assert 100 < int(refused.headers["retry-after"]) <= 200
    other = post(gateway, free, "4")
    assert other.status_code == 200
    assert "ratelimit" not in other.headers
    for ids in ("56", "78"):
        while (answer := post(gateway, quick, *ids)).status_code == 429:
            time.sleep(int(answer.headers["retry-after"]))
        assert answer.status_code == 200
    assert {record["event_id"] for record, _, _ in gateway.records("clickstream")} == set("12345678")
    assert gateway.records("rejected") == []
    metrics = gateway.client.get("/metrics").text
    assert 'millrace_gateway_rate_limited_requests_total{source="slow"} 1.0' in metrics


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
