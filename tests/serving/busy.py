"""A shop that is open now, with something for every view of the page to show."""

import json
from datetime import datetime, timedelta

from sqlalchemy import text

from tests.serving.events import Refusal, Repeat, visits
from tests.serving.shop import Shop, engine

DIFFERING = {
    "table": "users",
    "key": {"user_id": "u-1"},
    "kind": "different",
    "cells": [{"column": "views", "expected": 2, "found": 3}],
    "evidence": {"events": 2, "event_ids": ["e-1"], "epochs": [1]},
}
"""An example of a verification, as processing keeps it."""


def busy_shop(now: datetime) -> Shop:
    """A day of it, the last two hours busier, with what was refused and what came twice."""
    return Shop(
        events=visits(21, now - timedelta(hours=26), now - timedelta(hours=2), 0.3)
        + visits(22, now - timedelta(hours=2), now),
        refusals=[
            Refusal(
                now - timedelta(minutes=4),
                "invalid_enum",
                "web",
                b'{"action":"<b>teleport</b>"}',
                "/action",
                "no action",
            ),
            Refusal(now - timedelta(minutes=5), "malformed_json", "ios", b"\xff\x00"),
            Refusal(now - timedelta(minutes=6), "malformed_avro", None, b"\x00"),
        ],
        duplicates=[Repeat("e-1"), Repeat("e-2", conflict=True)],
    )


async def watched(url: str, schema: str, now: datetime) -> None:
    """An open alert, flags of a minute, five minutes and an hour, forecasts, a verification, as they are kept."""
    hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    writer = engine(url, schema)
    async with writer.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO alerts (key, kind, severity, title, members, opened_at, changed_at, epoch) VALUES"
                " ('data:rejected', 'data', 'critical', 'Events are refused',"
                """ '[{"scope": "source", "subject": "app", "says": "30 of 100"}]', :at, :at, 1)"""
            ),
            {"at": now},
        )
        await connection.execute(
            text(
                "INSERT INTO anomalies"
                " VALUES (:at, :end, 'views', 'site', '', 'iqr', 120, 4, 9, 2.5, 'critical', 'down',"
                """ '[{"dimension": "category", "value": "shoes", "expected": 60.5, "observed": 4}]', true, 1, :end)"""
            ),
            {"at": now - timedelta(minutes=9), "end": now - timedelta(minutes=8)},
        )
        await connection.execute(
            text(
                "INSERT INTO anomalies VALUES"
                " (:at, :end, 'purchases', 'site', '', 'iqr', 20, 3, 9, 2.5, 'warning', 'down', '[]', true, 1, :end)"
            ),
            {"at": now - timedelta(minutes=30), "end": now - timedelta(minutes=25)},
        )
        await connection.execute(
            text(
                "INSERT INTO anomalies VALUES (:at, :end, 'revenue', 'category', 'kitchen',"
                " 'seasonal_trend', 300, 900, 9, 5, 'warning', 'up', '[]', true, 1, :at, 3)"
            ),
            {"at": hour, "end": hour + timedelta(hours=1)},
        )
        await connection.execute(
            text(
                "INSERT INTO forecasts SELECT scope, subject, metric, hour, expected, expected / 2, expected * 2,"
                " now(), now() FROM (VALUES ('site', '', 'revenue', 4000), ('site', '', 'purchases', 40),"
                " ('category', 'kitchen', 'revenue', 1000)) AS series (scope, subject, metric, expected),"
                " generate_series(CAST(:first AS timestamptz), CAST(:last AS timestamptz), interval '1 hour')"
                " AS hours (hour)"
            ),
            {
                "first": now.replace(minute=0) - timedelta(hours=23),
                "last": now.replace(minute=0) + timedelta(hours=24),
            },
        )
        await connection.execute(
            text(
                "INSERT INTO verifications (epoch, rows, mismatches, examples, seconds)"
                " VALUES (1, 900, 1, CAST(:examples AS jsonb), 2.5)"
            ),
            {"examples": json.dumps([DIFFERING])},
        )
    await writer.dispose()
