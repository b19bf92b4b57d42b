"""Grace mode over the wire: mended events are accepted, marked and counted; without it the same events are refused."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from ingestion.encode import make_encoder
from schemas_avro import load_registry
from stack.keys import create_key
from stack.layout import Layout

pytestmark = pytest.mark.integration


def click(event_id: str, **change: Any) -> dict[str, Any]:
    now = time.time_ns() // 1_000_000
    return {"event_id": event_id, "user_id": "u", "session_id": "s", "action": "view", "timestamp": now, **change}


def test_a_key_in_grace_mode_loses_nothing_to_lenient_faults(make_gateway: Callable[..., Any]) -> None:
    gateway = make_gateway()
    lenient, _ = create_key(Layout(gateway.home), "app", ["write"], grace=True)
    strict, _ = create_key(Layout(gateway.home), "shop", ["write"])
    gateway.started_ready()
    events = [
        click("fine"),
        click("new", tier="gold", action="wishlist"),
        click("long", page_url="x" * 9000),
        click("old", timestamp=1),
        click("bad", user_id=""),
        {**click("t"), "transaction_id": "t"},
    ]
    encode = make_encoder(load_registry().latest("clickstream"))
    avro = encode("avro", "u", "s", None, None, "view", 1, "y" * 9000, None, None, None, {})
    bodies = [
        (json.dumps(events).encode(), "application/json"),
        (
            "\n".join(json.dumps({**e, "event_id": e["event_id"] + "-line"}) for e in events).encode(),
            "application/x-ndjson",
        ),
        (avro, "application/avro"),
    ]
    answers = [gateway.post(body, kind, authorization=f"Bearer {lenient}") for body, kind in bodies]
    assert [answer.json()["accepted"] for answer in answers] == [4, 4, 1]
    assert [told["status"] for told in answers[0].json()["results"]] == ["accepted"] * 4 + ["rejected"] * 2
    taken = {record["event_id"]: record for record, _, _ in gateway.records("clickstream")}
    for suffix in ("", "-line"):
        assert taken[f"fine{suffix}"]["properties"] == {}
        assert taken[f"new{suffix}"]["action"] == "other"
        assert taken[f"new{suffix}"]["properties"] == {
            "tier": "gold", "_millrace_action": "wishlist",
            "_millrace_fault": "unknown_field:/tier invalid_enum:/action",
        }  # fmt: skip
        assert len(taken[f"long{suffix}"]["page_url"]) == 8192
        assert taken[f"old{suffix}"]["properties"] == {"_millrace_fault": "timestamp_too_old:/timestamp"}
    assert sorted(taken["avro"]["properties"]["_millrace_fault"].split()) == [
        "invalid_text:/page_url", "timestamp_too_old:/timestamp",
    ]  # fmt: skip
    assert len(gateway.records("rejected")) == 4
    metrics = gateway.client.get("/metrics").text
    assert 'millrace_gateway_mended_events_total{reason="unknown_field",source="app"} 2.0' in metrics
    assert 'millrace_gateway_mended_events_total{reason="timestamp_too_old",source="app"} 3.0' in metrics
    assert 'millrace_gateway_accepted_events_total{source="app",topic="clickstream"} 9.0' in metrics
    refused = gateway.post(bodies[0][0], authorization=f"Bearer {strict}")
    assert refused.json()["accepted"] == 1
    assert 'source="shop"' not in "".join(line for line in metrics.splitlines() if "mended" in line)
