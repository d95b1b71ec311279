"""What holds on every page there is, found in the page's own table: a strict policy, no request elsewhere, access for everybody."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import Browser
from tests.browser.layout import SETTLED, contrasts, misfits, settle, violations
from tests.browser.test_shell import with_a_chat
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer

pytestmark = pytest.mark.gen_test(timeout=180)

APP = Path(__file__).resolve().parents[2] / "static" / "src" / "app"
TABLE = (APP / "pages.ts").read_text(encoding="utf-8")
PATTERNS = [found for found in re.findall(r'pattern: "([^"]+)"', TABLE) if not re.search(r"[:*]", found)]
SECTIONS = re.findall(r'{ id: "([\w-]+)", label:', (APP / "sections.ts").read_text(encoding="utf-8"))
PAGES = ("/", *(f"/{pattern}" for pattern in PATTERNS), *(f"/settings/{name}" for name in SECTIONS), "/memory/SOUL.md")
REPORTS = """window.__reports = []; document.addEventListener('securitypolicyviolation',
    event => window.__reports.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));"""
FOCUSED = """() => { const e = document.activeElement; if (!e || e === document.body) return null;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    const ring = each => { const s = getComputedStyle(each); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0; };
    const isShown = ring(e) || style.boxShadow !== 'none' || e.matches('textarea')
        || (e.nextElementSibling && ring(e.nextElementSibling));
    e.dataset.stop ??= String(window.__stops = (window.__stops ?? 0) + 1);
    const area = ['topbar', 'side', 'composer', 'main'].find(name => e.closest('.' + name)) ?? 'other';
    const scroll = e.closest('.page-scroll')?.scrollTop ?? 0;
    const isInside = box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    return {id: e.dataset.stop, what: e.outerHTML.slice(0, 110), area, isShown, isInside,
        left: box.left, top: box.top + scroll, bottom: box.bottom + scroll}; }"""


def test_the_table_of_pages_is_read() -> None:
    assert {"schedules", "memory", "usage", "settings"} <= set(PATTERNS) and {"agent", "users"} <= set(SECTIONS)


async def test_every_page_keeps_to_its_policy_and_origin(tmp_path: Path) -> None:
    """Checks 2 and 3: the header is there, nothing is reported or logged, and nothing leaves the origin (Browser watches that)."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        page = await with_a_chat(gateway, browser)
        await page.add_init_script(REPORTS)
        for path in (page.url.removeprefix(gateway.url), *PAGES):
            answer = await page.goto(gateway.url + path)
            assert answer is not None
            policy = (await answer.all_headers())["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "'nonce-" in policy, path
            await page.wait_for_function(SETTLED)
            assert await page.evaluate("window.__reports") == [], path


@pytest.mark.parametrize("device", ["desktop", "phone"])
async def test_empty_pages_and_what_opens_over_them_are_for_everybody(tmp_path: Path, device: str) -> None:
    """Checks 24 and 27, in both colour schemes."""
    is_phone = device == "phone"
    options: dict[str, Any] = {"color_scheme": "dark", "has_touch": is_phone, "is_mobile": is_phone}
    width = 390 if is_phone else 1280
    options["viewport"] = {"width": width, "height": 844}
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway, **options) as browser:
        page = await with_a_chat(gateway, browser)
        chat = page.url.removeprefix(gateway.url)

        async def look(at: Page = page) -> list[str]:
            complaints = await violations(at) + await contrasts(at, "light")
            await at.emulate_media(color_scheme="dark")
            return complaints + await misfits(at, width, is_touch=is_phone)

        await page.locator(".trace-fold").click()
        await page.locator(".step-line").click()
        found = {"the open trace": await look()}
        for path in (chat, *PAGES, "/nowhere", "/c/nothing"):
            await settle(page, gateway.url + path)
            found[path] = await look()
        for keys, name in (("Control+k", "palette"), ("Control+/", "shortcuts")):
            await page.keyboard.press(keys)
            await expect(page.get_by_role("dialog")).to_be_visible()
            found[name] = await look()
            await page.keyboard.press("Escape")
            await expect(page.get_by_role("dialog")).to_have_count(0)
        if is_phone:
            await page.get_by_role("button", name="Show the sidebar").click()
            await expect(page.get_by_role("link", name="New chat")).to_be_visible()
            found["sidebar"] = await look()
        stranger = await browser.page("/", key="")
        await expect(stranger.get_by_label("API key")).to_be_visible()
        found["sign-in"] = await look(stranger)
        complaints = [f"{path} {each}" for path, all_of_it in found.items() for each in all_of_it]
        assert not complaints, "\n".join(complaints)


