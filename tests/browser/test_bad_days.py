"""What the page makes of a bad day: the gateway dies, the line is slow, clocks differ, keys end, texts are huge or strange."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from starpod.clock import format_time
from tests.browser.browser import Browser, reply, say
from tests.browser.test_chat import one_session, slowly
from tests.crash import KEY, GatewayProcess
from tests.fakes import FakeClock
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Gate, Say, Wait, script

pytestmark = pytest.mark.gen_test(timeout=60)

WORDS = " ".join(f"word{number}" for number in range(400))
STRANGE = (
    "👩‍👩‍👧‍👦🏳️‍🌈 e\u0301 שלום עולם, מה שלומך? مرحبا بالعالم 12.5% "
    + "https://example.org/" + "a" * 400 + " " + "\u202eevil" + " " + "漢字かな交じり文" * 30
)  # fmt: skip


async def test_a_gateway_that_is_killed_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    """kill -9: what was said stays, the turn is marked interrupted, nothing is sent again, and a retry answers."""
    with OpenAIServer(script(slowly(WORDS, 0.02, 12)), script("All over again.")) as provider:
        gateway = GatewayProcess(tmp_path, f"{provider.url}/v1", keep_port=True)
        await gateway.start()
        try:
            async with Browser(gateway) as browser:
                page = await browser.page(key=KEY)
                await say(page, "count")
                await expect(reply(page)).to_contain_text("word60")
                before = await reply(page).inner_text()
                await gateway.kill()
                await expect(page.get_by_text("Connection lost")).to_be_visible(timeout=1000)
                assert (await reply(page).inner_text()).startswith(before)
                await gateway.start()
                await expect(page.locator(".stopped")).to_contain_text("Interrupted", timeout=25_000)
                stored = await gateway.get(f"/api/sessions/{page.url.rsplit('/', 1)[1]}/messages")
                assert [row["role"] for row in stored] == ["user", "assistant"]
                await expect(reply(page)).to_have_text(stored[1]["content"].strip())
                assert "word40" in stored[1]["content"] and len(provider.requests) == 1
                await page.locator(".stopped").get_by_role("button", name="Retry").click()
                await expect(reply(page)).to_have_text("All over again.")
        finally:
            await gateway.kill()


async def test_a_slow_network(tmp_path: Path) -> None:
    """A 3G line (400 ms, 400 kbit/s): the page is usable in seconds, a picture's progress is seen, and the answer comes whole."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(slowly(WORDS, 0.005, 12)))
        context = await browser.context()
        page = await context.new_page()
        browser.watch(page)
        line = await context.new_cdp_session(page)
        await line.send("Network.enable")
        slow = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
        await line.send("Network.emulateNetworkConditions", slow)
        await page.goto(gateway.url)
        await expect(page.locator(".composer textarea")).to_be_focused(timeout=6000)
        await say(page, "count")
        await expect(page.locator(".bubble")).to_have_text("count")
        await expect(page.locator(".live")).to_have_count(0, timeout=30_000)
        await expect(reply(page)).to_have_text(WORDS)


