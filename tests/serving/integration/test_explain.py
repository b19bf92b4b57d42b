"""What became of an event, by its id: from the event log, and from what is kept of records that do not count."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from serving.queries.explain import copies
from tests.serving.events import Event, islands
from tests.serving.integration.conftest import NOW, Server, serving
from tests.serving.shop import Shop, engine

pytestmark = pytest.mark.integration

QUERY = """query ($id: String!) { asOf { epoch } explain(eventId: $id) { eventId verdict unloggedEpochs
  copies { verdict topic partition offset epoch committedAt source reason rejectionId firstEpoch }
  applied { topic timestamp minute action userId sessionId productId category amount currency quantity late bot
    inSession { step session { sessionId startedAt } } conversion { purchase clicks } } } }"""


def explained(server: Server, event_id: str) -> dict[str, Any]:
    found: dict[str, Any] = server.data(QUERY, id=event_id)["explain"]
    assert found["eventId"] == event_id
    assert found["unloggedEpochs"] == 0
    return found


def one(shop: Shop, action: str) -> Event:
    """A person's event in a session of which it is not the first."""
    return next(
        event
        for island in islands(shop.people)
        for event in island[1:50]
        if event.action == action and event.id not in {repeat.event_id for repeat in shop.duplicates}
    )


@pytest.mark.parametrize("action", ["view", "purchase", "refund"])
def test_an_event_that_counts_is_told_with_its_place(server: Server, shop: Shop, action: str) -> None:
    event = one(shop, action)
    found = explained(server, event.id)
    (copy,), (applied,) = found["copies"], found["applied"]
    assert found["verdict"] == copy["verdict"] == "APPLIED"
    assert (copy["offset"], copy["epoch"], copy["source"]) == (shop.events.index(event), shop.epoch, "web")
    assert copy["topic"] == applied["topic"] == ("clickstream" if action == "view" else "transactions")
    assert copy["committedAt"] == "2026-03-01T12:34:20Z"
    assert (applied["action"], applied["userId"], applied["productId"]) == (action, event.user, event.product)
    assert applied["minute"] == event.minute.isoformat().replace("+00:00", "Z")
    assert applied["quantity"] == (None if action == "view" else event.quantity)
    assert (applied["late"], applied["bot"]) == (event.late, event.bot)
    island = next(island for island in islands(shop.events) if event in island)
    place = applied["inSession"]
    assert place["session"]["sessionId"] == event.session
    assert island[place["step"] - 1] == event


def test_a_click_knows_the_purchase_that_it_led_to_and_the_purchase_its_clicks(server: Server, shop: Shop) -> None:
    query = """query ($range: TimeRange!) {
      sessions(range: $range, first: 200, converted: true) { nodes { path { action eventId } } } }"""
    span = {"from": NOW.replace(hour=8).isoformat(), "to": NOW.isoformat()}
    nodes = server.data(query, range=span)["sessions"]["nodes"]
    bought = [step["eventId"] for node in nodes for step in node["path"] if step["action"] == "purchase"]
    led = next(found for name in bought if (found := explained(server, name)["applied"][0]["conversion"])["clicks"])
    for click in led["clicks"]:
        purchase = explained(server, click)["applied"][0]["conversion"]["purchase"]
        assert click in explained(server, purchase)["applied"][0]["conversion"]["clicks"]


@pytest.mark.parametrize("conflict", [True, False])
def test_copies_of_an_event_are_told_beside_the_one_that_counts(server: Server, shop: Shop, conflict: bool) -> None:
    repeat = next(repeat for repeat in shop.duplicates if repeat.conflict is conflict)
    found = explained(server, repeat.event_id)
    assert found["verdict"] == "APPLIED"
    assert sorted(copy["verdict"] for copy in found["copies"]) == ["APPLIED", "CONFLICT" if conflict else "DUPLICATE"]
    (copy,) = [copy for copy in found["copies"] if copy["verdict"] != "APPLIED"]
    assert (copy["offset"], copy["firstEpoch"]) == (1000 + shop.duplicates.index(repeat), shop.epoch - 1)


def test_what_was_refused_is_told_with_its_reason(server: Server, shop: Shop) -> None:
    (copy,) = explained(server, "e-refused")["copies"]
    assert (copy["verdict"], copy["reason"], copy["source"]) == ("REJECTED", "invalid_amount", "till")
    assert copy["rejectionId"] == "r-6"
    (held,) = explained(server, "e-held")["copies"]
    assert (held["verdict"], held["reason"], held["topic"]) == ("QUARANTINED", "invalid_quantity", "clickstream")


def test_records_that_do_not_count_are_found_by_an_index(server: Server) -> None:
    """The quarantine has no ids: it is read whole."""

    async def plan() -> str:
        reader = engine(server.database_url, server.schema)
        async with reader.connect() as connection:
            await connection.execute(text("SET enable_seqscan = off"))  # the shop's tables are a page each
            asked = copies("e-1", []).compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
            rows = (await connection.exec_driver_sql(f"EXPLAIN {asked}")).scalars().all()
        await reader.dispose()
        return "\n".join(rows)

    told = asyncio.run(plan())
    assert "duplicates_event_id" in told
    assert "rejected_events_event_id" in told


def test_an_id_that_nobody_sent_was_never_seen(server: Server) -> None:
    for name in ("nobody", "e-hel", "'; DROP TABLE epochs; --"):
        found = explained(server, name)
        assert (found["verdict"], found["copies"], found["applied"]) == ("NEVER_SEEN", [], [])


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "a\0b"])
def test_what_cannot_be_an_id_is_refused(server: Server, name: str) -> None:
    (error,) = server.post(QUERY, id=name)["errors"]
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"


def test_where_the_log_is_out_of_reach_it_says_so(server: Server, tmp_path: Path) -> None:
    with serving(server.database_url, server.schema, tmp_path) as without:
        (error,) = without.post(QUERY, id="e-1")["errors"]
        assert error["extensions"] == {"code": "UNAVAILABLE", "retryAfterSeconds": 2}
