"""Enrichment adds columns and touches nothing else, and an event's columns depend on that event alone."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.enrichment.bots import BOT_FROM
from processing.enrichment.enrich import ENRICHED, Enricher
from processing.enrichment.mediums import MEDIUMS
from processing.enrichment.user_agents import DEVICES

pytestmark = pytest.mark.unit

EVENTS = pa.schema(
    [
        ("event_id", pa.string()),
        ("action", pa.string()),
        ("kind", pa.string()),
        ("user_agent", pa.string()),
        ("page_url", pa.string()),
        ("referrer", pa.string()),
    ]
)
ENRICHER = Enricher(frozenset({"pay.example"}))
PAGE = "https://www.shop.example/p/7"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"

TEXTS = st.none() | st.sampled_from(("", " ", "/", "//", "?", "-")) | st.text()
URLS = TEXTS | st.builds(
    "{}{}{}".format,
    st.sampled_from(("https://", "http://", "HTTPS://", "android-app://", "//", "ftp://", "")),
    st.sampled_from(
        ("www.shop.example", "m.shop.example", "google.com", "t.co", "pay.example", "a@b", "[::1]", "ü.example", "")
    )
    | st.text(),
    st.sampled_from(("", "/", "/p?utm_source=fb", "?utm_medium=email", "?gclid=1", "?fbclid=1&a=%", "#x", "\\x"))
    | st.text(),
)
USER_AGENTS = TEXTS | st.sampled_from((FIREFOX, "curl/8.5.0", "okhttp/4.12.0"))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "event_id": st.text(),
            "action": st.sampled_from((None, "page_view")),
            "kind": st.sampled_from((None, "purchase")),
            "user_agent": USER_AGENTS,
            "page_url": URLS,
            "referrer": URLS,
        }
    ),
    max_size=12,
)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=EVENTS)


def enriched(**event: str | None) -> dict[str, Any]:
    (row,) = ENRICHER.enrich(table([event])).to_pylist()
    return {name: row[name] for name in ENRICHED.names}


def visit(page_url: str | None, referrer: str | None) -> tuple[str | None, str | None]:
    row = enriched(page_url=page_url, referrer=referrer)
    return row["medium"], row["referrer_source"]


@pytest.mark.parametrize(
    ("referrer", "medium", "source"),
    [
        (None, "direct", None),
        ("", "direct", None),
        ("https://www.google.co.uk/", "search", "Google"),
        ("HTTPS://WWW.BING.COM:443/search?q=shoes", "search", "Bing"),
        ("https://duckduckgo.com", "search", "DuckDuckGo"),
        (" \thttps://www.ecosia.org/", "search", "Ecosia"),
        ("https://user:secret@m.facebook.com/story", "social", "Facebook"),
        ("https://t.co/abc", "social", "X"),
        ("https://out.reddit.com/t3_1", "social", "Reddit"),
        ("https://mail.google.com/mail/u/0/", "email", "Gmail"),
        ("https://chatgpt.com/", "referral", "ChatGPT"),
        ("https://blog.partner.example/2026/review", "referral", "blog.partner.example"),
        ("https://www.partner.example./", "referral", "partner.example"),
        ("https://münchen.example/", "referral", "xn--mnchen-3ya.example"),
        ("http://[2001:db8::1]:8080/", "referral", "[2001:db8::1]"),
        ("https://google.com.evil.example/", "referral", "google.com.evil.example"),
        ("https://google.com\\@evil.example/", "search", "Google"),
        ("https://evil.example/?https://www.google.com/", "referral", "evil.example"),
        ("android-app://com.google.android.googlequicksearchbox/https/www.google.com", "search", "Google"),
        ("android-app://com.google.android.gm/", "email", "Gmail"),
        ("android-app://com.acme.reader", "referral", "com.acme.reader"),
        ("android-app://t.co", "referral", "t.co"),
        ("android-app://shop.example", "referral", "shop.example"),
        ("https://www.shop.example/", "internal", None),
        ("http://shop.example:8080/cart", "internal", None),
        ("https://m.shop.example/", "internal", None),
        ("https://checkout.shop.example/done", "internal", None),
        ("https://pay.example/return", "internal", None),
        ("https://secure.pay.example/return", "internal", None),
        ("/cart", "internal", None),
        ("https://notshop.example/", "referral", "notshop.example"),
        ("https://example/", "referral", "example"),
        ("//www.google.com/", "direct", None),
        ("about:blank", "direct", None),
        ("javascript:alert(1)//https://www.google.com", "direct", None),
        ("https://", "direct", None),
        ("https://a..b/", "direct", None),
        ("http://[::1", "direct", None),
        ("$direct", "direct", None),
        ("\0", "direct", None),
    ],
)
def test_the_medium_by_referrer(referrer: str | None, medium: str, source: str | None) -> None:
    assert visit(PAGE, referrer) == (medium, source)


@pytest.mark.parametrize(
    ("page_url", "referrer", "medium", "source"),
    [
        (None, None, None, None),
        ("", "", None, None),
        (None, "", None, None),
        (None, "about:blank", None, None),
        (None, "https://www.google.com/", "search", "Google"),
        (None, "https://www.shop.example/", "referral", "shop.example"),
        (None, "https://pay.example/", "internal", None),
        ("/p/7", None, "direct", None),
        ("not a url", None, "direct", None),
        ("http://[::1", "https://t.co/a", "social", "X"),
        ("https://checkout.shop.example/", "https://shop.example/", "internal", None),
        ("https://one.shops.example/", "https://two.shops.example/", "referral", "two.shops.example"),
        ("https://shop.line.me/", "https://line.me/", "social", "LINE"),
        ("https://line.me/shop", "https://line.me/", "internal", None),
    ],
)
def test_the_medium_by_page_and_referrer(
    page_url: str | None, referrer: str | None, medium: str | None, source: str | None
) -> None:
    assert visit(page_url, referrer) == (medium, source)


@pytest.mark.parametrize(
    ("query", "medium"),
    [
        ("utm_source=google&utm_medium=cpc", "paid"),
        ("utm_source=partner&utm_medium=CPM", "paid"),
        ("utm_source=facebook&utm_medium=paid_social", "paid"),
        ("utm_source=x&utm_medium=retargeting", "paid"),
        ("utm_source=x&utm_medium=banner", "paid"),
        ("utm_source=google&utm_medium=organic", "search"),
        ("utm_source=bing", "search"),
        ("utm_source=facebook&utm_medium=story", "social"),
        ("utm_source=partner&utm_medium=social-media", "social"),
        ("utm_source=facebook&utm_medium=email", "email"),
        ("utm_source=newsletter", "email"),
        ("utm_source=june&utm_medium=E-Mail", "email"),
        ("utm_source=gmail", "email"),
        ("utm_source=partner&utm_medium=affiliate", "affiliate"),
        ("utm_source=chatgpt.com", "referral"),
        ("utm_source=partner&utm_medium=referral", "referral"),
        ("utm_source=partner&utm_medium=qr", "campaign"),
        ("utm_campaign=spring", "campaign"),
        ("gclid=1", "paid"),
        ("gbraid=1", "paid"),
        ("wbraid=1", "paid"),
        ("msclkid=1", "paid"),
        ("ttclid=1", "paid"),
        ("gclid=1&utm_source=june&utm_medium=email", "paid"),
        ("fbclid=1", "social"),
        ("fbclid=1&utm_campaign=spring", "campaign"),
        ("fbclid=1&utm_medium=cpc", "paid"),
        ("fbclid=1&utm_medium=email", "email"),
    ],
)
@pytest.mark.parametrize("referrer", [None, "https://www.google.com/", PAGE])
def test_a_campaign_speaks_louder_than_the_referrer(query: str, medium: str, referrer: str | None) -> None:
    assert visit(f"{PAGE}?{query}", referrer) == (medium, "Google" if referrer and "google" in referrer else None)


def test_a_campaigns_parameters_are_columns() -> None:
    query = "utm_source=google&utm_medium=cpc&utm_campaign=spring%20sale&utm_term=red+shoes&utm_content=a"
    row = enriched(page_url=f"{PAGE}?{query}&gclid=1", user_agent=FIREFOX)
    assert row == {
        "device": "desktop",
        "browser": "Firefox",
        "os": "Linux",
        "bot_score": 0,
        "bot_reason": None,
        "bot": False,
        "medium": "paid",
        "referrer_source": None,
        "campaign_source": "google",
        "campaign_medium": "cpc",
        "campaign": "spring sale",
        "campaign_term": "red shoes",
        "campaign_content": "a",
    }


def test_an_event_that_says_nothing_gets_nothing_and_is_no_bot() -> None:
    row = enriched(event_id="e", kind="purchase")
    assert row == dict.fromkeys(ENRICHED.names) | {"bot_score": 0, "bot": False}


@pytest.mark.parametrize("host", ["", "a b", "shop.example/path", "https://shop.example"])
def test_a_shop_host_that_is_none_is_named(host: str) -> None:
    with pytest.raises(ValueError, match="is not a host name"):
        Enricher(frozenset({host}))


@given(ROWS)
def test_rows_and_columns_stay_as_they_are_and_what_is_added_is_bounded(rows: list[dict[str, Any]]) -> None:
    events = table(rows)
    result = ENRICHER.enrich(events)
    assert result.schema == pa.schema([*EVENTS, *ENRICHED])
    assert result.select(EVENTS.names) == events
    for row in result.to_pylist():
        assert row["device"] in (*DEVICES, None)
        assert row["medium"] in (*MEDIUMS, None)
        assert row["bot"] is (row["bot_score"] >= BOT_FROM)
        assert (row["device"] is None) is (row["user_agent"] is None)
        texts = [row[field.name] for field in ENRICHED if field.type == pa.string() and row[field.name] is not None]
        assert all(0 < len(text) <= 253 and "\0" not in text for text in texts)


@given(ROWS, st.data())
def test_a_batch_is_the_concatenation_of_its_parts(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    """Neither what else is in a batch, nor in what chunks it comes, nor what was seen before changes an event."""
    at = data.draw(st.integers(0, len(rows)))
    parts = [table(rows[:at]), table(rows[at:])]
    whole = ENRICHER.enrich(pa.concat_tables(parts))
    assert pa.concat_tables([ENRICHER.enrich(part) for part in parts]).to_pylist() == whole.to_pylist()
    assert ENRICHER.enrich(table(rows[::-1])).to_pylist() == whole.to_pylist()[::-1]


def test_an_enricher_that_has_seen_much_answers_as_a_new_one_does() -> None:
    rows = [
        {"user_agent": agent, "page_url": f"{PAGE}?utm_term={n}", "referrer": referrer}
        for n, agent in enumerate((None, "", FIREFOX, "curl/8", FIREFOX, "Mozilla/5.0"))
        for referrer in (None, "https://t.co/", f"https://r{n}.example/")
    ]
    ENRICHER.enrich(table(rows[::2]))
    assert ENRICHER.enrich(table(rows)) == Enricher(frozenset({"pay.example"})).enrich(table(rows))


def test_an_empty_batch_gets_the_columns_too() -> None:
    for events in (EVENTS.empty_table(), pa.table([pa.chunked_array([], field.type) for field in EVENTS], EVENTS)):
        assert ENRICHER.enrich(events).schema == pa.schema([*EVENTS, *ENRICHED])


@pytest.mark.timeout(10)
def test_long_hostile_urls_cost_no_more_than_their_length() -> None:
    """64 KB each; anything quadratic in Python would take minutes over these."""
    size = 64 * 1024
    urls = [
        "https://" + "a@" * size,
        "https://" + "a." * size,
        "https://" + "é" * size,
        "https://[" + ":" * size,
        "https://a.example/?" + "utm_source=&" * size,
        "https://a.example/?" + "utm_source=a&" * size,
        "https://a.example/?utm_source=" + "%f0" * size,
        "https://a.example/?" + "&" * size,
        "?" * size,
        "/" * size,
        "\\" * size,
        " " * size,
    ]
    rows = [{"page_url": page, "referrer": referrer, "user_agent": page} for page in urls for referrer in urls[:4]]
    assert ENRICHER.enrich(table(rows)).num_rows == len(rows)
