"""Data quality: how late events came, which came twice, what does not decode."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.serving.integration.conftest import NOW, Server
from tests.serving.rows import DELAY_BOUNDS
from tests.serving.shop import Shop

pytestmark = pytest.mark.integration

RECENT = {"from": (NOW - timedelta(hours=1)).isoformat(), "to": (NOW + timedelta(minutes=1)).isoformat()}
LONG_AGO = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}
DURATIONS = {"PT1S": 1, "PT5S": 5, "PT15M": 900, None: -1}


def test_lateness_is_a_histogram_by_the_time_of_arrival(server: Server, shop: Shop) -> None:
    start, end = NOW.replace(hour=9, minute=0, second=0), NOW.replace(hour=11, minute=0, second=0)
    found = server.data(
        """query ($range: TimeRange!) { lateness(range: $range) { events late lateShare
             buckets { upTo events late share cumulativeShare } } }""",
        range={"from": start.isoformat(), "to": end.isoformat()},
    )["lateness"]
    arrived = [event for event in shop.events if start <= event.at + event.delay < end]
    counts: Counter[int] = Counter()
    late: Counter[int] = Counter()
    for event in arrived:
        bucket = next((bound for bound in DELAY_BOUNDS if event.delay.total_seconds() <= bound), -1)
        counts[bucket] += 1
        late[bucket] += event.late
    assert (found["events"], found["late"]) == (len(arrived), late.total())
    assert found["lateShare"] == pytest.approx(late.total() / len(arrived))
    assert [DURATIONS[one["upTo"]] for one in found["buckets"]] == [1, 5, 900]
    assert {DURATIONS[one["upTo"]]: one["events"] for one in found["buckets"]} == counts
    assert {DURATIONS[one["upTo"]]: one["late"] for one in found["buckets"]} == {**dict.fromkeys(counts, 0), **late}
    shares = [one["share"] for one in found["buckets"]]
    assert sum(shares) == pytest.approx(1)
    assert [one["cumulativeShare"] for one in found["buckets"]] == [
        pytest.approx(sum(shares[: number + 1])) for number in range(3)
    ]


def test_what_is_older_than_every_bucket_is_last(server: Server) -> None:
    week = {"from": NOW.isoformat(), "to": (NOW + timedelta(days=10)).isoformat()}
    buckets = server.data(
        "query ($range: TimeRange!) { lateness(range: $range) { buckets { upTo events late cumulativeShare } } }",
        range=week,
    )["lateness"]["buckets"]
    assert buckets[-1]["upTo"] is None
    assert buckets[-1]["late"] == buckets[-1]["events"] > 0
    assert buckets[-1]["cumulativeShare"] == 1


def test_lateness_of_nothing(server: Server) -> None:
    query = "query ($range: TimeRange!) { lateness(range: $range) { events late lateShare buckets { events } } }"
    assert server.data(query, range=LONG_AGO)["lateness"] == {"events": 0, "late": 0, "lateShare": None, "buckets": []}


DUPLICATES = """query ($range: TimeRange!, $first: Int!, $conflict: Boolean) { duplicates(range: $range) {
  duplicates conflicts samples(first: $first, conflict: $conflict) {
    eventId conflict topic partition offset epoch firstEpoch committedAt } } }"""


def test_duplicates_are_counted_and_conflicts_shown(server: Server, shop: Shop) -> None:
    def duplicates(**more: Any) -> dict[str, Any]:
        found: dict[str, Any] = server.data(DUPLICATES, **{"range": RECENT, "first": 100, **more})["duplicates"]
        return found

    everything = duplicates()
    assert (everything["duplicates"], everything["conflicts"]) == (23, 5)
    assert Counter((one["eventId"], one["conflict"]) for one in everything["samples"]) == Counter(
        (one.event_id, one.conflict) for one in shop.duplicates
    )
    newest = [(one["partition"], one["offset"]) for one in everything["samples"]]
    assert newest == sorted(newest, reverse=True)
    first = everything["samples"][0]
    assert (first["topic"], first["epoch"], first["firstEpoch"]) == ("clickstream", shop.epoch, shop.epoch - 1)
    assert first["committedAt"] == NOW.isoformat().replace("+00:00", "Z")
    conflicts = duplicates(conflict=True)
    assert conflicts["samples"] == [one for one in everything["samples"] if one["conflict"]] != []
    assert (
        duplicates(conflict=False, first=3)["samples"]
        == [one for one in everything["samples"] if not one["conflict"]][:3]
    )
    assert duplicates(range=LONG_AGO) == {"duplicates": 0, "conflicts": 0, "samples": []}


def test_quarantined_records_are_shown_with_their_place_and_bytes(server: Server, shop: Shop) -> None:
    found = server.data(
        """query ($range: TimeRange!) { rejections(range: $range) { quarantined quarantineSamples {
             topic partition offset epoch logTime reason raw rawEncoding } } }""",
        range=RECENT,
    )["rejections"]
    assert found["quarantined"] == 1
    assert found["quarantineSamples"] == [
        {
            "topic": "clickstream",
            "partition": 0,
            "offset": 4,
            "epoch": shop.epoch,
            "logTime": (NOW - timedelta(minutes=6)).isoformat().replace("+00:00", "Z"),
            "reason": "malformed_avro",
            "raw": "\x00",
            "rawEncoding": "TEXT",
        }
    ]


SAMPLES = """query ($range: TimeRange!, $reason: String, $source: String) { rejections(range: $range) {
  samples(first: 1, reason: $reason, source: $source) { reason source receivedAt }
  quarantineSamples(first: 1, reason: $reason) { reason } } }"""


@pytest.mark.parametrize(
    ("reason", "source", "minutes_ago"),
    [(None, None, 5), ("malformed_avro", None, 8), (None, "ios", 7), ("malformed_avro", "ios", None), ("", "", None)],
)
def test_samples_are_of_a_reason_and_a_source_whatever_is_newer(
    server: Server, reason: str | None, source: str | None, minutes_ago: int | None
) -> None:
    found = server.data(SAMPLES, range=RECENT, reason=reason, source=source)["rejections"]
    times = [datetime.fromisoformat(one["receivedAt"]) for one in found["samples"]]
    assert times == ([NOW - timedelta(minutes=minutes_ago)] if minutes_ago else [])
    assert all(one["reason"] == (reason or one["reason"]) for one in found["samples"])
    assert all(one["source"] == (source or one["source"]) for one in found["samples"])
    assert len(found["quarantineSamples"]) == (reason in {None, "malformed_avro"})
