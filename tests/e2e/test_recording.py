"""A real recording of shop traffic, replayed with its own timestamps: GraphQL's totals equal the source note's."""

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.millrace import REPOSITORY, Millrace

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

DATA = Path(os.environ.get("MILLRACE_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
RECORDING = DATA / "rees46_multi_2019-10-01_head.csv.gz"
RANGE = {"from": "2019-10-01T00:00:00Z", "to": "2019-10-01T03:00:00Z"}


@pytest.mark.skipif(
    not RECORDING.exists(),
    reason="the recording may not be copied into the project; it lies beside it where it is to be had",
)
def test_a_real_recording_gives_the_totals_of_its_source_note(millrace: Millrace) -> None:
    millrace.command("replay", str(RECORDING), "--speed", "0", "--json", timeout=200)
    millrace.settled(timeout=200)
    found = millrace.ask(
        "query($range: TimeRange!) {"
        " sales(range: $range, grain: HOUR) { revenue purchases uniqueCustomers }"
        ' products: productMetrics(range: $range, window: "PT3H") { productId views adds purchases }'
        " revenue(range: $range) { category total count }"
        " books { close residue totals { applied imported late } } }",
        {"range": RANGE},
    )
    assert sum(row["purchases"] for row in found["sales"]) == 214
    assert sum(Decimal(row["revenue"]) for row in found["sales"]) == Decimal("59442.63")
    assert sum(row["views"] for row in found["products"]) == 17_055
    assert sum(row["adds"] for row in found["products"]) == 165
    assert sum(row["purchases"] for row in found["products"]) == 214
    assert len({row["productId"] for row in found["products"]}) == 6_493
    assert sum(Decimal(row["total"]) for row in found["revenue"]) == Decimal("59442.63")
    assert found["books"]["close"] is True
    assert found["books"]["totals"]["imported"] == 17_434


@pytest.mark.skipif(not RECORDING.exists(), reason="as above")
def test_replaying_it_again_changes_no_number(millrace: Millrace) -> None:
    question = 'query($range: TimeRange!) { productMetrics(range: $range, window: "PT3H") { productId views revenue } }'
    before = millrace.ask(question, {"range": RANGE})
    first = json.loads(millrace.command("replay", str(RECORDING), "--speed", "0", "--json", timeout=200).stdout)
    settled = millrace.settled(timeout=200)
    assert first
    assert millrace.ask(question, {"range": RANGE}) == before
    assert settled["books"]["totals"]["duplicates"] >= 17_434
    assert settled["books"]["close"] is True
