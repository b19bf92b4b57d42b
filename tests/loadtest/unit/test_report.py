"""The page of a report is whole, says the verdict, and takes nothing from elsewhere."""

from html.parser import HTMLParser
from typing import Any

import pytest

from loadtest.report.charts import line_chart
from loadtest.report.page import page

pytestmark = pytest.mark.unit

SUMMARY = {"p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0, "mean": 1.5}
REPORT: dict[str, Any] = {
    "passed": True,
    "problems": [],
    "run": {"command": "millrace load --profile <smoke>", "machine": {"cores": 2}},
    "audit": {
        "checks": [
            {"name": "nothing is lost", "holds": True, "meaning": "m", "found": "2,038", "examples": []},
            {"name": "nothing counts twice", "holds": False, "meaning": "m", "found": "7", "examples": [{"id": "<e>"}]},
        ]
    },
    "figures": {
        "profile": "smoke",
        "seed": 7,
        "seconds": 10.0,
        "events": 2000,
        "asked_events": 2000,
        "achieved_per_second": 200.0,
        "generator": {"cores": 0.1, "wake_up_ms": SUMMARY},
        "limits": [],
        "requests": {"Json": 20, "Subscriptions": 5},
        "held_up": {},
        "latency_ms": {"Json": SUMMARY, "Subscriptions": None},
        "freshness": {
            "query_ms": SUMMARY,
            "subscription_ms": None,
            "query_over_time_ms": [{"from_second": 0, **SUMMARY}, {"from_second": 10, **SUMMARY}],
            "subscription_over_time_ms": [],
        },
        "over_time": [
            {"from_second": 0, "events_per_second": 150.0, "errors": 0, "latency_ms": {"Json": SUMMARY}},
            {"from_second": 5, "events_per_second": 250.0, "errors": 0, "latency_ms": {"Json": None}},
        ],
    },
}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in {"meta", "line", "polyline", "circle"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass


def test_the_page_closes_what_it_opens_and_links_nowhere() -> None:
    tags = _Tags()
    tags.feed(page(REPORT))
    assert tags.open == []
    assert tags.links == []


def test_what_was_told_is_text_and_not_markup() -> None:
    assert "--profile &lt;smoke&gt;" in page(REPORT)


def test_the_audit_is_told_law_by_law() -> None:
    told = page(REPORT)
    assert "<td>nothing is lost</td><td>holds</td>" in told
    assert "broken: [{&#x27;id&#x27;: &#x27;&lt;e&gt;&#x27;}]" in told


def test_a_failed_run_says_why() -> None:
    told = page({**REPORT, "passed": False, "problems": ["3 requests: status 503"]})
    assert "failed" in told
    assert "3 requests: status 503" in told
    assert "failed" not in page(REPORT)


def test_a_chart_draws_every_series_that_has_points() -> None:
    chart = line_chart({"a": [(0, 1), (5, 2)], "b": [(0, 3)], "none": []}, x_title="second", y_title="ms")
    assert chart.count("<polyline") == 2
    assert chart.count("<circle") == 1
    assert "none" not in chart


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("points", [[(0, 0.0)], [(0, 0.0), (1, 0.0)], [(0, 1e-9), (1, 1e9)], [(3, 5.0), (3, 5.0)]])
def test_a_chart_takes_any_values(points: list[tuple[float, float]], logarithmic: bool) -> None:
    chart = line_chart({"a": points}, x_title="second", y_title="ms", logarithmic=logarithmic)
    assert "nan" not in chart
    assert "inf" not in chart


def test_without_points_there_is_a_sentence() -> None:
    assert line_chart({"a": []}, x_title="second", y_title="ms") == "<p>Nothing was measured.</p>"
