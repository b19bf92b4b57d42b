"""Explanations of events of every fate, on a real broker, store and event log."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from rich.console import Console

from contracts import topics
from processing.explain import Explanation, explain
from processing.explain_text import print_explanation
from processing.log_files import LogUnreadableError
from tests.processing.builders import START_MS, click, framed, rejection, sale
from tests.processing.integration.line import PROJECTIONS, Line

pytestmark = pytest.mark.integration

MINUTE_MS: Final = 60_000


@pytest.fixture(scope="module")
def line(kafka_bootstrap: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    line = Line(kafka_bootstrap, postgres_url, tmp_path_factory.mktemp("line"))
    line.epoch(
        [
            click("v1", action="view"),
            click("c1", action="click", timestamp=START_MS + MINUTE_MS),
            click("both", action="search", timestamp=START_MS + MINUTE_MS, product_id=None),
            click("other", user_id="u2", session_id="s2"),
        ]
    )
    line.flush()
    line.epoch(
        [
            sale("t1", timestamp=START_MS + 5 * MINUTE_MS, order_id="o1"),
            sale("both", timestamp=START_MS + 6 * MINUTE_MS, product_id="p2"),
            click("v1", action="view"),
            click("v1", action="view", page_url="/changed"),
            sale("bad", quantity=0),
            rejection("r1", event_id="refused", reason="invalid_enum", pointer="/action"),
            click("a1", action="add_to_cart", timestamp=START_MS + 3 * MINUTE_MS),
        ]
    )
    line.flush()
    yield line
    line.close()


def ask(line: Line, event_id: str) -> Explanation:
    return explain(event_id, line.postgres, line.log_path, PROJECTIONS)


def rows(explanation: Explanation, table: str) -> list[dict[str, Any]]:
    return [change.row for change in explanation.changes if change.table == table]


def roles(explanation: Explanation, table: str) -> list[dict[str, Any]]:
    return [change.role for change in explanation.changes if change.table == table]


def text(explanation: Explanation) -> str:
    out = io.StringIO()
    print_explanation(explanation, Console(file=out, width=200))
    return out.getvalue()


def test_a_click_is_told_with_its_place_and_all_that_it_changed(line: Line) -> None:
    told = ask(line, "c1")
    (copy,) = told.copies
    assert (told.verdict, copy.topic, copy.partition, copy.offset, copy.epoch) == ("applied", "clickstream", 0, 1, 1)
    assert copy.committed_at is not None
    assert copy.detail["delta_version"] == 2
    assert copy.detail["source"] == "demo"
    assert {change.table for change in told.changes} == {projection.name for projection in PROJECTIONS} - {
        "orders",
        "carts",
    }
    (minute,) = rows(told, "product_minutes")
    assert (minute["minute"].timestamp() * 1000, minute["product_id"], minute["clicks"]) == (
        START_MS + MINUTE_MS,
        "p1",
        1,
    )
    # Of one time with the search, and before it in the order of actions.
    assert roles(told, "sessions") == [{"step": 3}] or roles(told, "sessions") == [{"step": 2}]
    assert roles(told, "conversions") == [{"is": "a click", "converted_by": "t1"}]


def test_a_purchase_is_told_with_the_click_that_it_converted_and_its_order(line: Line) -> None:
    told = ask(line, "t1")
    assert rows(told, "orders")[0]["order_id"] == "o1"
    assert roles(told, "conversions") == [{"is": "a purchase"}, {"is": "the purchase that converted this click"}]
    assert rows(told, "conversions")[1]["event_id"] == "c1"
    assert roles(told, "carts") == [{"is": "a purchase"}, {"is": "the purchase of what was put into this cart"}]
    assert roles(ask(line, "a1"), "carts") == [{"is": "an addition to a cart", "bought_by": "t1"}]
    assert roles(told, "sessions") == [{"step": 5}]


def test_a_step_of_the_funnel_is_told(line: Line) -> None:
    assert roles(ask(line, "v1"), "sessions") == [{"step": 1, "funnel": ["viewed_at"]}]


def test_an_id_in_both_topics_is_two_events(line: Line) -> None:
    told = ask(line, "both")
    assert [(copy.topic, copy.epoch) for copy in told.copies] == [("clickstream", 1), ("transactions", 2)]
    assert sorted(role["step"] for role in roles(told, "sessions")) in ([2, 6], [3, 6])
    assert [row["product_id"] for row in rows(told, "product_minutes")] == ["p2"]
    assert [row["order_id"] for row in rows(told, "orders")] == ["both"]


def test_copies_are_told_with_the_epoch_of_the_first(line: Line) -> None:
    told = ask(line, "v1")
    assert [(copy.verdict, copy.epoch) for copy in told.copies] == [("applied", 1), ("duplicate", 2), ("conflict", 2)]
    assert [copy.detail.get("first_epoch") for copy in told.copies[1:]] == [1, 1]
    assert told.verdict == "applied"


def test_what_was_refused_or_quarantined_is_told_with_its_reason(line: Line) -> None:
    refused, bad = ask(line, "refused"), ask(line, "bad")
    assert (refused.verdict, refused.copies[0].detail["reason"], refused.copies[0].detail["pointer"]) == (
        "rejected",
        "invalid_enum",
        "/action",
    )
    assert (bad.verdict, bad.copies[0].detail["reason"], bad.copies[0].offset) == ("quarantined", "invalid_quantity", 2)
    assert refused.changes == bad.changes == []


def test_an_id_that_nobody_sent_was_never_seen(line: Line) -> None:
    told = ask(line, "' OR 1=1 --")
    assert (told.verdict, told.copies, told.changes, told.unlogged_epochs) == ("never seen", [], [], 0)


def test_an_event_of_an_epoch_that_the_log_lacks_is_not_called_never_seen_for_good(
    kafka_bootstrap: str, postgres_url: str, tmp_path: Path
) -> None:
    line = Line(kafka_bootstrap, postgres_url, tmp_path)
    line.epoch([click("e1")])
    told = ask(line, "e1")
    assert (told.verdict, told.unlogged_epochs) == ("never seen", 1)
    assert "1 epoch is not in the log yet; ask again in a few seconds." in text(told)
    line.flush()
    assert ask(line, "e1").verdict == "applied"
    line.close()
    with pytest.raises(LogUnreadableError):
        ask(line, "e1")


def test_ids_that_only_look_alike_are_others(line: Line) -> None:
    assert ask(line, "c").copies == []
    assert ask(line, "V1").copies == []


def test_the_answer_is_json_and_readable_text(line: Line) -> None:
    told = ask(line, "t1")
    assert json.loads(json.dumps(told.as_json(), default=str))["verdict"] == "applied"
    shown = text(told)
    for part in ("t1: applied", "transactions-0 offset 0, epoch 2", "order_id o1", "event_id c1", "delta_version: 3"):
        assert part in shown, shown


def test_quarantined_bytes_are_searched_for_the_id(line: Line) -> None:
    line.send_raw(topics.CLICKSTREAM.name, framed(click("torn"))[:-2])
    line.epoch()
    assert [copy.verdict for copy in ask(line, "torn").copies] == ["quarantined"]