async def test_a_browser_whose_clock_is_wrong(tmp_path: Path) -> None:
    """Days and times are the gateway's: what was said a moment ago is of today, whatever this machine believes."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("One."), script(CallTool("FileList")), script("Two."))
        await gateway.http.post("/api/chat", json={"text": "first"})
        for apart in (timedelta(days=-400), timedelta(days=5, hours=3)):
            page = await (await browser.context()).new_page()
            browser.watch(page)
            await page.clock.install(time=gateway.state.clock.now() + apart)
            await page.clock.resume()
            await page.goto(gateway.url)
            await expect(page.locator(".sessions h2")).to_have_text(["Today"])
            await page.locator(".session a").first.click()
            await expect(reply(page)).to_have_text("One.")
        await say(page, "and")
        await expect(reply(page)).to_have_text("Two.")
        await expect(page.locator(".sessions h2")).to_have_text(["Today"])
        await page.locator(".trace-fold").click()
        assert " ms" in await page.locator(".took").inner_text() or " s" in await page.locator(".took").inner_text()


@pytest.mark.parametrize("way", ["revoked", "expired"])
async def test_a_key_that_ends_in_the_middle_of_the_day(tmp_path: Path, way: str) -> None:
    """The page asks for another key and keeps what was written; nothing of the chat stays on the screen."""
    clock = FakeClock(datetime.now(UTC))
    async with Gateway(tmp_path, OpenAIServer(), clock=clock) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("A secret answer."))
        user, _ = await gateway.user(name="Ann")
        when = clock.now() + timedelta(hours=1) if way == "expired" else None
        meta, key = await gateway.state.auth.create_key(user.id, expires_at=when)
        page = await browser.page(key=key)
        await say(page, "hi")
        await expect(reply(page)).to_have_text("A secret answer.")
        await page.locator(".composer textarea").fill("half a thought")
        if way == "revoked":
            await gateway.http.post(f"/api/settings/auth/api-keys/{meta.id}/revoke")
        else:
            await page.keyboard.press("Control+k")
            await expect(page.locator(".palette input")).to_be_focused()
            clock.advance(2 * 3600)
            await page.keyboard.type("what is asked now is refused")
        await expect(page.get_by_text("Please sign in again")).to_be_visible()
        assert "A secret answer." not in await page.content()
        _, other = await gateway.state.auth.create_key(user.id)
        await page.get_by_label("API key").fill(other)
        await page.keyboard.press("Enter")
        await expect(page.locator(".composer textarea")).to_have_value("half a thought")


async def fill_sessions(gateway: Gateway, count: int) -> None:
    """Many conversations, one every three hours, written past the agent."""
    now, user = gateway.state.clock.now(), (await gateway.http.get("/api/auth/verify")).json()["user"]["id"]

    def insert(connection: Any) -> None:
        for number in range(count):
            moment = format_time(now - timedelta(hours=3 * number))
            connection.execute_sql(
                "INSERT INTO session_metadata (id, created_at, last_message_at, title, channel, channel_session_key, user_id) "
                "VALUES (?, ?, ?, ?, 'main', ?, ?)",
                (f"s{number}", moment, moment, f"Conversation {number}", f"k{number}", user),
            )
            connection.execute_sql(
                "INSERT INTO session_messages (session_id, role, content, timestamp) VALUES (?, 'user', ?, ?)",
                (f"s{number}", f"the text of number{number}", moment),
            )

    await gateway.state.database.run(insert)


async def test_a_thousand_sessions(tmp_path: Path) -> None:
    """The list comes in pages as it is scrolled to its very end, stays small at first, and the oldest is found by its text."""
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        await fill_sessions(gateway, 1000)
        page = await browser.page()
        rows = page.locator(".session")
        await expect(rows.first).to_contain_text("Conversation 0")
        assert await rows.count() <= 80 and await page.evaluate("document.querySelectorAll('*').length") < 2500
        await page.evaluate(
            """() => { const list = document.querySelector('.sessions');
            const down = () => { list.scrollTop = list.scrollHeight; };
            new MutationObserver(down).observe(list, {childList: true, subtree: true}); down(); }"""
        )
        await expect(rows).to_have_count(1000, timeout=30_000)
        await expect(rows.last).to_contain_text("Conversation 999")
        assert len(set(await rows.locator("a").evaluate_all("all => all.map(a => a.href)"))) == 1000
        await page.keyboard.press("Control+k")
        await expect(page.locator(".palette input")).to_be_focused()
        await page.keyboard.type("number998")
        await expect(page.locator(".palette mark")).to_have_text("number998")
        await page.keyboard.press("Enter")
        await expect(page.locator(".bubble")).to_have_text("the text of number998")
        await expect(page.locator(".topbar h1")).to_have_text("Conversation 998")


async def test_a_message_of_two_megabytes(tmp_path: Path) -> None:
    """It is taken by the box, sent, kept whole, shown in part with all of it at a click, and the page goes on."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Long."), script("Still here."))
        page = await browser.page()
        await page.evaluate(
            """() => { const box = document.querySelector('.composer textarea'); box.value = 'many words '.repeat(190000);
            box.dispatchEvent(new Event('input', {bubbles: true})); }"""
        )
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(reply(page)).to_have_text("Long.", timeout=20_000)
        rows = (await gateway.http.get(f"/api/sessions/{await one_session(gateway)}/messages")).json()
        assert rows[0]["content"].strip() == ("many words " * 190_000).strip()
        assert len(await page.locator(".bubble").inner_text()) < 10_000
        await say(page, "again")
        await expect(reply(page)).to_have_text("Still here.")
        await page.reload()
        await page.get_by_role("button", name="Show all of it").click()
        assert await page.locator(".bubble").first.evaluate("e => e.textContent.length") > 2_000_000


