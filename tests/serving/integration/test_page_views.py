"""Every view of the page: with a shop in it and without, on a wide and a narrow screen, in light and dark."""

import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from sqlalchemy import text

from contracts.keys import READ_SCOPES
from stack.settings import StackSettings
from tests import npm
from tests.browser import VIEWS, chromium, needs_chromium, saved, tab
from tests.serving.integration.conftest import Server, eventually, serving
from tests.serving.shop import engine

pytestmark = [pytest.mark.integration, needs_chromium, pytest.mark.asyncio(loop_scope="module")]

NODE = Path(__file__).resolve().parent / "node"

CUT_SUMS = """[...document.querySelectorAll(".tile.lead .value")].filter((value) => {
  value.textContent = "$1,234,567.89";
  return value.scrollWidth > value.clientWidth;
}).length"""
"""How many of the tiles for money would not show the sum of a good day whole."""

CLIPPED = """[...document.querySelectorAll("main *, header *")]
  .filter((one) => one.getClientRects().length && !one.closest(".sr, .scroll, nav"))
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => one.outerHTML.slice(0, 200))"""


STOPS = """() => {
  const usable = "a[href], button:not([disabled]), input, select, summary, [tabindex='0']";
  window.stops = [...document.querySelectorAll(usable)].filter(
    (one) => one.checkVisibility() && (one.type !== "radio" || one.checked));
  window.stops[0].focus();
  return window.stops.map((one) => one.outerHTML.slice(0, 120));
}"""
"""What can be used, each once: of a group of radios the chosen one."""

AT = """() => {
  const at = document.activeElement, seen = at.type === "radio" ? at.nextElementSibling : at;
  return [window.stops.indexOf(at), getComputedStyle(seen).outlineStyle !== "none"];
}"""
"""Which of them has the focus, and whether one sees that it has."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests of the file."""
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def axe(stack_settings: StackSettings) -> str:
    """The source of axe-core, to be run in a page."""
    return (npm.node_modules(NODE, stack_settings.cache) / "axe-core" / "axe.min.js").read_text()


