"""Deltas folded into real tables: what is read, joined, written and removed is what folding all rows in memory gives.

The laws themselves are in `unit/test_fold_laws.py`; here is what Postgres adds: only the rows that a delta meets are
read, and rows that were joined into others have to go.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from contracts.settings import PostgresSettings
from processing.arrow_types import typed
from processing.merge import Merged, fold_in
from processing.store import Store
from tests.examples import examples
from tests.processing.builders import GAP_MS, START_MS, Event, at, click, sale
from tests.processing.emptied import empty
from tests.processing.expected import Rows, expected, names, without_epochs
from tests.processing.folding import PROJECTIONS, Tables, as_rows, deltas, joined
from tests.processing.log_rows import Row, epochs, logged, logs

pytestmark = pytest.mark.integration

LAWS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SECOND_MS = START_MS + 2 * GAP_MS - 1_000


@pytest.fixture(scope="module")
def tables(postgres_url: str) -> Iterator[Store]:
    """One set of tables for all of these tests: making them takes longer than most."""
    store = Store(PostgresSettings(url=SecretStr(postgres_url), db_schema="merge"))
    store.create_tables()
    yield store
    store.close()


@pytest.fixture
def store(tables: Store) -> Store:
    """The tables, empty."""
    return emptied(tables)


def emptied(store: Store) -> Store:
    with store.transaction() as transaction:
        empty(transaction, names())
    return store


def fold(store: Store, *parts: Iterable[Row]) -> list[dict[str, Merged]]:
    """Fold parts in, a transaction each; returns what each did, by projection."""
    done = []
    for part in parts:
        found = deltas([*part])
        with store.transaction() as transaction:
            done.append({p.name: fold_in(transaction, p, found[p.name]) for p in PROJECTIONS if p.name in found})
    return done


def held(store: Store) -> Tables:
    """Every table as it is, in Arrow's types."""
    found = {}
    with store.transaction() as transaction:
        for each in PROJECTIONS:
            rows = typed(transaction.query(f"SELECT * FROM {each.name}"), each.table)
            found[each.name] = rows.sort_by([(key, "ascending") for key in each.keys])
    return found


