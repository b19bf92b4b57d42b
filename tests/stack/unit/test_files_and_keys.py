"""Files of the home: logs, the demo key, settings, and the list of parts."""

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from stack import logs
from stack.errors import SettingsError
from stack.files import exclusive, write_atomically
from stack.keys import ensure_demo_key
from stack.layout import Layout
from stack.parts import ORDER, build_parts, select, urls
from stack.postgres import password
from stack.settings import PORT_OFFSETS, StackSettings

pytestmark = pytest.mark.unit


def test_a_file_is_replaced_whole_with_its_mode_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_atomically(path, "one")
    write_atomically(path, "two", mode=0o600)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_that_is_held_is_not_got_and_one_that_was_is(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock") as held, exclusive(tmp_path / "lock", wait=False) as second:
        assert (held, second) == (True, False)
    with exclusive(tmp_path / "lock", wait=False) as again:
        assert again


@pytest.mark.parametrize(("size", "aside"), [(9, False), (10, False), (11, True)])
def test_a_log_is_set_aside_only_above_its_limit(tmp_path: Path, size: int, aside: bool) -> None:
    log = tmp_path / "part.log"
    log.write_text("x" * size)
    logs.rotate(log, 10, 2)
    assert (tmp_path / "part.log.1").exists() is aside
    assert log.exists() is not aside


def test_only_the_newest_logs_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    for number in range(4):
        log.write_text(f"{number}" * 11)
        logs.rotate(log, 10, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.log.1", "part.log.2"]
    assert (tmp_path / "part.log.1").read_text() == "3" * 11


@pytest.mark.parametrize("lines", [0, 1, 3, 5000, 100_000])
def test_the_tail_is_the_last_lines(tmp_path: Path, lines: int) -> None:
    log = tmp_path / "part.log"
    written = [f"line {number} é" for number in range(20_000)]
    log.write_text("\n".join(written) + "\n", "utf-8")
    assert logs.tail(log, lines) == (written[-lines:] if lines else [])


def test_a_log_is_followed_over_being_set_aside(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text("before the reader came\n")
    seen: list[str] = []
    done = threading.Event()

    def read() -> None:
        for text in logs.follow(log, 0.01):
            seen.append(text)
            done.set()

    threading.Thread(target=read, daemon=True).start()
    while not done.wait(0.05):
        log.write_text("new\n")
    assert "new\n" in seen


def test_the_demo_key_is_made_once_and_the_gateways_file_holds_only_its_hash(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    key = ensure_demo_key(layout)
    assert ensure_demo_key(layout) == key
    assert len(key) == 35
    assert key.startswith("mr_")
    (entry,) = json.loads(layout.keys_file.read_text())
    assert entry["sha256"] == hashlib.sha256(key.encode()).hexdigest()
    assert set(entry) == {"source", "sha256", "scopes", "created_at"}
    assert key not in layout.keys_file.read_text()
    assert layout.demo_key.stat().st_mode & 0o777 == 0o600


def test_keys_that_others_put_there_stay_and_a_given_key_is_taken(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    other = {"source": "shop", "sha256": "0" * 64, "scopes": ["write"], "created_at": "2026-01-01T00:00:00+00:00"}
    layout.keys_file.write_text(json.dumps([other]))
    assert ensure_demo_key(layout, "mr_given") == "mr_given"
    assert [entry["source"] for entry in json.loads(layout.keys_file.read_text())] == ["shop", "demo"]


def test_the_password_is_made_once_for_the_owners_eyes(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert password(layout) == password(layout)
    assert layout.postgres_password.stat().st_mode & 0o777 == 0o600


def test_a_stack_of_another_base_port_shares_no_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MILLRACE_STACK_BASE_PORT", "7170")
    moved, default = StackSettings(), StackSettings(base_port=7070)
    assert moved.port("gateway") == 7170
    assert not {moved.port(name) for name in PORT_OFFSETS} & {default.port(name) for name in PORT_OFFSETS}
    assert urls(moved)["graphql"] == "http://127.0.0.1:7171/graphql"


@pytest.mark.parametrize("port", ["80", "70000", "many"])
def test_a_base_port_that_cannot_work_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("MILLRACE_STACK_BASE_PORT", port)
    with pytest.raises(ValidationError, match="base_port"):
        StackSettings()


def test_every_setting_is_documented() -> None:
    assert [name for name, field in StackSettings.model_fields.items() if not field.description] == []


def test_the_parts_are_those_of_the_list_and_start_after_what_they_need(tmp_path: Path) -> None:
    parts = build_parts(StackSettings(), Layout(tmp_path), os.environ)
    assert tuple(parts) == ORDER
    for part in parts.values():
        assert all(ORDER.index(needed) < ORDER.index(part.name) for needed in part.needs)
    listeners = [port for part in parts.values() for port in part.listeners.values()]
    assert sorted(listeners) == [7070 + offset for offset in sorted(PORT_OFFSETS.values())]


def test_a_postgres_of_ones_own_is_used_and_none_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_STACK_POSTGRES_URL", "postgresql://me@db/shop")
    parts = build_parts(StackSettings(), Layout(tmp_path), os.environ)
    assert "postgres" not in parts
    launch = parts["serving"].prepare(lambda _: None)
    assert launch.env["MILLRACE_POSTGRES_URL"] == "postgresql://me@db/shop"


def test_parts_are_chosen_by_name(tmp_path: Path) -> None:
    parts = build_parts(StackSettings(), Layout(tmp_path), os.environ)
    assert [part.name for part in select(parts, ["postgres", "kafka"], demo=True)] == ["kafka", "postgres"]
    assert [part.name for part in select(parts, [], demo=False)] == list(ORDER[:-1])
    with pytest.raises(SettingsError, match="No such part: kafak"):
        select(parts, ["kafak"], demo=True)
