"""The recording's mapping, on a file made by hand in the same form."""

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from loadtest.replay import COLUMNS, RecordingError, count, read_rows, to_events, to_sendings

pytestmark = pytest.mark.unit

TEXT = (
    ",".join(COLUMNS)
    + """
2019-10-01 00:00:00 UTC,view,100,900,,shiseido,35.79,1,aaaa
2019-10-01 00:00:05 UTC,cart,100,900,books.novel,,35.79,1,aaaa
2019-10-01 00:00:05 UTC,cart,100,900,books.novel,,35.79,1,aaaa
2019-10-01 00:00:10 UTC,purchase,100,900,books.novel,acme,35.79,1,aaaa
2019-10-01 00:00:10 UTC,purchase,101,900,books.novel,acme,0.00,2,bbbb
"""
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "recording.csv.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    return path


def test_views_carts_and_purchases_become_our_events(file: Path) -> None:
    view, cart, _, purchase, _ = to_events(read_rows(file))
    assert (view["action"], view["category"], view["properties"]) == ("view", "900", {"brand": "shiseido"})
    assert (cart["action"], cart["category"], cart["properties"]) == ("add_to_cart", "books.novel", {})
    assert cart["timestamp"] == 1_569_888_005_000
    assert {name: purchase[name] for name in ("type", "amount", "quantity", "payment_method", "session_id")} == {
        "type": "transaction",
        "amount": "35.79",
        "quantity": 1,
        "payment_method": "unknown",
        "session_id": "aaaa",
    }


def test_exact_repeats_are_events_of_their_own_and_ids_are_the_same_each_time(file: Path) -> None:
    def ids() -> list[str]:
        return [event.get("event_id") or event["transaction_id"] for event in to_events(read_rows(file))]

    assert len(set(ids())) == 5
    assert ids() == ids()


def test_an_id_depends_on_the_row_alone_and_not_on_its_place(file: Path) -> None:
    rows = list(read_rows(file))
    backwards = {str(sorted(event.items())) for event in to_events(reversed(rows))}
    assert backwards == {str(sorted(event.items())) for event in to_events(rows)}


def test_sendings_keep_the_recorded_distances(file: Path) -> None:
    assert [sending.due_ms for sending in to_sendings(to_events(read_rows(file)))] == [0, 5000, 5000, 10_000, 10_000]


def test_the_count_is_made_from_the_rows(file: Path) -> None:
    totals = count(read_rows(file))
    assert (totals.rows, totals.views, totals.carts, totals.purchases) == (5, 1, 2, 2)
    assert (totals.revenue, totals.users, totals.sessions, totals.products) == (Decimal("35.79"), 2, 2, 2)
    assert (str(totals.first_at), str(totals.last_at)) == ("2019-10-01 00:00:00+00:00", "2019-10-01 00:00:10+00:00")


def test_a_plain_file_reads_as_well(tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text(TEXT)
    assert count(read_rows(tmp_path / "plain.csv")).rows == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "columns are not"),
        (TEXT + "2019-10-01 00:00:00 UTC,view\n", "line 7: 9 values"),
        (TEXT.replace("view", "wish"), "no event can be made"),
        (TEXT.replace("0.00", "free"), "no event can be made"),
        (TEXT.replace("00:00:00 UTC", "noon"), "no event can be made"),
    ],
)
def test_a_file_in_another_form_is_named_with_its_fault(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=message):
        list(to_events(read_rows(path)))
