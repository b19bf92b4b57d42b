"""Journeys against a plain reading of the paths: transitions, entries, exits, repetitions, places, cut sessions."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from serving.queries.journeys import Asked, journeys
from serving.queries.visits import Visits
from serving.windows import Span
from tests.examples import examples
from tests.serving.events import Event, by_bot, islands
from tests.serving.integration.conftest import NOW, Server, new_schema
from tests.serving.scratch import Scratch
from tests.serving.shop import Shop

pytestmark = pytest.mark.integration

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LABELS = {
    "https://shop.example": "/",
    "https://shop.example/": "/",
    "https://shop.example?utm_source=x": "/",
    "https://shop.example/#top": "/",
    "/": "/",
    "/cart": "/cart",
    "/cart/": "/cart",
    "//shop.example/cart?from=/p/1": "/cart",
    "HTTPS://shop.example:8443/cart#/p/1": "/cart",
    "/p/kettle": "/p/*",
    "https://shop.example/p/kettle/reviews?page=2": "/p/*",
    "/p//kettle": "/p/*",
    "//p/kettle": "/kettle",
    "p/kettle": "/p/*",
    "/12345": "/*",
    "/12345/reviews": "/*",
    "/3f2504e0-4f89-11d3-9a0c-0305e82c3301": "/*",
    "/0123456789abcdef": "/*",
    "/0123456789abcde": "/0123456789abcde",
    '/say "hi"/\\': '/say "hi"/*',
    "/" + "x" * 100: "/" + "x" * 64,
    "/" + "x" * 100 + "/y": "/" + "x" * 64 + "/*",
    "?": "/",
    "/näh\nmaschine/1": "/näh\nmaschine/*",
}


def label(page: str) -> str:
    """The label of a page, by string operations."""
    path = re.split(r"[?#]", re.sub(r"^([a-z][a-z0-9+.-]*:)?//[^/?#]*", "", page, flags=re.IGNORECASE))[0]
    first, _, rest = path.lstrip("/").partition("/")
    if not first:
        return "/"
    if re.fullmatch(r"[0-9]+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}", first, re.IGNORECASE):
        return "/*"
    return f"/{first[:64]}/*" if rest.strip("/") else f"/{first[:64]}"


@dataclass
class Told:
    """What journeys add up to, by place (0 for all) and label."""

    begun: int = 0
    cut: int = 0
    nodes: dict[tuple[int, str], Counter[str]] = field(default_factory=dict)
    moves: dict[tuple[int, str, str], Counter[str]] = field(default_factory=dict)


def told(sessions: Sequence[Sequence[Event]], by_page: bool, depth: int | None) -> Told:
    found = Told()
    for island in sessions:
        steps = (
            [label(one.page) if one.page else None for one in island[:50]]
            if by_page
            else [one.action for one in island[:50]]
        )
        journey: list[str] = []
        repeats: list[int] = []
        for step in steps:
            if step is None:
                continue
            if journey and journey[-1] == step:
                repeats[-1] += 1
            else:
                journey.append(step)
                repeats.append(0)
        if not journey:
            continue
        cut = len(island) > 50
        found.begun += 1
        found.cut += cut
        seen: set[Any] = set()
        for place, step in enumerate(journey[:depth], 1):
            node = found.nodes.setdefault((place if depth else 0, step), Counter())
            node["visits"] += 1
            node["repeats"] += repeats[place - 1]
            node["entries"] += place == 1
            node["exits"] += place == len(journey) and not cut
            node["sessions"] += (step, place if depth else 0) not in seen
            seen.add((step, place if depth else 0))
        for place, (source, target) in enumerate(pairwise(journey[:depth]), 1):
            key = (place if depth else 0, source, target)
            move = found.moves.setdefault(key, Counter())
            move["count"] += 1
            move["sessions"] += key not in seen
            seen.add(key)
    return found


@pytest.fixture(scope="module")
def scratch(postgres_url: str) -> Iterator[Scratch]:
    store = Scratch(postgres_url, new_schema(), ["sessions"])
    yield store
    store.close()


@st.composite
def sessions(draw: st.DrawFn) -> list[Event]:
    actions = st.sampled_from(["view", "click", "add_to_cart", "purchase"])
    pages = st.sampled_from([None, None, "", "/", "/cart", "/p/1", "/p/2", "https://x.example/p/3", "/77"])
    drawn = draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), actions, pages), max_size=80))
    return [
        Event(START + timedelta(seconds=second), f"e{number}", "u", f"s{session}", action, page=page)
        for number, (session, second, action, page) in enumerate(drawn)
    ]


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions(), st.booleans(), st.none() | st.integers(1, 6))
def test_journeys_are_those_of_the_paths(
    scratch: Scratch, events: list[Event], by_page: bool, depth: int | None
) -> None:
    asked = Asked(Visits(Span(START, START + timedelta(hours=1))), by_page, depth, 1000)
    (rows,) = scratch.rows(events, journeys(asked, 100))
    found = list(islands(events))
    wanted = told(found, by_page, depth)
    (whole,) = [row._mapping for row in rows if row.kind == "total"]
    assert (whole["count"], whole["repeats"], whole["scope"]) == (wanted.begun, wanted.cut, len(found))
    measures = ("visits", "sessions", "entries", "exits", "repeats")
    nodes = {
        (row.place, row.source): (row._mapping["count"], row.sessions, row.entries, row.exits, row.repeats)
        for row in rows
        if row.kind == "node"
    }
    assert nodes == {key: tuple(node[name] for name in measures) for key, node in wanted.nodes.items()}
    moves = {
        (row.place, row.source, row.target): (row._mapping["count"], row.sessions, row.departures)
        for row in rows
        if row.kind == "move"
    }
    assert moves == {
        key: (move["count"], move["sessions"], wanted.nodes[key[:2]]["visits"]) for key, move in wanted.moves.items()
    }
    assert not any(source == target for _, source, target in moves), "a step follows itself"


URLS = st.lists(st.sampled_from([*'/?#:".\\ é%ab1', "//", "https://h"]), min_size=1, max_size=20).map("".join)


def test_pages_are_labelled_by_the_first_segment_of_their_path(scratch: Scratch) -> None:
    assert {page: label(page) for page in LABELS} == LABELS
    assert labelled(scratch, list(LABELS)) == LABELS


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(URLS, min_size=1, max_size=20, unique=True))
@example(["a//b", "///", "://a", "a:b/c", "https://h//a/b"])
def test_any_text_has_a_label(scratch: Scratch, pages: list[str]) -> None:
    assert labelled(scratch, pages) == {page: label(page) for page in pages}


def labelled(scratch: Scratch, pages: list[str]) -> dict[str, str]:
    """Each page's label: every page is a session of its own, told apart by how many events it has."""
    found = {}
    for page in pages:
        asked = Asked(Visits(Span(START, START + timedelta(hours=1))), by_page=True, depth=None, first=10)
        (rows,) = scratch.rows([Event(START, "e", "u", "s", "view", page=page)], journeys(asked, 10))
        (found[page],) = [row.source for row in rows if row.kind == "node"]
    return found


