"""Waits with a limit of time: who waits too long hears of it, and nobody else does."""

import asyncio

import pytest

from ingestion.patience import Patience

pytestmark = pytest.mark.unit


async def _late() -> str:
    await asyncio.sleep(60)
    return "late"


async def _prompt() -> str:
    await asyncio.sleep(0)
    return "prompt"


async def test_what_comes_in_time_is_given_and_what_does_not_is_a_timeout() -> None:
    patience = Patience(0.05)
    waits = [asyncio.create_task(patience.wait(work())) for work in (_late, _prompt, _late, _prompt)]
    ends = await asyncio.gather(*waits, return_exceptions=True)
    assert [end if isinstance(end, str) else type(end) for end in ends] == [
        TimeoutError, "prompt", TimeoutError, "prompt",
    ]  # fmt: skip


async def test_one_who_has_waited_too_long_can_wait_for_something_else() -> None:
    patience = Patience(0.01)
    with pytest.raises(TimeoutError):
        await patience.wait(_late())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0.05)
    assert await patience.wait(_prompt()) == "prompt"


async def test_a_cancellation_from_elsewhere_remains_one() -> None:
    waiting = asyncio.create_task(Patience(60).wait(_late()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_error_of_what_is_awaited_is_passed_on_and_nobody_is_watched_then() -> None:
    async def broken() -> None:
        raise ValueError("broken")

    patience = Patience(0.02)
    with pytest.raises(ValueError, match="broken"):
        await patience.wait(broken())
    await asyncio.sleep(0.05)  # a task that was watched still would be cancelled here


async def test_a_wait_that_begins_while_another_is_watched_has_its_own_limit() -> None:
    patience = Patience(0.2)
    first = asyncio.create_task(patience.wait(_late()))
    await asyncio.sleep(0.15)
    second = asyncio.create_task(patience.wait(_late()))
    done, waiting = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
    assert (done, waiting) == ({first}, {second})
    assert isinstance(first.exception(), TimeoutError)
    with pytest.raises(TimeoutError):
        await second
