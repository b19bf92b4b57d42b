"""Damaged records through every step of an epoch: what passes as valid can be folded, stored, logged and published."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from processing.batch import event_rows
from processing.dedupe import deduplicate, keep_duplicates
from processing.enrichment.enrich import Enricher
from processing.event_log import EventLog
from processing.judge import LONGEST
from processing.kept import keep_quarantined, keep_rejected
from processing.merge import fold_in
from processing.recent_ids import RecentIds
from processing.store import Store
from tests.processing.builders import START_MS, Record, batch_of, click, record, sale
from tests.processing.folding import ENGINE, PROJECTIONS
from tests.processing.mutations import mutated

pytestmark = pytest.mark.integration


def widest() -> list[Record]:
    """As long as judging lets them be in every field, in characters of four bytes that do not compress to nothing."""
    dice = random.Random(4)
    wide = {name: "".join(chr(dice.randrange(0x20000, 0x2A6D0)) for _ in range(size)) for name, size in LONGEST.items()}
    wide |= dict.fromkeys(("user_id", "session_id"), wide["product_id"][::-1])
    events = (click(wide["order_id"], action="click"), sale(wide["order_id"], timestamp=START_MS + 1))
    return [record(event | {name: wide[name] for name in wide.keys() & event.keys()}) for event in events]


def test_whatever_damage_passes_as_valid_goes_through_every_later_step(store: Store, tmp_path: Path) -> None:
    dice = random.Random(20260301)
    records = [replace(each, offset=offset) for offset, each in enumerate([*widest(), *map(mutated, [dice] * 6_000)])]
    batch = batch_of(records)
    assert batch.records == len(records)
    assert {0, 1} <= set(batch.events["offset"].to_pylist())
    assert min(batch.events.num_rows, batch.quarantined.num_rows, batch.rejected.num_rows) > 100
    told = deduplicate(RecentIds(), batch.events, 1)
    rows = event_rows(told.first, 1, None, Enricher())
    with store.transaction() as transaction:
        for projection, delta in ENGINE.deltas(rows, PROJECTIONS):
            fold_in(transaction, projection, delta)
        keep_duplicates(transaction, told.duplicates)
        keep_quarantined(transaction, batch.quarantined, 1)
        keep_rejected(transaction, batch.rejected, 1)
    event_log = EventLog(tmp_path, 0)
    event_log.open()
    event_log.add(1, rows)
    appended = event_log.flush()
    assert appended is not None
    tables = {
        "site_minutes": ("sum(events)::bigint", rows.num_rows),
        "duplicates": ("count(*)", told.duplicates.num_rows),
        "quarantine": ("count(*)", batch.quarantined.num_rows),
        "rejected_events": ("count(*)", batch.rejected.num_rows),
    }
    sums = ", ".join(f"(SELECT {sql} FROM {name}) AS {name}" for name, (sql, _) in tables.items())
    with store.transaction() as transaction:
        (found,) = transaction.query(f"SELECT {sums}").to_pylist()
    assert found == {name: wanted for name, (_, wanted) in tables.items()}
    assert event_log.count_rows() == appended.rows == rows.num_rows
    json.dumps(rows.drop_columns(["date"]).to_pylist(), default=str)
