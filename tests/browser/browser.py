"""A Chromium with a page of the gateway in it.

    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        page = await browser.page()
        await say(page, "hi")

Whatever a page asks of another origin, writes to the console as an error or throws makes the test fail when it ends.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Playwright, Request, async_playwright, expect

from tests.browser import chromium
from tests.gateway import ADMIN_KEY, Gateway

expect.set_options(timeout=6000)
# Told by the browser itself while the gateway is away, or when it says no: what the page makes of it is what is tested.
EXPECTED = (
    "Failed to load resource", "WebSocket connection to", "ERR_CONNECTION_REFUSED", "error occurred when fetching the script",
)  # fmt: skip


class Browser:
    """`page()` opens a page, signed in with the admin's key unless `key` says otherwise ("" for nobody)."""

    def __init__(self, gateway: Gateway, **options: Any) -> None:
        self.gateway = gateway
        self.options = options
        self.complaints: list[str] = []
        self._playwright: Playwright
        self._chromium: Chromium

    async def __aenter__(self) -> Browser:
        self._playwright = await async_playwright().start()
        self._chromium = await self._playwright.chromium.launch(
            executable_path=chromium.find(), args=list(chromium.ARGUMENTS)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._chromium.close()
        await self._playwright.stop()
        if kind is None:
            assert self.complaints == [], self.complaints

    async def context(self, key: str = ADMIN_KEY, **options: Any) -> BrowserContext:
        """A fresh profile."""
        settings = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"} | self.options | options
        context = await self._chromium.new_context(**settings)
        context.set_default_timeout(8000)
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        if key:
            answer = await context.request.post(
                f"{self.gateway.url}/api/auth/login", data={"key": key}, headers={"Origin": self.gateway.url}
            )
            assert answer.ok
        return context

    async def page(
        self, path: str = "/", *, key: str = ADMIN_KEY, context: BrowserContext | None = None, **options: Any
    ) -> Page:
        """A page of the gateway, watched."""
        page = await (context or await self.context(key, **options)).new_page()
        self.watch(page)
        await page.goto(self.gateway.url + path)
        return page

    def watch(self, page: Page) -> None:
        """Note what a good page does not do."""

        def on_console(message: ConsoleMessage) -> None:
            if message.type == "error" and not any(text in message.text for text in EXPECTED):
                self.complaints.append(f"console: {message.text}")

        def on_request(request: Request) -> None:
            if not request.url.startswith((self.gateway.url, "data:", "blob:")):
                self.complaints.append(f"asked {request.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: self.complaints.append(f"threw {error}"))
        page.on("request", on_request)


async def say(page: Page, text: str) -> None:
    """Write a message and send it by Enter."""
    await page.locator(".composer textarea").fill(text)
    await page.keyboard.press("Enter")


def reply(page: Page) -> Any:
    """The newest text of the agent."""
    return page.locator(".md").last