async def violations(page: Page, axe: str) -> list[str]:
    """What axe finds wrong by WCAG A and AA, one line each."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe)
    found: list[dict[str, Any]] = await page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then((told) => told.violations)"
    )
    return [f"{one['id']}: {node['html'][:160]} {node['failureSummary']}" for one in found for node in one["nodes"]]


@npm.needs_node
async def test_every_view_is_accessible_in_both_themes_and_fits_both_ends(
    browser: Browser, busy: Server, axe: str
) -> None:
    async with tab(browser, busy.url) as light, tab(browser, busy.url, width=360, scheme="dark") as dark:
        for view in VIEWS:  # one after another in two tabs: opening one costs more than all that is looked for
            for opened in (light, dark):
                await show(opened.page, view)
                await opened.photograph()
                assert await violations(opened.page, axe) == [], view
            assert await dark.page.evaluate("document.documentElement.scrollWidth") == 360, view
            assert await dark.page.evaluate(CLIPPED) == [], view
            for opened in (light, dark):
                assert await opened.page.evaluate(CUT_SUMS) == 0, view


async def show(page: Page, view: str) -> None:
    """Go to another view by its link."""
    await page.locator(f'#views a[data-view="{view}"]').click()
    await expect(page.locator("html")).to_have_attribute("data-loaded", view)


async def test_everything_is_reached_with_tab_in_its_order_and_is_seen_to_have_the_focus(
    browser: Browser, busy: Server
) -> None:
    async with tab(browser, busy.url) as opened:
        for view in VIEWS:
            await show(opened.page, view)
            stops: list[str] = await opened.page.evaluate(STOPS)
            assert len(stops) > 20, view
            for place, stop in enumerate(stops[1:], 1):
                await opened.page.keyboard.press("Tab")
                assert await opened.page.evaluate(AT) == [place, True], (view, stop)


async def test_views_without_events_in_the_range_say_so(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/?from=2020-01-01T00:00:00Z&to=2020-01-01T06:00:00Z") as opened:
        page = opened.page
        for view in (view for view in VIEWS if view != "report"):  # it is of a day of its own
            await show(page, view)
            await expect(page.locator("#view .empty:visible").first).to_be_visible()
            await expect(page.locator("#trouble")).to_be_hidden()


async def test_a_days_report_is_the_apis_and_another_day_can_be_chosen(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/report") as opened:
        page = opened.page
        await expect(page.locator("#day")).to_have_value("2026-03-02")
        await expect(page.locator("#tile-revenue")).to_have_attribute("data-value", "12345.6")
        await expect(page.locator("article:has(#tile-revenue)")).to_contain_text("+23.5% on a week ago")
        await page.locator("#day").select_option("2026-03-01")
        await expect(page.locator("#day")).to_have_value("2026-03-01")
        assert page.url.endswith("?day=2026-03-01")
        asked = busy.data("{ segments { customers { kind users orders revenue } } }")["segments"]["customers"]
        names = {"people": "users", "orders": "orders", "spent": "revenue", "group": "kind"}
        rows = [{api: row[name] for name, api in names.items()} for row in await saved(page, "customers")]
        assert rows == [{name: str(value) for name, value in one.items()} for one in asked]


async def test_what_was_left_in_carts_leads_to_what_was_viewed_beside_it(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/funnel?range=24h") as opened:
        page = opened.page
        rows = await saved(page, "carts")
        assert len(rows) > 2
        assert all(0 < int(row["abandoned"]) <= int(row["additions"]) for row in rows)
        await page.locator("#carts a").first.click()
        await expect(page.locator("#dialog-title")).to_have_text("Customers also viewed")
        await expect(page.locator("#dialog")).to_contain_text(rows[0]["product"])
        assert await page.locator("#also-viewed tbody tr").count() > 2
        other = await page.locator("#also-viewed tbody button").first.text_content()
        await page.locator("#also-viewed tbody button").first.click()
        await expect(page.locator("#dialog")).to_contain_text(f"{other} ")
        await page.locator("#dialog-close").click()
        await expect(page).not_to_have_url(re.compile("also="))
        await page.locator('tr[data-product="p-mug"] button').click()
        await expect(page.locator("#dialog")).to_contain_text("p-mug ")


async def test_sales_are_the_apis_beside_the_period_before(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/sales?range=24h&zone=Asia/Kolkata") as opened:
        page = opened.page
        rows = await saved(page, "sales")
        root = """query ($range: TimeRange!) {
          sales(range: $range, grain: HOUR, timeZone: "Asia/Kolkata") { windowStart revenue orders }
        }"""
        span = {"from": rows[0]["start"], "to": rows[-1]["end"]}
        asked = busy.data(root, range=span)["sales"]
        assert [(row["start"], row["revenue"], int(row["orders"])) for row in rows] == [
            (one["windowStart"], one["revenue"], one["orders"]) for one in asked
        ]
        day_before = {key: (datetime.fromisoformat(at) - timedelta(days=1)).isoformat() for key, at in span.items()}
        before = busy.data(root, range=day_before)["sales"]
        assert [row["revenue_before"] for row in rows if row["revenue_before"]] == [one["revenue"] for one in before][
            : len(rows)
        ]
        total = sum(float(one["revenue"]) for one in asked)
        assert float(await page.locator("#tile-revenue").get_attribute("data-value") or 0) == pytest.approx(total)
        odd = [row["odd"] for row in rows if row["odd"]]
        flags = sorted(flag.partition(" at ")[0] for hour in odd for flag in hour.split("; "))
        assert flags == ["purchases 3, about 20 expected", "views 4, about 120 expected"]
        await expect(page.locator("#sales-table a.pill").last).to_have_attribute("title", odd[0])
        await page.locator('#grain input[value="DAY"]').check(force=True)
        await expect(page.locator("#sales-table tbody tr")).to_have_count(2)
        assert "grain=day" in page.url


async def test_the_next_day_is_shown_beside_the_last_and_a_chart_is_saved_as_a_picture(
    browser: Browser, busy: Server
) -> None:
    async with tab(browser, f"{busy.url}/sales") as opened:
        page = opened.page
        async with page.expect_download() as download:
            await page.locator("#panel-sales [data-export=png]").click()
        picture = await (await download.value).path()
        assert picture.read_bytes().startswith(b"\x89PNG")
        rows = await saved(page, "forecast")
        last, following = rows[:24], rows[24:]
        asked = busy.data(
            "query ($range: TimeRange!) { sales(range: $range, grain: HOUR) { windowStart revenue }"
            " forecast(range: $range, metric: REVENUE) { windowStart windowEnd expected low high"
            "  revenue { expected low high currency } } }",
            range={"from": rows[0]["hour"], "to": following[0]["hour"]},
        )
        assert [float(row["happened"]) for row in last] == [float(one["revenue"]) for one in asked["sales"]]
        assert [(one["expected"], one["low"], one["high"]) for one in asked["forecast"]] == [(4000, 2000, 8000)] * 24
        money = {"expected": "4000.00", "low": "2000.00", "high": "8000.00", "currency": "USD"}
        assert [one["revenue"] for one in asked["forecast"]] == [money] * 24
        assert [(row["happened"], row["expected"], row["high"]) for row in following] == [("", "4000", "8000")] * 24
        await page.locator("#forecast-of").select_option("kitchen")
        await expect(page.locator("#forecast-chart")).to_have_attribute("aria-label", re.compile("Revenue of kitchen"))
        assert "of=kitchen" in page.url
        kitchen = await saved(page, "forecast")
        assert {row["expected"] for row in kitchen} == {"1000"}
        assert [row["odd"].partition(" at ")[0] for row in kitchen if row["odd"]] == ["revenue 900, about 300 expected"]
        assert kitchen[21]["odd"]
        assert not any(row["odd"] for row in rows)
        assert (
            0 < sum(float(row["happened"] or 0) for row in kitchen) < sum(float(row["happened"] or 0) for row in rows)
        )
        await page.locator('#forecast-measure input[value="purchases"]').check(force=True)
        await expect(page.locator("#panel-forecast .empty")).to_contain_text("Nothing is forecast of kitchen")


@pytest.mark.parametrize("arguments", ['scope: SITE, subject: "kitchen"', "scope: CATEGORY"])
async def test_a_forecast_of_nothing_in_particular_is_refused(busy: Server, arguments: str) -> None:
    range_ = 'range: {from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z"}'
    answer = busy.post(f"{{ forecast({range_}, metric: VIEWS, {arguments}) {{ expected }} }}")
    assert "a category or product needs its name" in answer["errors"][0]["message"]


async def test_products_are_sorted_searched_and_saved(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/products?range=24h") as opened:
        page = opened.page
        names = page.locator("#products tbody a.name")
        await expect(names).to_have_count(8)
        await page.get_by_role("button", name="Views").click()
        await expect(page.locator("#products th[aria-sort=descending]")).to_have_text("Views")
        views = [int(row["views"]) for row in await saved(page, "products")]
        assert views == sorted(views, reverse=True)
        await page.get_by_role("button", name="Views").click()
        await expect(page.locator("#products th[aria-sort=ascending]")).to_have_text("Views")
        views = [int(row["views"]) for row in await saved(page, "products")]  # a minute later, of other 24 hours
        assert views == sorted(views)
        await page.get_by_role("button", name="Product").click()
        await expect(names.first).to_have_text("p-atlas")
        await page.locator("#products-search").fill("kitchen")
        await expect(names).to_have_text(["p-kettle", "p-mug"])
        assert await page.locator("#products .spark path").count() == 4


async def test_the_funnel_tells_who_stops_where(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/funnel?split=device&bots=all") as opened:
        page = opened.page
        rows = await saved(page, "funnel")
        reached = [int(row["sessions"]) for row in rows]
        assert reached == sorted(reached, reverse=True)
        assert reached[-1] > 0
        lost = [f"−{before - after:,}" for before, after in pairwise(reached)]
        await expect(page.locator("#funnel .step-loss b")).to_have_text(lost)
        parts = await saved(page, "segments")
        assert {row["segment"] for row in parts} == {"mobile", "desktop", "tablet", ""}
        for step, whole in zip(("VIEW", "ADD_TO_CART", "CHECKOUT_START", "PURCHASE"), reached, strict=True):
            assert sum(int(row["sessions"]) for row in parts if row["step"] == step) == whole


async def test_journeys_follow_pages_or_actions(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/journeys?range=24h") as opened:
        page = opened.page
        await expect(page.locator("#journeys-chart canvas")).to_be_visible()
        await expect(page.locator("#journey-ways tbody tr").first).to_contain_text("/p/*")
        await page.locator('#by input[value="STEP"]').check(force=True)
        await expect(page.locator("#journey-steps tbody th").first).to_have_text("View")
        ways = {(row["from"], row["to"]) for row in await saved(page, "journey-ways")}
        assert ("checkout_start", "purchase") in ways
        label = await page.locator("#journeys-chart").get_attribute("aria-label")
        assert label is not None
        assert label.endswith("most begin with Page view")


EARLIER = """
query ($range: TimeRange!, $before: TimeRange!) {
  journeys(range: $range, first: 12, compareWith: DAY_BEFORE) {
    previous { journeys } nodes { previous { visits } } transitions { previous { count } } }
  topProducts(range: $range, by: REVENUE, first: 200, compareWith: DAY_BEFORE) { productId previous { rank revenue } }
  before: conversions(range: $before, window: "PT3M") { productId clicks convertedClicks }
  funnel(range: $range, compareWith: DAY_BEFORE) { segments { previous { steps { sessions } } } }
}"""


async def test_what_was_a_day_before_stands_beside(browser: Browser, busy: Server, axe: str) -> None:
    now = datetime.now(UTC)
    end = now.replace(minute=now.minute // 3 * 3, second=0, microsecond=0)  # where one of the page's windows ends
    of, day = [f"{at:%Y-%m-%dT%H:%M:00Z}" for at in (end - timedelta(hours=1), end)], timedelta(days=1)
    before = {"from": f"{end - timedelta(hours=1) - day:%FT%TZ}", "to": f"{end - day:%FT%TZ}"}
    told = busy.data(EARLIER, range={"from": of[0], "to": of[1]}, before=before)
    chosen = f"from={of[0]}&to={of[1]}&bots=people&compare=day"
    async with tab(browser, f"{busy.url}/journeys?{chosen}") as opened:
        page = opened.page
        ways, nodes = told["journeys"]["transitions"], told["journeys"]["nodes"]
        counts = [str(each["previous"]["count"]) if each["previous"] else "" for each in ways]
        assert [row["count_before"] for row in await saved(page, "journey-ways")] == counts
        then = page.locator("#journey-steps tbody tr").first.locator(".then").first
        await expect(then).to_contain_text(f"{nodes[0]['previous']['visits']:,}")
        journeys = told["journeys"]["previous"]["journeys"]
        await expect(page.locator("#panel-journeys .note")).to_contain_text(f"{journeys:,} a day before (")
        assert await violations(page, axe) == []
        await page.get_by_role("link", name="Products").click()
        await expect(page.locator("#products .then").first).to_be_visible()
        rows = {row["product"]: row for row in await saved(page, "products")}
        for each in told["topProducts"]:
            then_ = each["previous"] or {"rank": "", "revenue": ""}
            row = rows[each["productId"]]
            assert (row["rank_before"], row["revenue_before"]) == (str(then_["rank"]), then_["revenue"])
        product = told["topProducts"][0]["productId"]
        clicks = [each for each in told["before"] if each["productId"] == product]
        rate = sum(each["convertedClicks"] for each in clicks) / sum(each["clicks"] for each in clicks)
        await expect(page.locator(f'#products tr[data-product="{product}"]')).to_contain_text(f"{rate:.1%}")
        await page.get_by_role("button", name="Also viewed with p-tent").click()
        await expect(page.locator("#also-viewed .then").first).to_be_visible()
        await page.locator("#dialog-close").click()
        await page.get_by_role("link", name="Funnel").click()
        steps = told["funnel"]["segments"][0]["previous"]["steps"]
        await expect(page.locator("#funnel .earlier")).to_contain_text(
            [f"a day before {step['sessions']:,}," for step in steps]
        )
        assert await violations(page, axe) == []
        await page.locator("#compare").select_option("")
        await expect(page.locator("#funnel .earlier")).to_have_count(0)
        assert "compare" not in page.url
    later = f"from={now + timedelta(minutes=1):%FT%TZ}&to={now + timedelta(minutes=61):%FT%TZ}&compare=range"
    async with tab(browser, f"{busy.url}/quality?{later}") as opened:
        for panel, counted in (("reasons", "0 events, chosen range; 3"), ("duplicates", "counted once; 2")):
            note = opened.page.locator(f"#panel-{panel} .note")
            await expect(note).to_contain_text(f"{counted} the time right before")
    async with tab(browser, f"{busy.url}/products?{chosen}", width=360, scheme="dark") as opened:
        await expect(opened.page.locator("#products .then").first).to_be_visible()
        assert await violations(opened.page, axe) == []
        assert await opened.page.evaluate(CLIPPED) == []


async def test_sessions_are_filtered_paged_and_found_by_id(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/sessions?range=24h&product=p-tent") as opened:
        page = opened.page
        await expect(page.locator(".chip")).to_contain_text("with p-tent")
        await page.locator("#filter-bought").select_option("yes")
        await expect(page.locator("#sessions .spent:not(.some)")).to_have_count(0)
        first = await page.locator("#sessions button").first.get_attribute("data-key")
        await page.locator(".chip button").click()
        await expect(page.locator(".chip")).to_have_count(0)
        await page.locator("#filter-bought").select_option("")
        await expect(page.locator("#sessions .spent:not(.some)").first).to_be_visible()
        await expect(page.locator("#sessions li")).to_have_count(25)
        newest = await page.locator("#sessions button").first.get_attribute("data-key")
        await page.get_by_role("button", name="Older").click()
        await expect(page.locator(f'#sessions [data-key="{newest}"]')).to_have_count(0)
        await page.get_by_role("button", name="Newer").click()
        await expect(page.locator("#sessions button").first).to_have_attribute("data-key", newest or "")
        session = busy.data("query ($id: ID!) { session(id: $id) { sessionId userId } }", id=first)["session"]
        await page.locator("#sessions-search").fill(session["sessionId"])
        await page.keyboard.press("Enter")
        await expect(page.locator("#sessions li")).to_have_count(1)
        await expect(page.locator("#sessions .name")).to_have_text(session["userId"])
        await page.locator("#sessions-search").fill("nobody")
        await page.keyboard.press("Enter")
        await expect(page.locator("#panel-sessions .empty")).to_contain_text(
            "No session and no user has the id “nobody”"
        )


async def test_steps_of_a_funnel_are_chosen_and_are_in_the_address(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/funnel?steps=product_view,nonsense,click") as opened:
        page = opened.page
        rows = await saved(page, "funnel")
        assert [row["step"] for row in rows] == ["PRODUCT_VIEW", "CLICK"]
        assert int(rows[0]["sessions"]) > int(rows[1]["sessions"]) > 0
        await page.locator("#step-add").click()
        await expect(page.locator('#funnel li[data-step="PURCHASE"]')).to_be_visible()
        assert (await saved(page, "funnel"))[:2] == rows
        assert "steps=product_view%2Cclick%2Cpurchase" in page.url
        await expect(page.locator("#segments thead th").last).to_have_text("Time")
        await page.locator("#step-0").select_option("SEARCH")
        await expect(page.locator("#funnel li").first).to_contain_text("Searched")
        await page.get_by_role("button", name="Leave out step 2").click()
        await expect(page.locator("#funnel li")).to_have_count(2)
        await page.locator("#step-usual").click()
        await expect(page.locator("#funnel li")).to_have_count(4)
        await expect(page).not_to_have_url(re.compile("steps="))


async def test_users_are_the_segments_and_open_with_their_sessions(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/users?segment=buyers&order=events") as opened:
        page = opened.page
        rows = await saved(page, "users")
        assert all(float(row["revenue"]) > 0 for row in rows)
        assert [int(row["events"]) for row in rows] == sorted((int(row["events"]) for row in rows), reverse=True)
        await page.locator("#users button").first.click()
        await expect(page.locator("#dialog .facts")).to_contain_text(rows[0]["user"])
        await expect(page.locator("#user-sessions li").first).to_be_visible()
        assert f"user={rows[0]['user']}" in page.url
        await page.locator("#user-sessions button").first.click()
        await expect(page.locator("#dialog .timeline li").first).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page).not_to_have_url(re.compile("user="))
        assert (await saved(page, "retention"))[0]["share"] == "1"


async def test_quality_shows_what_was_sent_and_never_runs_it(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/quality") as opened:
        page = opened.page
        await page.get_by_role("button", name="Invalid enum").click()
        await expect(page).to_have_url(f"{busy.url}/quality?reason=invalid_enum")
        await page.locator(".sample summary").click()
        await expect(page.locator(".sample pre")).to_have_text('{"action":"<b>teleport</b>"}')
        await page.get_by_role("button", name="Malformed avro in the log").click()
        await expect(page.locator(".samples")).to_contain_text("clickstream 0 / 2")
        await page.locator('#conflict input[value="yes"]').check(force=True)
        await expect(page.locator("#duplicates tbody tr")).to_have_count(1)
        await expect(page.locator("#duplicates")).to_contain_text("e-2")
        await expect(page.locator("#epochs tbody tr")).to_have_count(1)


async def test_an_event_is_explained_by_its_id_and_from_where_it_is_shown(browser: Browser, busy: Server) -> None:
    query = "{ sessions(first: 50, converted: true) { nodes { id userId path { action eventId } } } }"
    node = busy.data(query)["sessions"]["nodes"][0]
    step = next(number for number, one in enumerate(node["path"], 1) if one["action"] == "purchase")
    event_id = node["path"][step - 1]["eventId"]
    async with tab(browser, f"{busy.url}/quality") as opened:
        page = opened.page
        await page.locator("#event-search").fill(f" {event_id} ")
        await page.keyboard.press("Enter")
        await expect(page.locator("#copies li")).to_have_count(1)
        await expect(page.locator("#copies")).to_contain_text("It counts, once. transactions 0 /")
        await expect(page.locator("#dialog .facts")).to_contain_text(node["userId"])
        assert f"event={event_id}" in page.url
        await page.get_by_role("button", name=f"step {step} of {len(node['path'])}").click()
        timeline = page.locator("#dialog .timeline li")
        await expect(timeline).to_have_count(len(node["path"]))
        await timeline.nth(step - 1).get_by_role("button").click()
        await expect(page.locator("#copies")).to_contain_text("It counts, once.")
        await page.keyboard.press("Escape")
        await expect(page).not_to_have_url(re.compile("event="))
        await page.locator("#duplicates tbody button").first.click()
        await expect(page.locator("#copies")).to_contain_text("It came again with")


@npm.needs_node
async def test_an_event_that_was_never_seen_is_told_on_a_narrow_screen(
    browser: Browser, busy: Server, axe: str
) -> None:
    known = busy.data("{ sessions(first: 1) { nodes { path { eventId } } } }")["sessions"]["nodes"][0]["path"][0]
    for name, says in (("nobody", "No record has the id “nobody”"), (known["eventId"], "It counts, once.")):
        async with tab(browser, f"{busy.url}/quality?event={name}", width=360, scheme="dark") as opened:
            await expect(opened.page.locator("#dialog-body")).to_contain_text(says)
            assert await opened.page.evaluate(CLIPPED) == []
            assert await violations(opened.page, axe) == []


async def test_an_alert_is_acknowledged_and_what_was_odd_is_told(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/alerts") as opened:
        page = opened.page
        await expect(page.locator("#alerts-open")).to_have_text("1")
        await expect(page.locator("#alerts")).to_contain_text("app 30 of 100")
        await expect(page.locator("#anomalies tbody tr").first).to_contain_text("shoes 60.5 → 4")
        by = page.locator("#anomalies tbody tr").last.get_by_title("Model version 3")
        await expect(by).to_have_text("Seasonal trend 9")
        await page.get_by_role("button", name="Acknowledge").click()
        await page.locator("#ack-name").fill("Kim")
        await page.keyboard.press("Enter")
        await expect(page.locator("#alerts .seen")).to_contain_text("Kim sees to it since")
        await expect(page.locator("#alerts-open")).to_be_hidden()
        assert busy.data("{ alerts { acknowledgedBy } }")["alerts"] == [{"acknowledgedBy": "Kim"}]


@pytest.fixture(scope="module")
def guarded(busy: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A second server over the same shop, which asks for keys and has GraphiQL."""
    home = tmp_path_factory.mktemp("guarded")
    scopes = {"ops": list(READ_SCOPES), "desk": ["analytics", "personal"], "wall": ["analytics"]}
    keys = [
        {"source": name, "sha256": hashlib.sha256(name.encode()).hexdigest(), "scopes": told}
        for name, told in scopes.items()
    ]
    (home / "keys.json").write_text(json.dumps(keys))
    settings = {"serving_keys_file": str(home / "keys.json"), "serving_graphiql": "true"}
    with serving(busy.database_url, busy.schema, home, **settings) as running:
        assert eventually(lambda: running.ready().status_code == 200)
        yield running


