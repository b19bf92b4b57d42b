"""An epoch's records as a batch and as rows of the log: spans are half-open, and lateness has one boundary."""

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.topics import CLICKSTREAM, REJECTED, TRANSACTIONS
from processing.batch import EVENT_LOG, event_rows, span_of
from processing.enrichment.enrich import Enricher
from tests.processing.builders import START_MS, at, batch_of, click, decoded_table, headers, record, sale

pytestmark = pytest.mark.unit

ENRICHER = Enricher()
PLACES = st.lists(
    st.tuples(
        st.sampled_from((CLICKSTREAM.name, TRANSACTIONS.name, REJECTED.name)), st.integers(0, 2), st.integers(0, 50)
    ),
    min_size=1,
    unique=True,
)


def places(rows: list[tuple[str, int, int]]) -> pa.Table:
    return pa.table(
        {
            "topic": pa.array([row[0] for row in rows], pa.string()),
            "partition": pa.array([row[1] for row in rows], pa.int32()),
            "offset": pa.array([row[2] for row in rows], pa.int64()),
            "log_time": pa.array([at(START_MS + row[2]) for row in rows], pa.timestamp("us", "UTC")),
        }
    )


@given(PLACES, st.integers(0, 10))
def test_the_offsets_of_each_partition_are_noted_half_open(rows: list[tuple[str, int, int]], cut: int) -> None:
    spans = span_of([places(rows[:cut]), places(rows[cut:])])
    wanted = {}
    for topic, partition in {row[:2] for row in rows}:
        offsets = [row[2] for row in rows if row[:2] == (topic, partition)]
        wanted[topic, partition] = (min(offsets), max(offsets) + 1, len(offsets))
    assert {
        (row["topic"], row["partition"]): (row["from_offset"], row["until_offset"], row["records"])
        for row in spans["offsets"].to_pylist()
    } == wanted
    assert spans["newest_log_time"] == at(START_MS + max(row[2] for row in rows))


def test_a_batch_spans_what_it_quarantines_and_rejects_too() -> None:
    records = [record(click()), replace(record(click("e2")), value=b"x", offset=1), record(sale(), offset=9)]
    batch = batch_of(records)
    spans = {row["topic"]: (row["from_offset"], row["until_offset"]) for row in batch.offsets.to_pylist()}
    assert spans == {"clickstream": (0, 2), "transactions": (9, 10)}
    assert (batch.records, batch.events.num_rows, batch.quarantined.num_rows) == (3, 2, 1)


@pytest.mark.parametrize(
    ("offset_ms", "late"),
    [(-1, True), (0, False), (1, False)],
    ids=["just before the watermark", "exactly at the watermark", "just after the watermark"],
)
def test_an_event_is_late_if_it_is_older_than_the_watermark(offset_ms: int, late: bool) -> None:
    events = decoded_table([click(timestamp=START_MS + offset_ms)])
    assert event_rows(events, 3, at(START_MS), ENRICHER)["late"].to_pylist() == [late]


def test_imported_events_are_never_late() -> None:
    imported = record(click(timestamp=START_MS - 86_400_000), headers=headers(imported=True))
    rows = event_rows(batch_of([imported]).events, 3, at(START_MS), ENRICHER)
    assert (rows["imported"].to_pylist(), rows["late"].to_pylist()) == ([True], [False])


def test_without_a_watermark_nothing_is_late() -> None:
    assert event_rows(decoded_table([click(timestamp=0)]), 1, None, ENRICHER)["late"].to_pylist() == [False]


def test_rows_of_the_log_have_its_schema_and_the_utc_date_of_their_event() -> None:
    midnight_ms = START_MS + 12 * 3_600_000
    events = decoded_table(
        [click("a", timestamp=midnight_ms - 1), sale("b", timestamp=midnight_ms)], log_ms=midnight_ms
    )
    rows = event_rows(events, 7, None, ENRICHER)
    assert rows.schema == EVENT_LOG
    assert rows["date"].to_pylist() == [(at(midnight_ms) - timedelta(days=1)).date(), at(midnight_ms).date()]
    assert rows["epoch"].to_pylist() == [7, 7]
    assert rows["log_time"].to_pylist() == [at(midnight_ms)] * 2
    assert rows["received_at"].to_pylist() == [at(START_MS)] * 2


def test_rows_keep_every_field_of_their_event_and_say_where_it_lies() -> None:
    full = click(
        referrer="https://google.com/",
        search_query="shoes",
        properties={"a": "b"},
        user_agent="curl/8.5.0",
        page_url="https://shop.example/p1?utm_source=mail&utm_medium=email&utm_campaign=May",
    )
    batch = batch_of([record(full, offset=5, partition=1, headers=[*headers(), ("client_ip", b"203.0.113.0")])])
    (row,) = event_rows(batch.events, 1, None, ENRICHER).to_pylist()
    assert {name: row[name] for name in full if name not in ("timestamp", "properties")} == {
        name: value for name, value in full.items() if name not in ("timestamp", "properties")
    }
    assert (row["properties"], row["client_ip"], row["source"]) == ([("a", "b")], "203.0.113.0", "demo")
    assert (row["topic"], row["partition"], row["offset"]) == ("clickstream", 1, 5)
    assert (row["bot"], row["bot_reason"], row["device"]) == (True, "http_library", "bot")
    assert (row["medium"], row["campaign_medium"], row["campaign"]) == ("email", "email", "May")
    assert row["kind"] is row["amount"] is None


def test_an_epoch_may_have_no_events() -> None:
    assert event_rows(decoded_table([]), 1, at(START_MS), ENRICHER).schema == EVENT_LOG
