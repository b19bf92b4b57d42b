"""How good detectors are: precision, recall and delay on series whose incidents are known.

An incident is found when a window in it is flagged. Flags soon after an incident are neither right nor wrong: what came
before them is odd itself. All other flags outside of incidents are false alarms.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processing.detection.bench_series import KINDS, MINUTES, Grid, Incident, Labelled, labelled, paid
from processing.detection.detector import CRITICAL_AT, Detector, Values
from processing.detection.season import DAY, Season
from processing.detection.trained import Trained
from processing.detection.watches import MINIMUM_HISTORY

VOLUMES: Final = (30, 300, 5000)
PURCHASES: Final = (50, 200, 1000)
"""A minute, whose revenue is watched: the first are just as many that at night there are the least that is judged."""

Scorer = Callable[[Values], Values]
"""Scores of all windows of a series, each from what came before it alone; NaN where there is none."""


@dataclass(frozen=True)
class Figures:
    """What one method did on one kind of series."""

    method: str
    window_minutes: int
    is_money: bool
    kind: str
    threshold: float
    incidents: int
    found: int
    false_alarms: int
    """Runs of flagged windows outside of incidents, each counted once."""
    days: float
    """Watched, incidents left out."""
    delays: tuple[int, ...]
    """Windows from the beginning of each found incident to its first flag; 0: the first window was flagged."""

    @property
    def recall(self) -> float | None:
        return self.found / self.incidents if self.incidents else None

    @property
    def precision(self) -> float | None:
        told = self.found + self.false_alarms
        return self.found / told if told else None

    @property
    def median_delay(self) -> float | None:
        return float(np.median(self.delays)) if self.delays else None


def series(days: int, seed: int, grid: Grid = MINUTES) -> list[Labelled]:
    """Every kind at every volume."""
    return [labelled(kind, volume, days, seed, grid) for kind in KINDS for volume in VOLUMES]


def revenue(days: int, seed: int) -> list[Labelled]:
    """What is paid in minutes, every kind at every number of purchases."""
    return [paid(labelled(kind, purchases, days, seed), seed) for kind in KINDS for purchases in PURCHASES]


def measure(
    method: str, thresholds: Sequence[float], score: Scorer, of: Iterable[Labelled], tell: Callable[[], None]
) -> list[Figures]:
    """Figures per kind and threshold, all volumes together; `tell` is called after each series."""
    scored = []
    for each in of:
        scored.append((each, score(each.counts)))
        tell()
    return [
        _figures(method, kind, threshold, [pair for pair in scored if pair[0].kind == kind])
        for kind in KINDS
        for threshold in thresholds
    ]


def _figures(method: str, kind: str, threshold: float, scored: list[tuple[Labelled, Values]]) -> Figures:
    incidents, found, false, days, minutes, is_money = 0, 0, 0, 0.0, 0, False
    delays: list[int] = []
    for each, scores in scored:
        flagged = np.nan_to_num(scores) >= threshold
        quiet = np.ones(len(flagged), dtype=bool)
        quiet[: each.grid.calm] = False
        for incident in each.incidents:
            quiet[incident.start : incident.end + each.grid.settling] = False
            delay = _delay(flagged, incident)
            incidents += 1
            if delay is not None:
                found += 1
                delays.append(delay)
        false += runs(flagged & quiet)
        days += int(quiet.sum()) / each.grid.day
        minutes, is_money = each.grid.window_minutes, each.is_money
    return Figures(method, minutes, is_money, kind, threshold, incidents, found, false, days, tuple(delays))


def _delay(flagged: np.typing.NDArray[np.bool_], incident: Incident) -> int | None:
    hits = np.flatnonzero(flagged[incident.start : incident.end])
    return int(hits[0]) if len(hits) else None


def runs(flagged: np.typing.NDArray[np.bool_]) -> int:
    """How many stretches of flagged windows there are."""
    return int(np.sum(np.diff(np.concatenate(([False], flagged)).astype(int)) == 1))


def rolling(detector: Detector, history: int, *, counts: bool = True) -> Scorer:
    """Scores as the watch has them: each window against so many before it, of which it knows enough."""

    def score(values: Values) -> Values:
        scores = np.full(len(values), np.nan)
        known = np.concatenate(([0], np.cumsum(~np.isnan(values))))
        for place in range(history, len(values)):
            if known[place] - known[place - history] >= MINIMUM_HISTORY and known[place + 1] > known[place]:
                scores[place] = detector.judge(values[place - history : place], values[place], counts=counts).score
        return scores

    return score


def retrained(
    methods: Sequence[type[Trained]], hours: int, *, first: int | None = None, counts: bool = True
) -> list[Scorer]:
    """Scores as the watch has them of trained detectors: learnt every day from so many hours before it.

    `first` is the hour of the first training, which has fewer hours if there are no more. A season is learnt once for
    all methods.
    """
    seasons: dict[tuple[int, int], Season | None] = {}

    def season(values: Values, start: int) -> Season | None:
        if (id(values), start) not in seasons:
            since = max(start - hours, 0)
            seasons[id(values), start] = Season.learn(values[since:start], since, counts=counts)
        return seasons[id(values), start]

    def scorer(method: type[Trained]) -> Scorer:
        def score(values: Values) -> Values:
            scores = np.full(len(values), np.nan)
            for start in range(hours if first is None else first, len(values), DAY):
                learnt = season(values, start)
                if learnt is None:
                    continue
                since = max(start - hours, 0)
                trained = method.train(learnt, values[since:start], since, threshold=1.0)
                for place in range(start, min(start + DAY, len(values))):
                    if not np.isnan(values[place]):
                        history = values[max(place - hours, 0) : place]
                        scores[place] = trained.judge(history, values[place], counts=counts, place=place).score
            return scores

        return score

    return [scorer(method) for method in methods]


def confirmed(score: Scorer) -> Scorer:
    """Scores that reach the threshold where an alert opens: two of three windows do, or one is critical."""

    def confirming(counts: Values) -> Values:
        own = np.nan_to_num(score(counts))
        before = [np.concatenate((np.zeros(back), own[:-back])) for back in (1, 2)]
        second = np.sort(np.stack((own, *before)), axis=0)[1]
        scores: Values = np.maximum(second, own / CRITICAL_AT)
        return scores

    return confirming