@asynccontextmanager
async def unlocked(
    browser: Browser, url: str, *, key: str = "ops", of_a_dialog: bool = False, **look: Any
) -> AsyncIterator[Page]:
    """The page once it has the key; that it had none at first is in the console."""
    async with tab(browser, url, ready="#read-key", **look) as opened:
        if of_a_dialog:  # which opens, finds that it lacks a key, and gives way to the field for it
            await opened.page.locator("#dialog[data-locked]").wait_for(state="attached")
        await expect(opened.page.locator("#dialog")).to_be_hidden()
        await opened.page.locator("#read-key").fill(key)
        await opened.page.keyboard.press("Enter")
        await opened.page.locator("html[data-drawn]").wait_for(state="attached")
        await opened.page.reload()
        await opened.page.locator("html[data-drawn]").wait_for(state="attached")
        opened.complaints[:] = [one for one in opened.complaints if "401" not in one and "WebSocket" not in one]
        yield opened.page


async def test_who_may_not_see_requests_is_told_so_without_asking(browser: Browser, guarded: Server) -> None:
    """By the end the console must have no complaint, which a request that is refused would be."""
    url = f"{guarded.url}/quality?requests=all"
    async with unlocked(browser, url, key="desk", of_a_dialog=True) as page:
        await expect(page.locator("#dialog")).to_contain_text("This key lacks the scope admin.")
        await page.locator("#dialog-close").click()
        await page.get_by_role("button", name="Requests").click()
        await expect(page.locator("#dialog")).to_contain_text(
            "millrace keys create NAME --scope analytics --scope admin"
        )


