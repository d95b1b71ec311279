"""Sections of the settings that are more than a form: models, people and keys, skills, channels, heartbeat, answers, deliveries."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser import content
from tests.browser.browser import Browser
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import script

pytestmark = pytest.mark.gen_test(timeout=60)


async def test_models_are_added_ordered_tested_and_a_bad_one_is_told(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("OK"))
        page = await browser.page("/settings/models")
        await page.get_by_role("button", name="Test local/m").click()
        await expect(page.get_by_text("It answers.")).to_be_visible()
        save = page.locator("form").first.get_by_role("button", name="Save")
        await page.get_by_label("Another model").fill("acme/nonsense")
        await page.keyboard.press("Enter")
        await save.click()
        await expect(page.get_by_role("alert")).to_contain_text("unknown provider")
        await page.get_by_role("button", name="Remove acme/nonsense").click()
        await page.get_by_label("Another model").fill("offline/assistant")
        await page.get_by_role("button", name="Add", exact=True).click()
        await page.get_by_role("button", name="Move offline/assistant up").click()
        await save.click()
        await expect(page.locator(".toast", has_text="Saved")).to_be_visible()
        await expect(page.locator("ol.list li").first).to_contain_text("offline/assistant")
        general = (await gateway.http.get("/api/settings/general")).json()
        assert general["models"] == ["offline/assistant", "local/m"]
        await page.get_by_role("button", name="Set key: openai").click()
        await page.get_by_label("Value").fill("sk-of-nobody-123456")
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await expect(page.get_by_role("button", name="Change key: openai")).to_be_visible()


async def test_a_person_gets_a_key_that_is_renewed_a_budget_and_a_telegram_link(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/settings/users")
        await page.get_by_role("button", name="Add a person").click()
        await page.get_by_label("Name").fill("Marta")
        await page.get_by_label("May see and change").check()
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await page.get_by_role("button", name="Keys: Marta").click()
        await page.get_by_role("button", name="New key").click()
        await page.get_by_label("What is it for?").fill("phone")
        await page.get_by_label("How long it is good").select_option("30")
        await page.get_by_role("dialog", name="New key").get_by_role("button", name="Save").click()
        old = await page.locator(".key-shown").inner_text()
        await page.get_by_role("dialog", name="Your new key").get_by_role("button", name="Close").last.click()
        await page.get_by_role("button", name="Renew: phone").click()
        await page.get_by_label("The old key still works for").select_option("0")
        await page.get_by_role("dialog", name="Renew the key").get_by_role("button", name="Renew").click()
        new = await page.locator(".key-shown").inner_text()
        assert (await gateway.client(old).get("/api/files")).status_code == 401
        assert (await gateway.client(new).get("/api/files")).status_code == 200
        await page.keyboard.press("Escape")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="More for Marta").click()
        await page.get_by_role("menuitem", name="Budget").click()
        await page.get_by_label("USD a month").fill("-1")
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await expect(page.locator(".field.invalid .error")).to_be_visible()
        await page.get_by_label("USD a month").fill("25")
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        budgets = (await gateway.http.get("/api/settings/budgets/users")).json()
        assert [each["monthly_usd"] for each in budgets] == [25]
        await page.get_by_role("button", name="More for Marta").click()
        await page.get_by_role("menuitem", name="Telegram").click()
        await page.get_by_label("Telegram ID").fill("12a")
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Digits only.")).to_be_visible()
        await page.get_by_label("Telegram ID").fill("4711")
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await page.goto(f"{gateway.url}/settings/channels")
        await expect(page.locator(".list").filter(has_text="Marta")).to_contain_text("4711")


async def test_a_skill_is_drafted_saved_changed_and_deleted(tmp_path: Path) -> None:
    draft = '{"description": "When a bill comes", "body": "Note when it is due."}'
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script(draft))
        page = await browser.page("/settings/skills")
        await expect(page.get_by_text("No skills yet")).to_be_visible()
        await page.get_by_role("button", name="New skill").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name").fill("Bad Name")
        await dialog.get_by_text("Have it drafted").click()
        await dialog.get_by_label("What should it do?").fill("look after bills")
        await dialog.get_by_role("button", name="Write a draft").click()
        await expect(dialog.get_by_label("When to use it")).to_have_value("When a bill comes", timeout=20_000)
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog.locator(".error").first).to_be_visible()
        await dialog.get_by_label("Name").fill("bills")
        await dialog.get_by_role("button", name="Save").click()
        await page.get_by_role("button", name="Change: bills").click()
        await expect(dialog.get_by_label("Instructions")).to_have_value("Note when it is due.")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Delete: bills").click()
        await dialog.get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("No skills yet")).to_be_visible()
        assert (await gateway.http.get("/api/settings/skills")).json() == []


async def test_heartbeat_greeting_and_telegram_token_are_kept_and_bad_ones_told(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/settings/heartbeat")
        form = page.locator("form").first
        await form.get_by_label("Look after this list regularly").check()
        await form.get_by_role("button", name="Save").click()
        await expect(form.locator(".error")).to_contain_text("cannot be empty")
        await form.get_by_label("What to look after").fill("- the heating")
        await form.get_by_role("button", name="Save").click()
        await expect(page.locator(".toast")).to_contain_text("Saved")
        await page.goto(f"{gateway.url}/schedules")
        await expect(page.locator(".beat")).to_contain_text("Every 30 minutes")
        await page.goto(f"{gateway.url}/settings/agent")
        await page.get_by_label("Proposals to begin with").fill("What is on today?\n\nPlan the weekend\n")
        await page.locator("form").filter(has_text="Proposals").get_by_role("button", name="Save").click()
        await expect(page.locator(".toast")).to_contain_text("Saved")
        await page.goto(gateway.url)
        await expect(page.get_by_role("button", name="Plan the weekend")).to_be_visible()
        await page.goto(f"{gateway.url}/settings/channels")
        await page.get_by_label("Bot token").fill("123456:ABC-not-a-real-token-of-anybody")
        await page.locator("form").get_by_role("button", name="Save").click()
        await expect(page.get_by_label("Bot token")).to_have_attribute("placeholder", "••••body")
        assert "not-a-real-token" not in await page.content()


async def test_what_happened_is_seen_answers_forgotten_and_deliveries_tried_again(tmp_path: Path) -> None:
    async with (
        Gateway(tmp_path, OpenAIServer(), settings=content.settings(tmp_path)) as gateway,
        Browser(gateway) as browser,
    ):
        await content.fill(gateway)
        page = await browser.page("/settings/tools")
        await page.get_by_role("button", name="Ask again: Bash git push").click()
        await expect(page.get_by_role("button", name="Ask again: Bash git push")).to_have_count(0)
        await page.goto(f"{gateway.url}/settings/system")
        await page.get_by_role("button", name="Retry: Bins failed").click()
        await expect(page.locator("li", has_text="Bins failed").locator(".badge")).to_have_text("Waiting")
        await page.get_by_role("button", name="Drop: Bins failed").click()
        await expect(page.get_by_text("Bins failed")).to_have_count(0)
        await page.get_by_role("button", name="Examine the gateway").click()
        await expect(page.get_by_role("list", name="Check-up").get_by_role("listitem").first).to_be_visible()
        await expect(page.get_by_role("list", name="Who changed what")).to_contain_text("Settings changed")
        await page.goto(f"{gateway.url}/settings/mcp")
        await expect(page.locator("li", has_text="broken")).to_contain_text("Failed", timeout=15_000)
        await expect(page.locator("li", has_text="demo").first).to_contain_text("Connected", timeout=15_000)


async def test_going_back_asks_before_it_loses_what_was_typed(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/settings/appearance")
        await page.get_by_role("link", name="Memory and context").click()
        await page.get_by_label("Half life days").fill("12")
        await page.go_back()
        await expect(page.get_by_role("dialog")).to_contain_text("Leave without saving?")
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_label("Half life days")).to_have_value("12")
        await page.go_back()
        await page.get_by_role("button", name="Leave").click()
        await expect(page.get_by_role("group", name="Theme")).to_be_visible()


async def test_forms_and_suggestions_speak_the_readers_language(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway, locale="de-DE") as browser:
        page = await browser.page("/")
        await expect(page.get_by_role("button", name="Was weißt du noch über mich?")).to_be_visible()
        # The helper without a language model speaks English only.
        await page.get_by_role("button", name="Was kannst du?").click()
        await expect(page.locator(".bubble")).to_have_text("What can you do?")
        await page.goto(f"{gateway.url}/settings/agent")
        form = page.locator("form").first
        await expect(form.get_by_label("Proxy des Tresors")).to_be_visible()
        await expect(form.get_by_label("Nachrichten während einer Antwort")).to_contain_text("einfügen")
        await form.get_by_label("Nachrichten während einer Antwort").select_option(label="anstellen")
        await form.get_by_role("button", name="Speichern").click()
        await expect(page.locator(".toast")).to_be_visible()
        assert (await gateway.http.get("/api/settings/general")).json()["followup_mode"] == "queue"


async def test_whoever_is_no_admin_is_told_so_quietly(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        _, key = await gateway.user("user")
        page = await browser.page("/settings/vault", key=key)
        for path in ("/settings/vault", "/instances"):
            await page.goto(gateway.url + path)
            await expect(page.get_by_role("heading", name="This page is for administrators")).to_be_visible()
            await expect(page.get_by_role("alert")).to_have_count(0)
        await page.get_by_role("link", name="To the chat").click()
        await expect(page.locator(".composer textarea")).to_be_visible()


async def test_the_log_is_followed_by_level_and_word(tmp_path: Path) -> None:
    log = logging.getLogger("starpod.tests.page")
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        log.error("the ink has run out")
        log.warning("the paper is low")
        page = await browser.page("/settings/logs")
        lines = page.locator(".log-lines")
        await expect(lines.locator(".error")).to_contain_text("starpod.tests.page: the ink has run out")
        await expect(lines).to_contain_text("the paper is low")
        await page.get_by_role("searchbox").fill("INK")
        await expect(lines).not_to_contain_text("paper")
        await page.get_by_role("searchbox").fill("no such words")
        await expect(lines).to_have_text("No such lines.")
        await page.get_by_role("searchbox").fill("")
        await page.get_by_label("Level").select_option("Errors only")
        await expect(lines).not_to_contain_text("paper")
        log.error("the ink is back")
        await expect(lines).to_contain_text("the ink is back")


async def test_what_is_wrong_is_told_where_it_is(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        await gateway.http.post("/api/settings/auth/users", json={"display_name": "Ann", "email": "ann@example.org"})
        page = await browser.page("/settings/users")
        await page.get_by_role("button", name="Add a person").click()
        await page.get_by_label("Name").fill("Anna")
        await page.get_by_label("E-mail").fill("ann@example.org")
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        wrong = page.get_by_role("dialog").locator(".field.invalid")
        await expect(wrong).to_contain_text("Another user has this email")
        await expect(wrong.get_by_label("E-mail")).to_have_value("ann@example.org")
        await page.goto(f"{gateway.url}/settings/vault")
        await page.get_by_role("button", name="Add a secret").click()
        await page.get_by_label("Name").fill("no name!")
        await page.get_by_label("Value").fill("something")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("A secret's name has")
        await expect(page.get_by_role("dialog").locator(".field.invalid")).to_have_count(0)


async def test_what_is_typed_at_once_goes_into_the_palette(tmp_path: Path) -> None:
    """It has the focus before the browser can tell of another key, however busy the page is."""
    keys = """async () => { document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'k', ctrlKey: true, bubbles: true}));
        for (let turn = 0; turn < 20; turn++) await null; return document.activeElement.getAttribute('role'); }"""
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page()
        await expect(page.locator(".composer textarea")).to_be_focused()
        await page.keyboard.press("Control+k")
        await expect(page.get_by_role("combobox")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        assert await page.evaluate(keys) == "combobox"
        await page.keyboard.type("vault")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{gateway.url}/settings/vault")


async def test_who_leaves_what_is_not_saved_by_back_leaves_one_page_only(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/usage")
        await page.get_by_role("link", name="Memory", exact=True).click()
        await page.keyboard.press("Control+,")
        await page.get_by_role("link", name="Agent", exact=True).click()
        await page.get_by_label("Agent name").fill("Vega")
        question = page.get_by_role("dialog")
        for answer, address in (("Cancel", "/settings/agent"), ("Leave", "/settings")):
            await page.evaluate("history.back()")
            await expect(question).to_contain_text("Leave without saving?")
            await question.get_by_role("button", name=answer).click()
            await expect(question).to_have_count(0)
            await expect(page).to_have_url(gateway.url + address)
        await page.evaluate("history.back()")
        await expect(page).to_have_url(f"{gateway.url}/memory")
        await expect(page.locator("h1")).to_have_text("Memory")
