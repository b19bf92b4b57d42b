"""The ids of the dedupe horizon in the memory of the one writer: sorted runs, as in a log-structured merge tree.

Each epoch adds a run. The newest runs are merged while they are small, so there are never many, and a merge never takes
in more than `largest_run` ids: no epoch pays for all of them. 36 million ids are about a dozen runs and 17 bytes each:
the id's 14, two for its epoch, and 6 bits of a filter, which spares most ids that a run does not hold the search in it.
Nothing here is lost with the process: `processing.dedupe.load_ids` builds it again from the table `seen_ids`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap
from typing import Final

import numpy as np
import numpy.typing as npt

from processing.packed_ids import BYTES_PER_ID, Ids

LARGEST_RUN: Final = 4_000_000
_LONGEST_RUN: Final = 1 << 16
"""Most epochs from a run's first to its last: an id's epoch is kept as 16 bits."""
_BYTES_PER_ID: Final = BYTES_PER_ID + 2
_FILTER_BITS_PER_ID: Final = 6
_SLICE: Final = 1 << 18
"""How many ids a merge handles at a time."""


@dataclass(frozen=True)
class Sightings:
    """What is remembered of ids asked for, in their order."""

    epochs: npt.NDArray[np.int64]
    """Of the first sighting; 0 where there was none."""
    payloads: npt.NDArray[np.uint32]
    """Hash of the event then seen."""


@dataclass(frozen=True)
class _Run:
    """The ids of successive epochs, sorted by key. Never changed."""

    ids: Ids
    ages: npt.NDArray[np.uint16]
    """An id's epoch less the run's first."""
    first_epoch: int
    last_epoch: int

    @classmethod
    def empty(cls, size: int, first_epoch: int, last_epoch: int) -> "_Run":
        """A run to be filled. Its memory is its own, and goes back to the system with it, whatever the heap is like."""
        block = np.frombuffer(mmap(-1, max(size, 1) * _BYTES_PER_ID), np.uint8, size * _BYTES_PER_ID)
        keys, payloads, checks, ages = np.split(block, [8 * size, 12 * size, 14 * size])
        ids = Ids(keys.view(np.uint64), checks.view(np.uint16), payloads.view(np.uint32))
        return cls(ids, ages.view(np.uint16), first_epoch, last_epoch)

    @classmethod
    def merged(cls, parts: Sequence["_Run"]) -> "_Run":
        """The ids of runs of successive epochs as one run."""
        run = cls.empty(sum(map(len, parts)), parts[0].first_epoch, parts[-1].last_epoch)
        end = 0
        for pieces in _slices(parts):
            ids = Ids.concatenate([part.ids.take(piece) for part, piece in pieces])
            ages = np.concatenate(
                [part.ages[piece] + np.uint16(part.first_epoch - run.first_epoch) for part, piece in pieces]
            )
            order = np.argsort(ids.keys, kind="stable")  # finds the sorted pieces and merges them
            end = run._fill(end, ids.take(order), ages[order])
        return run

    def after(self, epoch: int) -> "_Run":
        """The ids of later epochs only. There must be such epochs."""
        if epoch < self.first_epoch:
            return self
        gone = np.uint16(epoch + 1 - self.first_epoch)
        run = _Run.empty(int(np.count_nonzero(self.ages >= gone)), epoch + 1, self.last_epoch)
        end = 0
        for start in range(0, len(self), _SLICE):
            kept = start + np.flatnonzero(self.ages[start : start + _SLICE] >= gone)
            end = run._fill(end, self.ids.take(kept), self.ages[kept] - gone)
        return run

    def _fill(self, start: int, ids: Ids, ages: npt.NDArray[np.uint16]) -> int:
        end = start + len(ids)
        self.ids.keys[start:end], self.ids.checks[start:end] = ids.keys, ids.checks
        self.ids.payloads[start:end], self.ages[start:end] = ids.payloads, ages
        return end

    def find(self, wanted: Ids) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """The rows of `wanted` that are in this run, and their places in it."""
        rows = self._may_hold(wanted.keys)
        places = np.searchsorted(self.ids.keys, wanted.keys[rows])
        found = []
        while rows.size:
            inside = places < len(self)
            rows, places = rows[inside], places[inside]
            same = self.ids.keys[places] == wanted.keys[rows]
            rows, places = rows[same], places[same]
            match = self.ids.checks[places] == wanted.checks[rows]
            found.append((rows[match], places[match]))
            rows, places = rows[~match], places[~match] + 1  # the same key again, of another id
        if not found:
            return rows, places
        return np.concatenate([rows for rows, _ in found]), np.concatenate([places for _, places in found])

    def _may_hold(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
        slots = _slots(keys, len(self))
        octets = self._filter[(slots >> 3).view(np.int64)]
        return np.flatnonzero(octets >> (slots & 7).astype(np.uint8) & 1)

    @cached_property
    def _filter(self) -> npt.NDArray[np.uint8]:
        """A bit per slot, set where the run has a key."""
        octets = np.zeros(len(self) * _FILTER_BITS_PER_ID // 8 + 1, np.uint8)
        for start in range(0, len(self), _SLICE):
            slots = _slots(self.ids.keys[start : start + _SLICE], len(self)).view(np.int64)
            first = int(slots[0]) >> 3
            taken = np.zeros(int(slots[-1]) + 1 - 8 * first, np.bool_)
            taken[slots - 8 * first] = True
            packed = np.packbits(taken, bitorder="little")
            octets[first : first + len(packed)] |= packed
        return octets

    def __len__(self) -> int:
        return len(self.ids)


def _slots(keys: npt.NDArray[np.uint64], ids: int) -> npt.NDArray[np.uint64]:
    """A key's bit in the filter of a run of that many ids. It ascends with the key: sorted keys read in order."""
    return ((keys >> np.uint64(32)) * np.uint64(ids * _FILTER_BITS_PER_ID)) >> np.uint64(32)