async def test_who_may_not_see_single_people_sees_all_else_and_is_told_why(browser: Browser, guarded: Server) -> None:
    """Every view and every detail, without a refused request, which would be in the console."""
    lacking = {"overview": ["#panel-sessions"], "sessions": ["#panel-sessions"], "users": ["#panel-users"]}
    lacking |= {"quality": ["#panel-duplicates", "#samples", "#verified"]}
    async with unlocked(browser, guarded.url, key="wall") as page:
        for view in VIEWS:
            await page.goto(f"{guarded.url}/{view if view != 'overview' else ''}?reason=invalid_enum")
            await page.locator(f"html[data-loaded={view}]").wait_for(state="attached")
            await expect(page.locator("#trouble")).to_be_hidden()
            for panel in lacking.get(view, ()):
                await expect(page.locator(panel)).to_contain_text("This key lacks the scope personal.")
                await expect(page.locator(f"{panel} .panel-controls")).to_be_hidden()
            await expect(page.get_by_text("This key lacks")).to_have_count(len(lacking.get(view, ())))
            if folder := os.environ.get("MILLRACE_TEST_SCREENSHOTS"):
                for width in (1440, 360):
                    await page.set_viewport_size({"width": width, "height": 900})
                    await page.screenshot(path=Path(folder) / f"{view}-lacking-{width}.png", full_page=True)
        for detail in ("session=x", "user=u-1", "event=e-1"):
            await page.goto(f"{guarded.url}/users?{detail}")
            await expect(page.locator("#dialog")).to_contain_text("millrace keys create NAME --scope analytics")
        await page.locator("#dialog-close").click()
        await expect(page.locator("#retention table")).to_have_count(1)