@pytest.mark.parametrize(("events", "cut", "exits"), [(50, 0, 1), (51, 1, 0)])
def test_where_a_session_of_more_events_than_its_path_left_is_not_known(
    scratch: Scratch, events: int, cut: int, exits: int
) -> None:
    one = [Event(START + timedelta(seconds=n), f"e{n}", "u", "s", "view" if n % 2 else "click") for n in range(events)]
    asked = Asked(Visits(Span(START, START + timedelta(hours=1))), by_page=False, depth=None, first=10)
    (rows,) = scratch.rows(one, journeys(asked, 10))
    (whole,) = [row for row in rows if row.kind == "total"]
    nodes = {row.source: (row._mapping["count"], row.entries, row.exits) for row in rows if row.kind == "node"}
    assert (whole._mapping["count"], whole.repeats) == (1, cut)
    assert nodes == {"click": (25, 1, 0), "view": (25, 0, exits)}


def test_over_the_limit_of_sessions_no_path_is_read(scratch: Scratch) -> None:
    events = [Event(START, f"e{number}", "u", f"s{number}", "view", page="/") for number in range(5)]
    asked = Asked(Visits(Span(START, START + timedelta(hours=1))), by_page=True, depth=None, first=10)
    exact, over = scratch.rows(events, journeys(asked, 5), journeys(asked, 4))
    assert {row.kind for row in exact} == {"total", "node"}
    assert [(row.kind, row.scope, row._mapping["count"]) for row in over] == [("total", 5, 0)]


