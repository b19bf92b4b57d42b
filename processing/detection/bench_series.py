"""Seeded series with known incidents, to measure detectors by: a shop's day, chance, and what goes wrong in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from processing.detection.detector import Values

DAY: Final = 1440
"""Windows in a day: of a minute each."""
_SPACING: Final = 480
"""Windows from one incident to the next: what follows an incident has time to settle."""


@dataclass(frozen=True)
class Incident:
    """Something that went wrong, [start, end)."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Labelled:
    """A series of counts, and what is odd in it."""

    kind: str
    volume: int
    counts: Values
    incidents: tuple[Incident, ...]


def _spike(at: Values, dice: np.random.Generator) -> Values:
    return np.where(at < dice.integers(1, 4), dice.uniform(2.0, 4.0), 1.0)


def _drop(at: Values, dice: np.random.Generator) -> Values:
    return np.where(at < dice.integers(5, 20), dice.uniform(0.2, 0.5), 1.0)


def _outage(at: Values, dice: np.random.Generator) -> Values:
    return np.where(at < dice.integers(5, 40), 0.0, 1.0)


def _shift(at: Values, dice: np.random.Generator) -> Values:
    return np.where(at < 120, dice.choice((0.6, 1.6)), 1.0)


def _drift(at: Values, dice: np.random.Generator) -> Values:
    return np.where(at < 180, 1 + at / 180 * dice.choice((-0.6, 1.0)), 1.0)


KINDS: Final[dict[str, Callable[[Values, np.random.Generator], Values] | None]] = {
    "spike": _spike,
    "drop": _drop,
    "outage": _outage,
    "level shift": _shift,
    "slow drift": _drift,
    "season only": None,
}
"""What a series of the kind is multiplied by, from the beginning of each incident on; None: no incidents."""


def labelled(kind: str, volume: int, days: int, seed: int) -> Labelled:
    """`days` of windows of about `volume` events each; the first day has no incident."""
    dice = np.random.default_rng([seed, volume, list(KINDS).index(kind)])
    time = np.arange(days * DAY)
    season = 1 + 0.5 * np.sin(2 * np.pi * (time / DAY - 0.3)) + 0.1 * np.sin(4 * np.pi * time / DAY)
    weekend = np.where((time // DAY) % 7 >= 5, 1.25, 1.0)
    factor, incidents = np.ones(len(time)), []
    change = KINDS[kind]
    if change is not None:
        for start in range(DAY + _SPACING // 2, len(time) - _SPACING, _SPACING):
            effect = change(np.arange(_SPACING, dtype=float), dice)
            factor[start : start + _SPACING] = effect
            incidents.append(Incident(kind, start, start + int(np.flatnonzero(effect != 1.0)[-1]) + 1))
    # Visitors come with many events each, so counts vary more than single events would.
    rates = volume * season * weekend * factor * dice.gamma(100, 1 / 100, len(time))
    return Labelled(kind, volume, dice.poisson(rates).astype(float), tuple(incidents))