async def test_who_may_sees_which_rows_are_not_as_the_log_says(browser: Browser, guarded: Server) -> None:
    async with unlocked(browser, f"{guarded.url}/quality", key="desk") as page:
        await expect(page.locator("#verified")).to_contain_text("users, user_id u-1: different")
        await expect(page.locator("#verified")).to_contain_text("views 3, the log says 2 · events e-1")


async def became(server: Server, key: str, **told: Any) -> None:
    """What the stack writes when it does a request."""
    types = {"receipt": "jsonb", "started_at": "timestamptz", "finished_at": "timestamptz", "attempts": "integer"}
    changes = ", ".join(f"{name} = CAST(:{name} AS {types.get(name, 'text')})" for name in told)
    writer = engine(server.database_url, server.schema)
    async with writer.begin() as connection:
        await connection.execute(text(f"UPDATE requests SET {changes} WHERE key = :key"), {"key": key, **told})
    await writer.dispose()


async def test_refused_events_are_sent_again_and_who_asked_sees_what_becomes_of_it(
    browser: Browser, busy: Server, guarded: Server
) -> None:
    async with unlocked(browser, f"{guarded.url}/quality?reason=invalid_enum") as page:
        await page.get_by_role("button", name="Send them again …").click()
        await expect(page.locator("#requests")).to_contain_text("Nothing was asked for yet")
        await page.locator("#request-patch").fill('.action = "view"')
        await page.locator("#request-key").fill("ticket 7")
        await page.locator("#request-send").click()
        await expect(page.locator("#dialog .seen")).to_contain_text("It is asked for")
        request = page.locator('#requests [data-key="ticket 7"]')
        await expect(request).to_contain_text("Waiting")
        await expect(request).to_contain_text("ops, ")
        kept = await arguments(busy, "ticket 7")
        assert kept == {"reason": "invalid_enum", "patch": '.action = "view"'}
        now = datetime.now(UTC)
        await became(busy, "ticket 7", state="running", started_at=now, attempts=2)
        await expect(request).to_contain_text("Being done")
        await expect(request).to_contain_text("Tried 2 times")
        receipt = json.dumps({"counts": {"accepted": 12, "refused": 1}, "not_accepted": []})
        await became(busy, "ticket 7", state="done", finished_at=now, receipt=receipt)
        await expect(request).to_contain_text("12 accepted, 1 refused")
    async with tab(browser, f"{busy.url}/quality?reason=invalid_enum") as opened:
        # Where nobody is asked for a key nothing may be asked for: the command is named.
        await expect(opened.page.locator(".samples code").first).to_contain_text("millrace rejected replay")
        await expect(opened.page.get_by_role("button", name="Requests")).to_have_count(0)


