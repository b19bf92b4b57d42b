"""Views for tools that read Postgres: Grafana, Tableau, Metabase. Their columns stay; new ones come at the end.

A rebuild lets tables change places, and a view would go on reading the old one. So a view selects from a function whose
text is looked up when it is called. Postgres puts such a function's query into the reader's, so that conditions reach
the indexes. Both are replaced in place at every start of processing: what was granted on them stays.

Money is in the shop's one currency, times are `timestamptz`. `bot` tells apart what bots did; add `WHERE NOT bot`.
"""

from dataclasses import dataclass
from typing import Final

from contracts.settings import ShopSettings
from contracts.view_columns import (
    BOT,
    CATEGORY,
    CURRENCY,
    MEASURES,
    PRODUCT,
    RECORDS,
    Columns,
    count,
    flag,
    money,
    number,
    text,
    time,
)


@dataclass(frozen=True)
class View:
    """A view, what a row of it is, its columns, and the query behind it, which may name settings of the shop."""

    name: str
    comment: str
    columns: Columns
    query: str

    def statement(self, shop: ShopSettings) -> str:
        """Make it with its comments, or put it in the place of what another version has made; in one round trip."""
        typed = ", ".join(f'"{name}" {column.type}' for name, column in self.columns.items())
        query = self.query.replace("{currency}", shop.currency).replace("{cart_minutes}", str(shop.cart_minutes))
        statements = (
            f"CREATE OR REPLACE FUNCTION {self.name}_rows() RETURNS SETOF record LANGUAGE sql STABLE AS $${query}$$",
            f"CREATE OR REPLACE VIEW {self.name} AS SELECT * FROM {self.name}_rows() AS t({typed})",  # noqa: S608 - our own names
            f"COMMENT ON VIEW {self.name} IS '{self.comment}'",
            *(f"COMMENT ON COLUMN {self.name}.\"{name}\" IS '{each.meaning}'" for name, each in self.columns.items()),
        )
        return f"DO $made$ BEGIN {'; '.join(statements)}; END $made$"


def _hours(name: str, comment: str, keys: Columns) -> View:
    """By the rule of `contracts.rollups`: an hour is read where it may be, else its minutes; never both."""
    fine, coarse = f"{name}_minutes", f"{name}_hours"
    listed = ", ".join([*keys, "bot", *MEASURES])
    summed = ", ".join(f"sum({name})::{column.type} AS {name}" for name, column in MEASURES.items())
    grouped = ", ".join([*keys, "bot"])
    usable = "SELECT starts_at FROM roll_ups WHERE grain = 'hour' AND NOT stale"
    query = f"""
        SELECT hour, {listed}, '{{currency}}'::text FROM {coarse} WHERE hour IN ({usable})
        UNION ALL
        SELECT date_trunc('hour', minute, 'UTC'), {grouped}, {summed}, '{{currency}}'::text FROM {fine}
        WHERE date_trunc('hour', minute, 'UTC') NOT IN ({usable})
        GROUP BY 1, {grouped}"""  # noqa: S608 - our own names
    hour = {"hour": time("beginning of the hour (UTC)")}
    return View(f"bi_{coarse}", comment, {**hour, **keys, **BOT, **MEASURES, **CURRENCY}, query)


