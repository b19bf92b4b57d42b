"""The epoch feed: newest only, and what it is certain of."""

import asyncio
from typing import Any

import pytest

from contracts.tables import CHANGED
from serving.feed import EpochFeed

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


def test_the_state_is_known_only_while_notices_come() -> None:
    feed = EpochFeed(unused, 5)
    notice(feed, "7")
    assert [feed.state] == [None], "not connected"
    feed.connected = True
    notice(feed, "8")
    states = [feed.state]
    notice(feed, CHANGED)
    states.append(feed.state)
    feed._lost()
    states.append(feed.state)
    assert [state and state.epoch for state in states] == [8, 8, None]
    assert states[0] != states[1]


def test_an_epoch_that_was_read_is_known_before_its_notice_comes() -> None:
    feed = EpochFeed(unused, 5)
    notice(feed, "7")
    feed.saw(9)
    feed.saw(8)
    assert feed.newest == 9
