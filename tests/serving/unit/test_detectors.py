"""What GraphQL calls measures, detectors and steps is what processing has."""

import pytest

from processing.detection.iqr import Iqr
from processing.detection.models import METHODS
from processing.detection.robust_z import RobustZ
from processing.detection.watches import HOURLY, WATCHES
from processing.reporting.reading import _STEPS
from serving.schema.detectors import Detector, WatchedMeasure
from serving.schema.reports import _ACTIONS

pytestmark = pytest.mark.unit


def test_every_measure_that_is_watched_has_a_name() -> None:
    watched = {metric for watch in (*WATCHES, *HOURLY) for metric in watch.metrics}
    assert {str(measure.value) for measure in WatchedMeasure} == watched


def test_every_detector_has_a_name() -> None:
    assert {str(detector.value) for detector in Detector} == {RobustZ.method, Iqr.method, *METHODS}


def test_every_step_of_a_report_has_its_action() -> None:
    assert tuple(_ACTIONS) == _STEPS
