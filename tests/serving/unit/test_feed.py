"""The epoch feed and the shared answers: newest only, one read for many readers."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from serving.feed import EpochFeed
from serving.live import OncePerEpoch

pytestmark = pytest.mark.unit


async def unused() -> Any:
    raise AssertionError("nothing connects here")


def notice(feed: EpochFeed, payload: str) -> None:
    feed._on_notice(None, 0, "", payload)


async def test_a_slow_reader_gets_only_the_newest_epoch() -> None:
    feed = EpochFeed(unused, 5)
    notice(feed, "1")
    epochs = feed.epochs()
    assert await anext(epochs) == 1
    for epoch in range(2, 50):
        notice(feed, str(epoch))
    assert await anext(epochs) == 49
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(epochs), 0.05)


async def test_every_reader_is_woken_and_counted() -> None:
    feed = EpochFeed(unused, 5)
    readers = [asyncio.ensure_future(anext(feed.epochs())) for _ in range(3)]
    await asyncio.sleep(0)
    assert feed.readers == 3
    notice(feed, "7")
    assert await asyncio.gather(*readers) == [7, 7, 7]


@pytest.mark.parametrize("payload", ["", "x", "-1", "1.5", "²"])
async def test_a_notice_that_is_no_epoch_is_ignored(payload: str) -> None:
    feed = EpochFeed(unused, 5)
    notice(feed, payload)
    assert feed.newest is None


async def test_readers_of_one_epoch_share_one_read() -> None:
    once, reads = OncePerEpoch(), 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0.01)
        return reads

    assert await asyncio.gather(*(once.get(1, "k", read) for _ in range(5))) == [1] * 5
    assert await once.get(2, "k", read) == 2


async def test_a_reader_who_leaves_does_not_take_the_read_along() -> None:
    once, go = OncePerEpoch(), asyncio.Event()

    async def read() -> str:
        await go.wait()
        return "read"

    leaving = asyncio.ensure_future(once.get(1, "k", read))
    staying = asyncio.ensure_future(once.get(1, "k", read))
    await asyncio.sleep(0)
    leaving.cancel()
    go.set()
    assert await staying == "read"


async def test_a_failed_read_is_tried_again() -> None:
    once = OncePerEpoch()
    answers: Iterator[OSError | str] = iter([OSError("away"), "back"])

    async def read() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    with pytest.raises(OSError, match="away"):
        await once.get(1, "k", read)
    await asyncio.sleep(0)
    assert await once.get(1, "k", read) == "back"
