"""Every view of the page: with a shop in it and without, on a wide and a narrow screen, in light and dark."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from stack.settings import StackSettings
from tests import npm
from tests.browser import chromium, needs_chromium, tab
from tests.serving.events import Refusal, Repeat, visits
from tests.serving.integration.conftest import Server, eventually, new_schema, serving
from tests.serving.shop import Shop, create_tables, write

pytestmark = [pytest.mark.integration, needs_chromium, pytest.mark.asyncio(loop_scope="module")]

NODE = Path(__file__).resolve().parent / "node"
VIEWS = sorted(path.stem for path in (Path(__file__).resolve().parents[3] / "serving/page/js/views").glob("*.js"))

CLIPPED = """[...document.querySelectorAll("main *, header *")]
  .filter((one) => one.getClientRects().length && !one.closest(".sr, .scroll, nav"))
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => one.outerHTML.slice(0, 200))"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests of the file."""
    async with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def busy(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over a shop that is open now, with something for every view to show."""
    now = datetime.now(UTC)
    shop = Shop(
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
    schema = new_schema()
    asyncio.run(create_tables(postgres_url, schema))
    asyncio.run(write(postgres_url, schema, shop))
    with serving(postgres_url, schema, tmp_path_factory.mktemp("serving")) as running:
        assert eventually(lambda: running.ready().status_code == 200)
        yield running


@pytest.fixture(scope="module")
def axe(stack_settings: StackSettings) -> str:
    """The source of axe-core, to be run in a page."""
    return (npm.node_modules(NODE, stack_settings.cache) / "axe-core" / "axe.min.js").read_text()


async def violations(page: Page, axe: str) -> list[str]:
    """What axe finds wrong by WCAG A and AA, one line each."""
    await page.evaluate(axe)
    found: list[dict[str, Any]] = (await page.evaluate("axe.run(document, {resultTypes: ['violations']})"))[
        "violations"
    ]
    return [f"{one['id']}: {node['html'][:160]} {node['failureSummary']}" for one in found for node in one["nodes"]]


@npm.needs_node
@pytest.mark.parametrize("view", VIEWS)
async def test_a_view_is_accessible_in_both_themes_and_fits_both_ends(
    browser: Browser, busy: Server, axe: str, view: str
) -> None:
    address = f"{busy.url}/{view}"
    async with tab(browser, address) as opened:
        assert await violations(opened.page, axe) == []
    async with tab(browser, address, width=360, scheme="dark") as opened:
        assert await opened.page.evaluate("document.documentElement.scrollWidth") == 360
        assert await opened.page.evaluate(CLIPPED) == []
        assert await violations(opened.page, axe) == []


@pytest.mark.parametrize("view", VIEWS)
async def test_a_view_without_events_in_range_says_so(browser: Browser, busy: Server, view: str) -> None:
    address = f"{busy.url}/{view}?from=2020-01-01T00:00:00Z&to=2020-01-01T06:00:00Z"
    async with tab(browser, address) as opened:
        await expect(opened.page.locator("#trouble")).to_be_hidden()
        assert await opened.page.locator("#view").inner_text() != ""


async def saved(page: Page, panel: str) -> list[dict[str, str]]:
    """The rows of a panel's CSV."""
    async with page.expect_download() as download:
        await page.locator(f"#panel-{panel} [data-export=csv]").click()
    path = await (await download.value).path()
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))


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
        await page.locator('#grain input[value="DAY"]').check(force=True)
        await expect(page.locator("#sales-table tbody tr")).to_have_count(2)
        assert "grain=day" in page.url


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
        assert [int(row["views"]) for row in await saved(page, "products")] == views[::-1]
        await page.get_by_role("button", name="Product").click()
        await expect(names.first).to_have_text("p-atlas")
        await page.locator("#products-search").fill("kitchen")
        await expect(names).to_have_text(["p-kettle", "p-mug"])
        assert await page.locator("#products .spark path").count() == 4


async def test_a_chart_is_saved_as_a_picture(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/sales") as opened:
        async with opened.page.expect_download() as download:
            await opened.page.locator("#panel-sales [data-export=png]").click()
        picture = await (await download.value).path()
        assert picture.read_bytes().startswith(b"\x89PNG")


async def test_the_clock_of_a_zone_is_the_calendars(browser: Browser, busy: Server) -> None:
    async with tab(browser, busy.url) as opened:
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


async def test_a_saved_text_is_no_formula(browser: Browser, busy: Server) -> None:
    async with tab(browser, busy.url) as opened:
        text = await opened.page.evaluate(
            """async () => {
              const { csv } = await import("/page/js/export.js");
              return csv(["a", "b"], [["=1+1", "-3.5"], ['x "y", z', null]]);
            }"""
        )
        assert text == 'a,b\r\n\'=1+1,-3.5\r\n"x ""y"", z",\r\n'
