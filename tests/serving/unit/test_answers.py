"""Answers as bytes: given again while the store says the same, made once for all who ask at the same time."""

import asyncio
from collections.abc import Callable

import pytest

from contracts.tables import CHANGED
from serving.answers import Answers, Kept, Make
from serving.execution import Answer, Outcome
from serving.feed import EpochFeed

pytestmark = pytest.mark.unit


@pytest.fixture
def feed() -> EpochFeed:
    async def unused() -> None:
        raise AssertionError("nothing connects here")

    feed = EpochFeed(unused, 5)
    feed.connected = True
    feed._publish(1)
    return feed


class Counted:
    """Makes an answer of the feed's epoch, each time another one."""

    def __init__(self, feed: EpochFeed, *, of: int | None = None, outcome: Outcome = Outcome.DATA) -> None:
        self.made = 0
        self._feed, self._of, self._outcome = feed, of, outcome
        self.meanwhile: Callable[[], None] = lambda: None

    async def __call__(self) -> Answer:
        self.made += 1
        await asyncio.sleep(0)
        self.meanwhile()
        epoch = self._feed.newest if self._of is None else self._of
        return Answer(self._outcome, b"x" * self.made, epoch)


async def bodies(answers: Answers, make: Make, times: int = 2) -> list[bytes]:
    return [(await answers.answer(b"k", make)).answer.body for _ in range(times)]


async def test_an_answer_is_given_again_until_the_next_epoch(feed: EpochFeed) -> None:
    answers, make = Answers(feed, 10_000), Counted(feed)
    assert await bodies(answers, make) == [b"x", b"x"]
    feed._publish(2)
    assert answers.get(b"k") is None
    assert await bodies(answers, make) == [b"xx", b"xx"]


async def test_a_change_outside_of_an_epoch_ends_it_too(feed: EpochFeed) -> None:
    answers, make = Answers(feed, 10_000), Counted(feed)
    await bodies(answers, make)
    feed._on_notice(None, 0, "", CHANGED)
    assert await bodies(answers, make, 1) == [b"xx"]


async def test_without_notices_nothing_is_kept(feed: EpochFeed) -> None:
    answers, make = Answers(feed, 10_000), Counted(feed)
    await bodies(answers, make)
    feed._lost()
    assert await bodies(answers, make) == [b"xx", b"xxx"]


@pytest.mark.parametrize("meanwhile", ["epoch", "change"])
async def test_what_changed_while_it_was_made_is_not_kept(feed: EpochFeed, meanwhile: str) -> None:
    answers, make = Answers(feed, 10_000), Counted(feed, of=1)
    make.meanwhile = lambda: feed._publish(2) if meanwhile == "epoch" else feed._on_notice(None, 0, "", CHANGED)
    await bodies(answers, make, 1)
    make.meanwhile = lambda: None
    assert answers.get(b"k") is None


async def test_an_epoch_never_goes_back(feed: EpochFeed) -> None:
    answers, older, newer = Answers(feed, 10_000), Counted(feed), Counted(feed, of=2)
    await answers.answer(b"old", older)
    await answers.answer(b"new", newer)  # its notice has not come yet
    assert answers.get(b"old") is None
    assert answers.get(b"new") is not None


@pytest.mark.parametrize("outcome", [Outcome.PARTIAL, Outcome.INVALID])
async def test_an_answer_with_errors_is_not_kept(feed: EpochFeed, outcome: Outcome) -> None:
    answers, make = Answers(feed, 10_000), Counted(feed, outcome=outcome)
    assert await bodies(answers, make) == [b"x", b"xx"]


async def test_those_who_ask_at_the_same_time_share_one(feed: EpochFeed) -> None:
    answers, make = Answers(feed, 0), Counted(feed)
    found = await asyncio.gather(*(answers.answer(b"k", make) for _ in range(9)))
    assert {kept.answer.body for kept in found} == {b"x"}
    assert (answers.misses, answers.shared, answers.hits) == (1, 8, 0)


async def test_who_comes_after_a_change_does_not_share_what_was_begun_before_it(feed: EpochFeed) -> None:
    answers, make = Answers(feed, 10_000), Counted(feed)
    before = asyncio.create_task(answers.answer(b"k", make))
    await asyncio.sleep(0)
    feed._on_notice(None, 0, "", CHANGED)
    assert (await answers.answer(b"k", make)).answer.body == b"xx"
    await before


async def test_one_who_leaves_does_not_take_the_answer_along(feed: EpochFeed) -> None:
    answers, go = Answers(feed, 10_000), asyncio.Event()

    async def make() -> Answer:
        await go.wait()
        return Answer(Outcome.DATA, b"read", 1)

    leaving = asyncio.create_task(answers.answer(b"k", make))
    staying = asyncio.create_task(answers.answer(b"k", make))
    await asyncio.sleep(0)
    leaving.cancel()
    go.set()
    assert (await staying).answer.body == b"read"


async def test_memory_is_bounded_and_the_oldest_goes_first(feed: EpochFeed) -> None:
    answers = Answers(feed, 10_000)

    async def make() -> Answer:
        return Answer(Outcome.DATA, b"x" * 600, 1)

    keys = [bytes([number]) for number in range(30)]
    for key in keys:
        await answers.answer(key, make)
    assert [key for key in keys if answers.get(key)] == keys[-8:]


async def test_a_failure_is_told_to_everybody_and_forgotten(feed: EpochFeed) -> None:
    answers, make = Answers(feed, 10_000), Counted(feed)

    async def fail() -> Answer:
        await asyncio.sleep(0)
        raise OSError("away")

    failed = await asyncio.gather(*(answers.answer(b"k", fail) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in failed] == ["away"] * 3
    assert await bodies(answers, make, 1) == [b"x"]


def test_answers_that_differ_only_in_their_commit_have_the_same_tag() -> None:
    def tag(data: bytes, as_of: bytes) -> bytes:
        end = b',"extensions":{"asOf":' + as_of + b"}}"
        return Kept(Answer(Outcome.DATA, b'{"data":' + data + end, 7, as_of=as_of)).etag

    assert tag(b"[1]", b'{"epoch":9}') == tag(b"[1]", b'{"epoch":10}')
    assert tag(b"[1]", b'{"epoch":9}') != tag(b"[2]", b'{"epoch":9}')
