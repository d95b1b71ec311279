"""The chat as people use it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import Browser, reply, say
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Gate, Say, Wait, script

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


# From the key or click to the moment at which the page says that the reply has stopped.
STOPWATCH = """() => { let start = 0;
    for (const kind of ['click', 'keydown']) addEventListener(kind, () => { start ||= performance.now(); }, {capture: true});
    new MutationObserver(() => { if (document.querySelector('.stopped')) window.__stopped ??= performance.now() - start; })
        .observe(document.body, {childList: true, subtree: true}); }"""


async def shown(page: Page) -> str:
    return str(await reply(page).inner_text())


async def one_session(gateway: Gateway) -> str:
    found = (await gateway.http.get("/api/sessions")).json()
    return str(found[0]["id"])


async def test_a_message_is_answered_and_the_session_has_an_address(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Hello **there**."))
        page = await browser.page()
        await say(page, "hi")
        await expect(reply(page)).to_have_text("Hello there.")
        await expect(reply(page).locator("strong")).to_have_text("there")
        await expect(page).to_have_url(f"{gateway.url}/c/{await one_session(gateway)}")
        await page.reload()
        await expect(reply(page)).to_have_text("Hello there.")


async def test_who_goes_on_in_a_chat_that_was_deleted_elsewhere_is_in_a_new_one(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("First."), script("Second."))
        page = await browser.page()
        await say(page, "hi")
        await expect(reply(page)).to_have_text("First.")
        old = await one_session(gateway)
        await expect(page).to_have_url(f"{gateway.url}/c/{old}")
        await gateway.http.delete(f"/api/sessions/{old}")
        await say(page, "still there?")
        await expect(reply(page)).to_have_text("Second.")
        await expect(page).not_to_have_url(f"{gateway.url}/c/{old}")
        await page.reload()
        await expect(page.locator(".bubble")).to_have_text(["still there?"])
        await expect(reply(page)).to_have_text("Second.")


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


async def test_a_selection_lasts_while_the_reply_goes_on(tmp_path: Path) -> None:
    """Check 6."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(slowly(LONG, 0.01)))
        page = await browser.page()
        await say(page, "go on")
        await expect(reply(page)).to_contain_text("Paragraph 5")
        await (
            page.locator(".md p")
            .nth(1)
            .evaluate(
                "e => { getSelection().selectAllChildren(e); window.__length = document.querySelector('.md').textContent.length; }"
            )
        )
        await page.wait_for_function("() => document.querySelector('.md').textContent.length > window.__length + 2000")
        assert (await page.evaluate("String(getSelection())")).startswith("Paragraph 1 with some words")
        assert await page.locator(".live").count() == 1


async def test_a_long_conversation_is_printed_whole(tmp_path: Path) -> None:
    """On paper there is no scrolling: every page, dark on white, without the buttons."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(slowly(LONG, 0)))
        page = await browser.page(color_scheme="dark")
        await say(page, "go on")
        await expect(reply(page)).to_contain_text("Paragraph 59")
        await expect(page.locator(".live")).to_have_count(0)
        await page.emulate_media(media="print")
        for hidden in (".side", ".composer", ".topbar .pill", ".turn .icon-button"):
            assert await page.locator(hidden).locator("visible=true").count() == 0, hidden
        fits = "e => e.getBoundingClientRect().bottom <= document.documentElement.scrollHeight - scrollY"
        assert await page.locator(".md p").last.evaluate(fits)
        lightness = "parseFloat(getComputedStyle(document.body).color.split('(')[1])"
        assert float(await page.evaluate(lightness)) < 30, "of 100"
        assert (await page.pdf()).count(b"/Type /Page\n") > 1


@pytest.mark.parametrize("way", ["button", "escape"])
async def test_stop_ends_the_reply_and_keeps_its_text(tmp_path: Path, way: str) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(slowly(LONG, 0.05)), script("Again."))
        page = await browser.page()
        await say(page, "go on")
        await expect(reply(page)).to_contain_text("Paragraph 2")
        await page.evaluate(STOPWATCH)
        if way == "button":
            await page.get_by_role("button", name="Stop").click()
        else:
            await page.keyboard.press("Escape")
        await expect(page.locator(".stopped")).to_contain_text("Stopped")
        assert await page.evaluate("window.__stopped") < 300
        assert await asyncio.to_thread(gateway.provider.requests[0].closed.wait, 5)
        rows = (await gateway.http.get(f"/api/sessions/{await one_session(gateway)}/messages")).json()
        assert "Paragraph 1" in await shown(page) and "Paragraph 59" not in rows[1]["content"]
        assert (await reply(page).evaluate("e => e.textContent")) == "".join(rows[1]["content"].split("\n\n"))
        await page.locator(".stopped").get_by_role("button", name="Retry").click()
        await expect(reply(page)).to_have_text("Again.")


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
        await page.get_by_role("button", name="Show the raw text").click()
        await expect(page.locator(".raw")).to_have_text(source)
        await page.get_by_role("button", name="Show the raw text").click()
        await expect(page.locator(".code code")).to_have_text("print('x')")
        await page.locator(".own").hover()
        await page.get_by_role("button", name="Copy message").click()
        assert await page.evaluate("navigator.clipboard.readText()") == "code please"
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


async def test_a_quote_keeps_the_distance_that_every_block_has(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Before.\n\n> a quote\n\nAfter."))
        page = await browser.page()
        await say(page, "quote")
        await expect(reply(page)).to_contain_text("After.")
        above, quote, below = [await each.bounding_box() for each in await reply(page).locator("> *").all()]
        assert above and quote and below
        assert quote["y"] - above["y"] - above["height"] == below["y"] - quote["y"] - quote["height"] > 8


async def test_what_stands_beside_the_column_is_never_cut_off(tmp_path: Path) -> None:
    """The numbers of a long list, in a turn that is not the last: as they are where nothing is left out of sight."""
    everything = """() => { const sheet = new CSSStyleSheet(); sheet.replaceSync('.turn, .part { content-visibility: visible !important }');
        document.adoptedStyleSheets = [sheet]; }"""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("\n".join(f"{number}. item" for number in range(9995, 10005))), script("Short."))
        page = await browser.page()
        await say(page, "count")
        await expect(reply(page).locator("li")).to_have_count(10)
        await expect(page.locator(".live")).to_have_count(0)
        await say(page, "more")
        await expect(reply(page)).to_have_text("Short.")
        await expect(page.locator(".live")).to_have_count(0)
        box = await page.locator("ol").bounding_box()
        assert box
        strip: Any = {"x": box["x"] - 60, "y": box["y"], "width": 70, "height": box["height"]}
        shown = await page.screenshot(clip=strip)
        await page.evaluate(everything)
        assert await page.screenshot(clip=strip) == shown