async def test_every_page_is_walked_by_tab_alone(tmp_path: Path) -> None:
    """Check 23: each stop is on the screen and seen, the order is that of the eye, and the walk comes round."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        page = await with_a_chat(gateway, browser)
        for path in (page.url.removeprefix(gateway.url), *PAGES):
            await settle(page, gateway.url + path)
            await page.evaluate("document.body.tabIndex = -1; document.body.focus()")
            stops = await walk(page)
            assert len(stops) > 8, path
            hidden = [stop["what"] for stop in stops if not stop["isInside"] or not stop["isShown"]]
            assert not hidden, f"{path}: {hidden[:3]}"
            for area in ("topbar", "main"):
                mine = [stop for stop in stops if stop["area"] == area]
                for before, after in itertools.pairwise(mine):
                    # Further down, or further right: beside it, or at the head of the next column.
                    is_later = after["bottom"] > before["bottom"] or after["left"] > before["left"]
                    assert is_later, f"{path}: {before['what']} before {after['what']}"


async def walk(page: Page, most: int = 250) -> list[dict[str, Any]]:
    """Every stop of Tab from the top of the page until it comes round or leaves the page."""
    stops: list[dict[str, Any]] = []
    for _ in range(most):
        await page.keyboard.press("Tab")
        stop = await page.evaluate(FOCUSED)
        if stop is None or any(stop["id"] == each["id"] for each in stops):
            return stops
        stops.append(stop)
    raise AssertionError(f"Tab never comes round: {stops[-3:]}")


@pytest.mark.parametrize("opener", ["Control+k", "Control+/", "Notifications", "account", "More for"])
async def test_what_opens_by_keys_holds_and_gives_back_the_focus(tmp_path: Path, opener: str) -> None:
    """Check 23: dialogs and menus."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        page = await with_a_chat(gateway, browser)
        if "+" in opener:
            start = page.locator(".composer textarea")
            await start.focus()
            await page.keyboard.press(opener)
        else:
            start = page.locator(f'button[aria-label*="{opener}"]').first
            if opener == "More for":
                # Shown once the focus is in its row.
                await page.locator(".session a").first.focus()
                await page.keyboard.press("Tab")
                await expect(start).to_be_focused()
            await start.focus()
            await page.keyboard.press("Enter")
        inside = "!!document.activeElement.closest('dialog, [popover]')"
        await page.wait_for_function(f"() => {inside}")
        if "account" not in opener and "More" not in opener:
            for _ in range(6):
                await page.keyboard.press("Tab")
                assert await page.evaluate(f"{inside} || document.activeElement === document.body")
        await page.keyboard.press("Escape")
        await expect(start).to_be_focused()


async def test_the_chat_is_usable_at_four_hundred_percent(tmp_path: Path) -> None:
    """Check 27: a window of 1280 x 1024 at 400 % is 320 x 256 to the page."""
    options: dict[str, Any] = {"viewport": {"width": 320, "height": 256}, "device_scale_factor": 4}
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway, **options) as browser:
        page = await with_a_chat(gateway, browser)
        for path in (page.url.removeprefix(gateway.url), *PAGES):
            await settle(page, gateway.url + path)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 320, path
            clipped = await page.evaluate(
                """[...document.querySelectorAll('.main :is(p, h1, h2, h3, button, label, a, li, td, th)')].filter(e => {
                const style = getComputedStyle(e);
                return e.clientWidth && style.overflowX === 'hidden' && e.scrollWidth > e.clientWidth + 1
                    && !e.closest('.cut, .hidden, .table-scroll, pre'); }).map(e => e.outerHTML.slice(0, 90))"""
            )
            assert clipped == [], path
        await page.goto(gateway.url)
        box = page.locator(".composer textarea")
        await box.fill("still room to write")
        await expect(box).to_be_in_viewport(ratio=0.9)
        await expect(page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport(ratio=0.9)


async def test_the_manifest_is_good_and_its_icons_exist(tmp_path: Path) -> None:
    """Check 30: the page can be installed."""
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page()
        session = await page.context.new_cdp_session(page)
        told = await session.send("Page.getAppManifest")
        assert told["url"].endswith("/manifest.webmanifest") and told["errors"] == []
        manifest = (await gateway.http.get("/manifest.webmanifest")).json()
        assert manifest["display"] == "standalone" and manifest["name"] and manifest["start_url"] == "./"
        sizes = set()
        for icon in manifest["icons"]:
            answer = await gateway.http.get(f"/{icon['src']}")
            assert answer.status_code == 200 and answer.headers["content-type"].startswith(icon["type"])
            sizes |= set(icon["sizes"].split())
        assert {"192x192", "512x512"} <= sizes or "any" in sizes
        problems = await session.send("Page.getInstallabilityErrors")
        assert [each["errorId"] for each in problems["installabilityErrors"] if each["errorId"] != "in-incognito"] == []


@pytest.mark.parametrize(("system", "chosen"), [("light", "dark"), ("dark", "light"), ("dark", None), ("light", None)])
async def test_the_first_frame_has_the_theme(tmp_path: Path, system: str, chosen: str | None) -> None:
    """Check 30: no flash. The first style that is computed with a body in it is that of the theme, and it never changes."""
    options: dict[str, Any] = {"color_scheme": system}
    async with Gateway(tmp_path) as gateway, Browser(gateway, **options) as browser:
        page = await browser.page()
        await page.evaluate("chosen => chosen && localStorage.setItem('starpod.theme', chosen)", chosen)
        await page.add_init_script(
            """window.__seen = new Set(); const look = () => { if (document.body && document.styleSheets.length)
            window.__seen.add(getComputedStyle(document.body).backgroundColor); requestAnimationFrame(look); }; look();"""
        )
        await page.reload()
        await expect(page.locator(".composer textarea")).to_be_focused()
        seen = await page.evaluate("[...window.__seen]")
        assert len(seen) == 1, seen
        lightness = float(re.findall(r"[\d.]+", seen[0])[0])
        assert (lightness > 50) == ((chosen or system) == "light"), seen
