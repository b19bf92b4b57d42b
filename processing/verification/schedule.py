"""Verification in the background: every so often a random hour or less, as a turn of `processing.background`."""

from typing import Final

import structlog

from processing.background import Told, Turn
from processing.metrics import VerifyMetrics

log = structlog.get_logger()

_VERB: Final = ("verify", "--random", "--background", "--json")
_OUTCOMES: Final = {0: "equal", 1: "differs"}


def verify_turn(every_seconds: float, metrics: VerifyMetrics) -> Turn:
    """A verification every so often. What it finds is counted, and logged where it is not what it should be."""

    def observe(code: int, told: Told, _seconds: float) -> None:
        outcome = _OUTCOMES.get(code, "failed")
        metrics.observe(outcome, told)
        if outcome == "differs":
            log.error("verification_differs", **{name: told.get(name) for name in ("epoch", "from", "until", "tables")})

    return Turn(_VERB, every_seconds, observe)
