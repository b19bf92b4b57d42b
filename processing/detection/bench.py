"""How good detectors are: precision, recall and delay on series whose incidents are known.

An incident is found when a window in it is flagged. Flags soon after an incident are neither right nor wrong: what came
before them is odd itself. All other flags outside of incidents are false alarms.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from processing.detection.bench_series import KINDS, MINUTES, Grid, Incident, Labelled, labelled
from processing.detection.detector import CRITICAL_AT, Detector, Values
from processing.detection.season import DAY, Season
from processing.detection.trained import Trained

VOLUMES: Final = (30, 300, 5000)

Scorer = Callable[[Values], Values]
"""Scores of all windows of a series, each from what came before it alone; NaN where there is none."""


@dataclass(frozen=True)
class Figures:
    """What one method did on one kind of series."""

    method: str
    window_minutes: int
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
    incidents, found, false, days, minutes = 0, 0, 0, 0.0, 0
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
        false += _runs(flagged & quiet)
        days += int(quiet.sum()) / each.grid.day
        minutes = each.grid.window_minutes
    return Figures(method, minutes, kind, threshold, incidents, found, false, days, tuple(delays))


def _delay(flagged: np.typing.NDArray[np.bool_], incident: Incident) -> int | None:
    hits = np.flatnonzero(flagged[incident.start : incident.end])
    return int(hits[0]) if len(hits) else None


def _runs(flagged: np.typing.NDArray[np.bool_]) -> int:
    return int(np.sum(np.diff(np.concatenate(([False], flagged)).astype(int)) == 1))


def rolling(detector: Detector, history: int) -> Scorer:
    """Scores as the watch has them: each window against so many before it."""

    def score(counts: Values) -> Values:
        scores = np.full(len(counts), np.nan)
        for place in range(history, len(counts)):
            scores[place] = detector.judge(counts[place - history : place], counts[place], counts=True).score
        return scores

    return score


def retrained(methods: Sequence[type[Trained]], hours: int) -> list[Scorer]:
    """Scores as the watch has them of trained detectors: learnt every day from so many hours before it.

    A season is learnt once for all of them.
    """
    seasons: dict[tuple[int, int], Season | None] = {}

    def season(counts: Values, start: int) -> Season | None:
        if (id(counts), start) not in seasons:
            seasons[id(counts), start] = Season.learn(counts[start - hours : start], start - hours, counts=True)
        return seasons[id(counts), start]

    def scorer(method: type[Trained]) -> Scorer:
        def score(counts: Values) -> Values:
            scores = np.full(len(counts), np.nan)
            for start in range(hours, len(counts), DAY):
                learnt = season(counts, start)
                if learnt is None:
                    continue
                trained = method.train(learnt, counts[start - hours : start], start - hours, threshold=1.0)
                for place in range(start, min(start + DAY, len(counts))):
                    history = counts[place - hours : place]
                    scores[place] = trained.judge(history, counts[place], counts=True, place=place).score
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
