"""What a part of processing does around its work: settings, faults that need a person, exit codes, signals.

Exit codes: 0 stopped on request; 1 a fault that needs a person (the message says what to do); 2 a bad setting.
"""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

import structlog
import typer
from pydantic import ValidationError

from contracts.logging import configure_logging
from contracts.settings import setting_faults
from processing.errors import FatalError

log = structlog.get_logger()

S = TypeVar("S")


def run_module(module: str, settings: Callable[[], S], work: Callable[[S], None], verbs: typer.Typer) -> None:
    """`python -m module`: the part without arguments, one of its verbs with them. Ends the process."""
    configure_logging(module.rpartition(".")[2])
    if len(sys.argv) > 1:
        verbs(prog_name=f"python -m {module}")
    sys.exit(run_part(settings, work))


def run_part(settings: Callable[[], S], work: Callable[[S], None]) -> int:
    """Run a part until its work ends; returns the exit code."""
    try:
        chosen = settings()
    except ValidationError as error:
        for key, fault in setting_faults(error):
            log.error("bad_setting", key=key, fault=fault)  # noqa: TRY400 - the key says all
        return 2
    try:
        work(chosen)
    except FatalError as error:
        log.error("stopped", reason=str(error))  # noqa: TRY400 - the reason is the message, not a trace
        return 1
    log.info("stopped", reason="asked to")
    return 0


def when_asked(stop: Callable[[], None]) -> None:
    """Call `stop` at SIGTERM and SIGINT; before, these end the process at once: there is nothing to finish."""

    def asked(_signal: int, _frame: FrameType | None) -> None:
        stop()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
