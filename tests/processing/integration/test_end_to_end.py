"""The whole part as a process: real records in, tables, event log and results out, and what may happen meanwhile.

One processor for all of these tests, since a start takes seconds. Crashes are in `test_crashes.py`.
"""

import random
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import pytest

from contracts import projections, topics
from processing.enrichment.enrich import ENRICHED
from tests.processing.builders import rejection, sale
from tests.processing.expected import expected, without_epochs
from tests.processing.folding import ENGINE, PROJECTIONS, as_rows, joined
from tests.processing.integration.bench import Bench
from tests.processing.integration.processor import Metrics, Processor, eventually, free_port
from tests.processing.integration.results_topic import Results, last_results, published_rows
from tests.processing.integration.traffic import Traffic, now_ms, poison, visits

pytestmark = [pytest.mark.integration, pytest.mark.timeout(290)]

HOUR_MS: Final = 3_600_000
MOST_RECORDS: Final = 500
"""Read as one epoch; of a partition with little, Spark may take one more than its share."""
WIDEST: Final = Decimal("99999999999999.9999")


@pytest.fixture(scope="module")
def calm(make_bench: Callable[..., Bench]) -> Bench:
    """What happens to a processor that is not killed: all kinds of traffic, a rival, a lost connection, a SIGTERM."""
    bench = make_bench(LOG_INTERVAL_SECONDS="2", EPOCH_INTERVAL_MS="200", MAX_EVENTS_PER_EPOCH=str(MOST_RECORDS))
    processor, traffic, reader, facts = bench.processor, bench.traffic, bench.reader, bench.facts
    dice = random.Random(1)
    traffic.send(visits(dice, "backlog", 4 * MOST_RECORDS, now_ms(), 120_000))
    traffic.flush()
    processor.start()
    processor.await_ready()
    # It cannot start Spark: that it is refused must not depend on it.
    nowhere = processor.home / "no-java"
    rival = Processor(**{**vars(processor), "port": free_port(), "child": None, "java_home": nowhere})
    rival.start()  # which takes it some seconds
    traffic.send(visits(dice, "now", 500, now_ms(), 120_000))
    traffic.send(sale(f"widest-{n}", amount=WIDEST, timestamp=now_ms() - 60_000) for n in range(3))
    poison(traffic)
    traffic.reject(rejection(f"r{n}", reason="invalid_id", received_at=now_ms()) for n in range(20))
    bench.settle()
    (mark,) = reader.query("SELECT watermark FROM epochs ORDER BY epoch DESC LIMIT 1")
    assert mark["watermark"].timestamp() * 1000 > now_ms() - HOUR_MS
    traffic.send(visits(dice, "late", 100, now_ms() - HOUR_MS, HOUR_MS), late=True)
    traffic.send(visits(dice, "imported", 300, now_ms() - 24 * HOUR_MS, 48 * HOUR_MS), imported=True)
    bench.settle()

    traffic.add_a_partition(topics.CLICKSTREAM)
    traffic.send(visits(dice, "one-more-partition", 200, now_ms(), 60_000))
    bench.settle()

    facts["rival's exit"] = rival.await_exit()
    facts["rival's reason"] = [line["reason"] for line in rival.logged("stopped")]
    traffic.send(visits(dice, "after-a-rival", 100, now_ms(), 60_000))
    bench.settle()

    facts["connections ended"] = reader.end_processors_connection()
    traffic.send(visits(dice, "connection-lost", 100, now_ms(), 60_000))
    bench.settle()
    # Whatever used the connection next has met the fault: an epoch, or roll-ups between two.
    facts["faults"] = [line for event in ("query_failed", "roll_up_failed") for line in processor.logged(event)]
    facts["held"], facts["totals"] = reader.held(), reader.totals()
    facts["published"] = {table.name: published_rows(reader, table.name) for table in projections.ALL}
    facts["results"] = results_once_like(processor, facts["published"])
    facts["books"] = reader.query("SELECT * FROM books")
    facts["rows"] = traffic.rows()
    facts["wanted"] = dict(traffic.totals), expected(facts["rows"])
    facts["metrics"] = metrics_once_caught_up(processor)

    # Asked to stop in the middle of traffic: what is committed by then is in the log too.
    ending = threading.Event()
    sender = threading.Thread(target=keep_sending, args=(traffic, ending, random.Random(2)))
    sender.start()
    epoch = reader.epochs()[0]
    eventually(lambda: reader.epochs()[0] > epoch + 2, "epochs under load")
    facts["exit"] = processor.stop()
    ending.set()
    sender.join()
    return bench


def keep_sending(traffic: Traffic, ending: threading.Event, dice: random.Random) -> None:
    """About 400 events a second until told to end."""
    for number in range(10_000):
        if ending.is_set():
            break
        traffic.send(visits(dice, f"load-{number}", 20, now_ms(), 60_000))
        time.sleep(0.05)
    traffic.flush()


def results_once_like(processor: Processor, published: Results) -> Results:
    """The results topic once it is as wanted, or as it stands after twenty seconds: it is written after the commit."""
    deadline = time.monotonic() + 20
    while (results := last_results(processor.bootstrap, processor.topic_prefix)) != published:
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    return results


def metrics_once_caught_up(processor: Processor) -> Metrics:
    """Its metrics once no record is waiting, or as they stand after 20 seconds: lag is measured now and then."""
    deadline = time.monotonic() + 20
    while True:
        told = processor.metrics()
        behind = sum(records for _, records in told["millrace_processing_behind_records"])
        if behind == 0 or time.monotonic() > deadline:
            return told
        time.sleep(0.5)


