"""What the page may cost: bytes, requests, time to a usable composer, long chats, and a long stream."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import re
import statistics
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import CDPSession, Page, expect

from starpod.clock import format_time
from starpod.paths import shipped
from tests.browser.browser import Browser, reply, say
from tests.browser.neighbours import Neighbours
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Say, script

pytestmark = pytest.mark.gen_test(timeout=240)

KB = 1000
QUIET_CORES = 0.2
MOST_DISTURBED = 4
# Notes, from the page's first moment on, when the box could be written in, and everything that a frame or a key had to wait for.
WATCH = """(() => { const seen = window.__seen = {usable: 0, opened: 0, long: 0, late: 0, shift: 0, flushes: [], keys: []};
    const look = () => { if (document.activeElement?.matches?.('.composer textarea')) seen.usable = performance.now();
        else requestAnimationFrame(look); }; look();
    const watch = (type, take, more) => new PerformanceObserver(list => list.getEntries().forEach(take)).observe({type, ...more});
    watch('longtask', () => seen.long++); watch('measure', each => seen.flushes.push(each.duration));
    watch('layout-shift', each => { if (!each.hadRecentInput) seen.shift += each.value; });
    watch('event', each => { if (each.name === 'keydown') seen.keys.push(each.duration); }, {durationThreshold: 16});
    window.__frames = () => { seen.long = seen.late = 0; seen.flushes = []; let last = performance.now(); const tick = now => {
        const gap = now - last; if (gap > 25) seen.late += Math.round(gap / 16.67) - 1; last = now; requestAnimationFrame(tick); };
        requestAnimationFrame(tick); };
    addEventListener('click', event => { if (!event.target.closest('.session')) return; const start = performance.now();
        const look = () => { const all = document.querySelectorAll('.md'); const last = all[all.length - 1];
            if (last?.textContent.startsWith(window.__wanted)) setTimeout(() => { seen.opened = performance.now() - start; });
            else requestAnimationFrame(look); }; requestAnimationFrame(look); }, true);
})()"""
OPEN = "window.__seen.usable && performance.getEntriesByName('first-contentful-paint').length"
# The parser, which comes after the first screen, is there.
SETTLED = "performance.getEntriesByType('resource').some(each => /render-/.test(each.name))"
WORDS = "Some *words* of a longer reply, with `code` and more. "
PART = "## Part\n\n" + WORDS * 6 + "\n\n- one\n- two\n\n"
CODE = "```python\ndef part():\n    return 'some words'  # and a comment\n```\n\n"

Figures = dict[str, float]


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


class Stopwatch:
    """A watched page and the browser's own figures of it, at full speed or a quarter of it."""

    def __init__(self, page: Page, session: CDPSession) -> None:
        self.page = page
        self.session = session

    @classmethod
    async def start(cls, browser: Browser, *, slowdown: int = 1) -> Stopwatch:
        context = await browser.context()
        page = await context.new_page()
        browser.watch(page)
        await page.add_init_script(WATCH)
        session = await context.new_cdp_session(page)
        await session.send("Performance.enable", {"timeDomain": "threadTicks"})
        await session.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
        return cls(page, session)

    async def open(self, url: str) -> None:
        await self.page.goto(url)
        await self.until(OPEN)
        await expect(self.page.locator(".composer textarea")).to_be_focused()

    async def until(self, condition: str) -> None:
        """Wait for a JavaScript expression. Looked at rarely: Playwright's own waiting takes time, and half a megabyte."""
        async with asyncio.timeout(10):
            while not await self.page.evaluate(condition):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def seen(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.page.evaluate("window.__seen")
        return found

    async def busy(self) -> tuple[float, float]:
        """Seconds of a core that the page's main thread has worked, and when that was."""
        metrics = {
            each["name"]: each["value"] for each in (await self.session.send("Performance.getMetrics"))["metrics"]
        }
        return float(metrics["TaskDuration"]), float(metrics["Timestamp"])

    async def heap_mb(self) -> float:
        await self.session.send("HeapProfiler.collectGarbage")
        return float((await self.session.send("Runtime.getHeapUsage"))["usedSize"]) / 1e6

    async def close(self) -> None:
        await self.page.context.close()


def p95(values: list[float]) -> float:
    return sorted(values)[max(0, round(len(values) * 0.95) - 1)] if values else 0.0


async def hold(measure: Callable[[], Awaitable[Figures]], caps: Figures, *, runs: int = 3) -> None:
    """The median of `runs` measurements stays within the caps, with one retry.

    What was measured while other programs took a good part of a core says nothing and is measured again; on a machine that is never
    quiet the test is left out, because there is nothing to say about the page.
    """
    disturbed: list[float] = []
    for _ in range(2):
        taken: list[Figures] = []
        while len(taken) < runs and len(disturbed) < MOST_DISTURBED:
            neighbours = Neighbours()
            figures = await measure()
            is_good = all(figures[name] <= cap for name, cap in caps.items())
            if is_good or neighbours.cores <= QUIET_CORES:
                taken.append(figures)
            else:
                disturbed.append(neighbours.cores)
            if 2 * sum(all(each[name] <= cap for name, cap in caps.items()) for each in taken) > runs:
                return
        if len(taken) < runs:
            pytest.skip(f"other programs kept {max(disturbed):.1f} cores busy: nothing can be measured")
        medians = {name: round(statistics.median(each[name] for each in taken), 3) for name in caps}
        print("measured", medians, "caps", caps)
        if all(medians[name] <= cap for name, cap in caps.items()):
            return
    raise AssertionError(f"{medians} is over {caps}")


@pytest.mark.parametrize(
    ("slowdown", "caps"),
    [(1, {"paint_ms": 200.0, "usable_ms": 190.0, "heap_mb": 2.6}), (4, {"usable_ms": 490.0, "heap_mb": 2.6})],
)
async def test_the_page_is_usable_at_once_and_light(tmp_path: Path, slowdown: int, caps: Figures) -> None:
    """First paint of the real shell, a box that can be written in, and the heap of a page that idles."""
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:

        async def measure() -> Figures:
            watch = await Stopwatch.start(browser, slowdown=slowdown)
            await watch.open(gateway.url)
            assert await watch.page.locator(".side .new-chat").count() == 1
            paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            figures = {
                "paint_ms": float(await watch.page.evaluate(paint)),
                "usable_ms": float((await watch.seen())["usable"]),
            }
            await watch.until(SETTLED)
            figures["heap_mb"] = await watch.heap_mb()
            await watch.close()
            return figures

        await measure()  # the first load warms the server up
        await hold(measure, caps, runs=5)


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


@pytest.mark.parametrize(("messages", "cap_ms"), [(500, 150.0), (1000, 160.0)])
async def test_long_chats_open_at_once(tmp_path: Path, messages: int, cap_ms: float) -> None:
    """From the click to the newest message on the screen, with few nodes; and all of it is there for who scrolls up."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        session_id = await fill(gateway, messages)

        async def measure() -> Figures:
            watch = await Stopwatch.start(browser)
            await watch.open(gateway.url)
            await watch.until(SETTLED)
            await watch.page.evaluate(f"window.__wanted = 'Message {messages - 1}'")
            await watch.page.locator(".session a").click()
            await watch.page.wait_for_function("() => window.__seen.opened")
            figures = {
                "opened_ms": float((await watch.seen())["opened"]),
                "nodes": float(await watch.page.evaluate("document.querySelectorAll('*').length")),
            }
            await watch.close()
            return figures

        await hold(measure, {"opened_ms": cap_ms, "nodes": 2500.0})
        page = await browser.page(f"/c/{session_id}")
        await expect(page.get_by_text(f"Message {messages - 1}")).to_be_visible()
        await page.evaluate(
            """() => { const log = document.querySelector('.log'); const up = () => { log.scrollTop = 0; requestAnimationFrame(up); };
            up(); }"""
        )
        await expect(page.locator(".bubble").first).to_have_text("first", timeout=60_000)


async def stream(gateway: Gateway, browser: Browser, text: str, *, pieces: int, slowdown: int = 1) -> Figures:
    """A reply in so many deltas over ten seconds, and what it cost the page."""
    size = -(-len(text) // pieces)
    cut = tuple(text[start : start + size] for start in range(0, len(text), size))
    gateway.provider.play(script(Say(cut, 10 / len(cut))))
    watch = await Stopwatch.start(browser, slowdown=slowdown)
    await watch.open(gateway.url)
    await watch.until(SETTLED)
    await say(watch.page, "go")
    await expect(reply(watch.page)).to_contain_text("Part")
    await watch.page.evaluate("window.__frames()")
    slices = [await watch.busy()]
    for share in range(1, 6):
        await watch.page.wait_for_function(
            f"() => document.querySelector('.md').textContent.length > {share * 0.15 * len(text)}", polling=250
        )
        slices.append(await watch.busy())
    await expect(watch.page.locator(".live")).to_have_count(0, timeout=60_000)
    seen = await watch.seen()
    shares = [(after[0] - earlier[0]) / (after[1] - earlier[1]) for earlier, after in itertools.pairwise(slices)]
    figures = {
        "busy_s": (await watch.busy())[0] - slices[0][0],
        "late": float(seen["late"]),
        "long": float(seen["long"]),
        "shift": float(seen["shift"]),
        "flush_ms": p95(seen["flushes"]),
        "last_slice": shares[-1],
        "growth": shares[-1] / max(shares[1], 0.001),
    }
    assert (await reply(watch.page).text_content() or "").count("Part") == text.count("Part")
    await watch.close()
    return figures


@pytest.mark.parametrize(
    ("slowdown", "caps"),
    [
        (1, {"busy_s": 3.0, "late": 5.0, "shift": 0.02, "flush_ms": 4.0}),
        (4, {"late": 60.0, "long": 5.0, "shift": 0.02}),
    ],
)
async def test_a_stream_of_two_thousand_deltas(tmp_path: Path, slowdown: int, caps: Figures) -> None:
    """A 20 kB reply in ten seconds: the main thread's time, frames that were late, long tasks, shifts, one flush."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        await hold(lambda: stream(gateway, browser, PART * 57, pieces=2000, slowdown=slowdown), caps)


async def test_a_long_reply_costs_no_more_at_its_end(tmp_path: Path) -> None:
    """80 kB in ten seconds: its last slice of text is no dearer than the first."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        text = (PART * 2 + CODE) * 97
        caps = {"last_slice": 0.30, "growth": 1.3}
        await hold(lambda: stream(gateway, browser, text, pieces=2000), caps)


async def test_keys_are_answered_while_a_reply_streams(tmp_path: Path) -> None:
    """From keydown to the paint that shows it, at a quarter of the speed."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:

        async def measure() -> Figures:
            text = PART * 57
            cut = tuple(text[start : start + 10] for start in range(0, len(text), 10))
            gateway.provider.play(script(Say(cut, 10 / len(cut))))
            watch = await Stopwatch.start(browser, slowdown=4)
            await watch.open(gateway.url)
            await say(watch.page, "go")
            await expect(reply(watch.page)).to_contain_text("Part")
            typed = "words that are written while the reply comes in, "
            await watch.page.locator(".composer textarea").press_sequentially(typed, delay=80)
            seen = await watch.seen()
            # What took less than 16 ms is not reported, and counts as nothing.
            figures = {"key_ms": p95([0.0] * (len(typed) - len(seen["keys"])) + seen["keys"])}
            await watch.page.keyboard.press("Escape")
            await expect(watch.page.locator(".live")).to_have_count(0)
            await watch.close()
            return figures

        await hold(measure, {"key_ms": 64.0})
