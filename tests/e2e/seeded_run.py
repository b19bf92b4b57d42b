"""A seeded run with duplicates, late, out-of-order and invalid events, with parts killed in the middle of it."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from loadtest.oracle import Oracle
from tests.e2e.millrace import Millrace, iso, until

SECONDS = 60


class Run:
    """What was sent, what came of it, and where its events lie."""

    def __init__(self, millrace: Millrace, log: Path, before: dict[str, int], books: dict[str, Any]) -> None:
        self.millrace = millrace
        self.before = before
        self.books = books
        """As they stood when all of it was counted: other tests send events, too."""
        self.oracle = Oracle.from_log(log)
        times = [fact.at for fact in self.oracle.facts]
        self.start = min(times).replace(minute=0, second=0, microsecond=0)
        self.end = max(times).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)

    @property
    def range(self) -> dict[str, str]:
        return {"from": iso(self.start), "to": iso(self.end)}


def make_run(millrace: Millrace, log: Path) -> Run:
    """The run, with kill -9 of processing twice and of the gateway once while it is on."""
    before = _totals(millrace)
    faults = [
        "--duplicates",
        "0.05",
        "--conflicts",
        "0.01",
        "--late",
        "0.05",
        "--out-of-order",
        "0.1",
        "--invalid",
        "0.03",
    ]
    simulator = millrace.start(
        *("simulate", "--rate", "150", "--seconds", str(SECONDS), "--seed", "42", "--mix", "80/20"),
        *(*faults, "--log", str(log)),
    )
    first = _epoch_after(millrace, before.get("epoch", 0))  # so that there is a watermark by which events are late
    millrace.kill("processing")
    time.sleep(5)
    millrace.kill("gateway")
    _epoch_after(millrace, first)
    millrace.kill("processing")
    out, err = simulator.communicate(timeout=400)
    assert simulator.returncode == 0, f"{out}\n{err[-3000:]}"
    return Run(millrace, log, before, millrace.settled(timeout=240)["books"])


def _totals(millrace: Millrace) -> dict[str, int]:
    """The books' sums so far: other tests share the stack."""
    books = millrace.ask("{ books { totals { applied duplicates conflicts quarantined rejected late epoch } } }")[
        "books"
    ]
    return dict(books["totals"]) if books else {}


def _epoch_after(millrace: Millrace, epoch: int) -> int:
    """Wait for a commit after this one."""

    def committed() -> int | None:
        as_of = millrace.ask("{ asOf { epoch } }")["asOf"]
        return int(as_of["epoch"]) if as_of and as_of["epoch"] > epoch else None

    return until(committed, 120, f"an epoch after {epoch}")
