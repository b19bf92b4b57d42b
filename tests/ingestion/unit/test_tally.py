"""What a worker tells the books: counts that only grow, told until the broker has them."""

import msgspec
import pytest

from ingestion.tally import Tally
from ingestion.validate import Record

pytestmark = pytest.mark.unit


def records(*topics: str) -> list[Record]:
    return [Record(topic, None, b"", "") for topic in topics]


def test_a_worker_that_has_answered_for_nothing_has_no_news() -> None:
    assert Tally().news() is None


def test_it_tells_the_sum_since_its_start_until_the_broker_has_it() -> None:
    tally = Tally()
    tally.count(records("clickstream", "clickstream", "rejected"))
    first = tally.news()
    assert first is not None
    assert msgspec.json.decode(first) == {"clickstream": 2, "rejected": 1}
    assert tally.news() == first  # not known to have arrived
    tally.count(records("transactions"))
    tally.told(first)
    second = tally.news()
    assert second is not None
    assert msgspec.json.decode(second) == {"clickstream": 2, "rejected": 1, "transactions": 1}
    tally.told(second)
    assert tally.news() is None


def test_every_start_is_another_worker() -> None:
    assert Tally().worker != Tally().worker
