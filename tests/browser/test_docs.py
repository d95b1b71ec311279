"""The documentation in a browser: pages look as they should, the search finds, and the reference draws this gateway's own routes."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.browser import Browser
from tests.gateway import Gateway

pytestmark = pytest.mark.gen_test


async def test_the_search_finds_and_leads_to_a_page(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/docs", key="")
        await expect(page.locator("h1")).to_contain_text("Starpod")
        assert "Hanken Grotesk" in await page.evaluate("getComputedStyle(document.body).fontFamily")
        await page.keyboard.press("/")
        await page.keyboard.type("bubblewrap")
        await page.locator(".md-search-result__link").first.click()
        await expect(page.locator("article")).to_contain_text("bubblewrap")


async def test_the_reference_shows_routes_and_events(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/docs/reference", key="")
        route = page.locator("#post-api-chat")
        await route.locator("summary").click()
        await expect(route).to_contain_text("client_message_id")
        await expect(route).to_contain_text("session_id")
        event = page.locator("#asyncapi details").filter(has_text="stream_end").first
        await event.locator("summary").click()
        await expect(event).to_contain_text("cost_usd")


async def test_links_of_the_start_page_work_without_a_slash(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/docs", key="")
        await page.locator("article").get_by_role("link", name="Quickstart").first.click()
        await expect(page.locator("h1")).to_contain_text("Quickstart")
        assert page.url.startswith(f"{gateway.url}/docs/quickstart")
