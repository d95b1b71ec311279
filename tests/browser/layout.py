"""What every page must be, asked of the page itself: readable for everybody, no wider than the screen, large enough to touch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import Page

AXE = Path(__file__).resolve().parents[2] / "static" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SETTLED = "() => !document.querySelector('.main .spinner, [aria-busy=true]') && document.querySelector('.main h1')"
# Finite animations have ended.
STILL = """Promise.allSettled(document.getAnimations()
    .filter(each => each.effect.getTiming().iterations !== Infinity).map(each => each.finished))"""
WIDE = """[...document.querySelectorAll('.main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
    && !e.closest('.cut, pre, .table-scroll, .hidden, [hidden], .menu')).map(e => e.tagName + '.' + e.className).slice(0, 3)"""
SMALL = """[...document.querySelectorAll('.main :is(button, select, input)')].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width && !['checkbox', 'radio'].includes(e.type) && (box.height < 43.5 || box.width < 43.5); })
    .map(e => e.outerHTML.slice(0, 90)).slice(0, 3)"""

LOOKS = 20


async def settle(page: Page, url: str) -> None:
    """Open the address and wait until what it shows is there."""
    await page.goto(url)
    await page.wait_for_function(SETTLED)


async def violations(page: Page, rules: tuple[str, ...] = RULES) -> list[str]:
    """What axe says about the page as it is once nothing moves any more; `rules` are tags, or names of single ones."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    await page.evaluate(STILL)
    result: dict[str, Any] = await page.evaluate("rules => axe.run(document, {runOnly: rules})", list(rules))
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:120]} {each['nodes'][0]['failureSummary'][:160]}"
        for each in result["violations"]
    ]


async def contrasts(page: Page, scheme: Any) -> list[str]:
    """What axe says about the colours in the other scheme."""
    await page.emulate_media(color_scheme=scheme)
    return await violations(page, ("color-contrast",))


async def misfits(page: Page, width: int, *, is_touch: bool) -> list[str]:
    """What does not fit on a screen that is `width` pixels wide, or is too small for a finger, and stays so."""
    size = page.viewport_size
    assert size is not None
    await page.set_viewport_size({"width": width, "height": size["height"]})
    found = await _misfits(page, width, is_touch=is_touch)
    for _ in range(LOOKS):
        if not found:
            break
        # Charts are drawn anew when they hear of their new width.
        await page.wait_for_timeout(100)
        found = await _misfits(page, width, is_touch=is_touch)
    return found


async def _misfits(page: Page, width: int, *, is_touch: bool) -> list[str]:
    found = [f"wide at {width}: {each}" for each in await page.evaluate(WIDE)]
    if await page.evaluate("document.documentElement.scrollWidth") > width:
        found.append(f"scrolls sideways at {width}")
    if is_touch:
        found += [f"small at {width}: {each}" for each in await page.evaluate(SMALL)]
    return found
