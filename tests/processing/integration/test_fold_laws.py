"""The laws of the fold, for every projection, through the real merges: neither cuts, order nor batching can show.

Each example folds a stream in epochs, empties the tables, folds it as one batch, and compares every column but
`revision` and `last_epoch`, which say how often and when a row was touched.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.settings import ShopSettings
from processing.deltas import DuckDeltas
from processing.projections import build_projections
from processing.store import Store
from tests.processing.builders import GAP_MS, START_MS, Event, at, click, event_table, sale, unique_streams
from tests.processing.expected import MINUTE_TABLES, PROJECTED, Rows, columns_held, expected, held

pytestmark = pytest.mark.integration

PROJECTIONS = build_projections(ShopSettings())
ENGINE = DuckDeltas()
LAWS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NO_IDS: frozenset[str] = frozenset()
LATE = st.frozensets(st.integers(0, 40).map("e{}".format), max_size=10)


def empty(store: Store) -> None:
    with store.transaction() as transaction:
        transaction.execute("TRUNCATE " + ", ".join(table.name for table in PROJECTED))


def fold(store: Store, epochs: Iterable[Sequence[Event]], late: frozenset[str] = NO_IDS) -> list[dict[str, pa.Table]]:
    """Fold epochs in, a transaction each; returns what each changed, by projection."""
    changed = []
    for number, events in enumerate(epochs, start=1):
        with store.transaction() as transaction:
            deltas = ENGINE.deltas(event_table(events, number, late), PROJECTIONS) if events else ()
            changed.append({each.name: each.merge.apply(transaction, delta, number) for each, delta in deltas})
    return changed


def found(store: Store) -> dict[str, Rows]:
    with store.transaction() as transaction:
        return held(transaction)


def columns(store: Store) -> dict[str, list[dict[str, Any]]]:
    with store.transaction() as transaction:
        return columns_held(transaction)


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[list[Event], list[list[Event]]]:
    """A stream, and the same events dealt out to a few epochs in any order."""
    events = draw(unique_streams(24))
    places = draw(st.lists(st.integers(0, 3), min_size=len(events), max_size=len(events)))
    return events, [[e for e, place in zip(events, places, strict=True) if place == n] for n in range(4)]


@settings(LAWS, max_examples=25)
@given(cut_streams(), LATE, st.permutations(range(4)))
def test_any_split_into_epochs_in_any_order_equals_one_batch_and_the_oracle(
    store: Store, cut: tuple[list[Event], list[list[Event]]], late: frozenset[str], order: list[int]
) -> None:
    events, epochs = cut
    empty(store)
    fold(store, [epochs[number] for number in order], late)
    in_epochs, rows = columns(store), found(store)
    empty(store)
    fold(store, [events], late)
    assert in_epochs == columns(store)
    assert rows == expected(events, late)


@settings(LAWS, max_examples=10)
@given(unique_streams(12))
def test_one_event_per_epoch_backwards_equals_the_oracle(store: Store, events: list[Event]) -> None:
    empty(store)
    fold(store, [[event] for event in reversed(events)])
    assert found(store) == expected(events)


@settings(LAWS, max_examples=10)
@given(unique_streams())
def test_the_categories_sum_up_to_the_site(store: Store, events: list[Event]) -> None:
    sums = ("events", "views", "clicks", "searches", "adds", "removes", "checkouts", "purchases", "units", "refunds")
    totals = ", ".join(f"sum({name})::text" for name in (*sums, "revenue", "refunded", "late"))
    empty(store)
    fold(store, [events[::2], events[1::2]])
    with store.transaction() as transaction:
        site, categories = (
            transaction.query(f"SELECT minute, {totals} FROM {name} GROUP BY minute ORDER BY minute").to_pydict()
            for name in ("site_minutes", "category_minutes")
        )
    assert site == categories


@pytest.mark.parametrize(
    ("bridge_ms", "sessions"),
    [(-500, 2), (0, 2), (500, 1), (1_000, 2), (1_500, 2)],
    ids=["the first only", "exactly the gap from the second", "both", "exactly the gap from the first", "the second"],
)
def test_a_late_event_joins_two_sessions_only_if_it_is_less_than_the_gap_from_both(
    store: Store, bridge_ms: int, sessions: int
) -> None:
    second_ms = START_MS + 2 * GAP_MS - 1_000
    # The bridge is (gap - bridge_ms) before the second and (gap - 1000 + bridge_ms) after the first.
    bridge = click("bridge", timestamp=second_ms - GAP_MS + bridge_ms)
    events = [click("first"), click("second", timestamp=second_ms), bridge]
    fold(store, [events[:2], [bridge]])
    assert len(found(store)["sessions"]) == sessions
    assert found(store) == expected(events)


def test_late_events_within_a_long_session_join_it_however_far_apart_they_are(store: Store) -> None:
    half = GAP_MS // 2
    long = [click(f"e{n}", timestamp=START_MS + n * half) for n in range(9)]
    inside = [click(f"i{n}", timestamp=START_MS + n * half + 1) for n in (0, 4, 7)]
    fold(store, [long, inside])
    assert len(found(store)["sessions"]) == 1
    assert found(store) == expected([*long, *inside])


def test_a_session_that_begins_earlier_than_was_known_moves_and_leaves_a_tombstone(store: Store) -> None:
    _, changed = fold(store, [[click("b")], [click("a", timestamp=START_MS - 1000)]])
    rows = {json.loads(row["key"])["started_at"]: row["row"] for row in changed["sessions"].to_pylist()}
    assert list(found(store)["sessions"]) == [("s1", at(START_MS - 1000))]
    assert rows.pop("2026-03-01T12:00:00+00:00") is None
    assert list(rows) == ["2026-03-01T11:59:59+00:00"]


def test_what_a_merge_returns_is_what_the_table_holds(store: Store) -> None:
    _, changed = fold(store, [[click("a"), sale("b")], [click("c", product_id="p2", timestamp=START_MS + 60_000)]])
    for table in PROJECTED:
        with store.transaction() as transaction:
            kept = transaction.query(f"SELECT to_jsonb(t)::text AS row FROM {table.name} t WHERE last_epoch = 2")
        (row,), (wanted,) = (
            [json.loads(text) for text in each["row"].to_pylist()] for each in (changed[table.name], kept)
        )
        assert row.items() <= wanted.items()
        assert {key.name for key in table.primary_key} <= row.keys()


def test_the_revision_counts_the_epochs_that_brought_late_events(store: Store) -> None:
    epochs = [[click("a")], [click("b")], [click("c"), click("d")], [click("e")]]
    fold(store, epochs, frozenset({"b", "c", "d"}))
    with store.transaction() as transaction:
        for table in PROJECTED:
            (row,) = transaction.query(f"SELECT late, revision, last_epoch, events FROM {table.name}").to_pylist()
            assert row == {"late": 3, "revision": 2, "last_epoch": 4, "events": 5}


def test_sketches_stay_mergeable_past_4096_users(store: Store) -> None:
    events = [click(f"e{n}", user_id=f"user-{n}", session_id=f"s{n}") for n in range(9_000)]
    fold(store, [events[5_000:], events[:2_000], events[2_000:5_000]])
    rows, wanted = found(store), expected(events)
    for table in MINUTE_TABLES:
        assert rows[table.name] == wanted[table.name]
