"""The page in a real browser: it follows commits, its address says what it shows, and it tells what is wrong."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from tests.browser import chromium, needs_chromium, tab
from tests.serving.events import Refusal, Repeat, visits
from tests.serving.integration.conftest import Server, serving
from tests.serving.shop import Shop, write

pytestmark = [pytest.mark.integration, needs_chromium, pytest.mark.asyncio(loop_scope="module")]

REALTIME = """
query ($zone: String) {
  realtime(timeZone: $zone) {
    eventsPerSecond activeUsers viewsPerMinute revenueToday purchasesToday conversionRate cartAbandonmentRate
  }
  books { residue totals { records } }
}"""

LATER = "(seconds) => { const now = performance.now; performance.now = () => now.call(performance) + seconds * 1000; }"
"""Let the page believe that so much time has passed since it last heard of a commit."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests of the file."""
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def live_shop() -> Shop:
    now = datetime.now(UTC)
    events = visits(11, now - timedelta(hours=2), now)
    return Shop(
        events=events, refusals=[Refusal(now - timedelta(minutes=3), "invalid_enum")], duplicates=[Repeat("e-1")] * 4
    )


async def commit(server: Server, shop: Shop) -> None:
    await write(server.database_url, server.schema, shop)


async def test_an_empty_shop_says_how_to_send_the_first_event(browser: Browser, empty_server: Server) -> None:
    async with tab(browser, empty_server.url, ready="#welcome:not([hidden])") as opened:
        await expect(opened.page.locator("#welcome-curl")).to_contain_text("/v1/events")
        await expect(opened.page.locator("#view")).to_be_hidden()


async def test_the_numbers_on_the_page_are_those_of_the_api(
    browser: Browser, empty_server: Server, live_shop: Shop
) -> None:
    await commit(empty_server, live_shop)
    async with tab(browser, f"{empty_server.url}/") as opened:
        page = opened.page
        data = empty_server.data(REALTIME, zone="Europe/Berlin")
        for name, value in data["realtime"].items():
            await expect(page.locator(f"#tile-{name}")).not_to_have_text("–")
            shown = await page.locator(f"#tile-{name}").get_attribute("data-value")
            assert shown is not None
            assert float(shown) == pytest.approx(float(value)), name
        revenue = float(data["realtime"]["revenueToday"])
        text = f"${revenue:,.2f}" if revenue < 10_000 else f"${revenue:,.0f}"
        await expect(page.locator("#tile-revenueToday")).to_have_text(text)
        await expect(page.locator("#fresh-label")).to_have_text("Live")
        await expect(page.locator("#books .verdict")).to_have_attribute("data-residue", "0")
        await expect(page.locator("#panel-books .note")).to_have_text(f"{data['books']['totals']['records']:,} records")
        label = await page.locator("#sales-chart").get_attribute("aria-label")
        assert label is not None
        assert label.startswith("Sales by hour, $")


async def test_a_commit_shows_without_a_reload(browser: Browser, empty_server: Server, live_shop: Shop) -> None:
    await commit(empty_server, live_shop)
    async with tab(browser, empty_server.url) as opened:
        html = opened.page.locator("html")
        await expect(html).to_have_attribute("data-epoch", str(live_shop.epoch))
        live_shop.events += visits(12, datetime.now(UTC) - timedelta(minutes=4), datetime.now(UTC), 20)
        await commit(empty_server, live_shop)
        await expect(html).to_have_attribute("data-epoch", str(live_shop.epoch), timeout=5_000)
        data = empty_server.data(REALTIME)
        value = str(data["realtime"]["activeUsers"])
        await expect(opened.page.locator("#tile-activeUsers")).to_have_attribute("data-value", value)
        records = f"{data['books']['totals']['records']:,} records"
        await expect(opened.page.locator("#panel-books .note")).to_have_text(records, timeout=15_000)


