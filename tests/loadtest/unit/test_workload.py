"""Workloads are data: the ones shipped are in order, and a wrong one is named."""

from pathlib import Path

import pytest

from loadtest.workload import FOLDER, UserShare, WorkloadError, read_workload

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.toml")), ids=lambda file: file.stem)
def test_a_shipped_workload_is_in_order(file: Path) -> None:
    assert read_workload(file.stem).shares()


def test_intervals_of_all_users_make_up_the_rate() -> None:
    per_second = 0.0
    for share in read_workload("mixed").shares().values():
        per_second += share.users * share.events_per_request / share.interval_seconds(2000)
    assert per_second == pytest.approx(2000)


def test_a_user_waits_longer_the_more_users_share_the_work() -> None:
    assert UserShare(share=0.5, events_per_request=100, users=4).interval_seconds(2000) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[json_user]\nshare = 0.5\nevents_per_request = 1\nusers = 1\n", r"sum to 0\.5"),
        ("[xml_user]\nshare = 1\nevents_per_request = 1\nusers = 1\n", "xml_user"),
        ("[json_user]\nshare = 1\nevents_per_request = 0\nusers = 1\n", "events_per_request"),
        ("json_user", "bad.toml"),
    ],
)
def test_a_wrong_workload_is_named_with_its_fault(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(WorkloadError, match=message):
        read_workload(str(path))


def test_an_unknown_workload_is_answered_with_the_known_ones() -> None:
    with pytest.raises(WorkloadError, match="there are mixed, single"):
        read_workload("no-such")