QUERY = """query ($range: TimeRange!, $by: JourneyStep!, $depth: Int, $bots: BotFilter!, $first: Int! = 200) {
  journeys(range: $range, by: $by, depth: $depth, bots: $bots, first: $first) { journeys cut
    nodes { place label visits sessions repeats entries exits entryShare exitShare exitRate }
    transitions { place from to count sessions share } } }"""


@pytest.mark.parametrize("bots", ["EXCLUDE", "INCLUDE", "ONLY"])
@pytest.mark.parametrize(("by", "depth"), [("PAGE", None), ("PAGE", 4), ("STEP", None), ("STEP", 3)])
def test_the_journeys_of_the_shop(server: Server, shop: Shop, by: str, depth: int | None, bots: str) -> None:
    start, end = NOW - timedelta(hours=3), NOW - timedelta(hours=1)
    span = {"from": start.isoformat(), "to": end.isoformat()}
    found = server.data(QUERY, range=span, by=by, depth=depth, bots=bots)["journeys"]
    own = [
        one
        for one in islands(shop.events)
        if start <= one[0].at < end and bots in {"INCLUDE", "ONLY" if by_bot(one) else "EXCLUDE"}
    ]
    wanted = told(own, by == "PAGE", depth)
    assert (found["journeys"], found["cut"]) == (wanted.begun, 0)
    assert {(node["place"] or 0, node["label"]): node["visits"] for node in found["nodes"]} == {
        key: node["visits"] for key, node in wanted.nodes.items()
    }
    for node in found["nodes"]:
        same = wanted.nodes[node["place"] or 0, node["label"]]
        assert node["entryShare"] == pytest.approx(same["entries"] / wanted.begun)
        assert node["exitShare"] == pytest.approx(same["exits"] / wanted.begun)
        assert node["exitRate"] == pytest.approx(same["exits"] / same["visits"])
    leaving: Counter[Any] = Counter()
    for move in found["transitions"]:
        place = move["place"] or 0
        assert move["count"] == wanted.moves[place, move["from"], move["to"]]["count"]
        assert move["share"] == pytest.approx(move["count"] / wanted.nodes[place, move["from"]]["visits"])
        leaving[place, move["from"]] += move["share"]
    assert len(found["transitions"]) == len(wanted.moves) > 0
    if depth is None:  # with one, the last place's way on is left out
        for node in found["nodes"]:
            assert leaving[0, node["label"]] + node["exitRate"] == pytest.approx(1)
    assert [node["visits"] for node in found["nodes"]] == sorted((n["visits"] for n in found["nodes"]), reverse=True)


def test_only_the_most_frequent_are_given_and_their_shares_stay(server: Server) -> None:
    span = {"from": (NOW - timedelta(hours=3)).isoformat(), "to": NOW.isoformat()}
    everything = server.data(QUERY, range=span, by="PAGE", depth=None, bots="EXCLUDE")["journeys"]
    few = server.data(QUERY, range=span, by="PAGE", depth=None, bots="EXCLUDE", first=2)["journeys"]
    assert few["transitions"] == everything["transitions"][:2]
    assert few["nodes"] == everything["nodes"][:2]
    assert few["journeys"] == everything["journeys"]


def test_no_sessions_no_journeys(server: Server) -> None:
    span = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}
    for by in ("PAGE", "STEP"):
        found = server.data(QUERY, range=span, by=by, depth=None, bots="INCLUDE")["journeys"]
        assert found == {"journeys": 0, "cut": 0, "nodes": [], "transitions": []}
