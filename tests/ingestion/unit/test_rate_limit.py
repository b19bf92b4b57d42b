"""The token bucket: boundaries, debts, shares, and what the headers say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from contracts.keys import Key as WriteKey
from contracts.metrics import GATEWAY, Instruments
from ingestion.errors import RequestRefusedError
from ingestion.rate_limit import RateLimiter

pytestmark = pytest.mark.unit

COUNTER = "millrace_gateway_rate_limited_requests_total"


def key(rate: float | None, burst: int | None = None, source: str = "shop") -> WriteKey:
    return WriteKey(source, "00", frozenset({"write"}), rate=rate, burst=burst)


class Moment:
    """A limiter and a clock moved by hand."""

    def __init__(self, share: float = 1.0) -> None:
        self.now = 100.0
        instruments = Instruments(GATEWAY, CollectorRegistry())
        self.refused = instruments.counter(COUNTER)
        self.limiter = RateLimiter(share, self.refused, lambda: self.now)

    def takes(self, wanted: WriteKey, events: int) -> bool:
        try:
            self.limiter.take(wanted, events)
        except RequestRefusedError:
            return False
        return True


def test_a_key_without_a_rate_is_never_limited_and_gets_no_headers() -> None:
    at = Moment()
    assert [at.limiter.take(key(None), 10_000) for _ in range(100)] == [()] * 100


def test_the_burst_is_there_at_once_and_one_more_is_not() -> None:
    at = Moment()
    assert [at.takes(key(10, 3), 1) for _ in range(4)] == [True, True, True, False]


def test_a_source_that_was_quiet_saves_up_no_more_than_a_burst() -> None:
    at = Moment()
    at.takes(key(10, 3), 1)
    at.now += 3600
    assert [at.takes(key(10, 3), 1) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(("seconds", "taken"), [(0.099, False), (0.1, True), (0.101, True)])
def test_tokens_come_back_at_the_rate(seconds: float, taken: bool) -> None:
    at = Moment()
    at.takes(key(10, 3), 3)
    at.now += seconds
    assert at.takes(key(10, 3), 1) is taken


def test_a_batch_larger_than_the_burst_is_taken_when_full_and_paid_for_afterwards() -> None:
    at = Moment()
    assert at.takes(key(10, 20), 100)
    at.now += 8.0  # the debt of 80 is paid; the bucket is empty
    assert not at.takes(key(10, 20), 1)
    at.now += 1.9
    assert not at.takes(key(10, 20), 100)
    at.now += 0.11
    assert at.takes(key(10, 20), 100)


def test_a_refused_request_costs_nothing_and_is_counted() -> None:
    at = Moment()
    at.takes(key(1, 2), 2)
    assert not any(at.takes(key(1, 2), 1) for _ in range(50))
    at.now += 1
    assert at.takes(key(1, 2), 1)
    assert at.refused.labels("shop")._value.get() == 50


def test_keys_of_one_source_share_a_bucket_and_sources_do_not() -> None:
    at = Moment()
    assert at.takes(key(1, 1), 1)
    assert not at.takes(key(1, 1), 1)
    assert at.takes(key(1, 1, "other"), 1)


def test_a_worker_gives_its_share_and_at_least_one_event_at_once() -> None:
    half = Moment(0.5)
    assert [half.takes(key(10, 4), 1) for _ in range(3)] == [True, True, False]
    half.now += 0.19
    assert not half.takes(key(10, 4), 1)
    half.now += 0.02
    assert half.takes(key(10, 4), 1)
    assert Moment(0.01).takes(key(10, 4), 1)


def test_the_early_check_refuses_what_no_request_could_be_taken_for_and_costs_nothing() -> None:
    at = Moment()
    for _ in range(5):
        at.limiter.check(key(10, 2))
    assert at.takes(key(10, 2), 2)
    with pytest.raises(RequestRefusedError, match="rate_limited"):
        at.limiter.check(key(10, 2))


def test_the_headers_tell_what_is_left_and_when_to_come_back() -> None:
    at = Moment()
    assert dict(at.limiter.take(key(10, 50), 20)) == {
        "ratelimit-policy": '"source";q=50;w=5;qu="events"', "ratelimit": '"source";r=30;t=2',
    }  # fmt: skip
    with pytest.raises(RequestRefusedError) as refused:
        at.limiter.take(key(10, 50), 50)
    assert dict(refused.value.headers) == {
        "retry-after": "2", "ratelimit-policy": '"source";q=50;w=5;qu="events"', "ratelimit": '"source";r=30;t=2',
    }  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0, 3)), min_size=1, max_size=60),
    st.integers(1, 20),
    st.integers(1, 30),
)
def test_over_any_time_no_more_passes_than_burst_rate_and_one_batch_of_debt(
    requests: list[tuple[int, float]], rate: int, burst: int
) -> None:
    at = Moment()
    began, passed = at.now, 0
    for events, pause in requests:
        at.now += pause
        passed += events if at.takes(key(rate, burst), events) else 0
    assert passed <= burst + rate * (at.now - began) + 50


@given(st.integers(1, 500), st.integers(1, 20), st.integers(1, 30))
def test_whoever_waits_as_long_as_told_is_taken(events: int, rate: int, burst: int) -> None:
    at = Moment()
    at.takes(key(rate, burst), burst)
    with pytest.raises(RequestRefusedError) as refused:
        at.limiter.take(key(rate, burst), events)
    at.now += int(dict(refused.value.headers)["retry-after"])
    assert at.takes(key(rate, burst), events)
