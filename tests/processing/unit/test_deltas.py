"""Each projection's delta on DuckDB against the oracle."""

from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.settings import ShopSettings
from processing.deltas import DuckDeltas
from processing.projections import build_projections
from tests.processing.builders import GAP_MS, START_MS, Event, at, click, event_table, id_of, sale, unique_streams
from tests.processing.expected import PROJECTED, Rows, expected, spelled

pytestmark = pytest.mark.unit

PROJECTIONS = build_projections(ShopSettings())
ENGINE = DuckDeltas()


def deltas(events: list[Event], late: frozenset[str] = frozenset()) -> dict[str, pa.Table]:
    return {p.name: delta for p, delta in ENGINE.deltas(event_table(events, late=late), PROJECTIONS)}


def sessions(events: list[Event]) -> Rows:
    return spelled("sessions", deltas(events)["sessions"])


def test_every_projected_table_has_its_projection() -> None:
    assert [projection.table for projection in PROJECTIONS] == list(PROJECTED)


@settings(max_examples=60, deadline=None)
@given(unique_streams(), st.frozensets(st.integers(0, 40).map("e{}".format), max_size=10))
def test_the_delta_of_all_events_is_what_the_oracle_says(events: list[Event], late: frozenset[str]) -> None:
    wanted = expected(events, late)
    for name, delta in deltas(events, late).items():
        assert spelled(name, delta) == wanted[name]


@settings(max_examples=15, deadline=None)
@given(unique_streams(), st.randoms(use_true_random=False))
def test_the_order_of_events_within_an_epoch_does_not_show(events: list[Event], random: object) -> None:
    shuffled = sorted(events, key=lambda _: random.random())  # type: ignore[attr-defined]  # hypothesis types it loosely
    ordered, other = deltas(events), deltas(shuffled)
    assert {name: spelled(name, ordered[name]) for name in ordered} == {
        name: spelled(name, other[name]) for name in other
    }


@pytest.mark.parametrize(
    ("apart_ms", "islands"),
    [(GAP_MS - 1, 1), (GAP_MS, 2), (GAP_MS + 1, 2)],
    ids=["just under the gap", "exactly the gap", "just over the gap"],
)
def test_events_less_than_the_gap_apart_are_one_session(apart_ms: int, islands: int) -> None:
    found = sessions([click("a"), click("b", timestamp=START_MS + apart_ms)])
    assert len(found) == islands
    assert sum(row["events"] for row in found.values()) == 2


def test_the_gap_is_between_neighbours_and_not_from_the_start() -> None:
    events = [click(str(n), timestamp=START_MS + n * (GAP_MS - 1)) for n in range(4)]
    ((key, row),) = sessions(events).items()
    assert key == ("s1", at(START_MS))
    assert row["ended_at"] - key[1] == timedelta(milliseconds=3 * (GAP_MS - 1))


def test_the_path_keeps_the_first_50_steps_and_the_sums_keep_all() -> None:
    events = [click(f"e{n:03}", timestamp=START_MS + n * 1000) for n in range(60)]
    (row,) = sessions(events[::-1]).values()
    assert [step[1] for step in row["path"]] == [id_of(event) for event in events[:50]]
    assert row["views"] == 60


def test_two_users_in_one_session_id_are_one_session_of_the_first() -> None:
    (row,) = sessions([click("b", user_id="late", timestamp=START_MS + 1), click("a", user_id="early")]).values()
    assert row["user_id"] == "early"


def test_a_refund_is_counted_apart_and_never_subtracted() -> None:
    site = spelled("site_minutes", deltas([sale("a"), sale("b", kind="refund")])["site_minutes"])
    (row,) = site.values()
    assert (str(row["revenue"]), str(row["refunded"])) == ("9.9900", "9.9900")
    assert (row["purchases"], row["refunds"], row["units"], row["events"]) == (1, 1, 1, 2)


def test_sums_of_money_are_exact_at_the_widest_amounts() -> None:
    widest = Decimal("99999999999999.9999")
    site = spelled("site_minutes", deltas([sale(str(n), amount=widest) for n in range(1000)])["site_minutes"])
    (row,) = site.values()
    assert row["revenue"] == widest * 1000


def test_columns_and_types_of_a_delta_are_those_of_its_table() -> None:
    for name, delta in deltas([click(), sale()]).items():
        table = next(projection.table for projection in PROJECTIONS if projection.name == name)
        assert set(delta.column_names) <= {column.name for column in table.columns}
        assert {column.name for column in table.primary_key} <= set(delta.column_names)
        assert not any(pa.types.is_null(field.type) for field in delta.schema)
