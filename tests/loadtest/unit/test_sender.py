"""The sender: intended times, one verdict per event, retries with the same ids, a log that tells all."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts.rejections import Reason
from loadtest.client_log import Attempt, ClientLog, Verdict, read_log
from loadtest.faults import Kind, Sending
from loadtest.gateway_client import Answer, EventVerdict, GatewayClient, RefusedError
from loadtest.sender import Sender, Tally, at_speed

pytestmark = pytest.mark.unit

ACCEPTED = EventVerdict(Verdict.ACCEPTED)


class ScriptedGateway(GatewayClient):
    """Answers by a function of the request's number and its bodies."""

    def __init__(self, answer: Callable[[int, Sequence[Any]], Answer], seconds: float = 0) -> None:
        self.imports = False
        self.requests: list[list[Any]] = []
        self.times: list[float] = []
        self._answer, self._seconds = answer, seconds

    async def post(self, bodies: Sequence[Any]) -> Answer:
        self.requests.append(list(bodies))
        self.times.append(time.monotonic())
        number = len(self.requests)
        await asyncio.sleep(self._seconds)
        return self._answer(number, bodies)


def accept_all(number: int, bodies: Sequence[Any]) -> Answer:
    return Answer(200, [ACCEPTED] * len(bodies))


def sendings(count: int, every_ms: int = 0) -> list[Sending]:
    return [Sending(n * every_ms, Kind.VALID, f"e{n}", {"event_id": f"e{n}"}) for n in range(count)]


async def run(
    gateway: ScriptedGateway, stream: list[Sending], log: Path | None = None, speed: float = 0, **options: Any
) -> Tally:
    with ClientLog(log) as client_log:
        return await Sender(gateway, client_log, **options).run(stream, at_speed(speed))


async def test_all_events_are_sent_in_order_in_batches_of_the_asked_size() -> None:
    gateway = ScriptedGateway(accept_all)
    tally = await run(gateway, sendings(25), batch_size=10)
    assert [len(request) for request in gateway.requests] == [10, 10, 5]
    assert [body["event_id"] for request in gateway.requests for body in request] == [f"e{n}" for n in range(25)]
    assert (tally.accepted, tally.clean) == (25, True)


async def test_a_batch_does_not_wait_for_later_events() -> None:
    gateway = ScriptedGateway(accept_all)
    began = time.monotonic()
    await run(gateway, sendings(3, every_ms=200), speed=1)
    assert len(gateway.requests) == 3
    assert [round(at - began, 1) for at in gateway.times] == pytest.approx([0.0, 0.2, 0.4], abs=0.11)


async def test_latency_counts_from_the_intended_time_even_when_the_gateway_stalls() -> None:
    tally = await run(
        ScriptedGateway(accept_all, seconds=0.3), sendings(4, every_ms=10), speed=1, batch_size=1, requests_in_flight=1
    )
    summary = tally.latencies.summary_ms()
    assert summary
    assert summary["max"] > 1_000


async def test_without_an_answer_the_same_ids_are_sent_again_and_the_log_links_the_attempts(tmp_path: Path) -> None:
    def flaky(number: int, bodies: Sequence[Any]) -> Answer:
        return Answer(None) if number == 1 else accept_all(number, bodies)

    gateway = ScriptedGateway(flaky)
    tally = await run(gateway, sendings(2), tmp_path / "log")
    attempts = list(read_log(tmp_path / "log"))
    assert gateway.requests[0] == gateway.requests[1]
    assert [(a.number, a.retried_of, a.verdict) for a in attempts] == [
        (1, None, "unknown"),
        (2, None, "unknown"),
        (3, 1, "accepted"),
        (4, 2, "accepted"),
    ]
    assert (tally.accepted, tally.retried, tally.failed) == (2, 2, 0)


async def test_only_events_without_a_verdict_are_repeated() -> None:
    def half(number: int, bodies: Sequence[Any]) -> Answer:
        return Answer(207, [ACCEPTED, EventVerdict(Verdict.UNKNOWN)]) if number == 1 else accept_all(number, bodies)

    gateway = ScriptedGateway(half)
    await run(gateway, sendings(2))
    assert [body["event_id"] for body in gateway.requests[1]] == ["e1"]


