"""Faults: as many as asked, nowhere else, and each bad kind spoils exactly one thing."""

from collections import Counter

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.rejections import Reason
from loadtest.facts import to_fact
from loadtest.faults import FaultRates, Kind, Sending, inject
from loadtest.invalid import KINDS
from loadtest.shop import Shop
from loadtest.visits import ShopEvent

pytestmark = pytest.mark.unit

START_MS = 1_700_000_000_000
EVENTS = list(Shop(9, transactions_share=0.2).events(200, seconds=20))
ALL = FaultRates(duplicates=0.05, conflicts=0.02, late=0.05, out_of_order=0.1, invalid=0.1)


def _sent(rates: FaultRates, events: list[ShopEvent] = EVENTS, seed: int = 1) -> list[Sending]:
    return list(inject(events, rates, seed, START_MS))


def test_without_faults_the_stream_goes_out_as_it_is() -> None:
    sendings = _sent(FaultRates())
    assert [sending.body for sending in sendings] == [event.stamped(START_MS) for event in EVENTS]
    assert {sending.kind for sending in sendings} == {Kind.VALID}


def test_the_same_seed_gives_the_same_sendings() -> None:
    assert [repr(s) for s in _sent(ALL)] == [repr(s) for s in _sent(ALL)] != [repr(s) for s in _sent(ALL, seed=2)]


@settings(max_examples=10, deadline=None)
@given(st.builds(FaultRates, *[st.floats(0, 1)] * 5), st.integers(0, 99))
def test_whatever_the_faults_every_event_is_sent_once_and_only_late_ones_are_changed(
    rates: FaultRates, seed: int
) -> None:
    events = EVENTS[:300]
    originals = [s for s in _sent(rates, events, seed) if s.kind in {Kind.VALID, Kind.LATE, Kind.OUT_OF_ORDER}]
    due = {repr(sorted(event.stamped(START_MS).items())) for event in events if event.body}
    assert len(originals) == len(events)
    assert all(repr(sorted(s.body.items())) in due for s in originals if s.kind is not Kind.LATE)


def test_sendings_leave_in_the_order_of_their_times() -> None:
    times = [sending.due_ms for sending in _sent(ALL)]
    assert times == sorted(times)


def test_faults_strike_as_often_as_asked() -> None:
    kinds = Counter(sending.kind for sending in _sent(ALL))
    for kind, share in {Kind.DUPLICATE: 0.05, Kind.CONFLICT: 0.02, Kind.LATE: 0.05, Kind.INVALID: 0.1}.items():
        assert kinds[kind] / len(EVENTS) == pytest.approx(share, rel=0.4)


def test_a_duplicate_equals_and_a_conflict_differs_from_the_event_of_its_id() -> None:
    sendings = _sent(ALL)
    firsts = {s.event_id: s for s in sendings if s.kind in {Kind.VALID, Kind.LATE, Kind.OUT_OF_ORDER}}
    for sending in sendings:
        if sending.kind is Kind.DUPLICATE:
            assert sending.body == firsts[sending.event_id].body
        elif sending.kind is Kind.CONFLICT:
            assert to_fact(sending.body) != to_fact(firsts[sending.event_id].body)
            assert sending.body["user_id"] == firsts[sending.event_id].body["user_id"]


def test_a_storm_is_an_event_a_thousand_times() -> None:
    times = Counter(repr(sending) for sending in _sent(FaultRates(storms=0.01)) if sending.kind is Kind.DUPLICATE)
    assert set(times.values()) == {999}
    assert 0 < len(times) < 0.03 * len(EVENTS)


def test_copies_come_as_late_as_is_asked_for_and_at_every_distance_up_to_it() -> None:
    hour = [
        ShopEvent(number * 400, EVENTS[number % len(EVENTS)].body | {"event_id": f"e{number}"})
        for number in range(9_000)
    ]
    firsts, distances = {}, []
    for sending in _sent(FaultRates(duplicates=0.5, resent_after_ms=(1_000, 330_000)), hour):
        if sending.kind is Kind.VALID:
            firsts[repr(sending.body)] = sending.due_ms
        else:
            distances.append(sending.due_ms - firsts[repr(sending.body)])
    minutes = Counter(distance // 60_000 for distance in distances if distance)
    assert set(minutes) == {0, 1, 2, 3, 4, 5}
    assert max(distances) <= 330_000


def test_late_ones_lie_six_to_sixty_minutes_back() -> None:
    times = {event.body.get("event_id") or event.body["transaction_id"]: event.at_ms for event in EVENTS}
    lags = [
        START_MS + times[s.event_id] - s.body["timestamp"] for s in _sent(FaultRates(late=1.0)) if s.kind is Kind.LATE
    ]
    assert len(lags) == len(EVENTS)
    assert min(lags) >= 6 * 60_000
    assert max(lags) <= 60 * 60_000


def test_invalid_ones_have_ids_of_their_own() -> None:
    sendings = _sent(FaultRates(invalid=1.0))
    good = {s.event_id for s in sendings if s.kind is Kind.VALID}
    bad = {s.event_id for s in sendings if s.kind is Kind.INVALID}
    assert len(bad) == len(good)
    assert not good & bad
    bodies = [s.body for s in sendings if s.kind is Kind.INVALID and isinstance(s.body, dict)]
    assert not good & {body.get("event_id") or body.get("transaction_id") for body in bodies}


def test_every_bad_kind_is_used_and_differs_from_a_good_event_in_one_field() -> None:
    for kind in KINDS:
        event = next(e.stamped(START_MS) for e in EVENTS if kind.only in {None, e.body["type"]})
        spoilt = kind.spoil(event)
        if isinstance(spoilt, bytes):
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(spoilt)
            continue
        changed = {name for name in event | spoilt if event.get(name) != spoilt.get(name)}
        assert len(changed - {"type"}) == 1
    used = {s.fault for s in _sent(FaultRates(invalid=1.0)) if s.kind is Kind.INVALID}
    assert used == {kind.name for kind in KINDS}


def test_reasons_no_event_can_be_made_for_here_are_these_and_no_others() -> None:
    """Avro's need Avro, the size limit a body of its own, "too old" a gateway set so, "erased" an erased person."""
    elsewhere = {
        Reason.USER_ERASED,
        Reason.MALFORMED_AVRO,
        Reason.UNKNOWN_SCHEMA,
        Reason.EVENT_TOO_LARGE,
        Reason.TIMESTAMP_TOO_OLD,
    }
    assert set(Reason) - {kind.reason for kind in KINDS} == elsewhere
