"""Files in the browser: found, seen, edited, put there, taken away."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.browser import Browser
from tests.browser.content import picture
from tests.gateway import Gateway

pytestmark = pytest.mark.gen_test(timeout=60)


async def test_a_folder_is_made_filled_and_a_file_edited_renamed_and_deleted(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page()
        await page.get_by_role("link", name="Files", exact=True).click()
        await page.get_by_role("button", name="New folder").click()
        await page.get_by_role("dialog").get_by_label("Name").fill("trips")
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="trips").click()
        await expect(page.get_by_text("This folder is empty")).to_be_visible()
        async with page.expect_file_chooser() as chooser:
            await page.get_by_role("button", name="Upload").click()
        await (await chooser.value).set_files(
            [
                {"name": "plan.md", "mimeType": "text/markdown", "buffer": b"# Lisbon\n"},
                {"name": "sea.png", "mimeType": "image/png", "buffer": picture(8, 8)},
            ]
        )
        await expect(page.locator(".toast")).to_contain_text("2 files uploaded")
        assert (gateway.home / "trips" / "sea.png").read_bytes() == picture(8, 8)
        await page.get_by_role("link", name="sea.png").click()
        await expect(page.get_by_role("img", name="sea.png")).to_be_visible()
        assert await page.get_by_role("img", name="sea.png").evaluate("image => image.naturalWidth") == 8
        await page.get_by_role("link", name="trips").click()
        await page.get_by_role("link", name="plan.md").click()
        await expect(page.locator(".md h3, .md h2")).to_have_text("Lisbon")
        await page.get_by_role("button", name="Edit").click()
        await page.get_by_role("textbox", name="plan.md").fill("# Porto\n")
        await page.get_by_role("link", name="New chat").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Leave without saving?")
        await page.get_by_role("button", name="Cancel").click()
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator(".md h3, .md h2")).to_have_text("Porto")
        assert (gateway.home / "trips" / "plan.md").read_text() == "# Porto\n"
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Download").click()
        assert (await (await download.value).path()).read_text() == "# Porto\n"
        await page.get_by_role("button", name="More for plan.md").click()
        await page.get_by_role("menuitem", name="Rename or move").click()
        await page.get_by_label("New name, with folders").fill("trips/porto.md")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_have_text("porto.md")
        await page.get_by_role("button", name="More for porto.md").click()
        await page.get_by_role("menuitem", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_role("link", name="sea.png")).to_be_visible()
        assert [each.name for each in (gateway.home / "trips").iterdir()] == ["sea.png"]


async def test_what_the_agent_wrote_meanwhile_is_not_overwritten_unasked(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        note = gateway.home / "documents" / "note.txt"
        note.write_text("one")
        page = await browser.page("/files/documents/note.txt")
        await expect(page.locator(".file-text")).to_have_text("one")
        await page.get_by_role("button", name="Edit").click()
        await page.get_by_role("textbox", name="note.txt").fill("mine")
        note.write_text("the agent's")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("alert")).to_contain_text("changed since you opened it")
        assert note.read_text() == "the agent's"
        await page.get_by_role("button", name="Overwrite it").click()
        await expect(page.locator(".file-text")).to_have_text("mine")
        assert note.read_text() == "mine"


async def test_a_page_in_the_home_runs_nothing(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        (gateway.home / "page.html").write_text(
            "<h1>Market</h1><script>parent.__ran = 1; document.body.id = 'ran'</script><img src=x onerror='parent.__ran = 1'>"
        )
        page = await browser.page("/files/page.html")
        frame = page.frame_locator("iframe")
        await expect(frame.locator("h1")).to_have_text("Market")
        assert await frame.locator("#ran").count() == 0 and await page.evaluate("window.__ran") is None
        browser.complaints = [
            each for each in browser.complaints if "sandbox" not in each and "Security Policy" not in each
        ]


async def test_a_taken_name_is_asked_about_and_what_is_missing_is_said(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        (gateway.home / "documents" / "a.txt").write_text("old")
        page = await browser.page("/files/documents/")
        file = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"new"}
        await expect(page.get_by_role("link", name="a.txt")).to_be_visible()
        for answer, expected in (("Cancel", "old"), ("Replace", "new")):
            await page.locator("input[type=file]").set_input_files([file])
            await page.get_by_role("dialog", name="Replace a.txt?").get_by_role("button", name=answer).click()
            await expect(page.get_by_role("dialog")).to_have_count(0)
            if answer == "Replace":
                await expect(page.locator(".toast")).to_contain_text("File uploaded")
            assert (gateway.home / "documents" / "a.txt").read_text() == expected
        await page.get_by_role("searchbox").fill("zzz")
        await expect(page.get_by_text("No name fits.")).to_be_visible()
        await page.goto(f"{gateway.url}/files/nothing/here.txt")
        await expect(page.get_by_role("alert")).to_contain_text("does not exist")
        await page.get_by_role("link", name="Files", exact=True).first.click()
        await expect(page.get_by_role("link", name="documents")).to_be_visible()


async def test_who_may_not_see_files_is_told_why(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        _, key = await gateway.user(name="Bob")
        page = await browser.page("/files", key=key)
        await expect(page.get_by_text("You cannot see files")).to_be_visible()
        await expect(page.locator(".nav").get_by_role("link", name="Files")).to_have_count(0)
