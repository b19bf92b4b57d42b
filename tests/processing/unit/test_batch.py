"""Sorting an epoch's records: nothing appears or vanishes, and lateness has one boundary."""

from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.topics import CLICKSTREAM, REJECTED, TRANSACTIONS
from processing.batch import EVENT_LOG, event_rows, sort_records
from tests.processing.builders import DECODED, START_MS, at, click, decoded_table, sale

pytestmark = pytest.mark.unit

RECORDS = st.lists(
    st.tuples(
        st.sampled_from((CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name)),
        st.integers(0, 2),
        st.integers(0, 50),
        st.sampled_from((None, "malformed_avro")),
    ),
    min_size=1,
    unique_by=lambda row: row[:3],
)


def decoded(rows: list[tuple[str, int, int, str | None]]) -> pa.Table:
    names = ("topic", "partition", "offset", "quarantine")
    return pa.Table.from_pylist(
        [dict(zip(names, row, strict=True), log_time=at(START_MS + row[2])) for row in rows], schema=DECODED
    )


@given(RECORDS)
def test_every_record_is_exactly_one_of_event_quarantined_and_rejected(
    rows: list[tuple[str, int, int, str | None]],
) -> None:
    batch = sort_records(decoded(rows))
    sorted_rows = [
        (row["topic"], row["partition"], row["offset"], row["quarantine"])
        for part in (batch.events, batch.quarantined, batch.rejected)
        for row in part.to_pylist()
    ]
    assert sorted(sorted_rows, key=str) == sorted(rows, key=str)
    assert batch.records == len(rows)
    assert set(batch.events["quarantine"].to_pylist()) <= {None}
    assert None not in batch.quarantined["quarantine"].to_pylist()
    assert set(batch.rejected["topic"].to_pylist()) <= {REJECTED.name}
    assert REJECTED.name not in batch.events["topic"].to_pylist()


@given(RECORDS)
def test_the_offsets_of_each_partition_are_noted_half_open(rows: list[tuple[str, int, int, str | None]]) -> None:
    batch = sort_records(decoded(rows))
    spans = {}
    for topic, partition in {row[:2] for row in rows}:
        offsets = [row[2] for row in rows if row[:2] == (topic, partition)]
        spans[topic, partition] = (min(offsets), max(offsets) + 1, len(offsets))
    assert {
        (row["topic"], row["partition"]): (row["from_offset"], row["until_offset"], row["records"])
        for row in batch.offsets.to_pylist()
    } == spans
    assert batch.newest_log_time == at(START_MS + max(row[2] for row in rows))


@pytest.mark.parametrize(
    ("offset_ms", "late"),
    [(-1, True), (0, False), (1, False)],
    ids=["just before the watermark", "exactly at the watermark", "just after the watermark"],
)
def test_an_event_is_late_if_it_is_older_than_the_watermark(offset_ms: int, late: bool) -> None:
    events = decoded_table([click(timestamp=START_MS + offset_ms)])
    assert event_rows(events, 3, at(START_MS))["late"].to_pylist() == [late]


def test_imported_events_are_never_late() -> None:
    events = decoded_table([click(timestamp=START_MS - 86_400_000)])
    imported = events.set_column(events.schema.get_field_index("imported"), "imported", pa.array([True]))
    assert event_rows(imported, 3, at(START_MS))["late"].to_pylist() == [False]


def test_without_a_watermark_nothing_is_late() -> None:
    assert event_rows(decoded_table([click(timestamp=0)]), 1, None)["late"].to_pylist() == [False]


def test_rows_of_the_log_have_its_schema_and_the_utc_date_of_their_event() -> None:
    midnight = at(START_MS).replace(hour=0) + timedelta(days=1)
    midnight_ms = START_MS + 12 * 3_600_000
    events = decoded_table([click("a", timestamp=midnight_ms - 1), sale("b", timestamp=midnight_ms)])
    rows = event_rows(events, 7, None)
    assert rows.schema == EVENT_LOG
    assert rows["date"].to_pylist() == [(midnight - timedelta(days=1)).date(), midnight.date()]
    assert rows["epoch"].to_pylist() == [7, 7]
    assert rows["received_at"].to_pylist() == [at(START_MS)] * 2
