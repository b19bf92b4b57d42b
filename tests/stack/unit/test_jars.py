"""The jars: only what was pinned is used, and what is half there is repaired. Ivy's place is taken by a folder."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from stack import ivy, jars
from stack.errors import DownloadError
from stack.java import Java

pytestmark = pytest.mark.unit

JAVA = Java(Path("/nowhere"), 17, "test")


class Repository:
    """Hands out what it has and counts what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        folder.mkdir()

    def retrieve(self, names: Iterable[str], folder: Path, java: Java, settings: Path | None) -> Iterator[str]:
        for name in names:
            self.asked.append(name)
            _, artifact, version = name.split(":")
            file = self.folder / f"{artifact}-{version}.jar"
            if file.exists():
                shutil.copy(file, folder)
                yield f"\t[SUCCESSFUL ] {name}"
            else:
                yield "\t\tServer access ERROR: no route to host"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    repository = Repository(tmp_path / "repository")
    monkeypatch.setattr(ivy, "retrieve", repository.retrieve)
    pinned = []
    for name in ("one", "two"):
        (repository.folder / f"{name}-1.jar").write_text(name)
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        pinned.append(jars.Jar(f"org.example:{name}:1", f"{name}-1.jar", sha256))
    monkeypatch.setattr(jars, "read_lock", lambda: {"spark": tuple(pinned)})
    return repository


def ensure(cache: Path) -> dict[str, str]:
    folder = jars.ensure("spark", cache, JAVA, lambda _: None)
    return {path.name: path.read_text() for path in folder.glob("*.jar")}


WHOLE = {"one-1.jar": "one", "two-1.jar": "two"}


def test_the_first_time_all_are_fetched_and_the_second_time_none(repository: Repository, tmp_path: Path) -> None:
    assert ensure(tmp_path / "cache") == WHOLE
    assert ensure(tmp_path / "cache") == WHOLE
    assert repository.asked == ["org.example:one:1", "org.example:two:1"]


def test_a_damaged_jar_is_fetched_again_and_only_that_one(repository: Repository, tmp_path: Path) -> None:
    ensure(tmp_path / "cache")
    (tmp_path / "cache" / "jars" / "spark" / "two-1.jar").write_text("tw")
    repository.asked.clear()
    assert ensure(tmp_path / "cache") == WHOLE
    assert repository.asked == ["org.example:two:1"]


def test_what_a_killed_fetch_or_an_older_lock_left_is_cleared_away(repository: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "jars" / "spark"
    folder.mkdir(parents=True)
    (folder / "one-0.jar").write_text("old")
    unfinished = folder.parent / ".incoming-spark-x"
    unfinished.mkdir()
    assert ensure(tmp_path / "cache") == WHOLE
    assert not unfinished.exists()


def test_a_jar_that_is_not_the_pinned_one_is_named_and_never_used(repository: Repository, tmp_path: Path) -> None:
    (repository.folder / "two-1.jar").write_text("evil")
    with pytest.raises(DownloadError, match=r"org\.example:two:1 is not the jar that was pinned"):
        ensure(tmp_path / "cache")
    assert not (tmp_path / "cache" / "jars" / "spark" / "two-1.jar").exists()


def test_without_network_the_missing_jar_is_named_and_the_others_are_kept(
    repository: Repository, tmp_path: Path
) -> None:
    hidden = (repository.folder / "two-1.jar").rename(tmp_path / "hidden")
    with pytest.raises(DownloadError, match=r"org\.example:two:1 could not be fetched.*no route to host"):
        ensure(tmp_path / "cache")
    hidden.rename(repository.folder / "two-1.jar")
    repository.asked.clear()
    assert ensure(tmp_path / "cache") == WHOLE
    assert repository.asked == ["org.example:two:1"]


def test_the_lock_pins_every_root_by_hash_and_names_no_host() -> None:
    text = jars.LOCK_FILE.read_text("utf-8")
    assert "//" not in text
    for name, pinned in jars.read_lock().items():
        assert {jar.name for jar in pinned} >= set(jars.ROOTS[name])
        assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in pinned)
        assert len({jar.file for jar in pinned}) == len(pinned)
    assert list(json.loads(text)) == sorted(jars.ROOTS)


def test_no_spark_jar_is_pinned_that_pyspark_has_already() -> None:
    shipped = ivy.shipped_artifacts()
    assert not [jar.name for jar in jars.read_lock()["spark"] if jar.name.split(":")[1] in shipped]
