"""The bench itself: incidents where they are said to be, and figures that can be checked by hand."""

import numpy as np
import pytest

from processing.detection.bench import confirmed, measure, rolling
from processing.detection.bench_series import KINDS, MINUTES, Incident, Labelled, labelled, paid
from processing.detection.bench_table import false_per_day, precision
from processing.detection.robust_z import RobustZ

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_same_seed_is_the_same_series_and_another_is_another(kind: str) -> None:
    first, again, other = (labelled(kind, 300, 2, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.counts, again.counts)
    assert not np.array_equal(first.counts, other.counts)
    assert all(incident.start >= MINUTES.day for incident in first.incidents)
    assert bool(first.incidents) is (KINDS[kind] is not None)


def test_in_an_outage_nothing_happens_and_around_it_all_is_as_usual() -> None:
    series = labelled("outage", 300, 3, 1)
    for incident in series.incidents:
        assert not series.counts[incident.start : incident.end].any()
        assert series.counts[incident.start - 10 : incident.start].all()
        assert series.counts[incident.end : incident.end + 10].all()


def test_revenue_follows_its_purchases_and_is_paid_anew_by_every_seed() -> None:
    purchases = labelled("outage", 50, 3, 1)
    series, again, other = paid(purchases, 1), paid(purchases, 1), paid(purchases, 2)
    assert np.array_equal(series.counts, again.counts)
    assert not np.array_equal(series.counts, other.counts)
    assert series.is_money
    assert series.incidents == purchases.incidents
    assert np.array_equal(series.counts > 0, purchases.counts > 0)
    each = series.counts.sum() / purchases.counts.sum()
    assert each == pytest.approx(np.exp(1.27**2 / 2), rel=0.02)  # the mean of a lognormal distribution


def _scored(scores: dict[int, float], incidents: tuple[Incident, ...]) -> Labelled:
    counts = np.zeros(3 * MINUTES.day)
    for place, score in scores.items():
        counts[place] = score
    return Labelled("spike", 300, counts, incidents)


def test_found_missed_and_false_are_counted_as_said() -> None:
    first, second = Incident("spike", 2000, 2010), Incident("spike", 3000, 3010)
    scores = {
        10: 9.0,  # the first day is not watched
        1999: 9.0,  # a false alarm,
        2004: 9.0,  # the first incident in its fifth window,
        2020: 9.0,  # settling: neither
        2900: 9.0,  # a false alarm,
        2901: 9.0,  # the same one,
        3005: 1.0,  # below the threshold: the second incident is missed
    }
    (figures,) = (
        each
        for each in measure("m", [5.0], lambda counts: counts, [_scored(scores, (first, second))], lambda: None)
        if each.kind == "spike"
    )
    assert (figures.incidents, figures.found, figures.false_alarms) == (2, 1, 2)
    assert (figures.recall, figures.median_delay) == (0.5, 4)
    assert figures.precision == precision([figures]) == pytest.approx(1 / 3)
    assert figures.days * MINUTES.day == 2 * MINUTES.day - 2 * (10 + 150)
    assert false_per_day([figures]) == pytest.approx(2 / figures.days)


def test_an_alert_takes_two_of_three_windows_or_a_critical_one() -> None:
    scores = np.array([0, 5, 0, 5, 0, 0, 5, 0, 0, 0, 10, 0], dtype=float)
    alerts = confirmed(lambda counts: counts)(scores) >= 5
    assert np.flatnonzero(alerts).tolist() == [3, 10]


def test_an_outage_is_found_in_its_first_minutes_at_the_default_threshold() -> None:
    series = labelled("outage", 300, 2, 1)
    score = confirmed(rolling(RobustZ(4.0), 60))
    own = next(each for each in measure("z", [4.0], score, [series], lambda: None) if each.kind == "outage")
    assert (own.recall, own.false_alarms) == (1.0, 0)
    assert max(own.delays) <= 2
