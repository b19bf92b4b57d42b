"""The short drill on the stack of these tests. It comes late: its traffic would be in the numbers of the others."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.millrace import Millrace

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PARTS = {"gateway", "kafka", "postgres", "processing", "serving", "watch"}


def test_parts_are_killed_under_load_and_every_event_counts_once(millrace: Millrace, tmp_path: Path) -> None:
    done = millrace.command(
        *("drill", "short", "--here", "--seed", "7", "--rate", "50", "--json", "--report", str(tmp_path / "drill")),
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    (drill,) = told["drills"]
    assert told["passed"] is True
    assert len(drill["recoveries"]) == 2
    assert drill["audit"]["events"] > 100
    held = drill["resources"]["after"]
    assert held["memory_mib"].keys() == held["open_files"].keys() == PARTS
    assert min(held["memory_mib"].values()) > 0
    assert held["delta_files"]["events"] > 0
    assert held["checkpoint_files"]["checkpoint"] > 0
    assert (tmp_path / "drill" / "report.md").read_text().count("passed") == 1
