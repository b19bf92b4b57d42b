"""The gateway's bench against a real broker: every case is measured, and what was acknowledged is there."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[3]


def bench(bootstrap: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [
        sys.executable,
        "-m",
        "loadtest",
        "bench",
        "gateway",
        "--seconds",
        "0.5",
        "--connections",
        "4",
        *arguments,
    ]
    environment = {**os.environ, "MILLRACE_KAFKA_BOOTSTRAP": bootstrap}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


def test_every_case_is_measured_beside_both_limits(kafka_bootstrap: str) -> None:
    done = bench(kafka_bootstrap, "--json")
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    cases = figures["cases"]
    assert list(cases) == [
        "bare produce loop", "empty route", "JSON, single", "Avro, single", "JSON, batches of 100",
        "Avro, batches of 100",
    ]  # fmt: skip
    for name, case in cases.items():
        assert case["cpu_seconds_per_million"] > 0
        if name not in ("bare produce loop", "empty route"):
            assert case["statuses"] == {"200": case["requests"]}
            assert case["events"] == case["requests"] * (100 if "100" in name else 1)
            assert case["of_produce_loop"] > 0
            assert 0 < case["p50_ms"] <= case["p99_ms"]
    assert figures["stored"] >= figures["acknowledged"] > 0
    left = AdminClient({"bootstrap.servers": kafka_bootstrap}).list_topics(timeout=10).topics
    assert not [topic for topic in left if topic.startswith("bench-")]


def test_without_a_broker_it_says_how_to_get_one() -> None:
    done = bench("127.0.0.1:1")
    assert done.returncode == 1
    assert "millrace up --only kafka" in done.stderr
    assert "Traceback" not in done.stderr
