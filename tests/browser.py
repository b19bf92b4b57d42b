"""A page in a real browser. Any Chromium on the PATH will do; CI has one."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the PATH; CI has one")

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
    complaints: list[str] = field(default_factory=list)


@asynccontextmanager
async def tab(
    url: str, *, width: int = 1440, scheme: str = "light", address: str = "/", ready: str = "#products tbody tr"
) -> AsyncIterator[Tab]:
    """The page, loaded, in a fresh profile; it must not have complained by the end."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        context = await browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
            locale="en-US",
            timezone_id="Europe/Berlin",
        )
        opened = Tab(await context.new_page())
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        await opened.page.goto(url + address)
        await expect(opened.page.locator(ready).first).to_be_visible(timeout=20_000)
        yield opened
        if folder := os.environ.get("MILLRACE_TEST_SCREENSHOTS"):
            await opened.page.screenshot(path=Path(folder) / f"page-{width}-{scheme}.png", full_page=True)
        await browser.close()
        assert opened.complaints == []
