"""What a stack does by itself beside the stream: it compacts its Delta tables, writes gold ones, and reports."""

import json
from datetime import datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.millrace import Millrace, until
from tests.e2e.seeded_run import Run

pytestmark = pytest.mark.e2e


def test_delta_tables_are_compacted_gold_is_written_and_the_day_reported_beside_the_stream(
    run: Run, millrace: Millrace
) -> None:
    tasks = {"compact", "gold", "report"}

    def all_three() -> dict[str, float] | None:
        told = millrace.http.get(f"http://127.0.0.1:{millrace.base_port + 2}/metrics")
        samples = [each for family in text_string_to_metric_families(told.text) for each in family.samples]
        # A turn may have failed: the tests before this one kill what it needs. Told here is when one last ended well.
        ended = {each.labels["task"] for each in samples if each.name.endswith("maintenance_timestamp_seconds")}
        files = {each.labels["table"]: each.value for each in samples if each.name.endswith("_delta_files")}
        return files if ended >= tasks else None

    assert until(all_three, 120, "all three to have had a turn that ended well")["events"] > 0
    report = until(lambda: millrace.ask("{ report { day totals { events } } }")["report"], 60, "a report with events")
    assert report["totals"]["events"] > 0
    told = json.loads(millrace.command("report", "--day", report["day"], "--format", "json").stdout)
    assert told["totals"]["events"] >= report["totals"]["events"]


def test_a_random_hour_is_verified_beside_the_stream_and_told(run: Run, millrace: Millrace) -> None:
    def verified() -> dict[str, Any] | None:
        told = millrace.ask("{ verifications(first: 1) { epoch from until rows mismatches } }")["verifications"]
        return told[0] if told else None

    told = until(verified, 120, "a verification in the background to have ended")
    assert told["rows"] > 0
    assert told["mismatches"] == 0
    assert datetime.fromisoformat(told["from"]) < datetime.fromisoformat(told["until"])
