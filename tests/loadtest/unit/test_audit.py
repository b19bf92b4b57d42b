"""The audit's laws: they hold for an honest run, and each kind of dishonesty breaks the law that is about it."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest

from contracts.settings import KafkaSettings, LogSettings, PostgresSettings
from loadtest.audit.checks import Check, check_books, check_laws
from loadtest.audit.claims import Claims
from loadtest.audit.holdings import RECORDS, Holdings, Marks, first_text
from loadtest.client_log import Verdict
from loadtest.facts import Fact
from loadtest.load.payloads import Pool
from tests.loadtest.unit.test_payloads import EVENTS

pytestmark = pytest.mark.unit

CLICKS = "clickstream"
Row = dict[str, Any]


def _fact(event_id: str) -> Fact:
    return Fact(CLICKS, event_id, "u", "s", None, None, "view", 0)


class Run:
    """An honest run: a accepted once, b accepted twice, c unanswered and there, d unanswered and not, bad refused."""

    def __init__(self) -> None:
        self.claims = Claims()
        for event_id in ("a", "b", "b"):
            self.claims.add(Verdict.ACCEPTED, _fact(event_id))
        for event_id in ("c", "d"):
            self.claims.add(Verdict.UNKNOWN, _fact(event_id))
        self.claims.refuse("bad")
        self.records = [*(_place(offset, event_id) for offset, event_id in enumerate("abbc")), _refusal(0)]
        self.applied = [_place(offset, event_id) for offset, event_id in ((0, "a"), (1, "b"), (3, "c"))]
        self.duplicates = [_place(2, "b")]
        self.quarantine: list[Row] = []
        self.rejected = [_refusal(0)]

    def holdings(self) -> dict[str, pa.Table]:
        def table(rows: list[Row]) -> pa.Table:
            return pa.Table.from_pylist(
                [{**row, "epoch": 1} for row in rows], RECORDS.append(pa.field("epoch", pa.int64()))
            )

        tables = {name: table(getattr(self, name)) for name in ("applied", "duplicates", "quarantine", "rejected")}
        return {"records": pa.Table.from_pylist(self.records, RECORDS), **tables}

    def broken(self) -> set[str]:
        return {check.name for check in self.checks() if not check.holds}

    def checks(self) -> list[Check]:
        return check_laws(self.claims, self.holdings())


def _place(offset: int, event_id: str | None) -> Row:
    return {"topic": CLICKS, "partition": 0, "offset": offset, "event_id": event_id}


def _refusal(offset: int) -> Row:
    return {"topic": "rejected", "partition": 0, "offset": offset, "event_id": None}


def test_every_law_holds_for_an_honest_run_and_says_of_how_many() -> None:
    checks = Run().checks()
    assert [check.name for check in checks if not check.holds] == []
    assert {check.name: check.found for check in checks}["nothing is lost"] == "2"
    assert len(checks) == 9


def _lose_at_the_gateway(run: Run) -> None:
    run.claims.add(Verdict.ACCEPTED, _fact("e"))


def _lose_in_processing(run: Run) -> None:
    run.applied.pop(0)


def _count_twice(run: Run) -> None:
    run.records.append(_place(4, "a"))
    run.claims.add(Verdict.ACCEPTED, _fact("a"))
    run.applied.append(_place(4, "a"))


def _count_a_copy_too(run: Run) -> None:
    run.applied.append(_place(2, "b"))


def _invent(run: Run) -> None:
    run.records.append(_place(4, "x"))
    run.applied.append(_place(4, "x"))


def _write_twice(run: Run) -> None:
    run.records.append(_place(4, "a"))
    run.duplicates.append(_place(4, "a"))


def _apply_what_was_refused(run: Run) -> None:
    run.records.append(_place(4, "bad"))
    run.applied.append(_place(4, "bad"))


def _apply_without_a_record(run: Run) -> None:
    run.applied.append(_place(9, "d"))


def _forget_a_refusal(run: Run) -> None:
    run.records.pop()
    run.rejected.pop()


@pytest.mark.parametrize(
    ("dishonesty", "laws"),
    [
        (_lose_at_the_gateway, {"acknowledged is stored", "nothing is lost"}),
        (_lose_in_processing, {"every record ends in one place", "nothing is lost"}),
        (_count_twice, {"nothing counts twice"}),
        (_count_a_copy_too, {"every record ends in one place", "nothing counts twice"}),
        (_invent, {"no record comes from nowhere"}),
        (_write_twice, {"nothing is stored more often than it was sent"}),
        (_apply_what_was_refused, {"no record comes from nowhere", "nothing refused counts"}),
        (_apply_without_a_record, {"nothing has a place that has no record"}),
        (_forget_a_refusal, {"every refusal is kept"}),
    ],
)
def test_a_dishonesty_breaks_its_law(dishonesty: Callable[[Run], None], laws: set[str]) -> None:
    run = Run()
    dishonesty(run)
    assert run.broken() == laws


def test_a_copy_of_an_event_applied_before_the_run_is_not_lost() -> None:
    run = Run()
    run.applied.pop(0)
    run.duplicates.append(_place(0, "a"))
    assert run.broken() == set()


def test_a_record_in_quarantine_is_neither_lost_nor_from_nowhere() -> None:
    run = Run()
    run.records.append(_place(4, None))
    run.quarantine.append(_place(4, None))
    assert run.broken() == set()


def test_an_event_accepted_after_an_attempt_without_an_answer_may_have_a_record_of_each() -> None:
    run = Run()
    run.claims.add(Verdict.ACCEPTED, _fact("c"))
    assert run.broken() == set()
    run.records.append(_place(4, "c"))
    run.duplicates.append(_place(4, "c"))
    assert run.broken() == set()


def test_a_broken_law_names_examples() -> None:
    run = Run()
    _lose_at_the_gateway(run)
    (lost,) = [check for check in run.checks() if check.name == "nothing is lost"]
    assert lost.examples == [{"topic": CLICKS, "event_id": "e"}]
    assert lost.as_json()["holds"] is False


def test_the_books_agree_with_what_is_there_or_say_what_does_not() -> None:
    held = Run().holdings()
    before = {"records": 100, "applied": 90, "duplicates": 10, "quarantined": 0, "rejected": 0}
    after = {"records": 105, "applied": 93, "duplicates": 11, "quarantined": 0, "rejected": 1}
    assert check_books(before, after, held).holds
    wrong = check_books(before, {**after, "applied": 94}, held)
    assert wrong.broken == 1
    assert wrong.examples == ["applied: books 4, held 3"]


def test_ids_are_read_from_records_as_the_gateway_frames_them() -> None:
    pool = Pool(EVENTS, "r1")
    assert first_text(pool.avro(1, 0)) == "r1-0"


_FRAME = bytes(5)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        _FRAME,
        b"\x01" + _FRAME[1:] + b"\x02a",
        _FRAME + b"\x80",
        _FRAME + b"\x09a",
        _FRAME + b"\x02\xff",
        _FRAME + b"\x80\x80\x80\x80\x80\x01",
    ],
)
def test_what_is_no_record_has_no_id(value: bytes) -> None:
    assert first_text(value) is None


def test_of_the_totals_only_numbers_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    holdings = Holdings(KafkaSettings(), PostgresSettings(), LogSettings())
    row = {"singleton": True, "log_id": uuid4(), "epoch": 3, "records": 7}
    monkeypatch.setattr(holdings, "rows", lambda _: [row])
    assert holdings.totals() == {"epoch": 3, "records": 7}
    monkeypatch.setattr(holdings, "rows", lambda _: [])
    assert holdings.totals() == {}


def test_what_was_erased_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    holdings = Holdings(KafkaSettings(), PostgresSettings(), LogSettings())
    monkeypatch.setattr(holdings, "rows", lambda _: [])
    assert holdings._behind(Marks({}, 1, {"applied": 5, "erased": 2, "log_rows": 3})) is None
    assert holdings._behind(Marks({}, 1, {"applied": 5, "erased": 2, "log_rows": 2})) is not None
