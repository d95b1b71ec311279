"""Every page with a month's content in it: readable for everybody, and no wider than the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser import content
from tests.browser.browser import Browser
from tests.browser.screenshots import pages_of
from tests.browser.test_everywhere import violations
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer

pytestmark = pytest.mark.gen_test(timeout=180)

WIDE = """() => [...document.querySelectorAll('.main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
    && !e.closest('.cut, pre, .table-scroll, .hidden, [hidden], .menu')).map(e => e.tagName + '.' + e.className).slice(0, 3)"""
SMALL = """() => [...document.querySelectorAll('.main :is(button, select, input)')].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width && !['checkbox', 'radio'].includes(e.type) && (box.height < 43.5 || box.width < 43.5); })
    .map(e => e.outerHTML.slice(0, 90)).slice(0, 3)"""


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1440), ("light", 390)])
async def test_axe_finds_nothing_on_any_page(tmp_path: Path, scheme: Any, width: int) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}, "reduced_motion": "reduce"}
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway, **options) as browser:
        page = await browser.page()
        found = []
        for path in pages_of(await content.fill(gateway)).values():
            await page.goto(gateway.url + path)
            await expect(page.locator(".main h1").first).to_be_visible()
            await page.wait_for_load_state("networkidle")
            found += [f"{path} {each}" for each in await violations(page)]
        assert not found, "\n".join(found)


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
async def test_no_page_is_wider_than_the_screen_or_too_small_to_touch(tmp_path: Path, width: int) -> None:
    is_touch = width < 1000
    options = {"viewport": {"width": width, "height": 800}, "has_touch": is_touch, "is_mobile": is_touch}
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway, **options) as browser:
        page = await browser.page()
        found = []
        for path in pages_of(await content.fill(gateway)).values():
            await page.goto(gateway.url + path)
            await expect(page.locator(".main h1").first).to_be_visible()
            await page.wait_for_load_state("networkidle")
            found += [f"{path} is wide: {each}" for each in await page.evaluate(WIDE)]
            if await page.evaluate("document.documentElement.scrollWidth") > width:
                found.append(f"{path} scrolls sideways")
            if is_touch:
                found += [f"{path} is small: {each}" for each in await page.evaluate(SMALL)]
        assert not found, "\n".join(found)
