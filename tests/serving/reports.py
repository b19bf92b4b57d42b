"""A daily report as processing keeps it, written into a store."""

import json
from typing import Any

from sqlalchemy import text

from tests.serving.shop import engine

_TOTALS: dict[str, Any] = {
    "events": 9_000, "views": 4_000, "users": 800, "buyers": 90, "sessions": 1_000, "orders": 100, "units": 150,
    "revenue": "12345.60", "refunded": "99.00",
}  # fmt: skip
_GROUPS = ("champions", "loyal", "returning", "new", "slipping", "lost")


def figures(day: str, *, is_final: bool = True) -> dict[str, Any]:
    """What is kept of a day."""
    return {
        "day": day,
        "time_zone": "UTC",
        "since": f"{day}T00:00:00Z",
        "until": f"{day}T12:00:00Z",
        "epoch": 42,
        "is_final": is_final,
        "currency": "USD",
        "totals": _TOTALS,
        "week_before": {**_TOTALS, "revenue": "10000.00", "orders": 125},
        "funnel": [
            {"step": step, "sessions": 900 - 250 * place}
            for place, step in enumerate(("viewed", "added", "checkout", "purchased"))
        ],
        "top_products": [
            {"product_id": f"p-{n}", "category": "books", "views": 400 - n, "units": 20, "revenue": "500.00"}
            for n in range(5)
        ],
        "shoppers": [
            {"group": "buyers", "users": 90, "sessions": 100, "views": 900, "minutes": 1234.5, "revenue": "12345.60"},
            {"group": "window_shoppers", "users": 710, "sessions": 900, "views": 31, "minutes": 3.5, "revenue": "0.00"},
        ],
        "customers": [
            {"group": group, "users": 10 + n, "orders": 90, "revenue": f"{9000 - 1000 * n}.00"}
            for n, group in enumerate(_GROUPS)
        ],
        "carts": {"additions": 300, "bought": 90, "abandoned": 200},
        "oddities": 2,
        "oddest": [],
        "quality": {
            "rejected": 1, "quarantined": 2, "duplicates": 3, "conflicts": 1, "late": 4, "residue": 0,
            "verifications": 24, "mismatches": 0,
        },
    }  # fmt: skip


async def keep(url: str, schema: str, *kept: dict[str, Any]) -> None:
    """Write reports, and tell readers as processing does."""
    writer = engine(url, schema)
    async with writer.begin() as connection:
        for each in kept:
            await connection.execute(
                text(
                    "INSERT INTO reports (day, time_zone, epoch, is_final, figures, made_at)"
                    " VALUES (:day, 'UTC', 42, :is_final, cast(:figures AS jsonb), '2026-03-02T02:00:00Z')"
                    " ON CONFLICT (day) DO UPDATE SET figures = excluded.figures, is_final = excluded.is_final"
                ),
                {"day": each["day"], "is_final": each["is_final"], "figures": json.dumps(each)},
            )
        await connection.execute(text("SELECT pg_notify('millrace_epoch', 'changed')"))
    await writer.dispose()
