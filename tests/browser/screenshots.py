"""`make screenshots`: pictures of every page in both themes and three widths, with content as people have it, into `build/screenshots/`.

`ARGS="files usage"` takes only pages whose name begins so; `ARGS=--docs` makes the few pictures of docs/pictures instead.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from tests.browser import content
from tests.browser.browser import Browser
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "build" / "screenshots"
PICTURES = ROOT / "docs" / "pictures"
SIZES = ((1440, 900), (768, 1024), (390, 844))
THEMES: tuple[Any, ...] = ("dark", "light")
SECTIONS = [
    "appearance",
    "keys",
    "agent",
    "models",
    "tools",
    "skills",
    "mcp",
    "memory",
    "heartbeat",
    "users",
    "channels",
    "budgets",
    "vault",
    "logs",
    "system",
]
EMPTY = ("", "usage", "schedules", "memory", "files", "instances", "settings/skills", "settings/mcp", "settings/vault")


def pages_of(ids: dict[str, str]) -> dict[str, str]:
    pages = {"new": "/", "chat": f"/c/{ids['chat']}", "missing": "/c/nothing", "nowhere": "/nowhere"}
    pages |= {name: f"/{name}" for name in ("usage", "schedules", "memory", "files", "instances", "start")}
    pages |= {
        "schedule": f"/schedules/{ids['job']}",
        "schedule-failed": f"/schedules/{ids['failed_job']}",
        "schedule-missing": "/schedules/nothing",
        "memory-file": "/memory/MEMORY.md",
        "files-folder": "/files/documents/",
        "files-markdown": "/files/documents/landlord.md",
        "files-code": "/files/projects/gateway/test_ws.py",
        "files-html": "/files/page.html",
        "files-picture": "/files/downloads/harbour.png",
        "files-missing": "/files/nothing.txt",
    }
    return pages | {f"settings-{name}": f"/settings/{name}" for name in SECTIONS}


async def settle(page: Page) -> None:
    await expect(page.locator(".main, .sign-in").first).to_be_visible()
    await page.wait_for_timeout(600)


async def take(page: Page, url: str, name: str) -> None:
    """A picture of the page as long as it is."""
    await page.goto(url)
    await settle(page)
    size = page.viewport_size
    assert size is not None
    high = await page.evaluate(
        "Math.max(...[...document.querySelectorAll('.page-scroll')].map(e => e.scrollHeight + e.getBoundingClientRect().top), 0)"
    )
    if high > size["height"]:
        await page.set_viewport_size({"width": size["width"], "height": min(int(high), 4000)})
        await page.wait_for_timeout(150)
    await page.screenshot(path=TARGET / f"{name}.png")
    await page.set_viewport_size(size)


async def dialogs(page: Page, url: str, suffix: str) -> None:
    """What opens over a page."""
    steps: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("dialog-schedule", "/schedules", ("New schedule",)),
        ("dialog-skill", "/settings/skills", ("New skill",)),
        ("dialog-person", "/settings/users", ("Add a person",)),
        ("dialog-history", "/memory/MEMORY.md", ("History",)),
        ("dialog-restore", "/memory/MEMORY.md", ("History", "Restore")),
        ("dialog-key", "/settings/keys", ("New key",)),
        ("files-edit", "/files/documents/landlord.md", ("Edit",)),
    )
    for name, path, buttons in steps:
        await page.goto(url + path)
        for button in buttons:
            await page.get_by_role("button", name=button, exact=True).last.click()
        await settle(page)
        await page.screenshot(path=TARGET / f"{name}-{suffix}.png")


async def everything(wanted: list[str]) -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="starpod-screenshots-") as folder:
        place = Path(folder)
        async with (
            Gateway(place, OpenAIServer(), settings=content.settings(place)) as gateway,
            Browser(gateway) as browser,
        ):
            ids = await content.fill(gateway)
            await gateway.http.post("/api/instances", json={"name": "Garden"})
            await gateway.http.get("/api/settings/mcp")
            pages = {name: path for name, path in pages_of(ids).items() if not wanted or name.startswith(tuple(wanted))}
            for width, height in SIZES:
                for theme in THEMES:
                    options = {
                        "viewport": {"width": width, "height": height},
                        "color_scheme": theme,
                        "has_touch": width < 1000,
                    }
                    page = await browser.page(**options)
                    for name, path in pages.items():
                        await take(page, gateway.url + path, f"{name}-{width}-{theme}")
                    if not wanted or "dialog" in wanted:
                        await dialogs(page, gateway.url, f"{width}-{theme}")
                    await page.context.close()
                    stranger = await browser.page(key="", **options)
                    await take(stranger, f"{gateway.url}/", f"sign-in-{width}-{theme}")
                    await stranger.context.close()
            sys.stderr.write("".join(f"{complaint}\n" for complaint in browser.complaints))


async def nothing_yet() -> None:
    """The pages of an agent that was started a minute ago."""
    with tempfile.TemporaryDirectory(prefix="starpod-screenshots-") as folder:
        async with Gateway(Path(folder)) as gateway, Browser(gateway) as browser:
            for theme, (width, height) in zip(THEMES, (SIZES[0], SIZES[2]), strict=True):
                page = await browser.page(viewport={"width": width, "height": height}, color_scheme=theme)
                for name in EMPTY:
                    await take(
                        page, f"{gateway.url}/{name}", f"empty-{name.replace('/', '-') or 'new'}-{width}-{theme}"
                    )
                await page.context.close()


async def for_the_docs() -> None:
    """The few pictures that README and docs show."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="starpod-screenshots-") as folder:
        async with Gateway(Path(folder), OpenAIServer()) as gateway, Browser(gateway) as browser:
            ids = await content.fill(gateway)
            chat = f"/c/{ids['chat']}"
            for name, path, theme, size in (
                ("chat-dark", chat, "dark", (1280, 800)),
                ("chat-light", chat, "light", (1280, 800)),
                ("usage", "/usage", "dark", (1280, 800)),
                ("phone", chat, "light", (390, 844)),
            ):
                page = await browser.page(
                    path, viewport={"width": size[0], "height": size[1]}, color_scheme=theme, has_touch=size[0] < 500
                )
                await settle(page)
                await page.wait_for_timeout(600)
                await page.screenshot(path=PICTURES / f"{name}.png")
                await page.context.close()


async def run(arguments: list[str]) -> None:
    if "--docs" in arguments:
        return await for_the_docs()
    await everything(arguments)
    if not arguments:
        await nothing_yet()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1:]))