async def test_a_rare_reason_has_samples_which_stay_open_while_the_shop_goes_on(
    browser: Browser, empty_server: Server, live_shop: Shop
) -> None:
    now = datetime.now(UTC)
    live_shop.refusals += [Refusal(now - timedelta(minutes=1), "invalid_enum")] * 60
    for source, minutes in (("ios", 20), ("till", 21)):
        live_shop.refusals.append(
            Refusal(now - timedelta(minutes=minutes), "malformed_json", source, f"{{{source}".encode())
        )
    await commit(empty_server, live_shop)
    async with tab(browser, f"{empty_server.url}/quality?reason=malformed_json") as opened:
        page = opened.page
        await expect(page.locator(".sample summary span:first-of-type")).to_have_text(["ios", "till"])
        await page.get_by_role("button", name="till", exact=True).click()
        await expect(page.locator(".sample summary span:first-of-type")).to_have_text(["till"])
        assert "source=till" in page.url
        await page.locator(".sample summary").press("Enter")
        await expect(page.locator(".sample pre")).to_have_text("{till")
        live_shop.refusals.append(Refusal(now - timedelta(minutes=22), "malformed_json", "till", b"{older"))
        await commit(empty_server, live_shop)
        await expect(page.locator(".sample summary")).to_have_count(2)
        await expect(page.locator(".sample pre").first).to_be_visible()
        await expect(page.locator(".sample summary").first).to_be_focused()
        await page.get_by_role("button", name="Invalid enum").click()
        await expect(page.locator(".sample")).to_have_count(5)
        assert "source" not in page.url


async def test_the_focus_stays_on_a_product_whose_numbers_change(
    browser: Browser, empty_server: Server, live_shop: Shop
) -> None:
    await commit(empty_server, live_shop)
    async with tab(browser, f"{empty_server.url}/products?by=VIEWS&sort=product&order=asc") as opened:
        page = opened.page
        link = page.locator('tr[data-product="p-kettle"] a.name')
        await link.focus()
        before = await page.locator('tr[data-product="p-kettle"]').inner_text()
        live_shop.events += visits(13, datetime.now(UTC) - timedelta(minutes=4), datetime.now(UTC), 20)
        await commit(empty_server, live_shop)
        await expect(page.locator("html")).to_have_attribute("data-drawn", str(live_shop.epoch))
        assert await page.locator('tr[data-product="p-kettle"]').inner_text() != before
        await expect(link).to_be_focused()


async def test_the_address_says_what_is_shown(browser: Browser, empty_server: Server, live_shop: Shop) -> None:
    await commit(empty_server, live_shop)
    async with tab(browser, f"{empty_server.url}/?range=6h&by=VIEWS&bots=all&zone=Asia/Kolkata") as opened:
        page = opened.page
        await expect(page.locator('#range input[value="6h"]')).to_be_checked()
        await expect(page.locator("#bots")).to_have_value("all")
        await expect(page.locator("#zone")).to_have_value("Asia/Kolkata")
        views = [int(text) for text in await page.locator("#products td.lead").all_text_contents()]
        assert views == sorted(views, reverse=True)
        await page.locator("#products-by").select_option("CLICKS")
        await expect(page.locator("#products th[aria-sort]")).to_have_text("Clicks")
        await page.locator('#range input[value="6h"]').focus()
        await page.keyboard.press("ArrowLeft")
        await expect(page.locator('#range input[value="1h"]')).to_be_checked()
        assert page.url.endswith("/?range=1h&by=CLICKS&bots=all&zone=Asia%2FKolkata")
        # To another view and back: what every view shares goes along, what is one view's own does not.
        await page.get_by_role("link", name="Sales").click()
        await expect(page.locator("h1")).to_have_text("Sales")
        assert page.url.endswith("/sales?range=1h&zone=Asia%2FKolkata&bots=all")
        await page.go_back()
        await expect(page.locator("h1")).to_have_text("Overview")
        await expect(page.locator("#products-by")).to_have_value("CLICKS")


