"""What a forecast of a series promises."""

import numpy as np
import pytest

from processing.detection.bench_series import HOURS, labelled
from processing.detection.detector import Values
from processing.detection.season import DAY, WEEK
from processing.forecasting.outlook import SHARE, Outlook, outlook

pytestmark = pytest.mark.unit

PLACE = 490_000
"""Number of the first hour since 1970: neither midnight nor a Thursday."""


def _made(history: Values, *, counts: bool = True) -> Outlook:
    made = outlook(history, PLACE, DAY, counts=counts)
    assert made is not None
    return made


def test_hours_end_up_in_the_interval_as_often_as_is_said_and_nearer_than_those_of_a_week_ago() -> None:
    counts = labelled("season only", 300, 70, 1, HOURS).counts
    within, off, last_week = [], [], []
    for start in range(4 * WEEK, len(counts) - DAY, 8 * DAY + 5):
        made = outlook(counts[start - 4 * WEEK : start], start, DAY, counts=True)
        assert made is not None
        happened = counts[start : start + DAY]
        within.append(np.mean((happened >= made.low) & (happened <= made.high)))
        off.append(np.mean(np.abs(made.expected / happened - 1)))
        last_week.append(np.mean(np.abs(counts[start - WEEK : start - WEEK + DAY] / happened - 1)))
    assert np.mean(within) == pytest.approx(SHARE, abs=0.1)
    assert np.mean(off) < 0.06
    assert np.mean(off) < np.mean(last_week)


def test_a_new_level_is_followed() -> None:
    counts = labelled("season only", 300, 28, 2, HOURS).counts
    higher = counts.copy()
    higher[-12:] *= 1.5
    assert np.all(_made(higher).expected > 1.2 * _made(counts).expected)


def test_the_interval_is_around_what_is_expected_and_nothing_is_below_zero() -> None:
    rare = np.random.default_rng(1).poisson(0.4, 4 * WEEK).astype(float)
    made = _made(rare)
    assert np.all((made.low >= 0) & (made.low <= made.expected) & (made.expected <= made.high))
    assert made.high.max() >= 1


def test_the_same_history_has_the_same_forecast_and_gaps_in_it_do_little() -> None:
    counts = labelled("season only", 300, 28, 3, HOURS).counts
    gaps = counts.copy()
    gaps[100:130] = np.nan
    first, again, with_gaps = _made(counts), _made(counts), _made(gaps)
    assert np.array_equal(first.expected, again.expected)
    assert with_gaps.expected == pytest.approx(first.expected, rel=0.05)


@pytest.mark.parametrize("value", [0.0, 50.0])
def test_what_never_changes_is_expected_to_stay(value: float) -> None:
    assert _made(np.full(10 * DAY, value)).expected == pytest.approx(np.full(DAY, value))


def test_of_an_hour_of_the_day_that_was_never_seen_nothing_is_told() -> None:
    days = labelled("season only", 300, 10, 1, HOURS).counts
    hour = (np.arange(len(days)) + PLACE) % DAY
    days[hour < 7] = np.nan
    made = _made(days)
    ahead = (PLACE + len(days) + np.arange(DAY)) % DAY
    for values in (made.expected, made.low, made.high):
        assert np.array_equal(np.isnan(values), ahead < 7)


def test_too_little_is_told_from_nothing() -> None:
    assert outlook(np.full(2 * DAY, 100.0), PLACE, DAY, counts=True) is None
