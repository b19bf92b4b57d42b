"""Flags and alerts as GraphQL tells them, acknowledging one, and hearing of them outside of commits."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from contracts.tables import ALERTS, NOTIFY_CHANNEL
from tests.serving.events import visits
from tests.serving.integration.conftest import NOW, Server, eventually
from tests.serving.integration.test_subscriptions import following, socket, subscribe
from tests.serving.shop import Shop, engine, write

pytestmark = pytest.mark.integration

RANGE = f'range: {{from: "{(NOW - timedelta(hours=1)).isoformat()}", to: "{NOW.isoformat()}"}}'
MEMBERS = [{"scope": "source", "subject": "app", "says": "30 of 100"}]
PARTS = [{"dimension": "category", "value": "shoes", "expected": 60.5, "observed": 4.0}]


def change(server: Server, statement: str, **parameters: Any) -> None:
    """Change the store as the watch does, and tell as it does."""

    async def run() -> None:
        writer = engine(server.database_url, server.schema)
        async with writer.begin() as connection:
            await connection.execute(text(statement), parameters)
            await connection.execute(text(f"SELECT pg_notify('{NOTIFY_CHANNEL}', '{ALERTS}')"))
        await writer.dispose()

    asyncio.run(run())


def flag(server: Server, minutes: int, **changes: Any) -> None:
    row: dict[str, Any] = {
        "metric": "views", "scope": "site", "subject": "", "method": "iqr", "score": 9.0, "standing": True,
        "version": None, **changes,
    }  # fmt: skip
    start = NOW - timedelta(minutes=minutes)
    change(
        server,
        "INSERT INTO anomalies VALUES (:start, :end, :metric, :scope, :subject, :method, 120, 4, :score, 2.5,"
        " 'critical', 'down', CAST(:parts AS jsonb), :standing, 7, :end, :version)",
        start=start,
        end=start + timedelta(minutes=1),
        parts=json.dumps(PARTS),
        **row,
    )


@pytest.fixture(scope="module")
def alert_server(empty_server: Server) -> Server:
    """Three alerts: one on the data, one of the shop's that it explains, one that is over. And four flags."""
    now = datetime.now(UTC)
    asyncio.run(write(empty_server.database_url, empty_server.schema, Shop(visits(3, now - timedelta(minutes=9), now))))
    assert eventually(lambda: empty_server.ready().status_code == 200), empty_server.ready().text
    change(
        empty_server,
        "INSERT INTO alerts (key, kind, severity, title, members, explained_by, opened_at, changed_at, resolved_at,"
        " epoch) VALUES ('data:rejected', 'data', 'critical', 'Events are refused', CAST(:members AS jsonb), NULL,"
        " :early, :early, NULL, 7), ('rule:checkout', 'shop', 'warning', 'Checkouts', CAST(:members AS jsonb), 1,"
        " :late, :late, NULL, 8), ('rule:x', 'shop', 'warning', 'X', '[]', NULL, :late, :late, :late, 8)",
        members=json.dumps(MEMBERS),
        early=NOW - timedelta(minutes=9),
        late=NOW,
    )
    change(
        empty_server,
        "INSERT INTO deliveries (alert_id, destination, notice, body, created_at, due_at, attempts, delivered_at,"
        " error) VALUES (1, 'chat', 'opened', '{}', :at, :at, 2, :at, NULL), (1, 'mail', 'opened', '{}', :at, :at, 1,"
        " NULL, 'away')",
        at=NOW,
    )
    flag(empty_server, 10)
    flag(empty_server, 10, method="seasonal_trend", score=99.0, version=3)
    flag(empty_server, 20, scope="category", subject="shoes")
    flag(empty_server, 30, standing=False)
    return empty_server


def test_trainings_are_told_newest_first(alert_server: Server) -> None:
    fields = "version trainedAt trainedFrom trainedUntil detectors methods series models"
    assert alert_server.data(f"{{ trainings {{ {fields} }} }}")["trainings"] == []
    for version, methods in ((1, ["iqr"]), (2, ["seasonal_trend", "isolation_forest"])):
        change(
            alert_server,
            "INSERT INTO detector_models SELECT :version, method, 'site', '', metric, :at, :since, :at, 9, '{}', ''"
            " FROM unnest(CAST(:methods AS text[])) AS m (method), unnest(ARRAY['views', 'events']) AS s (metric)",
            version=version,
            methods=methods,
            at=NOW,
            since=NOW - timedelta(hours=9),
        )
    (newest,) = alert_server.data(f"{{ trainings {{ {fields} }} }}")["trainings"]
    assert newest == {
        "version": 2,
        "trainedAt": "2026-03-01T12:34:20Z",
        "trainedFrom": "2026-03-01T03:34:20Z",
        "trainedUntil": "2026-03-01T12:34:20Z",
        "detectors": ["ISOLATION_FOREST", "SEASONAL_TREND"],
        "methods": ["isolation_forest", "seasonal_trend"],
        "series": 2,
        "models": 4,
    }
    assert len(alert_server.data("{ trainings(first: 5) { version } }")["trainings"]) == 2


