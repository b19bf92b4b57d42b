"""`bench state`: what dedupe keeps at a rate, filled to its horizon: bytes, memory, and what each epoch pays for it.

Ids are made up (random digests, as MD5 gives) and written by the code of the stream, epoch by epoch, into a schema that
goes again at the end. The process must be a fresh one: what its memory grows by is taken for the ids'.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.settings import PostgresSettings
from processing.dedupe import load_ids, write_ids
from processing.memory import resident_bytes
from processing.packed_ids import Ids
from processing.recent_ids import RecentIds
from processing.store import Store

_COPIES: Final = 0.01
"""Share of ids that were seen before, which is what dedupe is for."""
_LAST: Final = 100
"""Epochs at the end whose cost is told: by then the horizon is full."""


@dataclass(frozen=True)
class StateFigures:
    """What was measured. Bytes are bytes; times of an epoch are means over the last of them."""

    rate: int
    horizon_seconds: int
    epochs: int
    ids: int
    table_rows: int
    table_bytes: int
    """On disk, with the index."""
    counted_bytes: int
    """What `millrace_processing_recent_ids_bytes` tells."""
    memory_growth_bytes: int
    """Resident memory of the process when full, less that when empty."""
    find_seconds: float
    add_seconds: float
    longest_add_seconds: float
    """Now and then runs are merged."""
    write_seconds: float
    load_seconds: float
    """What a start waits for."""
    forget_seconds: float
    """A minute's ids, once a minute."""


def measure_state(
    settings: PostgresSettings, rate: int, horizon_seconds: int, epoch_ids: int, tell: Callable[[str, int, int], None]
) -> StateFigures:
    """Fill the horizon and measure. Raises what Postgres raises."""
    epochs = max(1, rate * horizon_seconds // epoch_ids)
    dice = np.random.default_rng(1)
    spent: dict[str, list[float]] = {"find": [], "add": [], "write": []}
    with _own_tables(settings) as store:
        empty, recent = resident_bytes("python"), RecentIds()
        last = _ids(dice, epoch_ids)
        for epoch in range(1, epochs + 1):
            tell("fill", epoch, epochs)
            fresh = _ids(dice, epoch_ids)
            asked = _with_copies(fresh, last)
            with _timed(spent["find"]):
                recent.find(asked)
            with _timed(spent["write"]), store.transaction() as transaction:
                write_ids(transaction, epoch, fresh)
            with _timed(spent["add"]):
                recent.add(epoch, fresh)
            last = fresh
        grown, counted, ids = resident_bytes("python") - empty, recent.size_bytes, len(recent)
        forgetting: list[float] = []
        with _timed(forgetting):
            recent.forget(epochs * 60 // horizon_seconds)
        recent = RecentIds()
        loading: list[float] = []
        tell("load", 0, 1)
        with store.transaction() as transaction:
            with _timed(loading):
                recent = load_ids(transaction)
            assert len(recent) == ids
            (size,) = transaction.query(
                "SELECT count(*) AS n, pg_total_relation_size('seen_ids') AS bytes FROM seen_ids"
            ).to_pylist()
    means = {name: round(sum(each[-_LAST:]) / len(each[-_LAST:]), 5) for name, each in spent.items()}
    return StateFigures(
        rate=rate,
        horizon_seconds=horizon_seconds,
        epochs=epochs,
        ids=ids,
        table_rows=size["n"],
        table_bytes=size["bytes"],
        counted_bytes=counted,
        memory_growth_bytes=grown,
        find_seconds=means["find"],
        add_seconds=means["add"],
        longest_add_seconds=round(max(spent["add"]), 4),
        write_seconds=means["write"],
        load_seconds=round(loading[0], 2),
        forget_seconds=round(forgetting[0], 3),
    )


def _ids(dice: np.random.Generator, count: int) -> Ids:
    keys = np.sort(dice.integers(0, 2**64, count, np.uint64))
    return Ids(keys, dice.integers(0, 2**16, count, np.uint16), dice.integers(0, 2**32, count, np.uint32))


def _with_copies(fresh: Ids, before: Ids) -> Ids:
    """The ids of an epoch: new ones, and a few of an epoch before; sorted, as the stream asks for them."""
    asked = Ids.concatenate([fresh, before.take(slice(0, int(len(before) * _COPIES)))])
    return asked.take(np.argsort(asked.keys, kind="stable"))


@contextmanager
def _own_tables(settings: PostgresSettings) -> Iterator[Store]:
    store = Store(settings.model_copy(update={"db_schema": f"bench_{uuid.uuid4().hex[:12]}"}))
    try:
        store.create_tables()
        yield store
    finally:
        with store.transaction() as transaction:
            transaction.execute(f'DROP SCHEMA IF EXISTS "{store.schema}" CASCADE')
        store.close()


@contextmanager
def _timed(into: list[float]) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    into.append(time.perf_counter() - begun)
