"""Write keys on disk: what a command leaves behind, and what the gateway makes of it."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ingestion.errors import RequestRefusedError
from ingestion.keys import KeyRing
from stack.errors import SettingsError
from stack.keys import create_key, ensure_demo_key, key_id, read_keys, revoke_keys, rotate_key
from stack.keys_cli import app, duration
from stack.layout import Layout

pytestmark = pytest.mark.unit

HOUR = timedelta(hours=1)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def opens(layout: Layout, key: str) -> str | None:
    """The source a key stands for, as the gateway sees it; None if it is worth nothing."""
    try:
        return KeyRing(layout.keys_file).admit(key, "write").source
    except RequestRefusedError:
        return None


def test_a_key_opens_the_gateway_and_only_its_hash_is_on_disk(layout: Layout) -> None:
    key, entry = create_key(layout, "shop", ["write"], rate=5, burst=9, grace=True, valid_for=HOUR)
    ring = KeyRing(layout.keys_file)
    assert ring.admit(key, "write") == entry
    with pytest.raises(RequestRefusedError, match="forbidden"):
        ring.admit(key, "import")
    assert (entry.rate, entry.burst, entry.grace) == (5, 9, True)
    assert entry.expires_at is not None
    assert timedelta(minutes=59) < entry.expires_at - datetime.now(UTC) <= HOUR
    for file in layout.home.iterdir():
        assert key not in file.read_text()
    assert layout.keys_file.stat().st_mode & 0o777 == 0o600


def test_revoking_a_source_ends_all_its_keys_and_no_others(layout: Layout) -> None:
    first, second, other = (create_key(layout, source, ["write"])[0] for source in ("shop", "shop", "app"))
    assert len(revoke_keys(layout, "shop")) == 2
    assert [opens(layout, key) for key in (first, second, other)] == [None, None, "app"]


def test_revoking_an_id_ends_that_key_alone(layout: Layout) -> None:
    first, entry = create_key(layout, "shop", ["write"])
    second, _ = create_key(layout, "shop", ["write"])
    assert revoke_keys(layout, key_id(entry)) == [entry]
    assert [opens(layout, key) for key in (first, second)] == [None, "shop"]


def test_rotating_makes_a_key_alike_and_lets_the_old_ones_end_later(layout: Layout) -> None:
    old, _ = create_key(layout, "shop", ["write", "import"], rate=7, grace=True)
    ending, _ = create_key(layout, "shop", ["write", "import"], rate=7, grace=True, valid_for=timedelta(minutes=5))
    new, entry, replaced = rotate_key(layout, "shop", HOUR)
    assert [opens(layout, key) for key in (old, ending, new)] == ["shop"] * 3
    assert (entry.rate, entry.grace, entry.scopes, entry.expires_at) == (7, True, frozenset({"write", "import"}), None)
    left = [told.expires_at - datetime.now(UTC) for told in replaced if told.expires_at]
    assert timedelta(minutes=59) < left[0] <= HOUR
    assert left[1] < timedelta(minutes=6)  # not made longer


def test_rotating_without_overlap_ends_the_old_key_now(layout: Layout) -> None:
    old, _ = create_key(layout, "shop", ["write"])
    new, _, _ = rotate_key(layout, "shop", timedelta())
    assert [opens(layout, key) for key in (old, new)] == [None, "shop"]
    create_key(layout, "app", ["write"])
    assert [entry.source for entry in read_keys(layout)] == ["shop", "app"]  # what has ended is gone


@pytest.mark.parametrize("change", [revoke_keys, lambda layout, name: rotate_key(layout, name, HOUR)])
def test_a_name_that_no_key_has_is_said_and_changes_nothing(layout: Layout, change: Callable[..., Any]) -> None:
    create_key(layout, "shop", ["write"])
    before = layout.keys_file.read_bytes()
    with pytest.raises(SettingsError, match="'shopp'"):
        change(layout, "shopp")
    assert layout.keys_file.read_bytes() == before


def test_a_revoked_demo_key_does_not_come_back(layout: Layout) -> None:
    key = ensure_demo_key(layout)
    revoke_keys(layout, "demo")
    again = ensure_demo_key(layout)
    assert again != key
    assert [opens(layout, told) for told in (key, again)] == [None, "demo"]


def test_a_rotated_demo_key_is_the_one_that_up_shows(layout: Layout) -> None:
    old = ensure_demo_key(layout)
    new, _, _ = rotate_key(layout, "demo", HOUR)
    assert ensure_demo_key(layout) == new
    assert layout.demo_key.stat().st_mode & 0o777 == 0o600
    assert [opens(layout, key) for key in (old, new)] == ["demo", "demo"]


def test_commands_at_once_lose_no_key(layout: Layout) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: create_key(layout, f"s{n}", ["write"])[0], range(40)))
    assert {opens(layout, key) for key in made} == {f"s{n}" for n in range(40)}


def test_a_keys_file_that_cannot_be_read_is_named_and_kept(layout: Layout) -> None:
    layout.keys_file.write_text("[{")
    with pytest.raises(SettingsError, match=r"keys\.json"):
        create_key(layout, "shop", ["write"])
    assert layout.keys_file.read_text() == "[{"


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("90s", 90), ("15m", 900), ("1h", 3600), ("2d", 172_800)])
def test_durations_are_read(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1.5h", "1y", "9999999d"])
def test_other_durations_are_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        duration(text)


def test_the_command_prints_the_key_once_and_json_on_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    run = CliRunner().invoke
    made = run(app, ["create", "shop", "--rate", "10"])
    assert made.exit_code == 0
    assert made.stdout.startswith("mr_")
    turned = json.loads(run(app, ["rotate", "shop", "--json", "--grace", "1m"]).stdout)
    assert turned["key"].startswith("mr_")
    listed = run(app, ["list", "--json"]).stdout
    assert [(told["source"], told["rate"], told["expires_at"] is None) for told in json.loads(listed)] == [
        ("shop", 10, False), ("shop", 10, True),
    ]  # fmt: skip
    assert turned["key"] not in listed
    assert turned["id"] in run(app, ["list"], env={"COLUMNS": "80"}).stdout
    assert run(app, ["revoke", turned["id"]]).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [["create", "a b"], ["create", "x", "--rate", "0"], ["create", "x", "--scope", "everything"], ["revoke"]],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MILLRACE_HOME", str(tmp_path))
    assert CliRunner().invoke(app, arguments).exit_code == 2