def test_anomalies_are_told_newest_first_with_what_moved(alert_server: Server) -> None:
    fields = (
        "windowStart windowEnd measure detector method modelVersion expected observed severity direction epoch"
        " contributions { value observed }"
    )
    first, second, third = alert_server.data(f"{{ anomalies({RANGE}) {{ {fields} }} }}")["anomalies"]
    assert (first["measure"], first["detector"]) == ("VIEWS", "SEASONAL_TREND")
    assert [first["method"], second["method"], third["method"]] == ["seasonal_trend", "iqr", "iqr"]
    assert [first["modelVersion"], second["modelVersion"]] == [3, None]
    assert (first["windowStart"], first["windowEnd"]) == ("2026-03-01T12:24:20Z", "2026-03-01T12:25:20Z")
    assert (first["expected"], first["observed"], first["severity"], first["direction"]) == (120, 4, "CRITICAL", "DOWN")
    assert first["contributions"] == [{"value": "shoes", "observed": 4}]


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ("standing: false", 4),
        ("scope: CATEGORY", 1),
        ('scope: CATEGORY, subject: "books"', 0),
        ('metric: "purchases"', 0),
        ("measure: PURCHASES", 0),
        ("first: 1", 1),
    ],
)
def test_anomalies_can_be_chosen(alert_server: Server, arguments: str, count: int) -> None:
    assert len(alert_server.data(f"{{ anomalies({RANGE}, {arguments}) {{ method }} }}")["anomalies"]) == count


def test_alerts_are_told_with_their_notices(alert_server: Server) -> None:
    fields = "id key kind explainedBy members { subject says } deliveries { destination attempts deliveredAt error }"
    checkout, rejected = alert_server.data(f"{{ alerts {{ {fields} }} }}")["alerts"]
    assert (checkout["key"], checkout["kind"], checkout["explainedBy"]) == ("rule:checkout", "SHOP", rejected["id"])
    assert rejected["members"] == [{"subject": "app", "says": "30 of 100"}]
    chat, mail = sorted(rejected["deliveries"], key=lambda each: each["destination"])
    assert (chat["attempts"], chat["deliveredAt"]) == (2, "2026-03-01T12:34:20Z")
    assert (mail["deliveredAt"], mail["error"]) == (None, "away")
    assert [each["key"] for each in alert_server.data("{ alerts(status: RESOLVED) { key } }")["alerts"]] == ["rule:x"]
    assert len(alert_server.data("{ alerts(status: ALL) { key } }")["alerts"]) == 3


def test_an_alert_is_acknowledged_once_and_the_first_one_stays(alert_server: Server) -> None:
    mutation = "mutation($id: ID!, $by: String!) { acknowledgeAlert(id: $id, by: $by) { key acknowledgedBy } }"
    for by in ("me", "you"):
        told = alert_server.data(mutation, id="1", by=by)["acknowledgeAlert"]
        assert told == {"key": "data:rejected", "acknowledgedBy": "me"}
    assert {each["acknowledgedBy"] for each in alert_server.data("{ alerts { acknowledgedBy } }")["alerts"]} == {
        "me",
        None,
    }


@pytest.mark.parametrize(
    ("id", "by", "argument"),
    [
        ("3", "me", "id"),
        ("99", "me", "id"),
        ("x", "me", "id"),
        ("9" * 30, "me", "id"),
        ("1", " ", "by"),
        ("1", "a\n", "by"),
    ],
)
def test_what_can_not_be_acknowledged_is_said_precisely(alert_server: Server, id: str, by: str, argument: str) -> None:
    mutation = "mutation($id: ID!, $by: String!) { acknowledgeAlert(id: $id, by: $by) { id } }"
    if by == "a\n":
        by = "a\tb"
    (error,) = alert_server.post(mutation, id=id, by=by)["errors"]
    assert error["extensions"] == {"code": "INVALID_ARGUMENT", "argument": argument}


def test_acknowledging_takes_a_post(alert_server: Server) -> None:
    answer = alert_server.client.get(
        f"{alert_server.url}/graphql", params={"query": 'mutation { acknowledgeAlert(id: "1", by: "x") { id } }'}
    )
    assert answer.status_code == 405


async def test_subscribers_hear_of_alerts_without_a_commit(alert_server: Server) -> None:
    async with socket(alert_server) as ws:
        await subscribe(ws, "subscription { alerts { key } }")
        first = (await following(ws))["payload"]["data"]["alerts"]
        assert [each["key"] for each in first] == ["rule:checkout", "data:rejected"]
        await asyncio.to_thread(
            change, alert_server, "UPDATE alerts SET resolved_at = now() WHERE key = 'data:rejected'"
        )
        then = (await following(ws))["payload"]["data"]["alerts"]
        assert [each["key"] for each in then] == ["rule:checkout"]


async def test_subscribers_hear_who_sees_to_an_alert(alert_server: Server) -> None:
    async with socket(alert_server) as ws:
        await subscribe(ws, "subscription { alerts { acknowledgedBy } }")
        newest, *_ = (await following(ws))["payload"]["data"]["alerts"]
        assert newest == {"acknowledgedBy": None}
        await asyncio.to_thread(alert_server.data, 'mutation { acknowledgeAlert(id: "2", by: "them") { id } }')
        newest, *_ = (await following(ws))["payload"]["data"]["alerts"]
        assert newest == {"acknowledgedBy": "them"}


def test_each_of_several_mutations_tells_what_it_did(alert_server: Server) -> None:
    change(alert_server, "UPDATE alerts SET acknowledged_at = NULL, acknowledged_by = NULL, resolved_at = NULL")
    told = alert_server.data(
        """mutation { a: acknowledgeAlert(id: "1", by: "me") { acknowledgedBy }
          b: acknowledgeAlert(id: "2", by: "you") { acknowledgedBy } }"""
    )
    assert told == {"a": {"acknowledgedBy": "me"}, "b": {"acknowledgedBy": "you"}}