VIEWS: Final = (
    View(
        "bi_site_minutes",
        "What happened in a minute. Minutes without events have no row.",
        {"minute": time("beginning of the minute"), **BOT, **MEASURES, **CURRENCY},
        f"SELECT minute, bot, {', '.join(MEASURES)}, '{{currency}}'::text FROM site_minutes",  # noqa: S608 - our own names
    ),
    _hours("site", "What happened in an hour (UTC).", {}),
    _hours("category", "The same of a category; it is empty where events named none.", CATEGORY),
    _hours("product", "The same of a product and category.", {**PRODUCT, **CATEGORY}),
    View(
        "bi_sessions",
        "A session without who it was: when, how long, how the visitor came, and how far it got.",
        {
            "started_at": time("time of its first event"),
            "ended_at": time("time of its last event so far"),
            "device": text("desktop, mobile, tablet, tv, bot or other, by the user agent; null where it is not known"),
            "browser": text("name of the browser; null where it is not known"),
            "os": text("name of the operating system; null where it is not known"),
            "medium": text("how the visitor came: direct, search, social, email, paid, referral, internal; or null"),
            "source": text("from where: of the campaign, else the referring site; null where it is not known"),
            "campaign": text("name of the campaign; null where there is none"),
            "category": text("the first category that an event named; null where none did"),
            **BOT,
            "events": count("events in it"),
            "views": count("page views and product views"),
            "adds": count("additions to carts"),
            "purchases": count("order lines bought"),
            "units": count("pieces bought"),
            "revenue": money("sum of its purchases; refunds are not taken off"),
            "seconds": number("from its first event to its last, in seconds"),
            "viewed": flag("whether it got to a view"),
            "added": flag("whether it put something into the cart after that"),
            "checked_out": flag("whether it started a checkout after that"),
            "bought": flag("whether it bought something after that"),
            **CURRENCY,
        },
        """SELECT started_at, ended_at, nullif(device, ''), nullif(browser, ''), nullif(os, ''), nullif(medium, ''),
            coalesce(nullif(campaign_source, ''), nullif(referrer_source, '')), nullif(campaign, ''),
            nullif(category, ''), bot, events, views, adds, purchases, units, revenue::numeric,
            extract(epoch FROM ended_at - started_at)::double precision,
            viewed_at IS NOT NULL, added_at IS NOT NULL, checkout_at IS NOT NULL, purchased_at IS NOT NULL,
            '{currency}'::text
           FROM sessions""",
    ),
    View(
        "bi_epochs",
        "A commit: how fresh it was and what became of its records.",
        {
            "epoch": count("number of the commit, from 1"),
            "committed_at": time("when it was committed"),
            "watermark": time("event time before which everything is final; null until there is one"),
            "freshness_seconds": number("from the broker''s time of its newest event to the commit, in seconds"),
            **RECORDS,
        },
        """SELECT epoch, committed_at, watermark,
            extract(epoch FROM committed_at - newest_log_time)::double precision,
            records, applied, duplicates, conflicts, quarantined, rejected, late FROM epochs""",
    ),
    View(
        "bi_refusals",
        "How many events were refused in a minute, by reason and source; the source is empty for the quarantine.",
        {
            "minute": time("beginning of the minute, by the gateway''s time of receipt, else the broker''s"),
            "reason": text("stable code of the reason"),
            "source": text("name of the write key''s source; empty for the quarantine"),
            "events": count("events or records refused"),
        },
        """SELECT date_trunc('minute', received_at), reason, source, count(*) FROM rejected_events GROUP BY 1, 2, 3
           UNION ALL
           SELECT date_trunc('minute', log_time), reason, '', count(*) FROM quarantine GROUP BY 1, 2""",
    ),
    View(
        "bi_conversion_windows",
        "Clicks on a product in five minutes, and those that a purchase of it by the same user followed.",
        {
            "window_start": time("beginning of the five minutes in which the clicks were"),
            **PRODUCT,
            **BOT,
            "clicks": count("clicks on the product"),
            "converted_clicks": count("clicks with a purchase within ten minutes"),
        },
        """SELECT window_start, product_id, bot, clicks, converted FROM conversion_hours
           WHERE date_trunc('hour', window_start, 'UTC') IN
            (SELECT starts_at FROM roll_ups WHERE grain = 'conversion_hour' AND NOT stale)
           UNION ALL
           SELECT date_bin('5 minutes', happened_at, '1970-01-01T00:00:00Z'), product_id, bot, count(*),
            count(purchased_at) FROM conversions
           WHERE NOT is_purchase AND date_trunc('hour', happened_at, 'UTC') NOT IN
            (SELECT starts_at FROM roll_ups WHERE grain = 'conversion_hour' AND NOT stale)
           GROUP BY 1, 2, 3""",
    ),
    View(
        "bi_cart_additions",
        "Something put into a cart, without who did it, and what became of it. Those past the retention are gone.",
        {
            "added_at": time("when it was put into the cart"),
            **PRODUCT,
            **CATEGORY,
            **BOT,
            "fate": text("bought in time; abandoned once the watermark is past the time for it; open till then"),
            "seconds_to_purchase": number("from the addition to the purchase, in seconds; null where there is none"),
        },
        """SELECT happened_at, product_id, category, bot,
            CASE WHEN purchased_at IS NOT NULL THEN 'bought'
                WHEN happened_at < (SELECT watermark FROM epochs ORDER BY epoch DESC LIMIT 1)
                    - interval '{cart_minutes} minutes' THEN 'abandoned' ELSE 'open' END,
            extract(epoch FROM purchased_at - happened_at)::double precision
           FROM carts WHERE NOT is_purchase""",
    ),
    View(
        "bi_orders",
        "An order, without who placed it.",
        {
            "ordered_at": time("time of its first purchase; null while only refunds of it are known"),
            "lines": count("order lines bought"),
            "units": count("pieces bought"),
            "refunds": count("order lines refunded"),
            "revenue": money("sum of its purchases; refunds are not taken off"),
            "refunded": money("sum of its refunds, positive"),
            **BOT,
            "late": MEASURES["late"],
            **CURRENCY,
        },
        "SELECT ordered_at, lines, units, refunds, revenue, refunded, bot, late, '{currency}'::text FROM orders",
    ),
    View(
        "bi_anomalies",
        "A window of a metric that a detector found odd. One judged again is the same row with other numbers.",
        {
            "window_start": time("beginning of the window"),
            "window_end": time("first instant after it"),
            "scope": text("what the metric is counted of: site, category or product"),
            "subject": text("which category or product; empty for the site"),
            "metric": text("a measure such as views; what bots did is left out"),
            "method": text("the detector"),
            "expected": number("what it expected, in the metric''s unit"),
            "observed": number("what was there, in the metric''s unit"),
            "score": number("how far off, in the method''s unit"),
            "threshold": number("the score from which the method flags"),
            "severity": text("warning, or critical from twice the threshold on"),
            "direction": text("up or down"),
            "standing": flag("false where late events changed the window and took the flag back"),
            "judged_at": time("when it was last judged"),
        },
        """SELECT window_start, window_end, scope, subject, metric, method, expected, observed, score, threshold,
            severity, direction, standing, judged_at FROM anomalies""",
    ),
)
