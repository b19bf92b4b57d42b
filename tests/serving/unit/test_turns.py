"""Turns: a client waits for itself and not for others."""

import asyncio

import pytest

from serving.turns import LineFull, NoPlace, Places, Turns

pytestmark = pytest.mark.unit


async def test_a_busy_client_does_not_keep_another_from_its_turn() -> None:
    turns, done, go = Turns(2, 3), [], asyncio.Event()

    async def ask(client: str, wait: bool) -> None:
        async with turns.turn(client):
            if wait:
                await go.wait()
            done.append(client)

    busy = [asyncio.create_task(ask("busy", True)) for _ in range(5)]
    await asyncio.sleep(0)
    await ask("other", False)
    assert done == ["other"]
    with pytest.raises(LineFull):
        await ask("busy", False)
    go.set()
    await asyncio.gather(*busy)
    assert done.count("busy") == 5
    assert turns._lines == {}, "nobody is remembered who does not ask"


async def test_who_leaves_the_line_makes_room() -> None:
    turns, go = Turns(1, 1), asyncio.Event()

    async def ask() -> None:
        async with turns.turn("c"):
            await go.wait()

    first, second = asyncio.create_task(ask()), asyncio.create_task(ask())
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    third = asyncio.create_task(ask())
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(first, third)
    assert turns._lines == {}


def test_a_client_has_so_many_streams_open_and_others_theirs() -> None:
    places = Places(2)
    with places.place("a"):
        with places.place("a"), pytest.raises(NoPlace, match="Over 2 streams"), places.place("a"):
            pass
        with places.place("a"), places.place("b"):
            pass
    assert not places._taken, "nobody is remembered who has none"
