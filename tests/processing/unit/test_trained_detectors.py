"""What detectors that learn from hours promise, each of them, and that their numbers say what the libraries would."""

import io
from functools import cache

import numpy as np
import pytest

from processing.detection.detector import Values
from processing.detection.isolation_forest import Forest
from processing.detection.models import METHODS, packed, unpacked
from processing.detection.one_class_svm import Bells
from processing.detection.outside import LENGTHS, shapes
from processing.detection.season import DAY, WEEK, Season
from processing.detection.trained import Trained

pytestmark = pytest.mark.unit

PLACE = 490_000
"""Number of the first hour since 1970: neither midnight nor a Thursday."""
LEARNT = 4 * WEEK
THRESHOLDS = {"seasonal_trend": 5.0, "isolation_forest": 1.2, "one_class_svm": 6.0}
AFTERNOON = LEARNT + (15 - PLACE) % DAY
ALL = pytest.mark.parametrize("method", list(METHODS))


@cache
def _shop() -> Values:
    """Five weeks of a shop with a day and a weekend."""
    dice = np.random.default_rng(1)
    number = PLACE + np.arange(5 * WEEK)
    rates = 2000 * (1 + 0.6 * np.sin(2 * np.pi * number / DAY)) * np.where(number // DAY % 7 >= 5, 1.4, 1.0)
    return dice.poisson(rates * dice.gamma(1000, 1 / 1000, len(rates))).astype(float)


@cache
def _season() -> Season:
    season = Season.learn(_shop()[:LEARNT], PLACE, counts=True)
    assert season is not None
    return season


@cache
def _trained(method: str) -> Trained:
    return METHODS[method].train(_season(), _shop()[:LEARNT], PLACE, THRESHOLDS[method])


def _judged(detector: Trained, values: Values, place: int) -> float:
    return detector.judge(values[:place], values[place], counts=True, place=PLACE + place).score


@ALL
def test_an_ordinary_week_has_no_flag_and_an_outage_and_a_rush_have_one(method: str) -> None:
    shop, detector = _shop(), _trained(method)
    ordinary = [_judged(detector, shop, place) for place in range(LEARNT, LEARNT + WEEK)]
    assert max(ordinary) < detector.judge(shop[:LEARNT], 0.0, counts=True, place=PLACE + LEARNT).threshold
    for factor in (0.0, 2.5):
        odd = shop.copy()
        odd[AFTERNOON : AFTERNOON + 3] *= factor
        assert max(_judged(detector, odd, AFTERNOON + hour) for hour in range(3)) >= THRESHOLDS[method], factor


@ALL
def test_a_level_that_has_drifted_away_is_flagged_though_no_hour_differs_from_the_one_before(method: str) -> None:
    drifting = _shop().copy()
    drifting[LEARNT : LEARNT + 5 * DAY] *= np.linspace(1, 2, 5 * DAY)
    detector = _trained(method)
    scores = [_judged(detector, drifting, place) for place in range(LEARNT, LEARNT + 5 * DAY)]
    flagged = [place for place, score in enumerate(scores) if score >= THRESHOLDS[method]]
    assert flagged
    assert flagged[0] < 4 * DAY


@ALL
def test_its_numbers_are_all_of_it_and_go_through_storage(method: str) -> None:
    detector = _trained(method)
    again = METHODS[method].of(unpacked(packed(detector.numbers())), THRESHOLDS[method], 7)
    for place in range(LEARNT, LEARNT + DAY):
        assert _judged(again, _shop(), place) == _judged(detector, _shop(), place)
    assert again.parameters() == detector.parameters()


@ALL
def test_training_again_gives_the_same(method: str) -> None:
    again = METHODS[method].train(_season(), _shop()[:LEARNT], PLACE, THRESHOLDS[method])
    assert packed(again.numbers()) == packed(_trained(method).numbers())


@ALL
def test_hours_of_which_nothing_is_known_are_no_evidence(method: str) -> None:
    gaps = _shop().copy()
    gaps[AFTERNOON - 20 : AFTERNOON] = np.nan
    assert _judged(_trained(method), gaps, AFTERNOON) < THRESHOLDS[method]


@ALL
def test_of_an_hour_of_the_day_that_was_never_seen_nothing_is_expected_and_it_is_no_flag(method: str) -> None:
    days = _shop()[: 13 * DAY].copy()
    hour = (np.arange(len(days)) + PLACE) % DAY
    days[hour < 7] = np.nan  # switched off every night
    season = Season.learn(days, PLACE, counts=True)
    assert season is not None
    detector = METHODS[method].train(season, days, PLACE, THRESHOLDS[method])
    for ahead in range(DAY):
        verdict = detector.judge(days, 0.0, counts=True, place=PLACE + len(days) + ahead)
        is_night = (PLACE + len(days) + ahead) % DAY < 7
        assert np.isnan(verdict.expected) == is_night
        assert not (is_night and verdict.is_flagged)
        assert is_night or verdict.score > 0


def test_stored_objects_are_refused_and_not_run() -> None:
    into = io.BytesIO()
    np.savez(into, season=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        unpacked(into.getvalue())


def test_a_season_knows_hours_and_weekends_of_the_weeks_before_and_does_not_mind_an_outage_among_them() -> None:
    shop = _shop()
    broken = shop[:LEARNT].copy()
    broken[200:206] = 0
    broken[300:340] = np.nan
    season = Season.learn(broken, PLACE, counts=True)
    assert season is not None
    for found in (_season(), season):
        expected = np.array([found.expected(PLACE + LEARNT + hour) for hour in range(WEEK)])
        assert np.median(np.abs(expected / shop[LEARNT:] - 1)) < 0.04
        assert np.max(np.abs(expected / shop[LEARNT:] - 1)) < 0.25


@pytest.mark.parametrize(("days", "period"), [(2.9, None), (3, DAY), (13, DAY), (14, WEEK)])
def test_a_week_is_told_apart_from_two_of_them_on_and_nothing_from_less_than_three_days(
    days: float, period: int | None
) -> None:
    season = Season.learn(_shop()[: int(days * DAY)], PLACE, counts=True)
    assert (len(season.profile) if season else None) == period


def test_the_shape_of_a_day_is_its_last_hour_its_last_six_and_all_of_it() -> None:
    seen = np.ones(DAY, dtype=bool)
    season = Season(
        np.zeros(DAY), 100.0, 1.0, counts=False, seen=seen
    )  # roots of 100: 10,000 expected; a twentieth is 2.5 roots
    off = np.full(30, 102.5**2)
    (hour, six, day) = shapes(season, off, 0)[-1]
    assert (hour, six, day) == pytest.approx([length**0.5 for length in LENGTHS])
    assert shapes(season, np.full(30, np.nan), 0).tolist() == np.zeros((30, 3)).tolist()


def test_the_forests_numbers_score_as_the_librarys() -> None:
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - a second, of this test only

    dice = np.random.default_rng(1)
    learnt, asked = dice.normal(size=(300, 3)), 3 * dice.normal(size=(100, 3))
    library = IsolationForest(n_estimators=32, max_samples=128, random_state=1).fit(learnt)
    assert Forest.around(learnt).raw(asked) == pytest.approx(-library.score_samples(asked), abs=1e-12)


def test_the_regions_numbers_score_as_the_librarys() -> None:
    from sklearn.svm import OneClassSVM  # noqa: PLC0415 - a second, of this test only

    dice = np.random.default_rng(1)
    learnt, asked = dice.normal(size=(300, 3)), 3 * dice.normal(size=(100, 3))
    library = OneClassSVM(nu=0.02).fit(learnt)
    assert Bells.around(learnt).raw(asked) == pytest.approx(-library.decision_function(asked), abs=1e-12)
