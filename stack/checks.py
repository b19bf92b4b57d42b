"""What CI runs, as named steps: format, lint, types, unit, integration and end-to-end tests."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from stack.settings import REPOSITORY

PACKAGES: Final = ("contracts", "schemas_avro", "ingestion", "processing", "serving", "loadtest", "stack", "tests")


@dataclass(frozen=True)
class Step:
    """A command whose exit code is its verdict."""

    name: str
    arguments: tuple[str, ...]
    """After `python -m`."""


# Files in the order that tests/conftest.py gives them, the longest first.
_TWO_WORKERS: Final = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")

STEPS: Final = (
    Step("format", ("ruff", "format", "--check", ".")),
    Step("lint", ("ruff", "check", ".")),
    Step("types", ("mypy", *PACKAGES)),
    Step("unit", ("pytest", "-m", "unit", *_TWO_WORKERS)),
    Step("integration", ("pytest", "-m", "integration", *_TWO_WORKERS)),
    Step("e2e", ("pytest", "-m", "e2e")),
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
        code = subprocess.run(
            (sys.executable, "-m", *step.arguments),
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode
        verdicts.append((step.name, code, time.monotonic() - started))
    say("── summary")
    for name, code, seconds in verdicts:
        say(f"{name:<12} {'passed' if code == 0 else f'FAILED (exit code {code})':<24} {seconds:7.1f} s")
    return 0 if all(code == 0 for _, code, _ in verdicts) else 1
