"""What the page may cost: bytes, requests, time to a usable composer, long chats, and a long stream."""

from __future__ import annotations

import gzip
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from starpod.clock import format_time
from starpod.paths import shipped
from tests.browser.browser import Browser, reply, say
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Say, script

pytestmark = pytest.mark.gen_test

KB = 1000
FRAMES = """() => { const seen = window.__frames = {busy: 0, long: 0, late: 0, last: performance.now()};
    new PerformanceObserver(list => { for (const e of list.getEntries()) { seen.long++; seen.busy += e.duration; } })
        .observe({entryTypes: ['longtask']});
    const tick = now => { const gap = now - seen.last; if (gap > 34) seen.late += Math.round(gap / 16.7) - 1; seen.last = now;
        requestAnimationFrame(tick); };
    requestAnimationFrame(tick); }"""


def zipped(pattern: str) -> int:
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in (shipped("static") / "assets").glob(pattern))


async def test_bytes_and_requests_stay_small(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        context = await browser.context()
        page = await context.new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        await page.goto(gateway.url)
        await expect(page.locator(".composer textarea")).to_be_focused()
        first = [url for url in requests if not url.startswith("data:")]
        scripts = re.findall(r"assets/[\w.-]+\.js", (await gateway.http.get("/")).text)
        assert len(first) <= 6, first
        assert sum(zipped(Path(name).name) for name in set(scripts)) <= 45 * KB
        assert zipped("*.css") <= 12 * KB
        assert zipped("*.js") <= 110 * KB


async def test_the_page_is_usable_at_once_and_light(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        taken = []
        for _ in range(5):
            page = await browser.page()
            await expect(page.locator(".composer textarea")).to_be_focused()
            taken.append(await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            heap = await heap_mb(page)
            await page.context.close()
        # Shared machines are slow by turns; the budget of a quiet one is 200 ms.
        assert min(taken) < 400
        assert heap <= 2.6


async def heap_mb(page: Page) -> float:
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.collectGarbage")
    size: dict[str, Any] = await session.send("Runtime.getHeapUsage")
    return float(size["usedSize"]) / 1e6


async def fill(gateway: Gateway, messages: int) -> str:
    """A long conversation, written past the agent."""
    gateway.provider.play(script("First."))
    session_id = str((await gateway.http.post("/api/chat", json={"text": "first"})).json()["session_id"])
    now = format_time(gateway.state.clock.now())

    def insert(connection: Any) -> None:
        for number in range(messages):
            role = "user" if number % 2 == 0 else "assistant"
            text = (
                f"Message {number} with **bold** words, `code` and a list:\n\n- one\n- two"
                if number % 2
                else f"Question {number}?"
            )
            connection.execute_sql(
                "INSERT INTO session_messages (session_id, role, content, timestamp) VALUES (?, ?, ?, ?)",
                (session_id, role, text, now),
            )

    await gateway.state.database.run(insert)
    return session_id


async def test_a_thousand_messages_open_as_quickly_as_a_few(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        session_id = await fill(gateway, 1000)
        page = await browser.page()
        await expect(page.locator(".session")).to_have_count(1)
        taken = []
        for _ in range(3):
            await page.evaluate("performance.mark('asked')")
            await page.locator(".session a").click()
            await expect(page.get_by_text("Message 999")).to_be_visible()
            taken.append(
                await page.evaluate(
                    "new Promise(done => requestAnimationFrame(() => done(performance.measure('open', 'asked').duration)))"
                )
            )
            nodes = await page.evaluate("document.querySelectorAll('*').length")
            await page.keyboard.press("Control+Shift+o")
        assert nodes <= 2500
        # Clicking and waiting by the driver is part of it; the page alone has 160 ms.
        assert statistics.median(taken) < 600
        await page.goto(f"{gateway.url}/c/{session_id}")
        await expect(page.get_by_text("Message 999")).to_be_visible()
        log = page.locator(".log")
        for _ in range(100):
            await log.evaluate("e => e.scrollTop = 0")
            if await page.locator(".bubble").first.inner_text() == "first":
                break
            await page.wait_for_timeout(60)
        await expect(page.locator(".bubble").first).to_have_text("first")


async def test_a_long_stream_keeps_the_page_smooth(tmp_path: Path) -> None:
    words = "Some *words* of a longer reply, with `code` and more. "
    text = "\n\n".join("## Part\n\n" + words * 6 + "\n\n- one\n- two\n" for _ in range(54))
    size = max(1, len(text) // 2000)
    pieces = tuple(text[start : start + size] for start in range(0, len(text), size))
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        late = []
        for _ in range(2):
            gateway.provider.play(script(Say(pieces, 0.004)))
            page = await browser.page()
            await page.evaluate(FRAMES)
            await say(page, "go")
            await expect(page.locator(".log")).to_have_attribute("aria-busy", "true")
            await expect(page.locator(".live")).to_have_count(0, timeout=28_000)
            seen = await page.evaluate("window.__frames")
            late.append(seen["long"])
            assert (await reply(page).inner_text()).count("Part") == 54
            shift = await page.evaluate(
                """new Promise(done => { let sum = 0; new PerformanceObserver(list => { for (const e of list.getEntries())
                if (!e.hadRecentInput) sum += e.value; }).observe({type: 'layout-shift', buffered: true});
                setTimeout(() => done(sum), 200); })"""
            )
            assert shift <= 0.02
            await page.context.close()
            if late[-1] <= 5:
                break
        assert min(late) <= 5