async def test_a_range_of_ones_own_is_on_the_clock_of_the_chosen_zone(
    browser: Browser, empty_server: Server, live_shop: Shop
) -> None:
    await commit(empty_server, live_shop)
    async with tab(browser, f"{empty_server.url}/products?zone=Asia/Kolkata") as opened:
        await opened.page.locator("#custom summary").click()
        await opened.page.locator("#custom-from").fill("2026-03-01T09:00")
        await opened.page.locator("#custom-to").fill("2026-03-01T08:00")
        await opened.page.locator("#custom button").click()
        await expect(opened.page.locator("#custom .fault")).to_have_text("“From” must be before “to”.")
        await opened.page.locator("#custom-to").fill("2026-03-01T10:30")
        await opened.page.locator("#custom button").click()
        await expect(opened.page.locator("#custom summary")).to_have_text("Chosen range")
        assert "from=2026-03-01T03%3A30%3A00.000Z&to=2026-03-01T05%3A00%3A00.000Z" in opened.page.url
        await expect(opened.page.locator("#panel-products .empty")).to_contain_text("No product events in this range")


async def test_a_session_opens_as_a_timeline_with_its_own_address(
    browser: Browser, empty_server: Server, live_shop: Shop
) -> None:
    await commit(empty_server, live_shop)
    async with tab(browser, empty_server.url) as opened:
        first = opened.page.locator("#sessions button").first
        key = await first.get_attribute("data-key")
        await first.focus()
        await opened.page.keyboard.press("Enter")
        dialog = opened.page.locator("#dialog")
        await expect(dialog).to_be_visible()
        data = empty_server.data("query ($id: ID!) { session(id: $id) { sessionId events } }", id=key)["session"]
        await expect(dialog.locator(".facts")).to_contain_text(data["sessionId"])
        await expect(dialog.locator(".timeline li")).to_have_count(min(50, data["events"]))
        assert f"session={key}" in opened.page.url
        await opened.page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(opened.page).not_to_have_url(re.compile("session="))


async def test_keys_open_views_and_can_be_turned_off(browser: Browser, empty_server: Server, live_shop: Shop) -> None:
    await commit(empty_server, live_shop)
    async with tab(browser, empty_server.url) as opened:
        page = opened.page
        await page.keyboard.press("3")
        await expect(page.locator("h1")).to_have_text("Products")
        await page.locator("#products tbody tr").first.wait_for()
        await page.keyboard.press("/")
        await page.keyboard.type("TENT2")
        await expect(page.locator("#panel-products .empty")).to_contain_text("“TENT2”")
        await page.keyboard.press("Backspace")
        await expect(page.locator("#products tbody tr")).to_have_count(1)
        assert page.url.endswith("/products?q=TENT")
        await page.locator("h1").click()
        await page.locator("#main").focus()
        await page.keyboard.press("?")
        await page.locator("#shortcuts-on").uncheck()
        await page.keyboard.press("Escape")
        await page.locator("#main").focus()
        await page.keyboard.press("1")
        await expect(page.locator("h1")).to_have_text("Products")


async def test_old_numbers_are_called_stale_with_what_to_do(browser: Browser, server: Server) -> None:
    async with tab(browser, f"{server.url}/?by=VIEWS") as opened:
        await expect(opened.page.locator("#fresh")).to_have_attribute("data-level", "red")
        await expect(opened.page.locator("#fresh-label")).to_have_text("Stale")
        await expect(opened.page.locator("#banner")).to_contain_text("millrace status")
        await expect(opened.page.locator("#panel-products .empty")).to_have_text("No product events in this range.")
        await expect(opened.page.locator("#panel-revenue .empty")).to_contain_text("No purchases in this range.")


async def grow_old(page: Page, seconds: int, level: str) -> None:
    """Let time pass until the badge has the level. An answer under way is young when it comes: then once more."""
    for _ in range(5):
        await page.evaluate(LATER, seconds)
        with suppress(AssertionError):
            await expect(page.locator("#fresh")).to_have_attribute("data-level", level, timeout=4000)
            return
    await expect(page.locator("#fresh")).to_have_attribute("data-level", level)


