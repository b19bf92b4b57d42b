"""A short load of every kind of client on the stack of these tests; late, since its traffic is in their numbers."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from loadtest.load.workload import read_workload
from tests.e2e.millrace import Millrace

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

KINDS: Final = {
    "Json", "JsonBatch", "AvroBatch", "SegmentBatch", "DashboardsCached", "DashboardsCold", "Subscriptions",
}  # fmt: skip


def test_every_kind_of_client_is_served_the_audit_passes_and_the_report_has_its_charts(
    millrace: Millrace, tmp_path: Path
) -> None:
    folder = tmp_path / "load"
    done = millrace.command(
        *("load", "--profile", "smoke", "--seconds", "6", "--seed", "7", "--json", "--report", str(folder)), check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    figures = told["figures"]
    assert (told["passed"], told["problems"], figures["errors"]) == (True, [], {})
    assert set(figures["requests"]) == KINDS
    asked = read_workload("smoke").at_rate(None, 6)
    assert figures["events"] == round(asked.events)
    assert len(asked.senders()) + len(asked.readers()) + 1 == len(KINDS)
    for how in ("query", "subscription"):
        assert figures["freshness"][f"{how}_ms"]["p50"] > 0
    checks = {check["name"]: check["holds"] for check in told["audit"]["checks"]}
    assert told["audit"]["events"] > asked.events
    assert all(checks.values())
    assert checks.keys() >= {f"answers: {name}" for name in ("sessions", "conversions", "funnel", "journeys", "users")}
    page = (folder / "report.html").read_text("utf-8")
    assert page.count("<svg") == 3
    assert page.count("<polyline") >= len(KINDS)
    assert json.loads((folder / "report.json").read_text("utf-8"))["audit"] == told["audit"]
