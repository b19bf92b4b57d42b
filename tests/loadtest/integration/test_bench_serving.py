"""The bench of serving against a real Postgres: every question is asked all three ways, and nothing is left behind."""

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from loadtest.bench_postgraphile import DOCUMENTS, FUNCTIONS
from loadtest.bench_serving import QUESTIONS
from loadtest.bench_serving_rows import END, make_shop

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[3]


def bench(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    small = ("--seconds", "0.3", "--connections", "2", "--minutes", "4000", "--sessions", "1000", "--subscribers", "20")
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


async def test_postgraphile_is_asked_for_the_same_rows(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url, server_settings={"search_path": "bench_beside"})
    try:
        await connection.execute("CREATE SCHEMA bench_beside")
        await make_shop(connection, 150_000, 1000)  # two hours and a half of all products
        await connection.execute(FUNCTIONS.read_text("utf-8"))
        assert [question.name for question in QUESTIONS] == list(DOCUMENTS)
        for question in QUESTIONS:
            (of,) = re.findall(r"asked: (\w+)Of", DOCUMENTS[question.name])
            columns = "session_id, user_id, started_at, events, purchases, revenue" if of == "sessions" else "*"
            span = (END - timedelta(days=1), END - timedelta(hours=22))
            theirs = await connection.fetch(f"SELECT {columns} FROM {of}_of($1, $2) LIMIT 51", *span)
            ours = await connection.fetch(question.sql, *span)
            assert list(map(tuple, theirs)) == list(map(tuple, ours))[:51] != []
    finally:
        await connection.execute("DROP SCHEMA IF EXISTS bench_beside CASCADE")
        await connection.close()


def test_without_a_database_it_says_how_to_get_one() -> None:
    done = bench("postgresql://127.0.0.1:1/none")
    assert done.returncode == 1
    assert "millrace up --only postgres" in done.stderr
    assert "Traceback" not in done.stderr
