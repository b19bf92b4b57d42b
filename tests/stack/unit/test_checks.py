"""The task runner: every step runs; few tests that fail are tried once more and named, many are not."""

import json
from pathlib import Path

import pytest

from stack import checks
from stack.checks import Step, run_steps

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
    steps = (Step("tests", ("pytest", "-p", "cacheprovider", "test_it.py"), patient=True), Step("tidy", ("this",)))
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
    cache = project / ".pytest_cache" / "v" / "cache"
    cache.mkdir(parents=True)
    (cache / "lastfailed").write_text(json.dumps({f"of_another_step.py::test_{n}": True for n in range(9)}))
    said: list[str] = []
    assert run_steps((), said.append) == code
    tests, tidy = said[-2:]
    assert summary in tests
    assert "passed " in tidy
