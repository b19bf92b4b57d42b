"""A page in a real browser. Any Chromium on the PATH will do; CI has one."""

import csv
import io
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

VIEWS = sorted(path.stem for path in (Path(__file__).resolve().parents[1] / "serving/page/js/views").glob("*.js"))
"""Names of the page's views."""

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the PATH; CI has one")

expect.set_options(timeout=15_000)  # milliseconds; a busy machine answers late, and a test that holds does not wait

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Tab:
    """An open page and everything it complained about."""

    page: Page
    name: str
    """Of its width and colours."""
    complaints: list[str] = field(default_factory=list)

    async def photograph(self) -> None:
        """Keep a picture of the view that it shows, where somebody asked for pictures."""
        if folder := os.environ.get("MILLRACE_TEST_SCREENSHOTS"):
            view = await self.page.evaluate("document.body.dataset.view")
            await self.page.screenshot(path=Path(folder) / f"{view}-{self.name}.png", full_page=True)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser; each tab in it has a fresh profile."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@asynccontextmanager
async def tab(
    browser: Browser,
    url: str,
    *,
    width: int = 1440,
    scheme: str = "light",
    ready: str = "html[data-drawn]",
) -> AsyncIterator[Tab]:
    """The page, loaded, in a fresh profile; by the end it must not have complained."""
    context = await browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-US",
        timezone_id="Europe/Berlin",
    )
    opened = Tab(await context.new_page(), f"{width}-{scheme}")
    opened.page.set_default_timeout(20_000)
    opened.page.on("console", lambda message: opened.complaints.append(message.text))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    await opened.page.goto(url)
    await opened.page.locator(ready).first.wait_for(state="attached")
    yield opened
    complaints = [*opened.complaints]  # without those while its picture is taken
    await opened.photograph()
    await context.close()
    assert not complaints, complaints


async def saved(page: Page, panel: str) -> list[dict[str, str]]:
    """The rows of a panel's CSV."""
    async with page.expect_download() as download:
        await page.locator(f"#panel-{panel} [data-export=csv]").click()
    path = await (await download.value).path()
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))
