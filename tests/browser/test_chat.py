"""The chat as people use it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import Browser, reply, say
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Fail, Gate, Say, Wait, script

pytestmark = pytest.mark.gen_test

HOSTILE = (
    '<img src=x onerror="window.__xss=1">\n\n<svg onload="window.__xss=1"></svg>\n\n'
    "[a](javascript:window.__xss=1) [b](data:text/html,x) ![c](http://evil.example/x.png)\n\n<script>window.__xss=1</script>\n\n"
    "| a |\n|---|\n| <b onclick=alert(1)>x</b> |"
)
# Colours come later and are no part of it.
OUTLINE = """e => [...e.querySelectorAll('*')].filter(each => !each.closest('pre code') || each.matches('pre code'))
    .map(each => `${each.tagName} ${each.getAttribute('href') ?? ''} ${each.matches('p,li,code,th,td,h3') ? each.textContent : ''}`)"""
LONG = "\n\n".join(
    f"Paragraph {n} with some words that make it a line or two long, so that the page has to scroll." for n in range(60)
)


def slowly(text: str, delay_s: float = 0.02, size: int = 24) -> Say:
    return Say(tuple(text[start : start + size] for start in range(0, len(text), size)), delay_s)


async def shown(page: Page) -> str:
    return str(await reply(page).inner_text())


async def test_a_message_is_answered_and_the_session_has_an_address(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Hello **there**."))
        page = await browser.page()
        await say(page, "hi")
        await expect(reply(page)).to_have_text("Hello there.")
        await expect(reply(page).locator("strong")).to_have_text("there")
        await expect(page).to_have_url(f"{gateway.url}/c/{(await gateway.http.get('/api/sessions')).json()[0]['id']}")
        await page.reload()
        await expect(reply(page)).to_have_text("Hello there.")


async def test_what_a_model_writes_never_runs(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(HOSTILE))
        page = await browser.page()
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        await say(page, "attack me")
        await expect(reply(page)).to_contain_text("onerror")
        await expect(page.locator("[aria-busy=true]")).to_have_count(0)
        assert await page.locator(".log :is(img, svg:not(.icon), script, iframe, [onclick])").count() == 0
        links = await page.locator(".md a").evaluate_all("all => all.map(a => a.protocol)")
        assert all(protocol in ("http:", "https:") for protocol in links)
        assert await page.evaluate("window.__xss") is None and dialogs == []


async def test_any_chunking_gives_the_page_of_the_whole(tmp_path: Path) -> None:
    import random

    text = (
        "# Title\n\nSome *text* with `code` and a [link](https://example.org).\n\n"
        "- one\n- two\n  - deep\n\n1. a\n\n   more\n2. b\n\n"
        "```python\ndef f():\n    return '`'\n\n# not a heading\n```\n\n> quote\n> more\n\n"
        "| a | b |\n|---|--:|\n| 1 | 2 |\n\n---\n\nSee [ref].\n\n"
        "~~~\nplain\n~~~\n\n* x\n\n* y\n\n[ref]: https://example.com\n\nThe end &amp; done."
    )
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        pages = []
        for seed in range(4):
            source, pieces, start = random.Random(seed), [], 0
            while start < len(text):
                size = len(text) if seed == 0 else source.randint(1, 17)
                pieces.append(text[start : start + size])
                start += size
            gateway.provider.play(script(Say(tuple(pieces), 0.004)))
            page = await browser.page()
            await say(page, f"round {seed}")
            await expect(reply(page)).to_contain_text("The end & done.")
            await expect(page.locator(".live")).to_have_count(0)
            pages.append(await reply(page).evaluate(OUTLINE))
            await page.context.close()
        assert pages[1:] == pages[:1] * 3


async def test_the_reader_can_look_back_while_the_reply_grows(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(slowly(LONG)))
        page = await browser.page()
        await say(page, "go on")
        log = page.locator(".log")
        await expect(reply(page)).to_contain_text("Paragraph 15")
        assert await log.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight") < 40
        await log.hover()
        await page.mouse.wheel(0, -60)
        latest = page.get_by_role("button", name="Latest")
        await expect(latest).to_be_visible()
        before = await log.evaluate("e => e.scrollTop")
        await page.wait_for_timeout(1000)
        assert await log.evaluate("e => e.scrollTop") == before
        await latest.click()
        await expect(latest).to_have_count(0)
        await expect(reply(page)).to_contain_text("Paragraph 40")
        assert await log.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight") < 40


@pytest.mark.parametrize("way", ["button", "escape"])
async def test_stop_ends_the_reply_and_keeps_its_text(tmp_path: Path, way: str) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(slowly(LONG, 0.05)), script("Again."))
        page = await browser.page()
        await say(page, "go on")
        await expect(reply(page)).to_contain_text("Paragraph 2")
        start = asyncio.get_running_loop().time()
        if way == "button":
            await page.get_by_role("button", name="Stop").click()
        else:
            await page.keyboard.press("Escape")
        await expect(page.locator(".stopped")).to_contain_text("Stopped")
        assert asyncio.get_running_loop().time() - start < 1.0
        assert "Paragraph 1" in await shown(page)
        await page.locator(".stopped").get_by_role("button", name="Retry").click()
        await expect(reply(page)).to_have_text("Again.")


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
        await expect(page.get_by_text("Connection lost")).to_be_visible(timeout=1500)
        await expect(page.locator(".live")).to_have_count(0, timeout=15_000)
        assert await shown(page) == text
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


async def one_session(gateway: Gateway) -> str:
    found = (await gateway.http.get("/api/sessions")).json()
    return str(found[0]["id"])


async def test_enter_sends_only_when_it_is_meant(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Yes."))
        page = await browser.page()
        box = page.locator(".composer textarea")
        await box.fill("かな")
        for fields in ({"isComposing": True}, {"keyCode": 229}):
            await box.dispatch_event("keydown", {"key": "Enter", "bubbles": True, "cancelable": True} | fields)
        await page.keyboard.press("Shift+Enter")
        assert await box.input_value() == "かな\n" and await page.locator(".bubble").count() == 0
        await page.keyboard.press("Enter")
        await expect(reply(page)).to_have_text("Yes.")
        phone = await browser.page(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800})
        await phone.locator(".composer textarea").fill("one")
        await phone.keyboard.press("Enter")
        assert await phone.locator(".composer textarea").input_value() == "one\n"


async def test_drafts_belong_to_their_session_and_outlive_a_reload(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("One."))
        page = await browser.page()
        await say(page, "first")
        await expect(reply(page)).to_have_text("One.")
        box = page.locator(".composer textarea")
        await box.fill("for the first")
        await page.keyboard.press("Control+Shift+o")
        await expect(page).to_have_url(f"{gateway.url}/")
        await expect(box).to_have_value("")
        await box.fill("for a new one")
        await page.locator(".session a").first.click()
        await expect(box).to_have_value("for the first")
        await page.reload()
        await expect(box).to_have_value("for the first")


async def test_files_are_picked_checked_sent_and_shown(tmp_path: Path) -> None:
    settings = {"attachments": {"max_file_size": 1000, "allowed_extensions": ["png", "txt"]}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Nice."))
        page = await browser.page()
        picker = page.locator("input[type=file]")
        await picker.set_input_files({"name": "a.exe", "mimeType": "application/x-exe", "buffer": b"x"})
        await expect(page.locator(".box-error")).to_contain_text("a.exe is of a type that is not allowed")
        await picker.set_input_files({"name": "big.txt", "mimeType": "text/plain", "buffer": b"x" * 2000})
        await expect(page.locator(".box-error")).to_contain_text("big.txt is too large")
        await picker.set_input_files({"name": "note.txt", "mimeType": "text/plain", "buffer": b"hello"})
        await page.evaluate(
            """() => { const all = new DataTransfer(); all.items.add(new File(['y'], 'dropped.txt', {type: 'text/plain'}));
            window.dispatchEvent(new DragEvent('drop', {dataTransfer: all, bubbles: true, cancelable: true})); }"""
        )
        await expect(page.locator(".chip")).to_have_count(2)
        await say(page, "look")
        await expect(reply(page)).to_have_text("Nice.")
        await expect(page.locator(".chip")).to_have_count(0)
        assert sorted(path.name[16:] for path in (gateway.home / "downloads").iterdir()) == ["dropped.txt", "note.txt"]


async def test_copy_edit_and_retry(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        source = "Here:\n\n```python\nprint('x')\n```"
        gateway.provider.play(script(source), script("Second."), script("Third."))
        page = await browser.page()
        await say(page, "code please")
        await expect(page.locator(".live")).to_have_count(0)
        await page.locator(".code-copy").click()
        assert await page.evaluate("navigator.clipboard.readText()") == "print('x')"
        await page.get_by_role("button", name="Copy reply").click()
        assert await page.evaluate("navigator.clipboard.readText()") == source
        await page.get_by_role("button", name="Retry").click()
        await expect(reply(page)).to_have_text("Second.")
        await expect(page.locator(".bubble")).to_have_count(1)
        await expect(page.get_by_text("2 of 2")).to_be_visible()
        await page.locator(".composer textarea").focus()
        await page.keyboard.press("ArrowUp")
        await page.locator(".edit textarea").fill("no code please")
        await page.locator(".edit").get_by_role("button", name="Send").click()
        await expect(reply(page)).to_have_text("Third.")
        await expect(page.locator(".bubble")).to_have_text(["no code please"])
        await page.get_by_role("button", name="Previous version").click()
        await expect(reply(page)).to_have_text("Second.")


async def test_tool_steps_show_what_was_done(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        (gateway.home / "long.txt").write_text("line of text\n" * 1000)
        gateway.provider.play(
            script(
                CallTool("Read", json.dumps({"file_path": "long.txt"}), "c1"),
                CallTool("Read", json.dumps({"file_path": "none.txt"}), "c2"),
            ),
            script(Wait(gate), "That was it."),
        )
        page = await browser.page()
        await say(page, "read")
        await expect(page.locator(".step.done")).to_contain_text("long.txt")
        await expect(page.locator(".step.failed")).to_contain_text("none.txt")
        line = page.locator(".step.done .step-line")
        await line.focus()
        for key, is_open in (("Enter", "true"), ("Space", "false"), ("Space", "true")):
            await page.keyboard.press(key)
            await expect(line).to_have_attribute("aria-expanded", is_open)
        gate.open()
        await expect(reply(page)).to_have_text("That was it.")
        fold = page.locator(".trace-fold")
        await expect(fold).to_contain_text("2 steps")
        await expect(fold).to_contain_text("1 failed")
        await page.reload()
        await fold.click()
        await page.locator(".step.done .step-line").click()
        output = page.locator(".output pre").last
        short = len(await output.inner_text())
        await page.get_by_role("button", name="Show all").click()
        assert len(await output.inner_text()) > short > 1000


async def test_a_failed_answer_says_why_and_can_be_tried_again(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(Fail(401, "bad key")), script("Now."))
        page = await browser.page()
        await say(page, "hi")
        card = page.locator(".failure-card")
        await expect(card.get_by_role("button", name="Retry")).to_be_visible()
        await expect(card.get_by_role("link", name="Change key")).to_be_visible()
        await card.get_by_role("button", name="Retry").click()
        await expect(reply(page)).to_have_text("Now.")


async def test_a_stream_is_told_to_screen_readers_once(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Some ", Wait(gate), "text."))
        page = await browser.page()
        await say(page, "hi")
        log = page.get_by_role("log")
        await expect(reply(page)).to_have_text("Some")
        assert await log.get_attribute("aria-busy") == "true" and await log.get_attribute("aria-live") == "off"
        gate.open()
        await expect(page.locator("[aria-live=polite]").last).to_have_text("The reply is complete.")
        assert await log.get_attribute("aria-busy") == "false"
