"""Schedules, memory and usage in the browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.browser import Browser, reply, say
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Usage, script

pytestmark = pytest.mark.gen_test


async def test_a_schedule_is_made_run_changed_paused_and_deleted(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway, timezone_id="Europe/Rome") as browser:
        gateway.provider.play(script("The bins are due."))
        page = await browser.page("/schedules")
        await expect(page.get_by_text("No schedules yet")).to_be_visible()
        await page.get_by_role("button", name="New schedule").first.click()
        dialog = page.get_by_role("dialog")
        repeats, cron = await dialog.locator(".field-row").first.evaluate(
            "row => [...row.querySelectorAll('select, input')].map(each => each.getBoundingClientRect().top)"
        )
        assert repeats == cron, "fields in a row stand at one height"
        await dialog.get_by_label("Name").fill("Bins")
        await dialog.get_by_label("What to do").fill("Remind me of the bins")
        await dialog.get_by_label("Cron expression").fill("61 9 * * *")
        await expect(dialog.locator(".error").first).to_be_visible()
        await dialog.get_by_label("Cron expression").fill("0 19 * * mon")
        await expect(dialog.get_by_text("Monday at 19:00")).to_be_visible()
        await dialog.get_by_role("button", name="Save").click()
        row = page.locator(".list > li", has_text="Bins")
        await expect(row).to_contain_text("Monday at 19:00")
        await row.get_by_role("button", name="Run now").click()
        await expect(page.locator(".toast").filter(has_text="Bins is done")).to_be_visible()
        await row.get_by_role("link").click()
        await expect(page.locator("table")).to_contain_text("The bins are due.")
        await page.get_by_role("button", name="More for Bins").click()
        await page.get_by_role("menuitem", name="Pause").click()
        await expect(page.get_by_text("Paused")).to_be_visible()
        await page.locator("table a").click()
        await expect(reply(page)).to_have_text("The bins are due.")
        await page.goto(f"{gateway.url}/schedules")
        await row.get_by_role("button", name="More for Bins").click()
        await page.get_by_role("menuitem", name="Delete").click()
        await page.get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("No schedules yet")).to_be_visible()
        assert (await gateway.http.get("/api/cron/jobs")).json() == []


async def test_memory_is_found_read_edited_and_taken_back(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page()
        await say(page, "remember that the plumber comes on Friday")
        await expect(reply(page)).to_contain_text("I will remember")
        await gateway.http.post("/api/memory/reindex")
        await page.get_by_role("link", name="Memory", exact=True).click()
        await page.get_by_role("searchbox").fill("when does the plumber come?")
        await expect(page.locator(".snippet mark").first).to_have_text("plumber")
        await page.get_by_role("searchbox").fill("")
        await page.get_by_role("link", name="MEMORY.md", exact=True).click()
        await expect(page.locator(".md li")).to_have_text("the plumber comes on Friday")
        await page.get_by_role("button", name="Edit").click()
        await page.locator("textarea").fill("- the plumber comes on Monday\n")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator(".md li")).to_have_text("the plumber comes on Monday")
        await page.get_by_role("button", name="History").click()
        history = page.get_by_role("dialog", name="History of MEMORY.md")
        await history.get_by_role("button", name="Restore").last.click()
        question = page.get_by_role("dialog", name="Restore this version?")
        await expect(question.get_by_role("button", name="Cancel")).to_be_focused()
        await question.get_by_role("button", name="Cancel").click()
        await expect(history.get_by_role("button", name="Restore").last).to_be_focused()
        await page.keyboard.press("Enter")
        await question.get_by_role("button", name="Restore").click()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.locator(".md li")).to_have_text("the plumber comes on Friday")


async def test_what_a_reply_costs_is_shown_now_later_and_in_the_report(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(
            script(CallTool("FileList"), Usage(input=100, output=50)), script("Done.", Usage(input=200, output=100))
        )
        page = await browser.page()
        await say(page, "look")
        await expect(reply(page)).to_have_text("Done.")
        facts = page.locator(".facts")
        await expect(facts).to_contain_text("450 tokens")
        shown = await facts.inner_text()
        await page.reload()
        await expect(facts).to_have_text(shown)
        await page.get_by_role("link", name="Usage").click()
        total = (await gateway.http.get("/api/settings/costs?period=30d")).json()
        assert total["total_input_tokens"] + total["total_output_tokens"] == 450
        await expect(page.get_by_text("450", exact=True)).to_be_visible()
        await page.get_by_text("As a table").click()
        await expect(
            page.get_by_text(re.compile(r"^\d+ [A-Z][a-z]+$")).first
        ).to_be_visible()  # a day as the region writes it
        await expect(page.locator("table").first).to_be_visible()
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Export CSV").click()
        assert "m" in (await (await download.value).path()).read_text(encoding="utf-8")