@npm.needs_node
async def test_a_user_is_erased_after_the_id_was_said_once_more(
    browser: Browser, busy: Server, guarded: Server, axe: str
) -> None:
    user = busy.data("{ users(first: 1) { nodes { id } } }")["users"]["nodes"][0]["id"]
    async with unlocked(
        browser, f"{guarded.url}/users?user={user}", of_a_dialog=True, width=360, scheme="dark"
    ) as page:
        await page.get_by_role("button", name="Erase this user …").click()
        await page.locator("#request-user").fill("somebody else")
        await page.locator("#request-key").fill("ticket 8")
        await page.locator("#request-send").click()
        await expect(page.locator("#dialog .fault")).to_contain_text("another id")
        assert await violations(page, axe) == []
        assert await page.evaluate(CLIPPED) == []
        await page.locator("#request-user").fill(user)
        await page.locator("#request-send").click()
        request = page.locator('#requests [data-key="ticket 8"]')
        await expect(request).to_contain_text("The stack begins within seconds")
        assert await arguments(busy, "ticket 8") == {"user_id": user}
        await became(busy, "ticket 8", state="waiting", attempts=1, error="Postgres has gone away.")
        await expect(request).to_contain_text("is tried again: Postgres has gone away.")
        await became(busy, "ticket 8", state="failed", attempts=5, error="The log is read-only.")
        await expect(request).to_contain_text("Given up")
        await expect(request).to_contain_text("The log is read-only. Tried 5 times.")
        assert await violations(page, axe) == []
        assert await page.evaluate(CLIPPED) == []


