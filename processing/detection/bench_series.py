"""Seeded series with known incidents, to measure detectors by: a shop's day, chance, and what goes wrong in it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from processing.detection.detector import Values


@dataclass(frozen=True)
class Grid:
    """Windows of one length, and how many of them things that go wrong take."""

    window_minutes: int
    day: int
    """Windows in a day."""
    calm: int
    """Windows before the first incident, which are not watched: what is learnt from before anything is told."""
    spacing: int
    """From one incident to the next: what follows an incident has time to settle."""
    settling: int
    """After an incident, in which flags are not counted."""
    spike: tuple[int, int]
    drop: tuple[int, int]
    outage: tuple[int, int]
    shift: int
    drift: int
    variation: float
    """Of what is expected from one window to the next, as a share: visitors come with many events each."""
    daily_variation: float
    """The same from one day to the next."""


MINUTES: Final = Grid(1, 1440, 1440, 480, 150, (1, 4), (5, 20), (5, 40), 120, 180, 0.1, 0.0)
HOURS: Final = Grid(60, 24, 28 * 24, 8 * 24, 72, (1, 4), (3, 9), (2, 9), 72, 120, 0.03, 0.05)


_AMOUNTS: Final = 1.27
"""Standard deviation of the logarithms of amounts."""


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
    """About so many a minute."""
    counts: Values
    incidents: tuple[Incident, ...]
    grid: Grid = MINUTES
    is_money: bool = False
    """Whether `counts` are not purchases but what was paid for them."""


def _spike(at: Values, grid: Grid, dice: np.random.Generator) -> Values:
    return np.where(at < dice.integers(*grid.spike), dice.uniform(2.0, 4.0), 1.0)


def _drop(at: Values, grid: Grid, dice: np.random.Generator) -> Values:
    return np.where(at < dice.integers(*grid.drop), dice.uniform(0.2, 0.5), 1.0)


def _outage(at: Values, grid: Grid, dice: np.random.Generator) -> Values:
    return np.where(at < dice.integers(*grid.outage), 0.0, 1.0)


def _shift(at: Values, grid: Grid, dice: np.random.Generator) -> Values:
    return np.where(at < grid.shift, dice.choice((0.6, 1.6)), 1.0)


def _drift(at: Values, grid: Grid, dice: np.random.Generator) -> Values:
    return np.where(at < grid.drift, 1 + at / grid.drift * dice.choice((-0.6, 1.0)), 1.0)


Change = Callable[[Values, Grid, np.random.Generator], Values]

KINDS: Final[dict[str, Change | None]] = {
    "spike": _spike,
    "drop": _drop,
    "outage": _outage,
    "level shift": _shift,
    "slow drift": _drift,
    "season only": None,
}
"""What a series of the kind is multiplied by, from the beginning of each incident on; None: no incidents."""


def labelled(kind: str, volume: int, days: int, seed: int, grid: Grid = MINUTES) -> Labelled:
    """`days` of windows of about `volume` events a minute; the grid's first windows have no incident."""
    dice = np.random.default_rng([seed, volume, list(KINDS).index(kind)])
    time = np.arange(days * grid.day)
    season = 1 + 0.5 * np.sin(2 * np.pi * (time / grid.day - 0.3)) + 0.1 * np.sin(4 * np.pi * time / grid.day)
    weekend = np.where((time // grid.day) % 7 >= 5, 1.25, 1.0)
    factor, incidents = np.ones(len(time)), []
    change = KINDS[kind]
    if change is not None:
        for start in range(grid.calm + grid.spacing // 2, len(time) - grid.spacing, grid.spacing):
            effect = change(np.arange(grid.spacing, dtype=float), grid, dice)
            factor[start : start + grid.spacing] = effect
            incidents.append(Incident(kind, start, start + int(np.flatnonzero(effect != 1.0)[-1]) + 1))
    rates = volume * grid.window_minutes * season * weekend * factor * _varying(dice, grid.variation, len(time))
    if grid.daily_variation:
        rates *= np.repeat(_varying(dice, grid.daily_variation, days), grid.day)
    return Labelled(kind, volume, dice.poisson(rates).astype(float), tuple(incidents), grid)


def paid(series: Labelled, seed: int) -> Labelled:
    """Revenue: what is paid for so many purchases, each of an amount of its own.

    Most are small and few are large: the spread of amounts is twice their mean, as in the simulated shop.
    """
    dice = np.random.default_rng([seed, series.volume, list(KINDS).index(series.kind), 1])
    ends = np.concatenate(([0], np.cumsum(series.counts.astype(int))))
    sums = np.concatenate(([0.0], np.cumsum(dice.lognormal(0.0, _AMOUNTS, int(ends[-1])))))
    return replace(series, counts=sums[ends[1:]] - sums[ends[:-1]], is_money=True)


def _varying(dice: np.random.Generator, share: float, length: int) -> Values:
    """Factors around 1."""
    shape = share**-2
    return dice.gamma(shape, 1 / shape, length)
