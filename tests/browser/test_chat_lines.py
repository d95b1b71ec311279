"""Lines that break, gateways that restart, tabs and pages that come and go: no word is lost and none is said twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import WebSocketRoute, expect

from tests.browser.browser import Browser, reply, say
from tests.browser.test_chat import one_session, shown, slowly
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Gate, Wait, script

pytestmark = pytest.mark.gen_test


async def test_a_reply_goes_on_while_another_page_is_shown_and_the_draft_stays(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(slowly("First half. " * 10), Wait(gate), slowly("Second half. " * 10)))
        page = await browser.page()
        await say(page, "both halves")
        await expect(reply(page)).to_contain_text("First half")
        await page.locator(".composer textarea").fill("a draft")
        await page.keyboard.press("Control+,")
        await expect(page.locator("h1")).to_have_text("Settings")
        gate.open()
        await page.go_back()
        await expect(page.locator(".live")).to_have_count(0)
        assert (await shown(page)).strip() == ("First half. " * 10 + "Second half. " * 10).strip()
        assert await page.locator(".composer textarea").input_value() == "a draft"


async def test_a_cut_line_comes_back_with_every_character_once(tmp_path: Path) -> None:
    text = " ".join(f"word{n}" for n in range(200))
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(slowly(text, 0.02, 11)))
        page = await browser.page()
        await say(page, "count")
        await expect(reply(page)).to_contain_text("word20")
        for socket in list(gateway.server.app.sockets):
            socket.ws_connection.stream.close()  # as a line that breaks
        await expect(page.get_by_text("Connection lost")).to_be_visible(timeout=1000)
        await expect(page.locator(".live")).to_have_count(0, timeout=15_000)
        (_, row) = (await gateway.http.get(f"/api/sessions/{await one_session(gateway)}/messages")).json()
        assert await shown(page) == row["content"] == text
        assert len(gateway.server.app.sockets) == 1


async def test_a_message_written_while_the_gateway_is_away_is_sent_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer(), keep_port=True) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("One."), script("Two."))
        page = await browser.page()
        await say(page, "first")
        await expect(reply(page)).to_have_text("One.")
        await gateway.stop()
        await expect(page.get_by_text("Connection lost")).to_be_visible()
        await say(page, "second")
        await expect(page.get_by_text("Waiting for the connection")).to_be_visible()
        assert len(gateway.provider.requests) == 1
        await gateway.start()
        await expect(reply(page)).to_have_text("Two.", timeout=20_000)
        await expect(page.locator(".bubble")).to_have_text(["first", "second"])
        (session,) = (await gateway.http.get("/api/sessions")).json()
        rows = (await gateway.http.get(f"/api/sessions/{session['id']}/messages")).json()
        assert [row["content"] for row in rows] == ["first", "One.", "second", "Two."]
        assert len(gateway.server.app.sockets) == 1


async def test_after_a_restart_everything_is_fresh_and_nothing_was_sent(tmp_path: Path) -> None:
    """Check 10: what was said meanwhile from elsewhere is in the list and in the open chat."""
    async with Gateway(tmp_path, OpenAIServer(), keep_port=True) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("One."), script("Two."), script("Three."))
        page = await browser.page()
        await say(page, "first")
        await expect(reply(page)).to_have_text("One.")
        session = (await gateway.http.get("/api/sessions")).json()[0]
        await page.locator(".composer textarea").fill("a draft")
        await page.context.set_offline(True)
        await gateway.stop()
        await expect(page.get_by_text("Connection lost")).to_be_visible()
        await gateway.start()
        for text, key in (("second", session["channel_session_key"]), ("another chat", "other")):
            await gateway.http.post("/api/chat", json={"text": text, "channel_session_key": key})
        await page.context.set_offline(False)
        await expect(page.locator(".bubble")).to_have_text(["first", "second"], timeout=20_000)
        await expect(reply(page)).to_have_text("Two.")
        await expect(page.locator(".session a .cut")).to_have_text(["another chat", "first"])
        await expect(page.get_by_text("Connection lost")).to_have_count(0)
        assert len(gateway.server.app.sockets) == 1 and len(gateway.provider.requests) == 3
        assert await page.locator(".composer textarea").input_value() == "a draft"


async def test_a_message_that_waits_outlives_a_reload(tmp_path: Path) -> None:
    """It is sent once, when the line is back."""
    async with Gateway(tmp_path, OpenAIServer(), keep_port=True) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("One."), script("Two."))
        page = await browser.page()
        await say(page, "first")
        await expect(reply(page)).to_have_text("One.")
        await page.evaluate("navigator.serviceWorker.ready")
        await gateway.stop()
        await expect(page.get_by_text("Connection lost")).to_be_visible()
        await say(page, "second")
        await expect(page.get_by_text("Waiting for the connection")).to_be_visible()
        await gateway.start()
        await page.reload()
        await expect(page.locator(".bubble")).to_have_text(["first", "second"], timeout=20_000)
        await expect(reply(page)).to_have_text("Two.")
        assert len(gateway.provider.requests) == 2


async def test_chats_stream_side_by_side_and_are_marked(tmp_path: Path) -> None:
    """Two running chats, one read and one not: marks in the list here and in another window, and every word in its own chat."""
    first, second = Gate(), Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Apples ", Wait(first), "are red."), script("Pears ", Wait(second), "are green."))
        page = await browser.page()
        await say(page, "apples")
        await expect(reply(page)).to_have_text("Apples")
        await page.keyboard.press("Control+Shift+o")
        await say(page, "pears")
        await expect(reply(page)).to_have_text("Pears")
        other = await browser.page(context=page.context)
        for each in (page, other):
            await expect(each.locator(".session .spinner")).to_have_count(2)
        first.open()
        for each in (page, other):
            await expect(each.locator(".session", has_text="apples").locator(".spinner")).to_have_count(0)
        second.open()
        await expect(reply(page)).to_have_text("Pears are green.")
        await page.locator(".session", has_text="apples").locator("a").click()
        await expect(reply(page)).to_have_text("Apples are red.")
        for each in (page, other):
            await expect(each.locator(".session .spinner")).to_have_count(0)


async def test_a_turn_without_a_token_yet_is_there_after_a_reload_and_in_a_second_tab(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(Wait(gate), slowly("Worth the wait, " * 8)))
        page = await browser.page()
        await say(page, "think")
        await expect(page.locator(".bubble.sent")).to_be_visible()
        await expect(page).to_have_url(f"{gateway.url}/c/{await one_session(gateway)}")
        await page.reload()
        await expect(page.locator(".waiting-dot")).to_be_visible()
        other = await browser.page(f"/c/{await one_session(gateway)}", context=page.context)
        gate.open()
        for each in (page, other):
            await expect(each.locator(".live")).to_have_count(0)
            assert (await shown(each)).strip() == ("Worth the wait, " * 8).strip()
            await expect(each.locator(".bubble")).to_have_text(["think"])


async def test_a_chat_that_began_while_the_page_was_opening_is_listed(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Hello."))
        context = await browser.context()
        opens = asyncio.Event()

        async def hold(line: WebSocketRoute) -> None:
            await opens.wait()
            line.connect_to_server()

        await context.route_web_socket("**/ws?*", hold)
        page = await browser.page(context=context)
        await gateway.http.post("/api/chat", json={"text": "from a script"})
        await expect(page.locator(".session")).to_have_count(0)
        opens.set()
        await expect(page.locator(".session")).to_contain_text("from a script")


async def test_new_chat_pressed_where_one_is_new_already_changes_nothing(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Here."))
        page = await browser.page()
        await page.get_by_role("link", name="New chat").click()
        await page.keyboard.press("Control+Shift+O")
        await say(page, "anybody?")
        await expect(reply(page)).to_have_text("Here.")
        await expect(page).to_have_url(f"{gateway.url}/c/{await one_session(gateway)}")


async def test_a_message_that_waits_is_heard_on_though_a_new_chat_was_begun(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer(), keep_port=True) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Late, but here."))
        page = await browser.page()
        await expect(page.locator(".composer textarea")).to_be_focused()
        await gateway.connected()
        await gateway.stop()
        await expect(page.get_by_text("Connection lost")).to_be_visible()
        await say(page, "before")
        await expect(page.locator(".bubble.waiting")).to_have_text("before")
        await page.get_by_role("link", name="New chat").click()
        await expect(page.locator(".bubble")).to_have_count(0)
        await gateway.start()
        await page.locator(".session", has_text="before").click(timeout=20_000)
        await expect(page.locator(".bubble")).to_have_text("before")
        await expect(reply(page)).to_have_text("Late, but here.")
        assert len((await gateway.http.get(f"/api/sessions/{await one_session(gateway)}/messages")).json()) == 2


async def test_a_page_that_could_not_be_read_is_read_when_the_gateway_is_back(tmp_path: Path) -> None:
    async with Gateway(tmp_path, keep_port=True) as gateway, Browser(gateway) as browser:
        page = await browser.page("/schedules")
        await expect(page.get_by_text("No schedules yet")).to_be_visible()
        await page.get_by_role("link", name="New chat").click()
        await gateway.connected()
        await gateway.stop()
        await expect(page.get_by_text("Connection lost")).to_be_visible()
        await page.get_by_role("link", name="Schedules").click()
        await expect(page.get_by_role("alert").first).to_contain_text("cannot be reached")
        await gateway.start()
        await expect(page.get_by_text("No schedules yet")).to_be_visible(timeout=20_000)
        await expect(page.get_by_role("alert")).to_have_count(0)
