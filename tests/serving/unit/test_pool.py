"""The pool's own book-keeping: who waits, what is given up, and that no place is lost when something breaks."""

import asyncio
from typing import Any

import asyncpg
import pytest

from serving.pool import BEGIN_READING, Pool

pytestmark = pytest.mark.unit


class Connection:
    """What the pool asks of a connection of asyncpg's. The real one is in the integration tests."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.broken = self.ended = False
        self.refuses: str | None = None

    async def execute(self, sql: str) -> None:
        if self.broken:
            self.ended = True
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        if sql == self.refuses:
            raise asyncpg.PostgresError("no")
        self.ran.append(sql)

    def is_in_transaction(self) -> bool:
        return bool(self.ran) and self.ran[-1].startswith("BEGIN")

    def is_closed(self) -> bool:
        return self.ended

    def terminate(self) -> None:
        self.ended = True

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 - as asyncpg names it
        assert timeout
        self.ended = True


class Store:
    """Opens connections, unless it is away."""

    def __init__(self) -> None:
        self.opened: list[Connection] = []
        self.away = False

    async def connect(self) -> Any:
        if self.away:
            raise ConnectionRefusedError
        self.opened.append(Connection())
        return self.opened[-1]

    def pool(self, size: int = 2) -> Pool:
        return Pool(self.connect, size, 0.05)


async def _back(pool: Pool, *connections: Any) -> None:
    for connection in connections:
        pool.give_back(connection)
    if pool._ending:
        await asyncio.wait(pool._ending)


async def test_the_one_that_came_back_last_is_lent_first_in_a_transaction_of_its_own() -> None:
    store = Store()
    pool = store.pool()
    first, second = await pool.lend(BEGIN_READING), await pool.lend(BEGIN_READING)
    await _back(pool, first)
    await _back(pool, second)
    assert await pool.lend("BEGIN") is second
    assert len(store.opened) == 2
    assert second.ran == [BEGIN_READING, "ROLLBACK", "BEGIN"]


async def test_without_a_transaction_nothing_is_asked_of_a_connection_and_it_is_back_at_once() -> None:
    store = Store()
    pool = store.pool(1)
    for _ in range(2):
        lent = await pool.lend(None)
        pool.give_back(lent)
        assert not pool._ending
    assert store.opened == [lent]
    assert lent.ran == []
    await pool.lend(BEGIN_READING)
    assert lent.ran == [BEGIN_READING]


async def test_one_that_broke_without_a_transaction_is_not_lent_again() -> None:
    store = Store()
    pool = store.pool(1)
    lent = await pool.lend(None)
    lent.ended = True
    await _back(pool, lent)
    assert await pool.lend(None) is store.opened[1]


async def test_who_waits_longer_than_is_patient_is_told_so_and_keeps_no_place() -> None:
    pool = Store().pool(1)
    lent = await pool.lend(BEGIN_READING)
    with pytest.raises(TimeoutError):
        await pool.lend(BEGIN_READING)
    waiting = asyncio.create_task(pool.lend(BEGIN_READING))
    await asyncio.sleep(0)
    await _back(pool, lent)
    assert await waiting is lent


async def test_when_one_broke_all_that_lie_there_are_given_up() -> None:
    store = Store()
    pool = store.pool()
    first, second = await pool.lend(BEGIN_READING), await pool.lend(BEGIN_READING)
    await _back(pool, first)
    await _back(pool, second)
    second.broken = True
    new = await pool.lend(BEGIN_READING)
    assert new is store.opened[2]
    assert [each.ended for each in store.opened] == [True, True, False]


async def test_no_place_is_lost_while_the_database_is_away() -> None:
    store = Store()
    pool = store.pool(1)
    store.away = True
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await pool.lend(BEGIN_READING)
    store.away = False
    assert await pool.lend(BEGIN_READING) is store.opened[0]


async def test_one_that_cannot_end_its_transaction_is_not_lent_again() -> None:
    store = Store()
    pool = store.pool(1)
    lent = await pool.lend(BEGIN_READING)
    lent.refuses = "ROLLBACK"
    await _back(pool, lent)
    assert lent.ended
    assert await pool.lend(BEGIN_READING) is store.opened[1]


async def test_whoever_gives_up_while_a_transaction_is_begun_leaves_the_place_to_others() -> None:
    store = Store()
    pool = store.pool(1)
    lent = await pool.lend(BEGIN_READING)
    await _back(pool, lent)
    lent.refuses = BEGIN_READING
    with pytest.raises(asyncpg.PostgresError):
        await pool.lend(BEGIN_READING)
    assert lent.ended
    assert await pool.lend(BEGIN_READING) is store.opened[1]


async def test_it_closes_what_is_just_coming_back_too() -> None:
    store = Store()
    pool = store.pool()
    lent = await pool.lend(BEGIN_READING)
    pool.give_back(lent)
    await pool.close()
    assert lent.ended
