"""What processing keeps of a day is what serving answers from."""

from datetime import UTC, datetime

import pytest

from serving.schema.reports import CustomerKind, ShopperKind, _report
from tests.processing.unit.test_report import a_report
from tests.serving.reports import figures

pytestmark = pytest.mark.unit


def test_a_kept_report_has_all_that_is_answered_from_it() -> None:
    kept = a_report().as_json()
    answered = _report(kept, datetime(2026, 3, 2, tzinfo=UTC))
    assert answered.totals.revenue == a_report().totals.revenue
    assert [each.kind for each in answered.segments.shoppers] == [ShopperKind.BUYERS, ShopperKind.WINDOW_SHOPPERS]
    assert {each.kind for each in answered.segments.customers} <= set(CustomerKind)


def test_what_serving_is_tested_with_has_the_fields_that_processing_keeps() -> None:
    kept, made_up = a_report().as_json(), figures("2026-03-01")
    assert made_up.keys() == kept.keys()
    for name, value in kept.items():
        if isinstance(value, dict):
            assert made_up[name].keys() == value.keys(), name
        elif isinstance(value, list) and name != "oddest":
            assert made_up[name][0].keys() == value[0].keys(), name
