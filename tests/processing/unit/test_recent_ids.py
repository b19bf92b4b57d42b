"""Recent ids against a plain dict, with limits so small that every path runs."""

from dataclasses import dataclass, field
from typing import TypeAlias
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing import recent_ids
from processing.packed_ids import Ids
from processing.recent_ids import RecentIds

pytestmark = pytest.mark.unit

Identity: TypeAlias = tuple[int, int]
"""Key and check."""

LARGEST = 8
SPREAD = [number * 2**64 // 24 for number in range(1, 24) if number != 12]
POOL: list[Identity] = [(key, check) for key in (0, 1, 2, *SPREAD, 2**64 - 1) for check in (0, 7)] + [
    (2**63, check) for check in range(8, 20)
]
"""Ids at both ends of the keys, close together, spread, and many on one key."""


def ids_of(payloads: dict[Identity, int]) -> Ids:
    return Ids(
        np.array([key for key, _ in payloads], np.uint64),
        np.array([check for _, check in payloads], np.uint16),
        np.array(list(payloads.values()), np.uint32),
    )


def held(recent: RecentIds, wanted: list[Identity]) -> dict[Identity, tuple[int, int]]:
    """Epoch and payload of those among the wanted that have been seen."""
    sightings = recent.find(ids_of(dict.fromkeys(wanted, 0)))
    found = zip(sightings.epochs.tolist(), sightings.payloads.tolist(), strict=True)
    return {identity: sighting for identity, sighting in zip(wanted, found, strict=True) if sighting[0]}


@dataclass
class Model:
    """What must be held: epoch and payload by identity."""

    held: dict[Identity, tuple[int, int]] = field(default_factory=dict)
    epoch: int = 0

    def fresh(self, identities: list[Identity], skipped: int) -> dict[Identity, int]:
        """Those not held, with payloads, as seen first in the next epoch."""
        self.epoch += 1 + skipped
        payloads = {identity: 1000 * self.epoch + n for n, identity in enumerate(identities)}
        payloads = {identity: payload for identity, payload in sorted(payloads.items()) if identity not in self.held}
        self.held |= {identity: (self.epoch, payload) for identity, payload in payloads.items()}
        return payloads

    def forget(self, epoch: int) -> None:
        self.held = {identity: sighting for identity, sighting in self.held.items() if sighting[0] > epoch}


ADD = st.tuples(st.lists(st.sampled_from(POOL), unique=True, max_size=12), st.integers(0, 3))
FORGET = st.integers(0, 8)
"""How many epochs before the present one."""


@settings(max_examples=200, deadline=None)
@given(st.lists(ADD | FORGET, max_size=30))
def test_what_was_added_and_not_forgotten_is_found_with_its_epoch_and_nothing_else(
    steps: list[tuple[list[Identity], int] | int],
) -> None:
    recent, model = RecentIds(LARGEST), Model()
    with patch.multiple(recent_ids, _SLICE=3, _LONGEST_RUN=12):
        for step in steps:
            if isinstance(step, int):
                recent.forget(model.epoch - step)
                model.forget(model.epoch - step)
            else:
                payloads = model.fresh(*step)
                recent.add(model.epoch, ids_of(payloads))
            assert held(recent, POOL) == model.held
            assert len(recent) == len(model.held)
            _check_runs(recent)


@settings(max_examples=50, deadline=None)
@given(st.lists(ADD, max_size=30), st.lists(ADD, max_size=3))
def test_many_epochs_at_once_are_held_as_if_one_by_one(
    loaded: list[tuple[list[Identity], int]], later: list[tuple[list[Identity], int]]
) -> None:
    recent, model = RecentIds(LARGEST), Model()
    with patch.multiple(recent_ids, _SLICE=3, _LONGEST_RUN=12):
        recent.extend((model.epoch, ids_of(payloads)) for payloads in (model.fresh(*step) for step in loaded))
        _check_runs(recent)
        for step in later:
            payloads = model.fresh(*step)
            recent.add(model.epoch, ids_of(payloads))
        assert held(recent, POOL) == model.held


def _check_runs(recent: RecentIds) -> None:
    """A merge never made more than the largest run, nor one of too many epochs; what is empty is gone."""
    for run in recent._runs:
        assert len(run) > 0
        assert len(run) <= LARGEST or run.first_epoch == run.last_epoch
        assert run.last_epoch - run.first_epoch < 12


def test_ids_that_are_not_sorted_are_refused() -> None:
    with pytest.raises(ValueError, match="epoch 3 are not sorted"):
        RecentIds().add(3, ids_of({(2, 1): 1, (1, 1): 1}))


def test_an_epoch_that_is_not_later_than_those_before_is_refused() -> None:
    recent = RecentIds()
    recent.add(5, ids_of({(1, 1): 1}))
    for epoch in (4, 5):
        with pytest.raises(ValueError, match=f"epoch {epoch} is not later"):
            recent.add(epoch, ids_of({(2, 2): 1}))


def random_ids(dice: np.random.Generator, size: int) -> Ids:
    return Ids(
        np.sort(dice.integers(0, 2**64, size, np.uint64)),
        dice.integers(0, 2**16, size, np.uint16),
        dice.integers(0, 2**32, size, np.uint32),
    )


def test_runs_stay_few_merges_cheap_and_ids_small() -> None:
    dice, recent, written = np.random.default_rng(1), RecentIds(largest_run=40_000), 0
    for epoch in range(1, 1001):
        fresh = random_ids(dice, int(dice.integers(100, 300)))
        assert not recent.find(fresh).epochs.any()
        recent.add(epoch, fresh)
        written += len(recent._runs[-1])
        assert len(recent._runs) <= 2 * len(recent) / 40_000 + 10
    assert written < 8 * len(recent)
    octets = sum(
        array.nbytes
        for run in recent._runs
        for array in (run.ids.keys, run.ids.checks, run.ids.payloads, run.ages, run._filter)
    )
    assert octets < 17 * len(recent)


def test_a_run_of_many_epochs_keeps_each_ids_own() -> None:
    recent = RecentIds()
    epochs = {(number * 2**48, 1): 1 + number * 997 for number in range(200)}
    recent.extend((epoch, ids_of({identity: epoch})) for identity, epoch in epochs.items())
    assert held(recent, list(epochs)) == {identity: (epoch, epoch) for identity, epoch in epochs.items()}
    recent.forget(100_000)
    assert held(recent, list(epochs)) == {i: (epoch, epoch) for i, epoch in epochs.items() if epoch > 100_000}


def test_the_filter_spares_most_searches() -> None:
    dice, recent = np.random.default_rng(2), RecentIds()
    recent.add(1, random_ids(dice, 50_000))
    (run,) = recent._runs
    assert len(run._may_hold(run.ids.keys)) == len(run)
    assert len(run._may_hold(random_ids(dice, 10_000).keys)) < 2_000
