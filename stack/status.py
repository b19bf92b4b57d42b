"""How the stack is, asked of the parts themselves at this moment."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec

from contracts.settings import GraphqlSettings
from stack.layout import Layout
from stack.part import Part
from stack.parts import urls
from stack.processing_figures import ProcessingFigures, ask_processing
from stack.settings import HOST, StackSettings
from stack.state import PartState, State, read_state

_FIGURES = (
    "query Status($hour: TimeRange!, $next: TimeRange!) { asOf { lag } books { close residue }"
    " verifications(first: 1) { at epoch mismatches } alerts(first: 100) { severity }"
    " anomalies(range: $hour, first: 100) { windowStart windowEnd measure scope subject }"
    " trainings { version trainedAt } forecast(range: $next, metric: VIEWS) { windowEnd }"
    " reportDays(first: 1) { day } }"
)


@dataclass(frozen=True)
class PartStatus:
    """One part, now."""

    name: str
    pid: int | None
    port: int | None
    ready: bool
    since: str | None
    """When its process was started, ISO 8601 UTC."""


@dataclass(frozen=True)
class Books:
    """Whether received = applied + duplicate + quarantined + rejected, and by how much not."""

    close: bool
    residue: int


@dataclass(frozen=True)
class Verified:
    """The newest comparison of the tables with the event log."""

    at: str
    epoch: int
    mismatches: int
    """Rows that were not as the log says."""


@dataclass(frozen=True)
class OpenAlerts:
    """How many alerts are open; `millrace alerts list` has them."""

    critical: int
    warning: int


@dataclass(frozen=True)
class Watched:
    """What detectors, forecasts and reports have come to."""

    odd: int
    """Windows of the last hour that are flagged, 100 at most."""
    model_version: int | None
    """Of the newest training; None before the first."""
    trained_at: str | None
    forecast_until: str | None
    """The end of the last hour that is forecast; None where none is."""
    report_day: str | None
    """The newest day that has a report."""


@dataclass(frozen=True)
class Figures:
    """What serving tells; nothing where it does not answer."""

    freshness_seconds: float | None = None
    books: Books | None = None
    verified: Verified | None = None
    alerts: OpenAlerts | None = None
    watched: Watched | None = None


@dataclass(frozen=True)
class Status:
    """The answer of `millrace status --json`, field by field."""

    parts: list[PartStatus]
    urls: dict[str, str]
    write_key: str | None
    freshness_seconds: float | None
    """How far what is served lags behind the log; null before the first epoch or when serving does not answer."""
    books: Books | None
    verified: Verified | None
    """None before the first verification, or when serving does not answer."""
    alerts: OpenAlerts | None
    """None when serving does not answer."""
    watched: Watched | None
    """The same."""
    processing: ProcessingFigures | None
    """Null when processing does not answer."""

    def is_ready(self) -> bool:
        """Whether all parts that were started are ready."""
        return bool(self.parts) and all(part.ready for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """Ready for `json.dumps`."""
        return asdict(self)


def ask_status(settings: StackSettings, layout: Layout, parts: Mapping[str, Part]) -> Status:
    """Probe every part that the supervisor runs; where none runs, all parts are told as not ready."""
    state = read_state(layout.state)
    if state is None or not state.parts:
        started = {name: PartState(name, part.port) for name, part in parts.items()}
    else:
        started = {name: part for name, part in state.parts.items() if name in parts}
    with ThreadPoolExecutor(max_workers=len(started) + 2) as pool:
        figures = pool.submit(_ask_figures, urls(settings)["graphql"], GraphqlSettings().headers)
        processing = pool.submit(ask_processing, f"http://{HOST}:{settings.port('processing')}/metrics")
        answers = list(pool.map(lambda told: _ask(told, parts[told.name], state), started.values()))
        told, processes = figures.result(), processing.result()
    key = layout.demo_key.read_text("utf-8").strip() if layout.demo_key.exists() else None
    return Status(
        *(answers, urls(settings), key, told.freshness_seconds, told.books, told.verified, told.alerts, told.watched),
        processes,
    )


def _ask(told: PartState, part: Part, state: State | None) -> PartStatus:
    alive = told.process is not None and told.process.is_alive()
    ready = alive and state is not None and state.is_supervised() and part.probe() is None
    pid = told.process.pid if alive and told.process is not None else None
    return PartStatus(told.name, pid, told.port, ready, told.since if alive else None)


def _ask_figures(graphql_url: str, headers: Mapping[str, str]) -> Figures:
    body = {"query": _FIGURES, "variables": _ranges(datetime.now(UTC))}
    try:
        answer = httpx.post(graphql_url, json=body, headers=headers, timeout=3.0, trust_env=False)
        data = answer.json().get("data") or {}
    except (httpx.HTTPError, ValueError):
        return Figures()
    as_of, books, verified = data.get("asOf"), data.get("books"), data.get("verifications")
    severities = [alert["severity"] for alert in data.get("alerts") or ()]
    return Figures(
        None if as_of is None else msgspec.convert(as_of["lag"], timedelta).total_seconds(),
        None if books is None else Books(bool(books["close"]), int(books["residue"])),
        Verified(verified[0]["at"], int(verified[0]["epoch"]), int(verified[0]["mismatches"])) if verified else None,
        OpenAlerts(severities.count("CRITICAL"), severities.count("WARNING")) if "alerts" in data else None,
        _watched(data) if "anomalies" in data else None,
    )


def _ranges(now: datetime) -> dict[str, Any]:
    """The last hour, and the next two days."""
    hour = now - timedelta(hours=1), now
    ahead = now, now + timedelta(days=2)
    return {
        name: {"from": since.isoformat(), "to": until.isoformat()}
        for name, (since, until) in (("hour", hour), ("next", ahead))
    }


def _watched(data: Mapping[str, Any]) -> Watched:
    odd = {tuple(sorted(flag.items())) for flag in data["anomalies"]}
    training: Mapping[str, Any] = next(iter(data["trainings"]), {})
    return Watched(
        len(odd),
        training.get("version"),
        training.get("trainedAt"),
        max((hour["windowEnd"] for hour in data["forecast"]), default=None),
        next((report["day"] for report in data["reportDays"]), None),
    )
