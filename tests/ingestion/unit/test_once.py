"""A request sent again under its key is told the same, as long as anybody remembers."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from contracts.problems import Problem
from ingestion.answers import Answer
from ingestion.errors import RequestRefusedError
from ingestion.once import Once, stated_key
from tests.ingestion.door import KEY, WRITE_ONLY_KEY, Door, now_ms

pytestmark = pytest.mark.unit

NAME = ("shop", "k-1")


class Work:
    """Counts how often it is done."""

    def __init__(self, size: int = 10) -> None:
        self.done = 0
        self.fails = False
        self._size = size

    async def __call__(self) -> Answer:
        self.done += 1
        await asyncio.sleep(0)
        if self.fails:
            raise RequestRefusedError(Problem.OVERLOADED, "")
        return Answer(207, (("content-type", "x"), ("ratelimit", "stale")), b"x" * self._size)


async def test_the_first_answer_comes_again_without_the_work() -> None:
    once, work = Once(10), Work()
    first, second = [await once.do(NAME, b"a", work) for _ in range(2)]
    assert work.done == 1
    assert (second.status, second.body) == (first.status, first.body)
    assert second.headers == (("content-type", "x"), ("idempotency-replayed", "true"))


async def test_another_source_or_key_is_another_request() -> None:
    once, work = Once(10), Work()
    for name in (NAME, ("shop", "k-2"), ("demo", "k-1")):
        await once.do(name, b"a", work)
    assert work.done == 3


async def test_another_request_under_the_key_is_refused_while_it_runs_and_afterwards() -> None:
    once, work = Once(10), Work()
    running = asyncio.ensure_future(once.do(NAME, b"a", work))
    await asyncio.sleep(0)
    for request, problem in ((b"a", Problem.REQUEST_UNDER_WAY), (b"b", Problem.KEY_REUSED)):
        with pytest.raises(RequestRefusedError) as caught:
            await once.do(NAME, request, work)
        assert caught.value.problem is problem
    await running
    with pytest.raises(RequestRefusedError) as caught:
        await once.do(NAME, b"b", work)
    assert caught.value.problem is Problem.KEY_REUSED
    assert work.done == 1


async def test_what_failed_is_done_anew() -> None:
    once, work = Once(10), Work()
    work.fails = True
    with pytest.raises(RequestRefusedError):
        await once.do(NAME, b"a", work)
    work.fails = False
    assert (await once.do(NAME, b"another", work)).status == 207
    assert work.done == 2


@pytest.mark.parametrize(("seconds_later", "done"), [(9.9, 1), (10.0, 1), (10.1, 2)])
async def test_an_answer_is_kept_for_its_time(seconds_later: float, done: int) -> None:
    now = [1000.0]
    once, work = Once(10, lambda: now[0]), Work()
    await once.do(NAME, b"a", work)
    now[0] += seconds_later
    await once.do(NAME, b"a", work)
    assert work.done == done


async def test_the_oldest_answers_go_when_there_are_megabytes_of_them() -> None:
    once, work = Once(10), Work(1024 * 1024)
    for number in range(20):
        await once.do(("shop", str(number)), b"a", work)
    await once.do(("shop", "19"), b"a", work)
    assert work.done == 20
    await once.do(("shop", "0"), b"a", work)
    assert work.done == 21


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (None, None),
        ('"8e03978e-40d5"', "8e03978e-40d5"),
        ("8e03978e", "8e03978e"),
        ('"a\\"b\\\\"', 'a"b\\'),
        (' "a b" ', "a b"),
    ],
)
def test_a_key_is_a_text_in_quotes_or_a_bare_one(header: str | None, key: str | None) -> None:
    assert stated_key(header) == key


@pytest.mark.parametrize("header", ["", '""', '"a', 'a"b', "a b", '"\\x"', '"é"', "x" * 256, '"a", "b"'])
def test_anything_else_is_no_key(header: str) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        stated_key(header)
    assert caught.value.problem is Problem.BAD_PARAMETER


def send(door: Door, event: dict[str, Any], key: str = KEY) -> Answer:
    head = {"authorization": f"Bearer {key}", "content_type": "application/json", "idempotency_key": '"k-1"'}
    return door.send("POST", "/v1/events", event, **head)


def test_a_gateway_keeps_verdicts_by_source_and_key(tmp_path: Path) -> None:
    door = Door(tmp_path)
    event = {"event_id": "e", "user_id": "u", "session_id": "s", "action": "hover", "timestamp": now_ms()}
    first, second = send(door, event), send(door, event)
    assert (first.status, first.body) == (second.status, second.body) == (422, first.body)
    assert len(door.records("rejected")) == 1
    other = send(door, {**event, "action": "view"})
    assert (other.status, json.loads(other.body)["code"]) == (422, "key_reused")
    assert send(door, {**event, "action": "view"}, WRITE_ONLY_KEY).status == 200
    assert len(door.records("clickstream")) == 1
