"""Views for tools that read Postgres: Grafana, Tableau, Metabase. Their columns stay; new ones come at the end.

A rebuild lets tables change places, and a view would go on reading the old one. So a view selects from a function whose
text is looked up when it is called. Postgres puts such a function's query into the reader's, so that conditions reach
the indexes. Both are replaced in place at every start of processing: what was granted on them stays.

Money is in the shop's one currency, times are `timestamptz`. `bot` tells apart what bots did; add `WHERE NOT bot`.
"""

from dataclasses import dataclass
from typing import Final

_MEASURES: Final = {
    **dict.fromkeys(
        ("events", "views", "clicks", "searches", "adds", "removes", "checkouts", "purchases", "units", "refunds"),
        "bigint",
    ),
    **dict.fromkeys(("revenue", "refunded"), "numeric"),
    "late": "bigint",
}
_TIME: Final = "timestamptz"


@dataclass(frozen=True)
class View:
    """A view, what a row of it is, its columns with their types, and the query behind it."""

    name: str
    comment: str
    columns: dict[str, str]
    query: str

    @property
    def statements(self) -> tuple[str, ...]:
        """Make it, or put it in the place of what another version has made."""
        typed = ", ".join(f'"{name}" {kind}' for name, kind in self.columns.items())
        function = f"{self.name}_rows()"
        return (
            f"CREATE OR REPLACE FUNCTION {function} RETURNS SETOF record LANGUAGE sql STABLE AS $${self.query}$$",
            f"CREATE OR REPLACE VIEW {self.name} AS SELECT * FROM {function} AS t({typed})",  # noqa: S608 - our own names
            f"COMMENT ON VIEW {self.name} IS '{self.comment}'",
        )


def _hours(name: str, comment: str, keys: dict[str, str]) -> View:
    """By the rule of `contracts.rollups`: an hour is read where it may be, else its minutes; never both."""
    columns = {"hour": _TIME, **keys, "bot": "boolean", **_MEASURES}
    fine, coarse = f"{name}_minutes", f"{name}_hours"
    listed = ", ".join([*keys, "bot", *_MEASURES])
    summed = ", ".join(f"sum({each})::{kind} AS {each}" for each, kind in _MEASURES.items())
    grouped = ", ".join([*keys, "bot"])
    usable = "SELECT starts_at FROM roll_ups WHERE grain = 'hour' AND NOT stale"
    query = f"""
        SELECT hour, {listed} FROM {coarse} WHERE hour IN ({usable})
        UNION ALL
        SELECT date_trunc('hour', minute, 'UTC'), {grouped}, {summed} FROM {fine}
        WHERE date_trunc('hour', minute, 'UTC') NOT IN ({usable})
        GROUP BY 1, {grouped}"""  # noqa: S608 - our own names
    return View(f"bi_{coarse}", comment, columns, query)


VIEWS: Final = (
    View(
        "bi_site_minutes",
        "What happened in a minute. Minutes without events have no row.",
        {"minute": _TIME, "bot": "boolean", **_MEASURES},
        f"SELECT minute, bot, {', '.join(_MEASURES)} FROM site_minutes",  # noqa: S608 - our own names
    ),
    _hours("site", "What happened in an hour (UTC).", {}),
    _hours("category", "The same of a category; it is empty where events named none.", {"category": "text"}),
    _hours("product", "The same of a product and category.", {"product_id": "text", "category": "text"}),
    View(
        "bi_sessions",
        "A session without who it was: when, how long, how the visitor came, and how far it got.",
        {
            **dict.fromkeys(("started_at", "ended_at"), _TIME),
            **dict.fromkeys(("device", "browser", "os", "medium", "source", "campaign", "category"), "text"),
            "bot": "boolean",
            **dict.fromkeys(("events", "views", "adds", "purchases", "units"), "bigint"),
            "revenue": "numeric",
            "seconds": "double precision",
            **dict.fromkeys(("viewed", "added", "checked_out", "bought"), "boolean"),
        },
        """SELECT started_at, ended_at, nullif(device, ''), nullif(browser, ''), nullif(os, ''), nullif(medium, ''),
            coalesce(nullif(campaign_source, ''), nullif(referrer_source, '')), nullif(campaign, ''),
            nullif(category, ''), bot, events, views, adds, purchases, units, revenue::numeric,
            extract(epoch FROM ended_at - started_at)::double precision,
            viewed_at IS NOT NULL, added_at IS NOT NULL, checkout_at IS NOT NULL, purchased_at IS NOT NULL
           FROM sessions""",
    ),
    View(
        "bi_epochs",
        "A commit: how fresh it was and what became of its records.",
        {
            "epoch": "bigint",
            "committed_at": _TIME,
            "watermark": _TIME,
            "freshness_seconds": "double precision",
            **dict.fromkeys(
                ("records", "applied", "duplicates", "conflicts", "quarantined", "rejected", "late"), "bigint"
            ),
        },
        """SELECT epoch, committed_at, watermark,
            extract(epoch FROM committed_at - newest_log_time)::double precision,
            records, applied, duplicates, conflicts, quarantined, rejected, late FROM epochs""",
    ),
    View(
        "bi_refusals",
        "How many events were refused in a minute, by reason and source; the source is empty for the quarantine.",
        {"minute": _TIME, "reason": "text", "source": "text", "events": "bigint"},
        """SELECT date_trunc('minute', received_at), reason, source, count(*) FROM rejected_events GROUP BY 1, 2, 3
           UNION ALL
           SELECT date_trunc('minute', log_time), reason, '', count(*) FROM quarantine GROUP BY 1, 2""",
    ),
)
