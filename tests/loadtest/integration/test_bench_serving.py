"""The bench of serving against a real Postgres: every question is asked all three ways, and nothing is left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[3]


def bench(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    small = ("--seconds", "1", "--connections", "2", "--minutes", "4000", "--sessions", "1000", "--subscribers", "20")
    command = [sys.executable, "-m", "loadtest", "bench", "serving", *small, *arguments]
    environment = {**os.environ, "MILLRACE_POSTGRES_URL": url}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


def test_every_question_is_asked_three_ways(postgres_url: str) -> None:
    done = bench(postgres_url, "--json")
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    assert len(figures["cases"]) == 4
    for case in figures["cases"].values():
        assert list(case) == ["kept", "read", "bare SQL"]
        assert case["kept"]["statuses"] == {"200": case["kept"]["requests"]}
        assert case["read"]["of_bare_sql"] > 0
    followed = figures["subscribers"]
    assert (followed["subscribers"], followed["epochs"], followed["told"]) == (20, 10, 200)
    assert 0 < followed["p50_ms"] <= followed["p99_ms"] <= followed["last_ms"]


def test_without_a_database_it_says_how_to_get_one() -> None:
    done = bench("postgresql://127.0.0.1:1/none")
    assert done.returncode == 1
    assert "millrace up --only postgres" in done.stderr
    assert "Traceback" not in done.stderr
