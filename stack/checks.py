"""What CI runs, as named steps: format, lint, impact of schemas, types, unit, integration and end-to-end tests.

Tests can be beaten by the clock where others share the machine. A few that fail are run once more, when nothing runs
beside them; a step that needed it says so in the summary, since such a test wants to be mended.

The whole stack's tests often wait, for processes to start and for numbers to come. Steps that only compute run beside
them, in the time that they leave.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from stack.settings import REPOSITORY

PACKAGES: Final = ("contracts", "schemas_avro", "ingestion", "processing", "serving", "loadtest", "stack", "tests")
_TESTS_FAILED: Final = 1
"""pytest's exit code: tests were collected and run, and some failed."""
_FEW: Final = 5
"""Tests; more than these is no accident."""
_LAST_IN_LINE: Final = 19
"""Niceness of who gets the time that nobody else wants."""


@dataclass(frozen=True)
class Step:
    """A command whose exit code is its verdict."""

    name: str
    arguments: tuple[str, ...]
    """After `python -m`."""
    kept: Path | None = None
    """The folder where pytest keeps which of its tests failed, so that a few can be run once more."""
    beside: str = ""
    """The step whose idle time it takes, where that one is run too."""


_SLOWEST: Final = ("--durations", "15", "--durations-min", "5")
"""What CI's time goes into is in its log."""


# Files in the order that tests/conftest.py gives them, the longest first. A third worker on two cores wins a seventh of
# the time, and makes tests of real processes wait for one another.
_TWO_WORKERS: Final = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")


def _tests(kind: str, *places: str, options: Sequence[str] = (), beside: str = "") -> Step:
    """Run the tests of a kind, which are in these places: to import all the others takes longer than some tests do."""
    found = (path for place in places for path in sorted((REPOSITORY / "tests").glob(place)))
    paths = (str(path.relative_to(REPOSITORY)) for path in found)
    return Step(kind, ("pytest", "-m", kind, *paths, *options, *_SLOWEST), Path(".pytest_cache", kind), beside)


STEPS: Final = (
    Step("format", ("ruff", "format", "--check", ".")),
    Step("lint", ("ruff", "check", ".")),
    Step("impact", ("stack", "impact"), beside="e2e"),
    Step("types", ("mypy", *PACKAGES), beside="e2e"),
    _tests("unit", "*/unit", "test_*.py", options=_TWO_WORKERS, beside="e2e"),
    _tests("e2e", "e2e"),
    _tests("integration", "*/integration", options=_TWO_WORKERS),
)


@dataclass(frozen=True)
class _Verdict:
    code: int
    again: int
    """Tests that were run once more."""
    seconds: float

    def __str__(self) -> str:
        passed = f"passed, {self.again} when tried again" if self.again else "passed"
        return f"{passed if self.code == 0 else f'FAILED (exit code {self.code})':<28} {self.seconds:7.1f} s"


def run_steps(only: Sequence[str], say: Callable[[str], None]) -> int:
    """Run the named steps, or all; every one runs, whatever the others said. Returns 0 if all passed, else 1.

    What a step prints goes to the terminal as it is; of one that runs beside another, after what that one prints.
    """
    # Hundreds of processes are started: each would compile every module anew where nobody may keep them compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    chosen = {step.name: step for step in STEPS if not only or step.name in only}
    verdicts: dict[str, _Verdict] = {}
    for step in chosen.values():
        if step.beside in chosen:
            continue
        with ThreadPoolExecutor(1) as in_the_gaps, tempfile.TemporaryFile("w+", errors="replace") as printed:
            beside = {
                each.name: in_the_gaps.submit(_run_in_the_gaps, each, environment, printed)
                for each in chosen.values()
                if each.beside == step.name
            }
            say(_title(step))
            verdicts[step.name] = _run(step, environment)
            verdicts |= {name: running.result() for name, running in beside.items()}
            printed.seek(0)
            for line in printed:
                say(line.rstrip("\n"))
        for name in (step.name, *beside):
            verdicts[name] = _run_again(chosen[name], verdicts[name], environment, say)
    say("── summary")
    for name in chosen:
        say(f"{name:<12} {verdicts[name]}")
    return 0 if all(verdict.code == 0 for verdict in verdicts.values()) else 1


def _run(step: Step, environment: Mapping[str, str], printed: IO[str] | None = None, niceness: int = 0) -> _Verdict:
    started, arguments = time.monotonic(), step.arguments
    if step.kept:
        _failed(step.kept).unlink(missing_ok=True)  # what failed in an earlier run is none of this one's
        arguments = (*arguments, *_keeping(step.kept))
    child = _start(arguments, environment, printed)
    if niceness:
        os.setpriority(os.PRIO_PROCESS, child.pid, niceness)
    return _Verdict(child.wait(), 0, time.monotonic() - started)


def _run_in_the_gaps(step: Step, environment: Mapping[str, str], printed: IO[str]) -> _Verdict:
    """Run a step that has no turn of its own; what it prints is kept."""
    print(_title(step), file=printed, flush=True)
    return _run(step, environment, printed, _LAST_IN_LINE)


def _run_again(step: Step, first: _Verdict, environment: Mapping[str, str], say: Callable[[str], None]) -> _Verdict:
    """Run the tests of the step that failed once more, if they are few."""
    if not step.kept or first.code != _TESTS_FAILED or not 0 < (count := _failed_tests(step.kept)) <= _FEW:
        return first
    say(f"── {step.name}: once more, {count} that failed")
    started = time.monotonic()
    again = _start((*step.arguments[:3], "--last-failed", *_keeping(step.kept)), environment)
    return _Verdict(again.wait(), count, first.seconds + time.monotonic() - started)


def _title(step: Step) -> str:
    return f"── {step.name}: {' '.join(step.arguments)}"


def _start(
    arguments: Sequence[str], environment: Mapping[str, str], printed: IO[str] | None = None
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        (sys.executable, "-m", *arguments),
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=printed,
        stderr=subprocess.STDOUT if printed else None,
    )


def _keeping(kept: Path) -> tuple[str, ...]:
    """Steps may run at the same time: each keeps what failed in a folder of its own."""
    return ("-o", f"cache_dir={kept}")


def _failed(kept: Path) -> Path:
    return REPOSITORY / kept / "v" / "cache" / "lastfailed"


def _failed_tests(kept: Path) -> int:
    """How many tests the last run left as failed."""
    try:
        return len(json.loads(_failed(kept).read_bytes()))
    except (OSError, ValueError):
        return 0