async def test_processing_that_stopped_turns_the_badge_amber_then_red(
    browser: Browser, empty_server: Server, live_shop: Shop
) -> None:
    await commit(empty_server, live_shop)
    async with tab(browser, f"{empty_server.url}/quality") as opened:
        await expect(opened.page.locator("#fresh")).to_have_attribute("data-level", "green")
        await grow_old(opened.page, 30, "amber")
        await grow_old(opened.page, 70, "red")
        await expect(opened.page.locator("#banner")).to_contain_text("millrace logs processing")


async def test_a_server_that_is_gone_leaves_the_numbers_and_says_so(browser: Browser, server: Server) -> None:
    noise = ("Failed to load resource", "WebSocket")
    async with tab(browser, "about:blank", ready="html") as opened:
        page = opened.page
        gone = False

        async def answer(route: Route) -> None:
            await (route.abort() if gone else route.continue_())

        await page.route("**/graphql", answer)
        await page.route_web_socket("**/graphql", lambda socket: socket.close())
        await page.goto(f"{server.url}/quality")
        await expect(page.locator("#fresh-label")).to_have_text("Stale")
        gone = True
        await expect(page.locator("#fresh-label")).to_have_text("Disconnected", timeout=15_000)
        await expect(page.locator("#banner")).to_contain_text("The numbers shown are as of")
        await expect(page.locator("#view .verdict")).to_be_visible()
        gone = False
        await expect(page.locator("#fresh-label")).to_have_text("Stale", timeout=15_000)
        opened.complaints[:] = [one for one in opened.complaints if not any(text in one for text in noise)]


async def test_where_a_key_is_asked_for_the_page_takes_one_and_keeps_it(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    scopes = {"reader": ["analytics", "personal"], "visitor": ["personal"]}
    entries = [
        {"source": name, "sha256": hashlib.sha256(name.encode()).hexdigest(), "scopes": told}
        for name, told in scopes.items()
    ]
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(entries))
    refused = ("401", "403", "Failed to load resource", "WebSocket")
    with serving(server.database_url, server.schema, tmp_path, serving_keys_file=str(keys)) as guarded:
        async with tab(browser, guarded.url, ready="#read-key") as opened:
            page = opened.page
            trouble, label = page.locator("#trouble"), page.locator("#fresh-label")
            await expect(trouble).to_contain_text("This server asks for a key")
            await expect(label).to_have_text("Locked")
            for key, says in (("wrong", "does not know the key"), ("visitor", "lacks the scope analytics")):
                await page.locator("#read-key").fill(key)
                await page.keyboard.press("Enter")
                await expect(trouble).to_contain_text(says)
            await page.locator("#read-key").fill(" reader ")
            await page.keyboard.press("Enter")
            await expect(trouble).to_be_hidden()
            await expect(label).to_have_text("Stale")  # the shop's last commit was long ago
            await page.reload()
            await expect(page.locator("html")).to_have_attribute("data-drawn", "1")
            live = await page.evaluate("document.documentElement.dataset.epoch")
            assert live == "1", "told over the WebSocket, or polled"
            await page.keyboard.press("?")
            await page.locator("#forget-key").click()
            await expect(trouble).to_contain_text("This server asks for a key")
            opened.complaints[:] = [one for one in opened.complaints if not any(text in one for text in refused)]


async def test_a_slow_answer_is_waited_for_and_a_refusal_says_what_to_do(browser: Browser, server: Server) -> None:
    refused = '{"errors":[{"message":"range: too many","extensions":{"code":"TOO_LARGE"}}],"data":null}'
    enough = asyncio.Event()
    async with tab(browser, f"{server.url}/products") as opened:
        page = opened.page

        async def slowly(route: Route) -> None:
            await enough.wait()
            await route.fulfill(body=refused, content_type="application/json")

        await page.route("**/graphql", slowly)
        await page.locator('#range input[value="7d"]').check(force=True)
        await expect(page.locator("#main")).to_have_attribute("aria-busy", "true")
        await expect(page.locator("#trouble")).to_contain_text("Still waiting for the server", timeout=15_000)
        enough.set()
        await expect(page.locator("#trouble")).to_contain_text("range: too many. Choose a shorter range.")
        await page.unroute("**/graphql")
        await page.locator("#trouble button").click()
        await expect(page.locator("#trouble")).to_be_hidden()
