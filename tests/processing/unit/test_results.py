"""Results: rows as JSON texts, exact and in milliseconds; a row that cannot be sent holds up no epoch."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from contracts.settings import KafkaSettings
from processing.merge import Merged
from processing.results import ResultsPublisher
from tests.processing.builders import START_MS, click, sale
from tests.processing.folding import PROJECTIONS, folded
from tests.processing.log_rows import Row, logged

pytestmark = pytest.mark.unit

NOBODY = KafkaSettings(bootstrap="127.0.0.1:1")


@pytest.fixture
def publisher() -> Iterator[ResultsPublisher]:
    publisher = ResultsPublisher(NOBODY)
    yield publisher
    publisher._producer.purge()
    publisher.close()


def merged(name: str, *log: Row) -> Merged:
    (projection,) = (each for each in PROJECTIONS if each.name == name)
    rows = folded([log], [projection])[name]
    return Merged(projection, rows, rows.select(list(projection.keys)).slice(0, 0))


def texts(publisher: ResultsPublisher, of: Merged) -> list[tuple[Any, Any]]:
    found = publisher._texts(of.projection.table, of.written)
    return [(json.loads(key), json.loads(row, parse_float=Decimal)) for key, row in found]


def test_a_row_is_its_columns_without_sketches_lists_and_texts_that_only_merges_read(
    publisher: ResultsPublisher,
) -> None:
    widest = Decimal("99999999999999.9999")
    log = [logged(sale(f"t{n}", amount=widest, timestamp=START_MS + 7)) for n in range(3)]
    ((key, row),) = texts(publisher, merged("site_minutes", *log))
    assert key == {"minute": "2026-03-01T12:00:00.000Z", "bot": False}
    assert row["revenue"] == 3 * widest
    assert {"users", "buyers"}.isdisjoint(row)
    ((key, row),) = texts(publisher, merged("sessions", *log))
    assert key == {"session_id": "s1", "started_at": "2026-03-01T12:00:00.007Z"}
    assert row["viewed_at"] is None
    assert "path" not in row
    assert not [name for name in row if name.endswith("_key")]


def test_a_text_of_any_characters_is_valid_json(publisher: ResultsPublisher) -> None:
    page = '"\\\n\x01\u2028ünï🛒</script>'
    ((_, row),) = texts(publisher, merged("sessions", logged(click(page_url=page))))
    assert row["entry_page"] == page


def test_a_row_too_large_for_kafka_is_counted_and_the_next_epoch_is_published() -> None:
    failures: list[int] = []
    publisher = ResultsPublisher(NOBODY, lambda: failures.append(1))
    large = merged("sessions", logged(click(page_url="x" * 2_000_000)))
    publisher.publish(1, [large])
    publisher.publish(2, [merged("site_minutes", logged(click()))])
    publisher._handover.close()
    assert publisher._handover.failure is None
    assert failures == [1]
    assert len(publisher._producer) == 1
    publisher._producer.purge()


def test_rows_that_are_gone_become_tombstones(publisher: ResultsPublisher, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str | None]] = []
    monkeypatch.setattr(publisher, "_produce", lambda key, value: sent.append((key, value)))
    one = merged("sessions", logged(click()))
    gone = pa.table({"session_id": ["s9"], "started_at": one.written["started_at"]})
    publisher.publish(4, [Merged(one.projection, one.written.slice(0, 0), gone)])
    publisher._handover.close()
    assert sent == [('sessions:{"session_id":"s9","started_at":"2026-03-01T12:00:00.000Z"}', None)]
