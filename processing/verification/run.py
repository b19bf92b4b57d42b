"""A verification from beginning to end."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from time import monotonic
from typing import Final, TypeAlias

import duckdb

from contracts.settings import PostgresSettings, ShopSettings
from processing.log_files import LogFiles, open_duck
from processing.verification.books import check_books
from processing.verification.check import within
from processing.verification.compare import Verdict, compare
from processing.verification.hours import hour_checks
from processing.verification.minutes import minute_checks
from processing.verification.pairs import pair_checks
from processing.verification.people import people_checks
from processing.verification.served import AtRandom, Served, Span, VerificationError, erased, read
from processing.verification.sessions import session_check
from processing.verification.slices import Slices

Tell: TypeAlias = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

_LOG_PATIENCE_SECONDS: Final = 60.0
_MEMORY: Final = "1GB"
_TOGETHER: Final = 250_000
"""Events compared at a time, about: a gigabyte of memory."""
_TRIES: Final = 3

CHECKS: Final = (*minute_checks(), session_check(), *pair_checks(), *people_checks())
"""A check of every projection, and of the roll-ups of minutes."""
GATHERINGS: Final = hour_checks()
"""Checks of the other roll-ups."""
_ALL: Final = (*CHECKS, *(check for gathering in GATHERINGS for check in gathering.checks))


@dataclass(frozen=True)
class Outcome:
    """What was compared, and how it ended."""

    epoch: int
    span: Span
    verdicts: list[Verdict] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rows(self) -> int:
        return sum(verdict.rows for verdict in self.verdicts)

    @property
    def mismatches(self) -> int:
        return sum(verdict.mismatches for verdict in self.verdicts)


@dataclass(frozen=True)
class Verification:
    """How to verify: where things are, and how much of the machine to take."""

    postgres: PostgresSettings
    log_path: Path
    folder: Path
    """Scratch space of its own, emptied before and after."""
    shop: ShopSettings
    threads: int
    tell: Tell

    def run(self, asked: Span | AtRandom) -> Outcome:
        """Compare. Raises VerificationError, LogUnreadableError or an error of Postgres where that cannot be done."""
        for _ in range(_TRIES):
            begun = monotonic()
            with open_duck(self.folder, threads=self.threads, memory=_MEMORY) as duck:
                served = read(duck, self.postgres, _ALL, asked, self.shop)
                try:
                    verdicts = self._compare(duck, served)
                except duckdb.Error as error:
                    raise VerificationError(f"the event log could not be read: {error}") from error
            if erased(self.postgres) == served.erased:
                return Outcome(served.epoch, served.span, verdicts, monotonic() - begun)
            asked = served.span  # what was erased is gone from the log, and was there when the tables were read
        raise VerificationError("users are being erased; try again later")

    def _compare(self, duck: duckdb.DuckDBPyConnection, served: Served) -> list[Verdict]:
        log = self._await_log(served.epoch)
        log.open_in(duck, "whole_log")
        duck.execute(f"CREATE TEMP VIEW log AS FROM whole_log WHERE epoch <= {served.epoch}")
        verdicts = [check_books(duck, served)]
        count = f"SELECT count(*) FROM log WHERE {self._filled(within('timestamp'), served.span)}"
        ((events,),) = duck.execute(count).fetchall()
        slices = Slices(duck, self.folder / "slices", 1 + events // _TOGETHER)
        for number, check in enumerate(CHECKS):
            self.tell("verify", number, len(_ALL))
            members, expected = (self._filled(sql, served.span) for sql in (check.members, check.expected))
            verdicts.append(reduce(add, (compare(duck, check, members, expected) for _ in slices.of(check))))
        for gathering in GATHERINGS:
            self.tell("verify", len(verdicts) - 1, len(_ALL))
            slices.gather(gathering.by, self._filled(gathering.rows, served.span))
            verdicts += [
                compare(duck, check, check.members, check.expected) for check in slices.gathered(gathering.checks)
            ]
        self.tell("verify", len(_ALL), len(_ALL))
        return verdicts

    def _filled(self, sql: str, span: Span) -> str:
        return span.fill(sql, self.shop)

    def _await_log(self, epoch: int) -> LogFiles:
        """The event log, once it holds the epoch: it is appended to some seconds after the commit."""
        deadline = monotonic() + _LOG_PATIENCE_SECONDS
        while (log := LogFiles.of(self.log_path)).epoch < epoch:
            if monotonic() > deadline:
                raise VerificationError(
                    f"the tables are of epoch {epoch}, and the event log ends at {log.epoch}: does processing run?"
                )
            self.tell("await log", log.epoch, epoch)
            time.sleep(0.2)
        return log
