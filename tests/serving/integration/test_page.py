"""The page in a real browser: its numbers are the API's, it follows commits, and it fits a small screen."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from tests.browser import needs_chromium, tab
from tests.serving.events import Refusal, Repeat, visits
from tests.serving.integration.conftest import Server
from tests.serving.shop import Shop, write

pytestmark = [
    pytest.mark.integration,
    needs_chromium,
]

REALTIME = """{ realtime { asOf { epoch } eventsPerSecond activeUsers viewsPerMinute revenueToday purchasesToday
                 conversionRate cartAbandonmentRate } books { residue totals { records } } }"""


@pytest.fixture(scope="module")
def live_shop() -> Shop:
    now = datetime.now(UTC)
    events = visits(11, now - timedelta(hours=2), now)
    return Shop(
        events=events, refusals=[Refusal(now - timedelta(minutes=3), "invalid_enum")], duplicates=[Repeat("e-1")] * 4
    )


async def commit(server: Server, shop: Shop) -> None:
    await write(server.database_url, server.schema, shop)


async def test_an_empty_shop_says_how_to_send_the_first_event(empty_server: Server) -> None:
    async with tab(empty_server.url, ready="#welcome:not([hidden])") as opened:
        await expect(opened.page.locator("#welcome-curl")).to_contain_text("/v1/events")
        await expect(opened.page.locator("#panels")).to_be_hidden()


async def test_the_numbers_on_the_page_are_those_of_the_api(empty_server: Server, live_shop: Shop) -> None:
    await commit(empty_server, live_shop)
    async with tab(empty_server.url) as opened:
        data = empty_server.data(REALTIME)
        for name, value in data["realtime"].items():
            if name == "asOf":
                continue
            tile = opened.page.locator(f"#tile-{name}")
            shown = await tile.get_attribute("data-value")
            assert shown is not None
            assert float(shown) == pytest.approx(float(value)), name
        revenue = f"${float(data['realtime']['revenueToday']):,.2f}"
        await expect(opened.page.locator("#tile-revenueToday")).to_have_text(revenue)
        await expect(opened.page.locator("#fresh-label")).to_have_text("Live")
        await expect(opened.page.locator("#books .verdict")).to_have_attribute("data-residue", "0")
        await expect(opened.page.locator("#books-note")).to_have_text(f"{data['books']['totals']['records']:,} records")
        await expect(opened.page.locator("#quality")).to_contain_text("Invalid enum")
        label = await opened.page.locator("#sales-chart").get_attribute("aria-label")
        assert label is not None
        assert label.startswith("Sales by hour, $")


async def test_top_products_follow_the_picked_measure_and_the_address(empty_server: Server, live_shop: Shop) -> None:
    await commit(empty_server, live_shop)
    async with tab(empty_server.url, address="/?range=6h&by=VIEWS") as opened:
        await expect(opened.page.locator('#range input[value="6h"]')).to_be_checked()
        views = [int(text) for text in await opened.page.locator("#products td.lead").all_text_contents()]
        assert views == sorted(views, reverse=True)
        await opened.page.locator("#products-by").select_option("CLICKS")
        await expect(opened.page.locator("#products th[aria-sort]")).to_have_text("Clicks")
        assert opened.page.url.endswith("?range=6h&by=CLICKS")
        await opened.page.locator('#range input[value="6h"]').focus()
        await opened.page.keyboard.press("ArrowLeft")
        await expect(opened.page.locator('#range input[value="1h"]')).to_be_checked()
        assert opened.page.url.endswith("?by=CLICKS")


async def test_a_commit_shows_without_a_reload(empty_server: Server, live_shop: Shop) -> None:
    await commit(empty_server, live_shop)
    async with tab(empty_server.url) as opened:
        await expect(opened.page.locator("html")).to_have_attribute("data-epoch", str(live_shop.epoch))
        live_shop.events += visits(12, datetime.now(UTC) - timedelta(minutes=4), datetime.now(UTC), 20)
        await commit(empty_server, live_shop)
        await expect(opened.page.locator("html")).to_have_attribute("data-epoch", str(live_shop.epoch), timeout=5_000)
        data = empty_server.data(REALTIME)
        value = str(data["realtime"]["activeUsers"])
        await expect(opened.page.locator("#tile-activeUsers")).to_have_attribute("data-value", value)
        records = f"{data['books']['totals']['records']:,} records"
        await expect(opened.page.locator("#books-note")).to_have_text(records, timeout=15_000)


async def test_a_session_opens_as_a_timeline_with_its_own_address(empty_server: Server, live_shop: Shop) -> None:
    await commit(empty_server, live_shop)
    async with tab(empty_server.url) as opened:
        first = opened.page.locator("#sessions button").first
        key = await first.get_attribute("data-key")
        await first.focus()
        await opened.page.keyboard.press("Enter")
        await expect(opened.page.locator("#session")).to_be_visible()
        data = empty_server.data("query ($id: ID!) { session(id: $id) { sessionId events } }", id=key)["session"]
        await expect(opened.page.locator("#session .facts")).to_contain_text(data["sessionId"])
        await expect(opened.page.locator("#session .timeline li")).to_have_count(min(50, data["events"]))
        assert f"session={key}" in opened.page.url
        await opened.page.keyboard.press("Escape")
        await expect(opened.page.locator("#session")).to_be_hidden()
        await expect(opened.page).not_to_have_url(re.compile("session="))


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_screen_of_360_pixels(empty_server: Server, live_shop: Shop, scheme: str) -> None:
    await commit(empty_server, live_shop)
    async with tab(empty_server.url, width=360, scheme=scheme) as opened:
        await expect(opened.page.locator("#sales-chart canvas")).to_be_visible()
        assert await opened.page.evaluate("document.documentElement.scrollWidth") == 360
        clipped = await opened.page.evaluate(CLIPPED)
        assert clipped == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_by_wcag_aa(empty_server: Server, live_shop: Shop, scheme: str) -> None:
    await commit(empty_server, live_shop)
    async with tab(empty_server.url, scheme=scheme) as opened:
        weak = await opened.page.evaluate(CONTRAST)
        assert weak == []


async def test_old_numbers_are_called_stale_with_what_to_do(server: Server) -> None:
    async with tab(server.url, address="/?by=VIEWS", ready="#books .verdict") as opened:
        await expect(opened.page.locator("#fresh")).to_have_attribute("data-level", "red")
        await expect(opened.page.locator("#fresh-label")).to_have_text("Stale")
        await expect(opened.page.locator("#banner")).to_contain_text("millrace status")
        await expect(opened.page.locator("#products")).to_have_text("No product events in this range.")
        await expect(opened.page.locator("#revenue-empty")).to_be_visible()


CLIPPED = """[...document.querySelectorAll("main *, header *")]
  .filter((one) => one.getClientRects().length && !one.closest(".sr, .scroll"))
  .filter((one) => one.getBoundingClientRect().right > 361)
  .map((one) => one.outerHTML)"""
CONTRAST = """(() => {
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
  const lum = ({ r, g, b }) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (one) => { for (; one; one = one.parentElement) {
    const color = parse(getComputedStyle(one).backgroundColor); if (color.a === 1) return color; } };
  const weak = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !one.getClientRects().length || one.closest(".skip, .sr, canvas, .chart")) continue;
    const [a, b] = [lum(parse(getComputedStyle(one).color)), lum(behind(one))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) weak.push(`${one.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return weak;
})()"""