def test_every_table_equals_the_oracle(calm: Bench) -> None:
    _, wanted = calm.facts["wanted"]
    assert without_epochs(calm.facts["held"]) == without_epochs(wanted)


def test_every_record_is_in_the_books_once(calm: Bench) -> None:
    wanted, _ = calm.facts["wanted"]
    assert calm.facts["totals"] == wanted
    assert wanted["records"] == sum(wanted[name] for name in ("applied", "duplicates", "quarantined", "rejected"))
    assert min(wanted.values()) > 0
    books = calm.facts["books"]
    assert sum(row["next_offset"] - row["first_offset"] for row in books) == wanted["records"]
    assert {row["gaps"] for row in books} == {0}


def test_a_partition_that_is_added_meanwhile_is_read_from_its_first_record(calm: Bench) -> None:
    added = [row for row in calm.facts["books"] if (row["topic"], row["partition"]) == ("clickstream", 2)]
    assert [row["first_offset"] for row in added] == [0]
    assert added[0]["next_offset"] > 20


def test_a_backlog_is_read_in_epochs_no_larger_than_they_may_be(calm: Bench) -> None:
    (largest,) = calm.reader.query("SELECT max(records) AS records FROM epochs")
    partitions = len(calm.facts["books"])
    assert MOST_RECORDS / 2 < largest["records"] <= MOST_RECORDS + partitions


def test_what_is_not_an_event_is_kept_as_a_row(calm: Bench) -> None:
    kept = calm.reader.query(
        "SELECT (SELECT count(*) FROM quarantine) AS q, (SELECT count(*) FROM rejected_events) AS r"
    )
    assert kept == [{"q": calm.traffic.quarantined, "r": calm.traffic.rejected}]
    reasons = {row["reason"] for row in calm.reader.query("SELECT DISTINCT reason FROM quarantine")}
    wanted = {"unknown_schema", "malformed_avro", "invalid_id", "invalid_text", "invalid_timestamp"}
    assert reasons == wanted | {"invalid_quantity", "currency_not_accepted"}


def test_the_results_topic_ends_at_the_rows_of_the_tables(calm: Bench) -> None:
    assert calm.facts["results"] == calm.facts["published"]


def test_a_second_processor_exits_with_the_reason_before_it_starts_spark_and_the_first_goes_on(calm: Bench) -> None:
    assert calm.facts["rival's exit"] == 1
    (reason,) = calm.facts["rival's reason"]
    assert "another processor" in reason
    assert calm.processor.postgres.db_schema in reason


def test_a_lost_database_connection_is_recovered_from(calm: Bench) -> None:
    assert calm.facts["connections ended"] == 1
    assert calm.facts["faults"]


def test_a_stop_under_load_exits_with_0_and_leaves_nothing_out_of_the_log(calm: Bench) -> None:
    assert calm.facts["exit"] == 0
    epoch, log_epoch, log_rows = calm.reader.epochs()
    assert log_epoch == epoch
    assert log_rows == calm.reader.totals()["applied"] == calm.logged_events().num_rows


def test_the_projections_of_the_event_log_in_one_batch_are_the_tables_to_the_epoch(calm: Bench) -> None:
    whole = {each.name: delta for each, delta in ENGINE.deltas(calm.logged_events(), PROJECTIONS)}
    assert as_rows(joined(whole)) == calm.reader.held()


def test_the_event_log_has_every_event_once_with_every_column_that_it_had(calm: Bench) -> None:
    logged = calm.logged_events()
    rows = {(row["topic"], row["event_id"]): row for row in logged.to_pylist()}
    assert len(rows) == logged.num_rows
    ours = (
        "timestamp",
        "log_time",
        "user_id",
        "product_id",
        "amount",
        "properties",
        "late",
        "imported",
        *ENRICHED.names,
    )
    for wanted in calm.facts["rows"]:
        row = rows[wanted["topic"], wanted["event_id"]]
        assert {name: row[name] for name in ours} == {name: wanted[name] for name in ours}
        assert row["source"] == "demo"


def test_sparks_scratch_is_written_by_the_plain_file_system(calm: Bench) -> None:
    """The other one keeps a checksum beside each file, and starts a process for each of both."""
    written = {path.suffix for path in calm.processor.home.glob("checkpoint-*/run-*/**/*") if path.is_file()}
    assert written
    assert ".crc" not in written


def test_prometheus_is_told_of_the_query_the_lag_and_the_memory(calm: Bench) -> None:
    told: Metrics = calm.facts["metrics"]
    batches = {labels["phase"]: n for labels, n in told["millrace_processing_query_phase_seconds_count"]}
    assert {"addBatch", "latestOffset", "triggerExecution", "walCommit"} <= batches.keys()
    assert batches["addBatch"] >= told["millrace_processing_epoch"][0][1] > 0
    behind = {labels["topic"]: records for labels, records in told["millrace_processing_behind_records"]}
    assert behind == {"clickstream": 0, "transactions": 0, "rejected": 0}
    applied = {labels["outcome"]: n for labels, n in told["millrace_processing_records_total"]}["applied"]
    ((_, ids),) = told["millrace_processing_recent_ids"]
    ((_, size),) = told["millrace_processing_recent_ids_bytes"]
    assert (ids, size > 16 * ids) == (applied, True)
    residues = {labels["check"]: residue for labels, residue in told["millrace_processing_books_residue"]}
    assert residues == dict.fromkeys(("accepted", "fates", "gaps", "log", "offsets"), 0)
    memory = {labels["process"]: size for labels, size in told["millrace_processing_resident_memory_bytes"]}
    assert min(memory["python"], memory["java"]) > 50_000_000