async def arguments(server: Server, key: str) -> Any:
    reader = engine(server.database_url, server.schema)
    async with reader.connect() as connection:
        told = (
            await connection.execute(text("SELECT arguments FROM requests WHERE key = :key"), {"key": key})
        ).scalar()
    await reader.dispose()
    return told


async def test_graphiql_asks_with_the_pages_key_and_follows_a_subscription(browser: Browser, guarded: Server) -> None:
    """Under the page's own policy: by the end the console must have no complaint."""
    answers, run = ".graphiql-response", "Execute query (Ctrl-Enter)"
    write = "(editor, text) => editor.CodeMirror.setValue(text)"
    async with unlocked(browser, f"{guarded.url}/users") as page:
        await page.goto(f"{guarded.url}/graphiql")
        await page.get_by_role("button", name=run).click()
        await expect(page.locator(answers)).to_contain_text('"activeUsers":')
        editor = page.locator(".graphiql-query-editor .CodeMirror")
        await editor.evaluate(write, "subscription { realtime { asOf { epoch } currency } }")
        await page.get_by_role("button", name=run).click()
        await expect(page.locator(answers)).to_contain_text('"currency": "USD"')
        await page.get_by_role("button", name="Stop query (Ctrl-Enter)").click()
        await editor.evaluate(write, "{ nope }")
        await page.get_by_role("button", name=run).click()
        await expect(page.locator(answers)).to_contain_text("Cannot query field 'nope'")
        await page.get_by_role("button", name="Show Documentation Explorer").click()
        await page.locator(".graphiql-doc-explorer").get_by_role("link", name="Query").first.click()
        await expect(page.locator(".graphiql-doc-explorer")).to_contain_text("topProducts")
        for width in (1440, 360):
            await page.set_viewport_size({"width": width, "height": 800})
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            await expect(page.get_by_role("button", name=run)).to_be_in_viewport()
            await expect(page.locator(answers)).to_be_in_viewport(ratio=0.5)
            if folder := os.environ.get("MILLRACE_TEST_SCREENSHOTS"):
                await page.screenshot(path=Path(folder) / f"graphiql-{width}.png")


