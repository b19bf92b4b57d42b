"""The real recording against its source note. The file may not be copied here, so it is read where it is."""

import os
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from loadtest.facts import to_fact
from loadtest.oracle import Oracle
from loadtest.replay import count, read_rows, to_events

pytestmark = pytest.mark.integration

NAME = "rees46_multi_2019-10-01_head.csv.gz"


@pytest.fixture(scope="module")
def recording() -> Path:
    beside_the_checkout = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    path = Path(os.environ.get("MILLRACE_SHARED_DATA") or beside_the_checkout) / NAME
    if not path.exists():
        pytest.skip(f"the REES46 recording is not here: put {NAME} into $MILLRACE_SHARED_DATA")
    return path


def test_our_count_equals_the_source_note(recording: Path) -> None:
    totals = count(read_rows(recording))
    assert (totals.rows, totals.views, totals.carts, totals.purchases) == (17_434, 17_055, 165, 214)
    assert totals.revenue == Decimal("59442.63")
    assert (totals.users, totals.sessions, totals.products) == (4_504, 5_066, 6_493)


def test_the_events_made_of_it_carry_the_same_totals(recording: Path) -> None:
    facts = [to_fact(event) for event in to_events(read_rows(recording))]
    actions = Counter(fact.action for fact in facts)
    assert actions == {"view": 17_055, "add_to_cart": 165, "purchase": 214}
    assert len({(fact.topic, fact.event_id) for fact in facts}) == 17_434
    oracle = Oracle(facts)
    assert sum((window.total for window in oracle.revenue().values()), Decimal(0)) == Decimal("59442.63")
    assert len({session_id for session_id, _ in oracle.sessions}) == 5_066
