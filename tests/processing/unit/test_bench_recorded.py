"""Recorded series with labels: read as they are laid out, and judged so that the figures can be checked by hand."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from processing.detection import bench_recorded, recorded
from processing.watch.cli import app

pytestmark = pytest.mark.unit

START = datetime(2026, 1, 5, tzinfo=UTC)
NAME = "shop/orders.csv"
DAY_OF_5 = 288
ONSET = START + timedelta(days=5, hours=2)
"""Of the one label, an outage of two hours."""


def _lay_out(folder: Path, **changes: Any) -> Path:
    """A week of a shop's orders, every five minutes; on the sixth day an outage, and on the last a false alarm."""
    (folder / "data" / "shop").mkdir(parents=True)
    (folder / "labels").mkdir()
    dice = np.random.default_rng(1)
    values = dice.poisson(200 + 20 * np.sin(np.arange(7 * DAY_OF_5) * 2 * np.pi / DAY_OF_5)).tolist()
    outage = int((ONSET - START) / timedelta(minutes=5))
    values[outage : outage + 24] = [0] * 24
    values[-20] = 2000
    lines = [
        f"{START + number * timedelta(minutes=5):%Y-%m-%d %H:%M:%S},{value}" for number, value in enumerate(values)
    ]
    del lines[100:103]  # not recorded
    (folder / "data" / NAME).write_text("\n".join(["timestamp,value", *lines]))
    window = [f"{ONSET - timedelta(hours=6):%Y-%m-%d %H:%M:%S.%f}", f"{ONSET + timedelta(hours=8):%Y-%m-%d %H:%M:%S}"]
    written = {"combined_windows": {NAME: [window]}, "combined_labels": {NAME: [f"{ONSET:%Y-%m-%d %H:%M:%S}"]}}
    for name, told in (written | changes).items():
        (folder / "labels" / f"{name}.json").write_text(json.dumps(told))
    return folder


def test_a_series_is_on_an_even_grid_and_by_the_hour(tmp_path: Path) -> None:
    (series,) = recorded.read(_lay_out(tmp_path))
    assert (series.group, series.length, series.counts) == ("shop", timedelta(minutes=5), True)
    assert np.flatnonzero(np.isnan(series.values)).tolist() == [100, 101, 102]
    (label,) = series.labels
    assert (label.onset, label.end - label.start) == (ONSET, timedelta(hours=14))
    hours = series.by_hour()
    assert len(hours.values) == 7 * 24
    assert hours.values[3] == pytest.approx(series.values[36:48].sum())
    known = series.values[96:108]
    assert hours.values[8] == pytest.approx(np.nanmean(known) * 12)  # of which nine of twelve are known


def test_what_is_found_when_and_what_is_false(tmp_path: Path) -> None:
    series = recorded.read(_lay_out(tmp_path))
    thresholds = {"robust_z": [5], "iqr": [4], "seasonal_trend": [6], "isolation_forest": [9], "one_class_svm": [99]}
    told = {each["method"]: each for each in bench_recorded.as_json(bench_recorded.run(series, thresholds, _silent))}
    for method in ("robust_z", "iqr"):
        own = told[method]
        assert (own["labels"], own["found"], own["false_alarms"], own["precision"]) == (1, 1, 1, 0.5), method
        assert own["median_delay_hours"] == 0
        # One false alarm in 85 % of a week less the label of 14 hours.
        assert own["recall_by_chance"] == pytest.approx(1 - np.exp(-14 / (0.85 * 168 - 14)), rel=0.02)
    assert told["robust_z"]["false_alarms_per_week"] == pytest.approx(168 / (0.85 * 168 - 14), rel=0.02)
    assert told["seasonal_trend"]["groups"] == {"shop": {"labels": 1, "found": 1}}
    assert told["seasonal_trend"]["median_delay_hours"] == 0
    assert told["isolation_forest"]["found"] == told["one_class_svm"]["found"] == 0
    assert told["isolation_forest"]["precision"] is None


def _silent(_step: str, _done: int, _of: int) -> None:
    return None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"combined_windows": []}, "is no object of series by name"),
        ({"combined_windows": {}}, "names no series"),
        ({"combined_windows": {"shop/none.csv": []}}, "names shop/none.csv, and there is no"),
        ({"combined_windows": {NAME: [["yesterday", "today"]]}}, "shop/orders.csv: ValueError"),
        ({"combined_labels": {}}, "shop/orders.csv: KeyError"),
    ],
)
def test_a_folder_of_another_layout_is_refused_with_what_is_wrong(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(recorded.LayoutError, match=says):
        recorded.read(_lay_out(tmp_path, **changes))


def test_the_command_takes_a_folder_and_refuses_what_is_none(tmp_path: Path) -> None:
    def bench(*more: str) -> Any:
        options = ["bench", "--days", "0", "--weeks", "0", "--labelled", str(tmp_path), *more]
        return CliRunner().invoke(app, options, env={"COLUMNS": "400"})

    refused = bench()
    assert refused.exit_code == 2
    assert "combined_windows.json" in refused.output
    _lay_out(tmp_path)
    told = json.loads(bench("--json", "--robust-z", "5").stdout.splitlines()[-1])
    assert {each["method"] for each in told} >= {"robust_z", "robust_z, alert", "one_class_svm"}
    assert "1 recorded series with 1 labels" in bench().stdout
