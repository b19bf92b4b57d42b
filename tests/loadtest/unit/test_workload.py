"""Workloads are data: the ones shipped are in order, a wrong one is named, and each request has its time."""

from pathlib import Path

import pytest

from loadtest.load.schedule import Schedule, steady
from loadtest.load.workload import FOLDER, Stage, Workload, WorkloadError, read_workload

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.toml")), ids=lambda file: file.stem)
def test_a_shipped_workload_is_in_order_and_survives_its_own_json(file: Path) -> None:
    workload = read_workload(file.stem)
    assert workload.senders()
    assert Workload.model_validate_json(workload.to_json()) == workload


def test_smoke_has_every_kind_of_client() -> None:
    smoke = read_workload("smoke")
    assert set(smoke.senders()) == {"json", "json_batch", "avro_batch", "segment_batch"}
    assert set(smoke.readers()) == {"dashboards_cached", "dashboards_cold"}
    assert smoke.subscriptions


def test_the_requests_of_all_senders_make_up_the_events_of_all_stages() -> None:
    workload = read_workload("spike")
    events = 0
    for share in workload.senders().values():
        schedule = Schedule(workload.stages, share.share / share.events_per_request)
        number = 0
        while schedule.due(number) is not None:
            number += 1
        events += number * share.events_per_request
    assert events == pytest.approx(workload.events, rel=0.01)


def test_requests_are_evenly_spaced_within_a_stage_and_closer_in_a_busier_one() -> None:
    stages = (Stage(seconds=2, events_per_second=10), Stage(seconds=1, events_per_second=100))
    schedule = Schedule(stages, per_event=0.1)  # a request for ten events: 2 in the first stage, 10 in the second
    due = [schedule.due(number) for number in range(13)]
    assert due[:4] == pytest.approx([0.0, 1.0, 2.0, 2.1])
    assert due[11] == pytest.approx(2.9)
    assert due[12] is None


def test_a_steady_schedule_ends_with_its_time() -> None:
    schedule = steady(4.0, 2.0)
    assert [schedule.due(number) for number in (0, 7, 8)] == [0.0, 1.75, None]


def test_another_rate_and_another_length_keep_the_clients() -> None:
    spike = read_workload("spike")
    assert spike.at_rate(None, None) is spike
    assert spike.at_rate(None, 7).stages == (Stage(seconds=7, events_per_second=5000),)
    assert spike.at_rate(300, None).stages == (Stage(seconds=70, events_per_second=300),)
    assert spike.at_rate(300, 7).senders() == spike.senders()


_STAGE = "[[stages]]\nseconds = 1\nevents_per_second = 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{_STAGE}[json]\nshare = 0.5\nevents_per_request = 1\nusers = 1\n", r"sum to 0\.5"),
        (f"{_STAGE}[xml]\nshare = 1\nevents_per_request = 1\nusers = 1\n", "xml"),
        (f"{_STAGE}[json]\nshare = 1\nevents_per_request = 0\nusers = 1\n", "events_per_request"),
        ("[json]\nshare = 1\nevents_per_request = 1\nusers = 1\n", "stages"),
        ("json", "bad.toml"),
    ],
)
def test_a_wrong_workload_is_named_with_its_fault(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(WorkloadError, match=message):
        read_workload(str(path))


def test_an_unknown_workload_is_answered_with_the_known_ones() -> None:
    with pytest.raises(WorkloadError, match="there are peak, single, smoke, soak, spike, steady"):
        read_workload("no-such")