async def test_the_wait_the_gateway_asks_for_is_kept() -> None:
    def busy(number: int, bodies: Sequence[Any]) -> Answer:
        return Answer(503, retry_after=1.0) if number == 1 else accept_all(number, bodies)

    gateway = ScriptedGateway(busy)
    await run(gateway, sendings(1))
    assert gateway.times[1] - gateway.times[0] >= 1.0


async def test_what_has_no_verdict_when_the_patience_is_over_is_counted_as_failed() -> None:
    tally = await run(ScriptedGateway(lambda *_: Answer(503)), sendings(3), patience_seconds=0)
    assert (tally.failed, tally.clean) == (3, False)


async def test_a_refusal_ends_the_run_and_is_logged(tmp_path: Path) -> None:
    def refuse(*_: object) -> Answer:
        raise RefusedError("401")

    with pytest.raises(RefusedError, match="401"):
        await run(ScriptedGateway(refuse), sendings(3), tmp_path / "log")
    assert [attempt.verdict for attempt in read_log(tmp_path / "log")] == ["unknown"] * 3


async def test_a_conflict_is_sent_only_after_the_first_event_of_its_id_has_its_verdict() -> None:
    answered: list[str] = []

    def answer(number: int, bodies: Sequence[Any]) -> Answer:
        answered.append("first" if bodies[0].get("page_url") is None else "conflict")
        return accept_all(number, bodies)

    gateway = ScriptedGateway(answer, seconds=0.1)
    conflict = Sending(0, Kind.CONFLICT, "e0", {"event_id": "e0", "page_url": "x"})
    await run(gateway, [*sendings(1), conflict])
    assert answered == ["first", "conflict"]
    assert gateway.times[1] - gateway.times[0] >= 0.1


async def test_raw_bytes_travel_alone_and_are_kept_in_the_log(tmp_path: Path) -> None:
    def answer(number: int, bodies: Sequence[Any]) -> Answer:
        if isinstance(bodies[0], bytes):
            return Answer(400, [EventVerdict(Verdict.REJECTED, "malformed_json")])
        return accept_all(number, bodies)

    gateway = ScriptedGateway(answer)
    broken = Sending(0, Kind.INVALID, "bad", b'{"a"', Reason.MALFORMED_JSON, "json_cut_off")
    tally = await run(gateway, [*sendings(1), broken, *sendings(1)], tmp_path / "log")
    assert [b'{"a"'] in gateway.requests
    assert (tally.rejected, tally.clean) == (1, True)
    assert [attempt.raw for attempt in read_log(tmp_path / "log") if attempt.kind == "invalid"] == ["eyJhIg=="]


@pytest.mark.parametrize(
    ("given", "named"),
    [(ACCEPTED, "given accepted"), (EventVerdict(Verdict.REJECTED, "invalid_id"), "given invalid_id")],
)
async def test_a_wrong_verdict_is_named(given: EventVerdict, named: str) -> None:
    bad = Sending(0, Kind.INVALID, "bad", {}, Reason.MISSING_FIELD, "session_missing")
    tally = await run(ScriptedGateway(lambda *_: Answer(207, [given])), [bad])
    assert list(tally.unexpected) == [f"session_missing: due missing_field, {named}"]


async def test_stopping_takes_no_more_but_finishes_what_was_taken() -> None:
    gateway = ScriptedGateway(accept_all)
    with ClientLog(None) as client_log:
        sender = Sender(gateway, client_log)

        def endless() -> Iterator[Sending]:
            for n in range(10_000):
                if n == 5:
                    sender.stop()
                yield Sending(0, Kind.VALID, f"e{n}", {"event_id": f"e{n}"})

        tally = await sender.run(endless(), at_speed(1))
    assert tally.accepted == tally.sendings == 5


def test_a_line_that_is_no_attempt_is_named(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("{}\n")
    with pytest.raises(ValueError, match="line 1"):
        list(read_log(tmp_path / "log"))


def test_an_unknown_verdict_is_neither_right_nor_wrong() -> None:
    attempt = Attempt(1, 1, None, "valid", "", "e", {}, None, 0, False)
    assert attempt.as_expected
