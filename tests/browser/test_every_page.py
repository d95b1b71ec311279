"""Every page with a month's content in it: readable for everybody in both colour schemes, and no wider than the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser import content
from tests.browser.browser import Browser
from tests.browser.layout import contrasts, misfits, settle, violations
from tests.browser.screenshots import pages_of
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer

pytestmark = pytest.mark.gen_test(timeout=180)


@pytest.mark.parametrize(("widths", "is_touch"), [((1440,), False), ((768, 390, 320), True)])
async def test_every_page_is_readable_and_fits(tmp_path: Path, widths: tuple[int, ...], is_touch: bool) -> None:
    options: dict[str, Any] = {
        "has_touch": is_touch,
        "is_mobile": is_touch,
        "color_scheme": "dark",
        "reduced_motion": "reduce",
    }
    options["viewport"] = {"width": widths[0], "height": 900}
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway, **options) as browser:
        page = await browser.page()
        found = []
        for path in pages_of(await content.fill(gateway)).values():
            await settle(page, gateway.url + path)
            complaints = [each for width in widths for each in await misfits(page, width, is_touch=is_touch)]
            complaints += await violations(page) + await contrasts(page, "light")
            await page.emulate_media(color_scheme="dark")
            await page.set_viewport_size({"width": widths[0], "height": 900})
            found += [f"{path} {each}" for each in complaints]
        assert not found, "\n".join(found)