def _slices(parts: Sequence[_Run]) -> Iterator[list[tuple[_Run, slice]]]:
    """The parts cut at the same keys, so that what a merge needs beside its result is small."""
    count = sum(map(len, parts)) // _SLICE + 1
    edges = np.array([number * 2**64 // count for number in range(1, count)], np.uint64)
    cuts = [[0, *np.searchsorted(part.ids.keys, edges).tolist(), len(part)] for part in parts]
    for number in range(count):
        yield [(part, slice(*cut[number : number + 2])) for part, cut in zip(parts, cuts, strict=True)]


class RecentIds:
    """Which ids were first seen in which epoch. One thread's."""

    def __init__(self, largest_run: int = LARGEST_RUN) -> None:
        self._largest_run = largest_run
        self._runs: list[_Run] = []

    def find(self, wanted: Ids) -> Sightings:
        """First sightings of these ids. Sorted by key they are found fastest."""
        sightings = Sightings(np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.uint32))
        for run in self._runs:
            rows, places = run.find(wanted)
            sightings.epochs[rows] = run.first_epoch + run.ages[places].astype(np.int64)
            sightings.payloads[rows] = run.ids.payloads[places]
        return sightings

    def add(self, epoch: int, fresh: Ids) -> None:
        """Remember ids first seen in this epoch, sorted by key. None may be held yet.

        Raises ValueError if the epoch is not later than all before, or the ids are not sorted.
        """
        self.extend([(epoch, fresh)])

    def extend(self, epochs: Iterable[tuple[int, Ids]]) -> None:
        """The same for many epochs, oldest first, at less cost per epoch."""
        waiting: list[_Run] = []
        size = 0
        for epoch, ids in epochs:
            if epoch <= max((run.last_epoch for run in (*self._runs[-1:], *waiting[-1:])), default=0):
                raise ValueError(f"epoch {epoch} is not later than every epoch before it")
            if np.any(ids.keys[1:] < ids.keys[:-1]):
                raise ValueError(f"the ids of epoch {epoch} are not sorted by key")
            if waiting and not self._is_a_run(waiting[0].first_epoch, epoch, size + len(ids)):
                self._runs.append(_Run.merged(waiting))
                waiting, size = [], 0
            if len(ids):
                waiting.append(_Run(ids, np.zeros(len(ids), np.uint16), epoch, epoch))
                size += len(ids)
        if waiting:
            self._runs.append(_Run.merged(waiting))
            self._merge_newest()

    def forget(self, epoch: int) -> None:
        """Forget the ids of this epoch and of all before it."""
        self._runs = [run.after(epoch) for run in self._runs if run.last_epoch > epoch]

    @property
    def size_bytes(self) -> int:
        """Memory that the ids take, filters included."""
        return len(self) * (8 * _BYTES_PER_ID + _FILTER_BITS_PER_ID) // 8

    def _merge_newest(self) -> None:
        """Merge the newest run with those before it that are not much larger, so that sizes stay like powers of two."""
        start, size = len(self._runs) - 1, len(self._runs[-1])
        while (
            start > 0
            and len(older := self._runs[start - 1]) <= 2 * size
            and self._is_a_run(older.first_epoch, self._runs[-1].last_epoch, size + len(older))
        ):
            start, size = start - 1, size + len(older)
        if start < len(self._runs) - 1:
            self._runs[start:] = [_Run.merged(self._runs[start:])]

    def _is_a_run(self, first_epoch: int, last_epoch: int, size: int) -> bool:
        """Whether that many ids of these epochs may be one run."""
        return size <= self._largest_run and last_epoch - first_epoch < _LONGEST_RUN

    def __len__(self) -> int:
        return sum(map(len, self._runs))
