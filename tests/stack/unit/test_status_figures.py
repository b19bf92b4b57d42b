"""What `millrace status` tells of the watch, from what serving answers."""

from typing import Any

import httpx
import pytest

from stack import status
from stack.status_text import watched_line

pytestmark = pytest.mark.unit

FLAG = {"windowStart": "2026-03-01T12:00:00Z", "windowEnd": "2026-03-01T12:01:00Z", "scope": "SITE", "subject": ""}
DATA: dict[str, Any] = {
    "asOf": {"lag": "PT1.5S"},
    "books": {"close": True, "residue": 0},
    "verifications": [],
    "alerts": [{"severity": "WARNING"}],
    "anomalies": [{**FLAG, "measure": "VIEWS"}, {**FLAG, "measure": "VIEWS"}, {**FLAG, "measure": "ADDS"}],
    "trainings": [{"version": 4, "trainedAt": "2026-03-01T09:00:00Z"}],
    "forecast": [{"windowEnd": "2026-03-02T11:00:00Z"}, {"windowEnd": "2026-03-02T12:00:00Z"}],
    "reportDays": [{"day": "2026-02-28"}],
}
NOTHING: dict[str, Any] = {"anomalies": [], "trainings": [], "forecast": [], "reportDays": []}


def _told(monkeypatch: pytest.MonkeyPatch, data: dict[str, Any]) -> status.Figures:
    def answer(url: str, **told: Any) -> httpx.Response:
        assert told["json"]["variables"]["hour"].keys() == {"from", "to"}
        return httpx.Response(200, json={"data": data}, request=httpx.Request("POST", url))

    monkeypatch.setattr(httpx, "post", answer)
    return status._ask_figures("http://graphql/", {})


def test_a_window_that_two_methods_flag_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    told = _told(monkeypatch, DATA).watched
    assert told == status.Watched(2, 4, "2026-03-01T09:00:00Z", "2026-03-02T12:00:00Z", "2026-02-28")
    assert watched_line(told) == (
        "watch: 2 odd windows in the last hour; models version 4, 2026-03-01T09:00:00Z;"
        " forecast until 2026-03-02T12:00:00Z; newest report 2026-02-28"
    )


def test_what_is_not_there_yet_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    told = _told(monkeypatch, NOTHING).watched
    assert told == status.Watched(0, None, None, None, None)
    assert watched_line(told).endswith("no models yet; no forecast yet; no report yet")
    assert _told(monkeypatch, {"asOf": None}).watched is None
