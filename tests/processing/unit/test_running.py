"""How a part of processing ends, by its exit code and its last line."""

import os
import signal
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

from processing.errors import AnotherProcessorError
from processing.running import run_part, when_asked

pytestmark = pytest.mark.unit


class Chosen(BaseModel):
    port: int = 1


def end(settings: Callable[[], Chosen], work: Callable[[Chosen], None]) -> tuple[int, MutableMapping[str, Any]]:
    """Exit code and what was logged."""
    with capture_logs() as lines:
        code = run_part(settings, work)
    (line,) = lines
    return code, line


def test_a_bad_setting_is_2_and_named() -> None:
    code, line = end(lambda: Chosen.model_validate({"port": "none"}), lambda _: None)
    assert (code, line["event"], line["key"]) == (2, "bad_setting", "MILLRACE_CHOSEN_PORT")


def test_a_fault_for_a_person_is_1_and_says_what_to_do() -> None:
    def work(_: Chosen) -> None:
        raise AnotherProcessorError("shop")

    code, line = end(Chosen, work)
    assert (code, line["event"]) == (1, "stopped")
    assert "schema 'shop'; stop it first" in line["reason"]


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_is_0(asked: signal.Signals) -> None:
    stops: list[str] = []

    def work(_: Chosen) -> None:
        when_asked(lambda: stops.append("asked"))
        os.kill(os.getpid(), asked)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        code, line = end(Chosen, work)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert (code, line["reason"], stops) == (0, "asked to", ["asked"])
