"""The task runner: all steps run, some beside others; a few tests that fail are tried again and named, many not."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from stack import checks
from stack.checks import Step, run_steps
from stack.settings import REPOSITORY

pytestmark = pytest.mark.unit

FAILS_AT_FIRST = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_that_is_beaten_by_the_clock(number):
    tried = Path(f"tried-{{number}}")
    if not tried.exists():
        tried.touch()
        raise AssertionError("too early")

def test_that_is_fine():
    pass
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checks, "REPOSITORY", tmp_path)
    steps = (Step("tests", ("pytest", "-p", "cacheprovider", "test_it.py"), Path("kept")), Step("tidy", ("this",)))
    monkeypatch.setattr(checks, "STEPS", steps)
    (tmp_path / "this.py").touch()
    return tmp_path


@pytest.mark.parametrize(("source", "code", "summary"), [
    (FAILS_AT_FIRST.format(count=2), 0, "passed, 2 when tried again"),
    (FAILS_AT_FIRST.format(count=6), 1, "FAILED (exit code 1)"),
    ("def test_that_is_broken():\n    raise AssertionError", 1, "FAILED (exit code 1)"),
])  # fmt: skip
def test_a_step_is_judged_by_its_tests_and_the_others_run_all_the_same(
    project: Path, source: str, code: int, summary: str
) -> None:
    (project / "test_it.py").write_text(source)
    cache = project / "kept" / "v" / "cache"
    cache.mkdir(parents=True)
    (cache / "lastfailed").write_text(json.dumps({f"of_another_step.py::test_{n}": True for n in range(9)}))
    said: list[str] = []
    assert run_steps((), said.append) == code
    tests, tidy = said[-2:]
    assert summary in tests
    assert "passed " in tidy


WAITS_FOR_THE_OTHER = """
import os, sys, time
from pathlib import Path

print(f"{os.getpriority(os.PRIO_PROCESS, 0)} is how patient I am")
Path("beside").touch()
sys.exit(3)
"""
IS_WAITED_FOR = """
import time
from pathlib import Path

deadline = time.monotonic() + 30
while not Path("beside").exists() and time.monotonic() < deadline:
    time.sleep(0.01)
raise SystemExit(not Path("beside").exists())
"""


def test_a_step_beside_another_runs_at_the_same_time_behind_it_and_is_told_after_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "quiet.py").write_text(WAITS_FOR_THE_OTHER)
    (project / "loud.py").write_text(IS_WAITED_FOR)
    steps = (Step("quiet", ("quiet",), beside="loud"), Step("loud", ("loud",)), Step("tidy", ("this",)))
    monkeypatch.setattr(checks, "STEPS", steps)
    said: list[str] = []
    assert run_steps((), said.append) == 1
    assert said[:4] == ["── loud: loud", "── quiet: quiet", "19 is how patient I am", "── tidy: this"]
    assert [line.split()[:2] for line in said[-3:]] == [["quiet", "FAILED"], ["loud", "passed"], ["tidy", "passed"]]


FAILS_BESIDE_ANOTHER = """
from pathlib import Path

def test_that_wants_the_machine_to_itself():
    if not Path("over").exists():
        Path("beside").touch()
        raise AssertionError("too late")
"""


def test_what_failed_beside_another_step_is_tried_again_when_that_one_is_over(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "test_it.py").write_text(FAILS_BESIDE_ANOTHER)
    (project / "loud.py").write_text(IS_WAITED_FOR.replace("raise", "Path('over').touch()\nraise"))
    tests = Step("tests", ("pytest", "-p", "cacheprovider", "test_it.py"), Path("kept"), beside="loud")
    monkeypatch.setattr(checks, "STEPS", (tests, Step("loud", ("loud",))))
    said: list[str] = []
    assert run_steps((), said.append) == 0
    # What a step beside another prints is told when both are over.
    assert said.index("── tests: once more, 1 that failed") > said.index("── tests: pytest -p cacheprovider test_it.py")
    assert "passed, 1 when tried again" in said[-2]


def test_a_step_whose_neighbour_is_not_asked_for_has_its_own_turn(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "quiet.py").write_text(WAITS_FOR_THE_OTHER)
    monkeypatch.setattr(checks, "STEPS", (Step("quiet", ("quiet",), beside="loud"), Step("loud", ("loud",))))
    assert run_steps(("quiet",), lambda _: None) == 1
    assert capfd.readouterr().out == f"{os.getpriority(os.PRIO_PROCESS, 0)} is how patient I am\n"


def test_every_step_that_runs_beside_another_finds_it() -> None:
    alone = {step.name for step in checks.STEPS if not step.beside}
    assert all(step.beside in alone for step in checks.STEPS if step.beside)


def test_every_file_of_tests_is_where_the_step_of_its_mark_looks() -> None:
    kinds = {step.name: step.arguments for step in checks.STEPS if step.arguments[:2] == ("pytest", "-m")}
    assert set(kinds) == {"unit", "integration", "e2e"}
    for path in (REPOSITORY / "tests").rglob("test_*.py"):
        marks = {kind for kind in kinds if f"pytest.mark.{kind}" in path.read_text("utf-8")}
        places = {
            str(place.relative_to(REPOSITORY)) for place in (path, *path.parents) if place.is_relative_to(REPOSITORY)
        }
        looked = {kind for kind, arguments in kinds.items() if places & set(arguments)}
        assert looked == marks != set(), path


def test_ci_is_refused_where_tests_would_be_skipped_for_want_of_a_program(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "id"):  # and no apt-get
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    ran = subprocess.run(
        ["bash", REPOSITORY / ".ci" / "run"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "this machine lacks: chromium nodejs npm redis-server" in ran.stderr
