"""Bounces and lengths of sessions are those of the list of sessions; from sessions, and from hours summed up."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, literal, select

from contracts.projections import sessions
from contracts.rollups import roll_ups, session_hours
from serving.schema.scalars import parse_duration
from tests.serving.events import visits
from tests.serving.integration.conftest import NOW, Server, eventually
from tests.serving.shop import Shop, engine, write

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)
FROM = datetime(2026, 2, 26, 8, tzinfo=UTC)
SEGMENT = "segment sessions bounces bounceRate events eventsPerSession meanDuration"
QUERY = f"""query ($range: TimeRange!, $by: FunnelBreakdown!, $bots: BotFilter!, $medium: String) {{
  sessionMetrics(range: $range, breakdown: $by, bots: $bots, medium: $medium, compareWith: RANGE_BEFORE) {{
    isFinal segments {{ {SEGMENT} previous {{ {SEGMENT} }} }} }} }}"""
LIST = """query ($range: TimeRange!, $bots: BotFilter!, $medium: String, $after: String) {
  sessions(range: $range, bots: $bots, medium: $medium, first: 200, after: $after) {
    nodes { startedAt endedAt events device medium category campaignSource referrerSource status }
    pageInfo { hasNextPage endCursor } } }"""


def listed(server: Server, **which: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = server.data(LIST, after=after, **which)["sessions"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def segment_of(session: dict[str, Any], by: str) -> Any:
    if by == "SOURCE":
        return session["campaignSource"] or session["referrerSource"]
    return None if by == "NONE" else session[by.lower()]


def summed(found: Iterable[dict[str, Any]], by: str) -> dict[Any, dict[str, Any]]:
    by_segment = defaultdict(list)
    for session in found:
        by_segment[segment_of(session, by)].append(session)
    return {segment: figures(segment, some) for segment, some in by_segment.items()}


def figures(segment: Any, some: list[dict[str, Any]]) -> dict[str, Any]:
    events, bounces = sum(one["events"] for one in some), sum(one["events"] == 1 for one in some)
    lengths = [datetime.fromisoformat(one["endedAt"]) - datetime.fromisoformat(one["startedAt"]) for one in some]
    return {
        "segment": segment,
        "sessions": len(some),
        "bounces": bounces,
        "bounceRate": pytest.approx(bounces / len(some)),
        "events": events,
        "eventsPerSession": pytest.approx(events / len(some)),
        "meanDuration": pytest.approx(sum(lengths, timedelta(0)) / len(some), abs=timedelta(milliseconds=1)),
    }


def asked(server: Server, by: str, start: datetime, end: datetime, **which: Any) -> dict[str, Any]:
    span = {"from": start.isoformat(), "to": end.isoformat()}
    told: dict[str, Any] = server.data(QUERY, range=span, by=by, **which)["sessionMetrics"]
    for segment in told["segments"]:
        for one in filter(None, (segment, segment["previous"])):
            one["meanDuration"] = parse_duration(one["meanDuration"])
    return told


def expected(server: Server, by: str, start: datetime, end: datetime, **which: Any) -> dict[str, Any]:
    spans = [{"from": a.isoformat(), "to": b.isoformat()} for a, b in ((start, end), (start - (end - start), start))]
    now, before = (listed(server, range=span, **which) for span in spans)
    segments, then = summed(now, by), summed(before, by)
    return {name: {**told, "previous": then.get(name)} for name, told in segments.items()}


@pytest.mark.parametrize("by", ["NONE", "DEVICE", "MEDIUM", "SOURCE", "CATEGORY"])
@pytest.mark.parametrize(("bots", "medium"), [("EXCLUDE", None), ("INCLUDE", None), ("INCLUDE", "search")])
def test_from_sessions(server: Server, by: str, bots: str, medium: str | None) -> None:
    start, end = NOW - 2 * HOUR, NOW - HOUR / 2
    told = asked(server, by, start, end, bots=bots, medium=medium)["segments"]
    wanted = expected(server, by, start, end, bots=bots, medium=medium)
    assert {one["segment"]: one for one in told} == wanted
    assert [-one["sessions"] for one in told] == sorted(-one["sessions"] for one in told)
    assert sum(one["sessions"] for one in told) > 3


def test_of_no_sessions_there_is_one_segment_without_rates(server: Server) -> None:
    (told,) = server.data(
        f"query ($range: TimeRange!) {{ sessionMetrics(range: $range) {{ segments {{ {SEGMENT} }} }} }}",
        range={"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"},
    )["sessionMetrics"]["segments"]
    nothing = dict.fromkeys(("segment", "bounceRate", "eventsPerSession", "meanDuration"))
    assert told == {**nothing, "sessions": 0, "bounces": 0, "events": 0}


async def test_from_hours_where_there_are_and_from_sessions_between_them(empty_server: Server) -> None:
    shop = Shop(events=visits(5, FROM, FROM + 6 * HOUR), committed_at=FROM + 6 * HOUR)
    await write(empty_server.database_url, empty_server.schema, shop)
    assert eventually(lambda: empty_server.data("{ asOf { epoch } }")["asOf"]["epoch"] == shop.epoch)
    start, end = FROM + 3 * HOUR + HOUR / 2, FROM + 6 * HOUR
    questions = [(by, medium) for by in ("NONE", "DEVICE", "MEDIUM") for medium in (None, "search")]
    before = [asked(empty_server, by, start, end, bots="EXCLUDE", medium=medium) for by, medium in questions]
    assert not before[0]["isFinal"]
    hours = [FROM + n * HOUR for n in range(5)]
    await _summed_up(empty_server, hours, stale=hours[2], gone=(hours[1], hours[4]))
    end -= timedelta(milliseconds=1)  # another question, so that it is read again; of the same sessions
    start -= timedelta(milliseconds=1)
    after = [asked(empty_server, by, start, end, bots="EXCLUDE", medium=medium) for by, medium in questions]
    assert after == before


async def _summed_up(server: Server, hours: list[datetime], stale: datetime, gone: Iterable[datetime]) -> None:
    """Hours as processing makes them, of which one is wrong; those that lie whole in a range lose their sessions."""
    store = engine(server.database_url, server.schema)
    async with store.begin() as connection:
        for hour in hours:
            begun = (sessions.c.started_at >= hour) & (sessions.c.started_at < hour + HOUR)
            rows = (await connection.execute(select(sessions).where(begun))).mappings().all()
            made: dict[tuple[str, str, bool], dict[str, Any]] = {}
            for row in rows:
                key = (row["device"] or "", row["medium"] or "", row["bot"])
                one = made.setdefault(key, {**dict.fromkeys(_COUNTED, 0), "revenue": 0})
                one["sessions"] += 1 + 100 * (hour == stale)
                one["bounces"] += row["events"] == 1
                one["events"] += row["events"]
                one["duration_ms"] += (row["ended_at"] - row["started_at"]) // timedelta(milliseconds=1)
            for (device, medium, bot), one in made.items():
                cell = {"hour": hour, "device": device, "medium": medium, "bot": bot}
                await connection.execute(insert(session_hours).values(**cell, **one))
            if hour in gone:
                await connection.execute(delete(sessions).where(begun))
            cell = {"grain": "session_hour", "starts_at": hour, "stale": hour == stale, "marks": literal(0)}
            await connection.execute(insert(roll_ups).values(**cell, made_at=FROM, fine_gone=False))
    await store.dispose()


_COUNTED = ("sessions", "bounces", "events", "duration_ms", "viewed", "added", "checkouts", "purchased", "convert_ms",
            "late", "last_epoch")  # fmt: skip
