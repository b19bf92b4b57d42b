"""The windows of a block judged by every detector: from series to flags, without a database."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from processing.detection.detector import Detector
from processing.detection.series import ORIGIN, Block, Series
from processing.detection.watches import MINIMUM_HISTORY, MONEY, Watch


@dataclass(frozen=True)
class Flag:
    """A window that a detector finds odd."""

    window_start: datetime
    window_end: datetime
    metric: str
    scope: str
    subject: str
    method: str
    expected: float
    observed: float
    score: float
    threshold: float
    severity: str
    model_version: int | None = None
    """Of the training that judged it, where one was needed."""

    @property
    def direction(self) -> str:
        """`up` or `down`."""
        return "up" if self.observed > self.expected else "down"


DetectorsOf = Callable[[Watch, Series], Sequence[Detector]]
"""Which detectors judge a series."""


def judge(watch: Watch, block: Block, windows: Collection[datetime], detectors_of: DetectorsOf) -> Iterator[Flag]:
    """The flags of those of the block's windows that begin at `windows`.

    A window is held against the `watch.history` windows before it that are in the block.
    """
    wanted = [place for place, start in enumerate(block.starts) if start in windows]
    for series in block.series:
        detectors = detectors_of(watch, series)
        for place in wanted:
            yield from _judge(watch, block, series, place, detectors)


def _judge(watch: Watch, block: Block, series: Series, place: int, detectors: Sequence[Detector]) -> Iterator[Flag]:
    observed = float(series.values[place])
    before = slice(max(place - watch.history, 0), place)
    history = series.values[before]
    known = ~np.isnan(history)
    if np.isnan(observed) or known.sum() < MINIMUM_HISTORY:
        return
    usual = float(np.median(series.volume[before][known]))
    if max(usual, float(series.volume[place])) < watch.minimum:
        return
    number = (block.starts[place] - ORIGIN) // watch.window
    for detector in detectors:
        verdict = detector.judge(history, observed, counts=series.metric not in MONEY, place=number)
        if verdict.is_flagged:
            yield Flag(
                block.starts[place],
                block.starts[place] + watch.window,
                series.metric,
                watch.scope,
                series.subject,
                detector.method,
                verdict.expected,
                observed,
                verdict.score,
                verdict.threshold,
                verdict.severity,
                detector.version,
            )