async def test_emoji_right_to_left_and_unbroken_strings(tmp_path: Path) -> None:
    """They stay what they are, each in its own direction, and nothing gets wider than the screen."""
    phone = {"viewport": {"width": 390, "height": 800}}
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway, **phone) as browser:
        answer = (
            f"{STRANGE}\n\nמה **שלומך**\n\n- مرحبا\n\n`{'x' * 300}`\n\n| {'y' * 200} | b |\n|---|---|\n| مرحبا | 2 |"
        )
        gateway.provider.play(script(Say(tuple(answer), 0.0005)))
        page = await browser.page()
        await say(page, STRANGE)
        await expect(reply(page)).to_contain_text("שלום")
        await expect(page.locator(".live")).to_have_count(0, timeout=20_000)
        assert await page.locator(".bubble").text_content() == STRANGE
        rows = (await gateway.http.get(f"/api/sessions/{await one_session(gateway)}/messages")).json()
        assert [row["content"] for row in rows] == [STRANGE, answer]
        free = """e => { const range = document.createRange(); range.selectNodeContents(e); const text = range.getBoundingClientRect();
            const all = e.getBoundingClientRect(); return [text.left - all.left, all.right - text.right]; }"""
        left, right = await page.locator(".md p").nth(1).evaluate(free)
        assert right < 2 < left, "Hebrew begins at the right"
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        wide = await page.evaluate(
            """[...document.querySelectorAll('.log *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
            && !e.closest('.table-scroll, pre, .hidden, .menu')).map(e => e.outerHTML.slice(0, 80))"""
        )
        assert wide == []
        await page.get_by_role("button", name="Show the sidebar").click()
        await expect(page.locator(".session")).to_have_count(1)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_a_tool_result_of_five_megabytes(tmp_path: Path) -> None:
    """Shown short, opened in part, saved whole; the page stays quick."""
    settings = {"compaction": {"max_tool_result_bytes": 8_000_000}, "tools": {"shell": True}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway, Browser(gateway) as browser:
        command = "yes 0123456789abcdefghijklmnopqrstuvwxyz 2>/dev/null | head -c 5000000"
        gateway.provider.play(script(CallTool("Bash", json.dumps({"command": command}), "c1")), script("Enough."))
        page = await browser.page()
        await say(page, "print a lot")
        await expect(reply(page)).to_have_text("Enough.", timeout=20_000)
        rows = (await gateway.http.get(f"/api/sessions/{await one_session(gateway)}/messages")).json()
        whole = json.loads(next(row["content"] for row in rows if row["role"] == "tool_result"))["content"]
        for _ in range(2):
            await page.locator(".trace-fold").click()
            await page.locator(".step-line").click()
            output = page.locator(".output pre").last
            assert await output.evaluate("e => e.textContent.length") <= 4000
            await page.get_by_role("button", name="Show all").click()
            await expect(output).to_contain_text(whole[5000:5100])
            assert await output.evaluate("e => e.textContent.length") <= 300_000
            if len(whole) > 300_000:
                async with page.expect_download() as download:
                    await page.get_by_role("button", name="Save all of it").click()
                assert (await (await download.value).path()).read_text(encoding="utf-8") == whole
            await page.reload()
            await expect(reply(page)).to_have_text("Enough.")


async def test_a_browser_that_stores_nothing(tmp_path: Path) -> None:
    """Local storage, session storage and caches throw: everything works as long as the page lives."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Fine."))
        context = await browser.context()
        await context.add_init_script(
            """for (const name of ['localStorage', 'sessionStorage', 'caches', 'indexedDB'])
            Object.defineProperty(window, name, {get() { throw new DOMException('denied', 'SecurityError'); }});"""
        )
        page = await browser.page(context=context)
        await say(page, "hi")
        await expect(reply(page)).to_have_text("Fine.")
        box = page.locator(".composer textarea")
        await box.fill("a draft")
        await page.keyboard.press("Control+,")
        await page.get_by_role("radio", name="Dark").check()
        await page.keyboard.press("Control+Shift+s")
        await expect(page.locator(".side")).to_be_hidden()
        await page.go_back()
        await expect(box).to_have_value("a draft")
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_two_windows_of_different_people(tmp_path: Path) -> None:
    """In two browsers each sees their own; in one browser the second sign-in takes over every window, drafts included."""
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        _, ann = await gateway.user(name="Ann")
        _, bob = await gateway.user(name="Bob")
        gateway.provider.play(script("For Ann.", Wait(gate)), script("For Bob."), script("You are Bob."))
        first = await browser.page(key=ann)
        second = await browser.page(key=bob)
        await say(first, "I am Ann")
        await expect(reply(first)).to_have_text("For Ann.")
        await say(second, "I am Bob")
        await expect(reply(second)).to_have_text("For Bob.")
        await expect(second.locator(".session a .cut")).to_have_text(["I am Bob"])
        gate.open()
        await expect(first.locator(".live")).to_have_count(0)
        await expect(first.locator(".session")).to_have_count(1)
        stranger = await browser.page(f"/c/{first.url.rsplit('/', 1)[1]}", key=bob)
        await expect(stranger.get_by_role("heading", name="This chat is not here")).to_be_visible()

        await first.keyboard.press("Control+Shift+o")
        await first.locator(".composer textarea").fill("a thought of Ann's")
        answer = await first.context.request.post(
            f"{gateway.url}/api/auth/login", data={"key": bob}, headers={"Origin": gateway.url}
        )
        assert answer.ok
        other = await browser.page(context=first.context)
        for page in (other, first):
            await expect(page.locator(".person")).to_have_text("Bob")
            await expect(page.locator(".session a .cut")).to_have_text(["I am Bob"])
            await expect(page.locator(".composer textarea")).to_have_value("")
        await say(first, "who am I")
        await expect(first.locator(".bubble.sent")).to_have_text("who am I")
        titles = [session["title"] for session in (await gateway.client(bob).get("/api/sessions")).json()]
        assert titles == ["who am I", "I am Bob"]
