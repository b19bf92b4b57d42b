"""What CI runs, as named steps: format, lint, types, unit, integration and end-to-end tests.

Tests of real processes can be beaten by the clock where others share the machine. A few that fail are run once more,
by themselves; a step that needed it says so in the summary, since such a test wants to be mended.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.settings import REPOSITORY

PACKAGES: Final = ("contracts", "schemas_avro", "ingestion", "processing", "serving", "loadtest", "stack", "tests")
_TESTS_FAILED: Final = 1
"""pytest's exit code: tests were collected and run, and some failed."""
_FAILED: Final = Path(".pytest_cache/v/cache/lastfailed")
"""Where pytest keeps the tests that failed; of later runs, too, until they pass."""
_FEW: Final = 5
"""Tests; more than these is no accident."""


@dataclass(frozen=True)
class Step:
    """A command whose exit code is its verdict."""

    name: str
    arguments: tuple[str, ...]
    """After `python -m`."""
    patient: bool = False
    """Whether a few tests that fail are run once more."""


_SLOWEST: Final = ("--durations", "15", "--durations-min", "5")
"""What CI's time goes into is in its log."""


# Files in the order that tests/conftest.py gives them, the longest first. A third worker on two cores wins a seventh of
# the time, and makes tests of real processes wait for one another.
_TWO_WORKERS: Final = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *_SLOWEST)

STEPS: Final = (
    Step("format", ("ruff", "format", "--check", ".")),
    Step("lint", ("ruff", "check", ".")),
    Step("types", ("mypy", *PACKAGES)),
    Step("unit", ("pytest", "-m", "unit", *_TWO_WORKERS)),
    Step("integration", ("pytest", "-m", "integration", *_TWO_WORKERS), patient=True),
    Step("e2e", ("pytest", "-m", "e2e", *_SLOWEST), patient=True),
)


def run_steps(only: Sequence[str], say: Callable[[str], None]) -> int:
    """Run the named steps, or all; every one runs, whatever the others said. Returns 0 if all passed, else 1.

    What a step prints goes to the terminal as it is.
    """
    # Hundreds of processes are started: each would compile every module anew where nobody may keep them compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    verdicts = []
    for step in STEPS:
        if only and step.name not in only:
            continue
        say(f"── {step.name}: {' '.join(step.arguments)}")
        started = time.monotonic()
        (REPOSITORY / _FAILED).unlink(missing_ok=True)  # what failed in other steps is none of this one's
        code, again = _run(step.arguments, environment), 0
        if step.patient and code == _TESTS_FAILED and 0 < (again := _failed_tests()) <= _FEW:
            say(f"── {step.name}: once more, {again} that failed")
            code = _run((*step.arguments[:3], "--last-failed"), environment)
        verdicts.append((step.name, code, again, time.monotonic() - started))
    say("── summary")
    for name, code, again, seconds in verdicts:
        passed = f"passed, {again} when tried again" if again else "passed"
        say(f"{name:<12} {passed if code == 0 else f'FAILED (exit code {code})':<28} {seconds:7.1f} s")
    return 0 if all(code == 0 for _, code, _, _ in verdicts) else 1


def _run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    return subprocess.run(
        (sys.executable, "-m", *arguments), cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, check=False
    ).returncode


def _failed_tests() -> int:
    """How many tests the last run left as failed."""
    try:
        return len(json.loads((REPOSITORY / _FAILED).read_bytes()))
    except (OSError, ValueError):
        return 0
