"""What every detector promises, and how each scores."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.detection.detector import Detector, Verdict
from processing.detection.iqr import Iqr
from processing.detection.judging import Flag, judge
from processing.detection.robust_z import RobustZ
from processing.detection.series import Block, Series, floor
from processing.detection.watches import Watch

pytestmark = pytest.mark.unit

DETECTORS: tuple[Detector, ...] = (RobustZ(4.0), Iqr(2.5))
SEVEN = datetime(2026, 3, 1, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SITE = Watch("site", ("views",), window_minutes=1, history=20, minimum=20)

histories = st.lists(st.integers(0, 10_000), min_size=2, max_size=80).map(lambda values: np.array(values, dtype=float))


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.method)
@given(history=histories, odd=st.floats(0, 20_000))
def test_the_further_off_the_higher_the_score_and_the_order_of_the_history_does_not_matter(
    detector: Detector, history: np.typing.NDArray[np.float64], odd: float
) -> None:
    near = detector.judge(history, odd, counts=True)
    assert near.score >= 0
    further = odd + 10 if odd > near.expected else odd - 10
    assert detector.judge(history, further, counts=True).score >= near.score
    assert detector.judge(history[::-1], odd, counts=True) == near
    assert detector.judge(history, near.expected, counts=True).score == 0


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.method)
def test_what_chance_does_to_counts_is_no_flag_however_calm_the_history_was(detector: Detector) -> None:
    calm = np.full(60, 100.0)
    assert not detector.judge(calm, 130.0, counts=True).is_flagged  # three standard deviations of a count of 100
    assert detector.judge(calm, 160.0, counts=True).is_flagged
    # With money there is no such chance: it may be as calm as the hours of the day let it.
    assert detector.judge(calm, 130.0, counts=False).is_flagged


@pytest.mark.parametrize("kind", [lambda least: RobustZ(4.0, least), lambda least: Iqr(2.5, least)], ids=["z", "iqr"])
def test_one_visitor_more_is_nothing_critical_where_hardly_anything_is_expected(
    kind: Callable[[float], Detector],
) -> None:
    calm, busy = np.tile([0.0, 1.0, 2.0], 20), np.full(60, 400.0)
    assert kind(1.0).judge(calm, 24.0, counts=True).severity == "critical"
    assert kind(20.0).judge(calm, 24.0, counts=True).severity == "warning"
    assert kind(20.0).judge(calm, 200.0, counts=True).severity == "critical"
    assert kind(20.0).judge(busy, 300.0, counts=True) == kind(1.0).judge(busy, 300.0, counts=True)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.method)
def test_what_chance_does_to_the_revenue_of_few_purchases_is_hardly_ever_flagged_and_none_at_all_is(
    detector: Detector,
) -> None:
    dice = np.random.default_rng(1)
    windows = dice.lognormal(4.0, 1.27, (2000, 50)).sum(axis=1)
    verdicts = [
        detector.judge(windows[place - 60 : place], windows[place], counts=False) for place in range(60, len(windows))
    ]
    assert sum(verdict.is_flagged for verdict in verdicts) <= 8
    assert np.median(windows) / 1.1 < verdicts[-1].expected < np.median(windows) * 1.1
    assert detector.judge(windows[:60], 0.0, counts=False).is_flagged


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.method)
def test_a_few_odd_windows_in_the_history_hide_nothing(detector: Detector) -> None:
    history = np.concatenate([np.full(54, 1000.0), np.full(6, 50_000.0)])
    assert detector.judge(history, 100.0, counts=True).severity == "critical"


def test_a_robust_z_is_the_distance_in_median_absolute_deviations() -> None:
    verdict = RobustZ(4.0).judge(np.array([8000.0, 9000, 10_000, 11_000, 12_000]), 14_000, counts=True)
    assert verdict.expected == 10_000
    assert verdict.score == pytest.approx(4000 / 1482.6)


def test_an_interquartile_score_is_the_distance_beyond_the_nearer_quartile() -> None:
    history = np.array([8000.0, 9000, 10_000, 11_000, 12_000])
    assert Iqr(2.5).judge(history, 16_000, counts=True).score == pytest.approx(2.5)
    assert Iqr(2.5).judge(history, 4_000, counts=True).score == pytest.approx(2.5)
    assert Iqr(2.5).judge(history, 9_500, counts=True).score == 0


@pytest.mark.parametrize(("score", "flagged", "severity"), [(3.99, False, "warning"), (4.0, True, "warning")])
def test_the_threshold_itself_is_flagged(score: float, flagged: bool, severity: str) -> None:
    assert (Verdict(1, score, 4.0).is_flagged, Verdict(1, score, 4.0).severity) == (flagged, severity)
    assert Verdict(1, 8.0, 4.0).severity == "critical"


def _flags(values: list[float], watch: Watch = SITE) -> list[Flag]:
    """Of the last window alone."""
    starts = tuple(SEVEN + number * MINUTE for number in range(len(values)))
    series = Series("", "views", np.array(values), np.array(values))
    return list(judge(watch, Block(starts, (series,)), {starts[-1]}, lambda *_: DETECTORS))


def test_a_flag_says_which_window_and_what_was_expected() -> None:
    flags = _flags([100.0] * 20 + [10.0])
    assert {flag.method for flag in flags} == {"robust_z", "iqr"}
    for flag in flags:
        assert (flag.window_start, flag.window_end) == (SEVEN + 20 * MINUTE, SEVEN + 21 * MINUTE)
        assert (flag.metric, flag.expected, flag.observed, flag.direction) == ("views", 100, 10, "down")


def test_only_so_many_windows_are_looked_back_on() -> None:
    assert _flags([5000.0] * 40 + [100.0] * 20 + [100.0]) == []


@pytest.mark.parametrize(("known", "flagged"), [(11, False), (12, True)])
def test_nothing_is_expected_of_too_short_a_history(known: int, flagged: bool) -> None:
    assert bool(_flags([float("nan")] * 5 + [100.0] * known + [1000.0])) is flagged


def test_a_window_in_which_the_site_was_silent_is_neither_judged_nor_expected() -> None:
    assert _flags([100.0] * 20 + [float("nan")]) == []
    assert _flags([100.0, float("nan")] * 10 + [100.0] * 6 + [100.0]) == []


@pytest.mark.parametrize(("usual", "now", "flagged"), [(1.0, 19.0, False), (1.0, 20.0, True), (30.0, 0.0, True)])
def test_too_small_a_volume_is_not_judged(usual: float, now: float, flagged: bool) -> None:
    assert bool(_flags([usual] * 20 + [now])) is flagged


def test_windows_are_aligned_to_the_epoch() -> None:
    assert floor(SEVEN + timedelta(minutes=14, seconds=59), timedelta(minutes=5)) == SEVEN + timedelta(minutes=10)
    assert floor(SEVEN, timedelta(minutes=10)) == SEVEN
