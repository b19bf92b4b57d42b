"""What can be taken along from the page, and where its charts draw what detectors flagged, pixel by pixel."""

import base64
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser import VIEWS, chromium, needs_chromium, saved, tab
from tests.serving.integration.conftest import Server

pytestmark = [pytest.mark.integration, needs_chromium, pytest.mark.asyncio(loop_scope="module")]

CHARTS = {
    "overview": {"revenue", "minutes", "sales"},
    "sales": {"sales", "forecast"},
    "journeys": {"journeys"},
    "quality": {"lateness"},
}
"""By view the panels with one."""

DIFFERS = """async ([panel, png]) => {
  const bytes = Uint8Array.from(atob(png), (one) => one.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const chart = document.querySelector(`#panel-${panel} .chart canvas`);
  const sheet = (width, height) => new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  const all = sheet(picture.width, picture.height);
  all.drawImage(picture, 0, 0);
  const margin = (picture.width - chart.width) / 2, head = picture.height - chart.height - margin;
  const found = all.getImageData(margin, head, chart.width, chart.height).data;
  const wanted = sheet(chart.width, chart.height);
  wanted.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--panel");
  wanted.fillRect(0, 0, chart.width, chart.height);
  const ground = wanted.getImageData(0, 0, 1, 1).data;
  wanted.drawImage(chart, 0, 0);
  const drawn = wanted.getImageData(0, 0, chart.width, chart.height).data;
  const title = all.getImageData(margin, 0, chart.width, head).data;
  const ink = (data) => data.filter((value, place) => value !== ground[place % 4]).length;
  return { other: found.filter((value, place) => value !== drawn[place]).length, ink: ink(found), title: ink(title) };
}"""
"""Of a saved picture: how much of it is not as in the chart on the page, and how much is drawn in chart and title."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One for all tests of the file."""
    async with chromium() as running:
        yield running


async def test_every_panel_of_every_view_is_saved_as_csv_and_every_chart_as_a_picture(
    browser: Browser, busy: Server
) -> None:
    async with tab(browser, busy.url) as opened:
        page = opened.page
        for view in VIEWS:
            path = "" if view == "overview" else view
            await page.goto(f"{busy.url}/{path}{'?range=24h' if view != 'report' else ''}")
            await expect(page.locator("html")).to_have_attribute("data-loaded", view)
            panels = [
                (await each.get_attribute("id") or "").removeprefix("panel-")
                for each in await page.locator("#view .panel").all()
            ]
            charts = set()
            for panel in panels:
                rows = await saved(page, panel)
                shown = await page.locator(f"#panel-{panel} :is(tbody tr, .sessions li, .checks li)").count()
                assert len(rows) >= min(max(shown, 1), 5), (view, panel)
                assert all(None not in row and None not in row.values() for row in rows), (view, panel)
                if await page.locator(f"#panel-{panel} .chart").count():
                    charts.add(panel)
                    assert await _is_picture_of_the_chart(page, panel), (view, panel)
            assert charts == CHARTS.get(view, set())
            assert panels, view


async def _is_picture_of_the_chart(page: Page, panel: str) -> bool:
    async with page.expect_download() as download:
        await page.locator(f"#panel-{panel} [data-export=png]").click()
    path = await (await download.value).path()
    told: dict[str, int] = await page.evaluate(DIFFERS, [panel, base64.b64encode(path.read_bytes()).decode()])
    return told["other"] == 0 and told["ink"] > 5_000 and told["title"] > 200


PAINTED = """([chart, series, at, value, offsets]) => {
  const element = document.getElementById(chart), canvas = element.querySelector("canvas");
  const [x, y] = echarts.getInstanceByDom(element).convertToPixel({ seriesIndex: series }, [at, value]);
  const scale = canvas.width / canvas.clientWidth;
  const copy = new OffscreenCanvas(canvas.width, canvas.height + 1).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  copy.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--bad");
  copy.fillRect(0, canvas.height, 1, 1);
  const look = (across, down) => copy.getImageData(Math.floor(across), Math.floor(down), 1, 1).data;
  const [red, green, blue] = look(0, canvas.height);
  // Over nothing a colour keeps its hue, however thin: what is odd is the only red there is.
  return offsets.filter(([across, down]) => {
    const [r, g, b, a] = look((x + across) * scale, (y + down) * scale);
    return a > 0 && Math.abs(r - red) + Math.abs(g - green) + Math.abs(b - blue) < 60;
  }).length;
}"""
"""At how many of the offsets from a point of a series its chart is painted in the colour of trouble."""

RING = [[6.5, 0], [-6.5, 0], [0, 6.5], [0, -6.5]]
"""Four points of a ring around a point."""


async def test_a_flagged_minute_is_ringed_on_the_series_and_a_longer_stretch_shaded(
    browser: Browser, busy: Server
) -> None:
    async with tab(browser, busy.url) as opened:
        told = busy.data(
            "query($range: TimeRange!) { realtime { series { minute views purchases } }"
            " anomalies(range: $range, scope: SITE) { windowStart windowEnd metric } }",
            range={"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"},
        )
        series = {row["minute"]: row for row in told["realtime"]["series"]}
        minute = next(one["windowStart"] for one in told["anomalies"] if one["metric"] == "views")
        for at, ring in ((minute, 4), (_later(minute, -4), 0), (_later(minute, 4), 0)):
            asked = ["minutes-chart", 0, at, series[at]["views"], RING]
            assert await opened.page.evaluate(PAINTED, asked) == ring, at
        stretch = next(one for one in told["anomalies"] if one["metric"] == "purchases")
        top = 2 * max(2, *(row["purchases"] for row in list(series.values())[:-1]))
        first, last = stretch["windowStart"], _later(stretch["windowEnd"], -1)
        for at, inward in ((first, 2), (last, -2)):
            for offset, shade in ((inward, 1), (-inward, 0)):
                asked = ["minutes-chart", 1, at, top, [[offset, 3]]]
                assert await opened.page.evaluate(PAINTED, asked) == shade, (at, offset)


async def test_a_flagged_hour_is_ringed_above_its_bar(browser: Browser, busy: Server) -> None:
    async with tab(browser, f"{busy.url}/sales?of=kitchen") as opened:
        page = opened.page
        await expect(page.locator("#forecast-chart")).to_have_attribute("aria-label", re.compile("^Revenue of kitchen"))
        told = busy.data(
            "query($range: TimeRange!) { anomalies(range: $range) { windowStart metric scope } }",
            range={"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"},
        )["anomalies"]
        flagged = [datetime.fromisoformat(one["windowStart"]) for one in told if one["scope"] == "SITE"]
        rows = await saved(page, "sales")
        for row in rows:
            odd = any(datetime.fromisoformat(row["start"]) <= at < datetime.fromisoformat(row["end"]) for at in flagged)
            asked = ["sales-chart", 0, row["start"], float(row["revenue"]), RING]
            assert await page.evaluate(PAINTED, asked) == (4 if odd else 0), row["start"]
        (hour,) = [datetime.fromisoformat(one["windowStart"]) for one in told if one["scope"] == "CATEGORY"]
        for row in (await saved(page, "forecast"))[:24]:
            at = datetime.fromisoformat(row["hour"])
            asked = ["forecast-chart", 0, str(int(at.timestamp() * 1000)), float(row["happened"]), RING]
            assert await page.evaluate(PAINTED, asked) == (4 if at == hour else 0), row["hour"]


def _later(at: str, minutes: int) -> str:
    """A minute as the API writes it."""
    return (datetime.fromisoformat(at) + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
