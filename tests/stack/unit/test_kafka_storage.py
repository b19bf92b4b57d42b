"""Kafka's storage: formatted by its own tool once per release, by copying after that. The Java here is a script."""

from pathlib import Path

import pytest

from stack.errors import MachineError
from stack.kafka_storage import format_storage, is_formatted

pytestmark = pytest.mark.unit

_LEVELS = b"\x00levels\xff"


def make_java(folder: Path, ends: str) -> Path:
    """Kafka's tool as far as it is used here: it formats the configuration's folder and counts how often."""
    java = folder / "java"
    java.write_text(
        f"#!/bin/sh\necho asked >> '{folder}/calls'\n"
        'while [ "$1" != --config ]; do shift; done\n'
        'data=$(sed -n "s/^log.dirs=//p" "$2"); mkdir -p "$data"\n'
        f'printf "\\000levels\\377" > "$data/bootstrap.checkpoint"; {ends}\n'
    )
    java.chmod(0o755)
    return java


def read_meta(data: Path) -> dict[str, str]:
    return dict(line.split("=", maxsplit=1) for line in (data / "meta.properties").read_text().splitlines())


def test_the_tool_is_asked_once_and_every_folder_has_ids_of_its_own(tmp_path: Path) -> None:
    java, kept = make_java(tmp_path, "exit 0"), tmp_path / "kept" / "4.3.1"
    folders = [tmp_path / "one" / "data", tmp_path / "two" / "data"]
    for data in folders:
        assert not is_formatted(data)
        format_storage(data, 1, java, "jars", kept)
        assert is_formatted(data)
        assert (data / "bootstrap.checkpoint").read_bytes() == _LEVELS
    assert (tmp_path / "calls").read_text().split() == ["asked"]
    assert [path.name for path in kept.iterdir()] == ["bootstrap.checkpoint"]
    one, two = map(read_meta, folders)
    assert (one["version"], one["node.id"]) == ("1", "1")
    assert len({one["cluster.id"], one["directory.id"], two["cluster.id"], two["directory.id"]}) == 4
    assert {len(one["cluster.id"]), len(one["directory.id"])} == {22}


def test_what_a_killed_format_left_is_formatted_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "bootstrap.checkpoint").write_bytes(b"half")
    assert not is_formatted(data)
    format_storage(data, 1, make_java(tmp_path, "exit 0"), "jars", tmp_path / "kept")
    assert (data / "bootstrap.checkpoint").read_bytes() == _LEVELS


def test_a_tool_that_fails_is_quoted_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    failing = make_java(tmp_path, "echo the disk is full >&2; exit 1")
    with pytest.raises(MachineError, match="could not format its storage: the disk is full"):
        format_storage(tmp_path / "data", 1, failing, "jars", tmp_path / "kept")
    assert not list((tmp_path / "kept").iterdir())
    assert not is_formatted(tmp_path / "data")
