"""Detectors that have to be trained: what they promise beside `Detector`, and which there are.

A trained detector is numbers, all of them arrays of floats or integers, and judges with them by arithmetic. So it is
stored as numbers; no code is stored with it, its score is the same whatever version of a library trained it, and
whoever judges needs no such library.
"""

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy.typing as npt

from processing.detection.detector import Detector, Values
from processing.detection.season import Season

Numbers = Mapping[str, npt.NDArray[Any]]


class Trained(Detector, Protocol):
    """A detector that has learnt from hours of one series; `place` tells it which hour it judges."""

    @classmethod
    def train(cls, season: Season, history: Values, place: int, threshold: float) -> Self:
        """Learn from the hours that the season was learnt from, the first of them at `place`, NaN where unknown."""

    @classmethod
    def of(cls, numbers: Numbers, threshold: float, version: int) -> Self:
        """From what `numbers` gave, of the training of this version."""

    def numbers(self) -> Numbers:
        """All that it has learnt."""

    def parameters(self) -> dict[str, float]:
        """What says to a person how it was trained, and to what."""