def columns(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """Every column of every row, but the epoch in which it was last touched."""
    return {name: table.drop_columns("last_epoch").to_pylist() for name, table in tables.items() if table.num_rows}


def in_epochs(*parts: Sequence[Event]) -> list[list[Row]]:
    return [[logged(event, epoch=number) for event in part] for number, part in enumerate(parts, start=1)]


@settings(LAWS, max_examples=examples(6))
@given(epochs(), st.permutations(range(4)), st.booleans())
def test_epochs_folded_in_any_order_leave_what_one_batch_would_and_the_oracle_says(
    tables: Store, parts: list[list[Row]], order: list[int], in_turn: bool
) -> None:
    log = [row for part in parts for row in part]
    emptied(tables)
    fold(tables, *(parts[number] for number in (range(4) if in_turn else order)))
    found, wanted = held(tables), expected(log)
    assert columns(found) == columns(joined(deltas(log)))
    if in_turn:
        assert as_rows(found) == wanted
    else:
        assert without_epochs(as_rows(found)) == without_epochs(wanted)


@settings(LAWS, max_examples=examples(1))
@given(logs(10))
def test_one_event_per_epoch_backwards_leaves_what_the_oracle_says(tables: Store, log: list[Row]) -> None:
    emptied(tables)
    fold(tables, *([row] for row in reversed(log)))
    assert without_epochs(as_rows(held(tables))) == without_epochs(expected(log))


@pytest.mark.parametrize(
    ("bridge_ms", "sessions"),
    [(-500, 2), (0, 2), (500, 1), (1_000, 2), (1_500, 2)],
    ids=["the first only", "exactly the gap from the second", "both", "exactly the gap from the first", "the second"],
)
def test_a_late_event_joins_two_sessions_only_if_it_is_less_than_the_gap_from_both(
    store: Store, bridge_ms: int, sessions: int
) -> None:
    # The bridge is (gap - bridge_ms) before the second and (gap - 1000 + bridge_ms) after the first.
    bridge = click("bridge", timestamp=SECOND_MS - GAP_MS + bridge_ms)
    parts = in_epochs([click("first"), click("second", timestamp=SECOND_MS)], [bridge])
    _, done = fold(store, *parts)
    assert len(as_rows(held(store))["sessions"]) == sessions
    assert as_rows(held(store)) == expected(parts[0] + parts[1])
    moved = sessions == 1 or bridge_ms > 500  # the second begins with the bridge, or is no more
    assert done["sessions"].gone["started_at"].to_pylist() == [at(SECOND_MS)] * moved


def test_a_session_that_begins_earlier_than_was_known_moves(store: Store) -> None:
    _, done = fold(store, *in_epochs([click("b")], [click("a", timestamp=START_MS - 1000)]))
    assert done["sessions"].gone.to_pylist() == [{"session_id": "s1", "started_at": at(START_MS)}]
    assert list(as_rows(held(store))["sessions"]) == [("s1", at(START_MS - 1000))]
    assert {name: each.gone.num_rows for name, each in done.items() if name != "sessions"} == dict.fromkeys(
        set(names()) - {"sessions"}, 0
    )


def test_late_events_within_a_long_session_join_it_however_far_apart_they_are(store: Store) -> None:
    half = GAP_MS // 2
    long = [click(f"e{n}", timestamp=START_MS + n * half) for n in range(9)]
    inside = [click(f"i{n}", timestamp=START_MS + n * half + 1) for n in (0, 4, 7)]
    parts = in_epochs(long, inside)
    fold(store, *parts)
    assert len(as_rows(held(store))["sessions"]) == 1
    assert as_rows(held(store)) == expected(parts[0] + parts[1])


def touched(done: dict[str, Merged]) -> dict[str, Rows]:
    return as_rows({name: each.written for name, each in done.items()})


def test_what_a_fold_returns_are_the_rows_it_wrote_as_the_table_holds_them_and_no_others(store: Store) -> None:
    others = {"user_id": "u2", "session_id": "s2", "product_id": "p2", "category": "toys"}
    before = [click("a", action="click"), click("b", **others), sale("c", **others, order_id="o2")]
    parts = in_epochs(
        [*before, click("d", action="click", timestamp=START_MS + 1)], [sale("e", timestamp=START_MS + 2)]
    )
    _, done = fold(store, *parts)
    rows = as_rows(held(store))
    for name, written in touched(done).items():
        assert written == {key: rows[name][key] for key in written}
        assert {row["last_epoch"] for row in written.values()} == {2}
        assert all(row["last_epoch"] == 1 for key, row in rows[name].items() if key not in written)
    counts = {name: len(written) for name, written in touched(done).items()}
    assert counts == dict.fromkeys(names(), 1) | {"conversions": 3}  # the purchase and both clicks that it converts


def test_a_purchase_changes_the_clicks_before_it_and_none_that_it_does_not_convert(store: Store) -> None:
    ten_minutes = 600_000
    clicks = [click(f"c{n}", action="click", timestamp=START_MS + n * ten_minutes) for n in range(4)]
    near: dict[str, Any] = {"action": "click", "timestamp": START_MS + 2 * ten_minutes}
    others = [click("u", user_id="u2", **near), click("v", product_id="p2", **near)]
    purchases = (sale("p", timestamp=START_MS + 2 * ten_minutes), sale("q", timestamp=START_MS - 1))
    parts = in_epochs([*clicks, *others], *([purchase] for purchase in purchases))
    done = fold(store, *parts)
    rows = as_rows(held(store))["conversions"]
    led_to = {key[3]: row["purchase_id"] for key, row in rows.items() if not key[4]}
    assert led_to == {"c0": None, "c1": "p", "c2": "p", "c3": None, "u": None, "v": None}
    assert rows == expected([row for part in parts for row in part])["conversions"]
    assert sorted(key[3] for key in touched(done[1])["conversions"]) == ["c1", "c2", "p"]
    assert sorted(key[3] for key in touched(done[2])["conversions"]) == ["q"]


def test_a_click_that_comes_after_its_purchase_is_converted_and_meets_no_others_click(store: Store) -> None:
    purchase = sale("p", timestamp=START_MS + 600_000)
    first = click("c1", action="click", timestamp=START_MS + 1)
    second = click("c2", action="click", timestamp=START_MS)
    _, _, done = fold(store, *in_epochs([purchase], [first], [second]))
    rows = as_rows(held(store))["conversions"]
    assert {key[3]: row["purchase_id"] for key, row in rows.items() if not key[4]} == {"c1": "p", "c2": "p"}
    assert sorted(key[3] for key in touched(done)["conversions"]) == ["c2", "p"]


def test_a_fold_that_fails_leaves_nothing(store: Store) -> None:
    fold(store, *in_epochs([click("b")]))
    before = held(store)

    def fail() -> None:
        found = deltas([logged(click("a", timestamp=START_MS - 1), epoch=2)])
        with store.transaction() as transaction:
            for projection in PROJECTIONS:
                if projection.name in found:
                    fold_in(transaction, projection, found[projection.name])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert held(store) == before
    fold(store, [logged(click("c"), epoch=2)])
    assert as_rows(held(store))["site_minutes"].popitem()[1]["events"] == 2


def test_sketches_stay_mergeable_past_4096_users(store: Store) -> None:
    log = [logged(click(f"e{n}", user_id=f"user-{n}", session_id="s1")) for n in range(6_000)]
    fold(store, log[4_000:], log[:2_000], log[2_000:4_000])
    rows, wanted = as_rows(held(store)), expected(log)
    for name in ("product_minutes", "category_minutes", "site_minutes"):
        assert rows[name] == wanted[name]


def test_the_longest_ids_and_categories_in_the_widest_characters_find_room(store: Store) -> None:
    wide = "🛒" * 127
    names: dict[str, Any] = {"user_id": wide + "u", "session_id": wide + "s", "product_id": wide + "p"}
    names["category"] = "🛒" * 256
    parts = in_epochs(
        [click(wide + "c", action="click", **names), click(wide + "a", action="add_to_cart", **names)],
        [sale(wide + "t", order_id=wide + "o", timestamp=START_MS + 1_000, **names)],
    )
    fold(store, *parts)
    assert as_rows(held(store)) == expected(parts[0] + parts[1])
