"""The watch as the stack runs it: a process that becomes ready, tells, measures itself and stops when asked to."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from contracts.settings import PostgresSettings
from processing.store import Store
from tests.processing.integration.processor import free_port
from tests.processing.minutes_of import MINUTE, commit, write_minutes
from tests.processing.receivers import SECRET, Receiver, receiving, webhook_fault

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


def _until(found: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.1)


def _home(folder: Path, receiver: Receiver) -> Path:
    (folder / "millrace.toml").write_text(
        "[watch]\nalert_seconds = 0\ninterval_seconds = 0.2\n"
        "train_interval_seconds = 2\nforecast_interval_seconds = 2\n\n"
        f'[watch.destinations.ops]\nkind = "webhook"\nurl = "{receiver.url("/s3cret")}"\nsecret = "{SECRET}"\n'
        "allow_private = true\n"
    )
    return folder


def test_a_watch_waits_for_the_tables_tells_and_stops(postgres_url: str, tmp_path: Path) -> None:
    port, schema = free_port(), f"t{uuid.uuid4().hex}"
    health = f"http://127.0.0.1:{port}/health/ready"

    def metrics() -> str:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text

    def ready() -> str:
        try:
            return str(httpx.get(health, trust_env=False).json()["status"])
        except httpx.TransportError:
            return "no answer"

    with receiving(webhook_fault) as receiver, (tmp_path / "log").open("wb") as out:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")},
            "PYTHONPATH": str(ROOT),
            "MILLRACE_HOME": str(_home(tmp_path, receiver)),
            "MILLRACE_POSTGRES_URL": postgres_url,
            "MILLRACE_POSTGRES_DB_SCHEMA": schema,
            "MILLRACE_WATCH_PORT": str(port),
        }
        watch = subprocess.Popen(
            [sys.executable, "-m", "processing.watch"], cwd=tmp_path, env=environment, stdout=out, stderr=out
        )
        store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema=schema))
        try:
            _until(lambda: ready() == "waiting for processing to make the tables", "it to say what it lacks")
            store.create_tables()
            _until(lambda: ready() == "ready", "it to be ready")
            now = datetime.now(UTC).replace(second=0, microsecond=0)
            with store.transaction() as transaction:
                write_minutes(transaction, now - timedelta(minutes=9), now - MINUTE, 1, {"events": 400, "views": 400})
                commit(transaction, 1, now - 5 * MINUTE, log_time=datetime.now(UTC))
            _until(lambda: receiver.got, "the alert")
            with store.transaction() as transaction:
                transaction.execute("DELETE FROM product_minutes")
            _until(lambda: len(receiver.got) > 1, "its end")
            told = 'millrace_watch_deliveries_total{outcome="delivered"} 2.0'
            _until(lambda: told in metrics(), "it to count what it has sent")
            # No hour is closed, so there is nothing to learn from; but it has looked whether there is.
            for work in ("trainings", "forecasts"):
                looked = f'millrace_watch_{work}_total{{outcome="nothing_to_do"}}'
                _until(lambda looked=looked: looked in metrics(), f"{work} to be looked for")  # type: ignore[misc]
            counted = metrics()
        finally:
            store.close()
            watch.send_signal(signal.SIGTERM)
            code = watch.wait(30)
    assert code == 0
    assert [(told["type"], told["data"]["key"]) for told in receiver.got] == [
        ("alert.opened", "rule:flash-sale"),
        ("alert.resolved", "rule:flash-sale"),
    ]
    assert 'millrace_watch_alerts_total{change="opened",kind="shop"} 1.0' in counted
    logged = (tmp_path / "log").read_text()
    assert "alert_opened" in logged
    assert "s3cret" not in logged
    assert SECRET not in logged


def test_a_setting_that_can_not_work_stops_it_with_its_name_and_not_with_the_secret(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "MILLRACE_HOME": str(tmp_path),
        "MILLRACE_WATCH_DESTINATIONS": '{"ops": {"kind": "webhook", "url": "https://x/", "secret": "s3cret"}}',
    }
    done = subprocess.run(
        [sys.executable, "-m", "processing.watch"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "MILLRACE_WATCH_DESTINATIONS_OPS" in done.stderr
    assert "whsec_" in done.stderr
    assert "s3cret" not in done.stderr
