"""The probe: measures until visible, counts what is refused, missing or unanswered, and never asks too much at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtest.client_log import ClientLog, Verdict, read_log
from loadtest.gateway_client import Answer, EventVerdict, GatewayClient
from loadtest.graphql import GraphqlClient, GraphqlError
from loadtest.probe import Freshness, Probe

pytestmark = pytest.mark.unit


class Pipeline(GatewayClient, GraphqlClient):
    """A gateway and a GraphQL in one: events posted in one epoch are visible from the next on."""

    def __init__(self, verdict: Verdict = Verdict.ACCEPTED, hide: int = 0) -> None:
        self.imports = False
        self._verdict, self._hide = verdict, hide
        self._posted: list[tuple[float, str]] = []
        self.asked: list[int] = []
        self.fail_once = False
        self.end_subscription = False

    async def post(self, bodies: Sequence[Any]) -> Answer:
        self._posted += [(await self._now(), body["session_id"]) for body in bodies]
        return Answer(200, [EventVerdict(self._verdict)] * len(bodies))

    async def epoch(self) -> int | None:
        if self.fail_once:
            self.fail_once = False
            raise GraphqlError("away")
        return int(await self._now() / 0.2)

    async def epochs(self) -> AsyncIterator[int]:
        last = None
        while True:
            epoch = int(await self._now() / 0.2)
            if epoch != last:
                last = epoch
                yield epoch
            if self.end_subscription:
                self.end_subscription = False
                raise GraphqlError("ended")
            await asyncio.sleep(0.01)

    async def visible_sessions(self, session_ids: list[str]) -> set[str]:
        self.asked.append(len(session_ids))
        now = await self._now()
        old = {session for at, session in self._posted[self._hide :] if int(at / 0.2) < int(now / 0.2)}
        return old & set(session_ids)

    async def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _probed(pipeline: Pipeline, per_second: float = 20) -> Freshness:
    return await Probe(pipeline, pipeline, markers_per_second=per_second).run(1.0, grace_seconds=0.6)


async def test_every_marker_becomes_visible_within_an_epoch_and_a_poll() -> None:
    freshness = await _probed(Pipeline())
    assert len(freshness.seen) == freshness.sent > 5
    assert (freshness.missing, freshness.refused) == (0, 0)
    assert all(0 < seconds < 0.5 for _, seconds in freshness.seen)


async def test_a_reader_who_is_told_of_commits_sees_every_marker_too() -> None:
    pipeline = Pipeline()
    pipeline.end_subscription = True
    freshness = await _probed(pipeline)
    assert len(freshness.told) == freshness.sent
    assert (freshness.never_told, freshness.lost_subscriptions) == (0, 1)


async def test_what_was_sent_is_in_the_client_log(tmp_path: Path) -> None:
    with ClientLog(tmp_path / "markers.jsonl") as log:
        freshness = await Probe(Pipeline(), Pipeline(), log, markers_per_second=20).run(0.3, grace_seconds=0.1)
    attempts = list(read_log(tmp_path / "markers.jsonl"))
    assert len(attempts) == freshness.sent
    assert {attempt.verdict for attempt in attempts} == {Verdict.ACCEPTED}


async def test_a_marker_that_never_shows_is_missing() -> None:
    freshness = await _probed(Pipeline(hide=2))
    assert (freshness.missing, freshness.never_told) == (2, 2)


async def test_a_marker_the_gateway_refuses_is_not_waited_for() -> None:
    freshness = await _probed(Pipeline(Verdict.UNKNOWN))
    assert freshness.refused == freshness.sent
    assert (freshness.missing, freshness.seen) == (0, [])


async def test_a_poll_without_an_answer_is_counted_and_survived() -> None:
    pipeline = Pipeline()
    pipeline.fail_once = True
    freshness = await _probed(pipeline)
    assert freshness.unanswered_polls == 1
    assert len(freshness.seen) == freshness.sent


async def test_a_run_that_is_broken_off_leaves_nobody_asking() -> None:
    pipeline = Pipeline()
    running = asyncio.create_task(Probe(pipeline, pipeline, markers_per_second=20).run(60))
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_many_markers_are_asked_for_in_pieces() -> None:
    pipeline = Pipeline()
    await _probed(pipeline, per_second=200)
    assert max(pipeline.asked) == 8


def test_figures_are_given_per_ten_seconds() -> None:
    figures = Freshness(sent=3, seen=[(0.5, 1.0), (9.9, 3.0), (25.0, 2.0)]).figures()
    over_time = figures["query_over_time_ms"]
    assert isinstance(over_time, list)
    assert [(part["from_second"], part["max"]) for part in over_time] == [(0, 3000.0), (20, 2000.0)]


def _answering(status: int, text: str) -> GraphqlClient:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, text=text))
    return GraphqlClient(httpx.AsyncClient(transport=transport), "http://graphql/")


@pytest.mark.parametrize(
    ("status", "text"), [(200, '{"errors":[{"message":"no"}],"data":null}'), (500, "oops"), (200, "[]"), (200, "{}")]
)
async def test_an_answer_without_data_is_an_error(status: int, text: str) -> None:
    with pytest.raises(GraphqlError, match="http://graphql/"):
        await _answering(status, text).epoch()


async def test_before_the_first_epoch_there_is_none() -> None:
    assert await _answering(200, '{"data":{"asOf":null}}').epoch() is None
    assert await _answering(200, '{"data":{"books":null}}').books() is None
