"""Files both ways: chosen in every way there is, refused in words, kept when sending fails, shown again after a reload."""

from __future__ import annotations

import base64
import json
import random
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import Browser, reply, say
from tests.gateway import Gateway
from tests.handlers.test_session_files import PNG
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, script

pytestmark = pytest.mark.gen_test

LIMITS = {"attachments": {"max_file_size": 1000, "allowed_extensions": ["png", "txt"]}}
PASTE = """([name, type, data]) => { const all = new DataTransfer();
    all.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], name, {type}));
    document.querySelector('.composer textarea').dispatchEvent(
        new ClipboardEvent('paste', {clipboardData: all, bubbles: true, cancelable: true})); }"""
DROP = """([name, type, data]) => { const all = new DataTransfer();
    all.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], name, {type}));
    for (const kind of ['dragover', 'drop'])
        document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: all, bubbles: true, cancelable: true})); }"""

# Every percentage that the page tells while a message is on its way.
NOTE_PROGRESS = """() => { window.__told = []; new MutationObserver(() => { const note = document.querySelector('.own .note');
    const told = /(\\d+) %/.exec(note?.textContent ?? ''); if (told && window.__told.at(-1) !== +told[1]) window.__told.push(+told[1]); })
    .observe(document.body, {subtree: true, childList: true, characterData: true}); }"""


async def give(page: Page, way: str, name: str, mime_type: str, data: bytes) -> None:
    if way == "pick":
        await page.locator("input[type=file]").set_input_files({"name": name, "mimeType": mime_type, "buffer": data})
    else:
        await page.evaluate(PASTE if way == "paste" else DROP, [name, mime_type, base64.b64encode(data).decode()])


@pytest.mark.parametrize("way", ["pick", "paste", "drop"])
async def test_a_file_is_taken_or_refused_in_words_at_the_box(tmp_path: Path, way: str) -> None:
    """Check 16."""
    async with Gateway(tmp_path, OpenAIServer(), settings=LIMITS) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Nice."))
        page = await browser.page()
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        await give(page, way, "a.exe", "application/x-exe", b"x")
        await expect(page.locator(".box-error")).to_contain_text("a.exe is of a type that is not allowed")
        await give(page, way, "big.txt", "text/plain", b"x" * 2000)
        await expect(page.locator(".box-error")).to_contain_text("big.txt is too large: 2 kB, at most 1 kB")
        assert await page.locator(".chip").count() == 0
        await give(page, way, "dot.png", "image/png", PNG)
        await expect(page.locator(".chip img")).to_have_count(1)
        await expect(page.locator(".box-error")).to_have_count(0)
        await give(page, way, "note.txt", "text/plain", b"hello")
        await page.get_by_role("button", name="Remove note.txt").click()
        await expect(page.locator(".chip")).to_have_count(1)
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(reply(page)).to_have_text("Nice.")
        (stored,) = (gateway.home / "downloads").iterdir()
        assert stored.name.endswith("_dot.png") and stored.read_bytes() == PNG and dialogs == []


async def test_files_and_text_survive_a_failed_send(tmp_path: Path) -> None:
    """Check 15: the gateway refuses a file that it took a moment ago; nothing is lost, and it can be changed and sent."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Nice."))
        page = await browser.page()
        await give(page, "pick", "note.txt", "text/plain", b"hello")
        limits = {"enabled": True, "max_file_size": 1000, "allowed_extensions": ["png"]}
        assert (await gateway.http.put("/api/settings/attachments", json=limits)).status_code == 200
        await say(page, "look at this")
        await expect(page.locator(".note.error")).to_contain_text("File extension 'txt' is not allowed")
        await page.get_by_role("button", name="Change it").click()
        box = page.locator(".composer textarea")
        await expect(box).to_have_value("look at this")
        await expect(box).to_be_focused()
        await expect(page.locator(".chip")).to_contain_text("note.txt")
        await page.keyboard.press("Enter")
        await expect(page.locator(".note.error")).to_have_count(1)
        await gateway.http.put("/api/settings/attachments", json=limits | {"allowed_extensions": []})
        await page.get_by_role("button", name="Send again").click()
        await expect(reply(page)).to_have_text("Nice.")
        (stored,) = (gateway.home / "downloads").iterdir()
        assert stored.read_bytes() == b"hello"


async def test_files_of_both_sides_are_there_after_a_reload(tmp_path: Path) -> None:
    """Pictures are seen, other files are cards that save what was sent."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        (gateway.home / "plot.png").write_bytes(PNG)
        (gateway.home / "table.csv").write_text("a,b\n1,2\n")
        attach = [CallTool("Attach", json.dumps({"path": name}), f"c{name}") for name in ("plot.png", "table.csv")]
        gateway.provider.play(script(*attach), script("Here they are."))
        page = await browser.page()
        await give(page, "pick", "mine.png", "image/png", PNG)
        await give(page, "pick", "note.txt", "text/plain", b"hello")
        await say(page, "draw")
        await expect(reply(page)).to_have_text("Here they are.")
        for _ in range(2):
            await expect(page.locator(".own .picture")).to_have_attribute("alt", "mine.png")
            await expect(page.locator(".turn > div:not(.own) > .picture")).to_have_attribute("alt", "plot.png")
            await expect(page.locator(".file-card")).to_have_count(2)
            for picture in await page.locator(".picture").all():
                await expect(picture).to_be_visible()
                await page.wait_for_function(
                    "e => e.complete && e.naturalWidth === 1", arg=await picture.element_handle()
                )
            for name, content in (("note.txt", "hello"), ("table.csv", "a,b\n1,2\n")):
                async with page.expect_download() as download:
                    await page.locator(".file-card", has_text=name).click()
                saved = await download.value
                assert saved.suggested_filename == name
                assert (await saved.path()).read_text(encoding="utf-8") == content
            await page.reload()
            await expect(reply(page)).to_have_text("Here they are.")


async def test_the_progress_of_a_picture_is_seen_on_a_slow_line(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("A harbour."))
        page = await browser.page()
        await expect(page.locator(".composer textarea")).to_be_focused()
        line = await page.context.new_cdp_session(page)
        await line.send("Network.enable")
        slow = {"offline": False, "latency": 20, "downloadThroughput": -1, "uploadThroughput": 350_000}
        await line.send("Network.emulateNetworkConditions", slow)
        await page.evaluate(NOTE_PROGRESS)
        picture = PNG + random.Random(7).randbytes(300_000)
        await give(page, "pick", "harbour.png", "image/png", picture)
        await say(page, "what is this?")
        await expect(page.locator(".own .note")).to_have_text(re.compile(r"Sending, \d+ %"))
        await expect(reply(page)).to_have_text("A harbour.")
        await expect(page.locator(".own .note")).to_have_count(0)
        told = await page.evaluate("window.__told")
        assert told == sorted(told) and any(0 < percent < 100 for percent in told), told
        (stored,) = (gateway.home / "downloads").iterdir()
        assert stored.read_bytes() == picture