async def test_the_clock_of_a_zone_is_the_calendars_and_a_saved_text_no_formula(browser: Browser, busy: Server) -> None:
    async with tab(browser, busy.url) as opened:
        sheet = await opened.page.evaluate(
            """async () => {
              const { csv } = await import("/page/js/export.js");
              return csv(["a", "b"], [["=1+1", "-3.5"], ['x "y", z', null]]);
            }"""
        )
        assert sheet == 'a,b\r\n\'=1+1,-3.5\r\n"x ""y"", z",\r\n'
        days = await opened.page.evaluate(
            """async () => {
              const { startOfDay, addDays, instant } = await import("/page/js/zones.js");
              const at = Date.parse;
              return [
                startOfDay(at("2026-03-29T12:00Z"), "Europe/Berlin"),
                startOfDay(at("2026-03-29T12:00Z"), "Europe/Berlin", 1),
                startOfDay(at("2026-10-25T12:00Z"), "Europe/Berlin", 1),
                addDays(at("2026-03-28T07:00Z"), "Europe/Berlin", 1),
                instant(at("2026-03-29T02:30Z"), "Europe/Berlin"),
                startOfDay(at("2026-01-01T00:00Z"), "Asia/Kolkata"),
              ].map((one) => new Date(one).toISOString());
            }"""
        )
        assert days == [
            "2026-03-28T23:00:00.000Z",
            "2026-03-29T22:00:00.000Z",
            "2026-10-25T23:00:00.000Z",
            "2026-03-29T06:00:00.000Z",
            "2026-03-29T01:30:00.000Z",
            "2025-12-31T18:30:00.000Z",
        ]
