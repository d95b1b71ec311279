"""What surrounds the chat: signing in, palette, shortcuts, notices, settings, small screens, access for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import Browser, reply, say
from tests.gateway import ADMIN_KEY, Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Fail, Gate, Say, Wait, script

pytestmark = pytest.mark.gen_test

RICH = (
    "Here is **what** I found:\n\n- [a link](https://example.org)\n- `code`\n\n"
    "```python\nprint('hello')  # a long comment that goes on and on\n```"
    "\n\n| Name | Amount |\n|---|--:|\n| Bread | 3 |\n\n> quoted\n\n1. one\n2. two"
)


async def with_a_chat(gateway: Gateway, browser: Browser, **options: Any) -> Page:
    gateway.provider.play(script(CallTool("FileList")), script(RICH))
    page = await browser.page(**options)
    await page.locator(".composer textarea").fill("A question that is too long for the list, " + "verylongword" * 12)
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.locator(".md table")).to_be_visible()
    await expect(page.locator(".live")).to_have_count(0)
    return page


async def test_a_stranger_is_asked_for_a_key_and_told_when_it_is_wrong(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/settings/agent", key="")
        box = page.get_by_label("API key")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_text("Paste your API key here.")).to_be_visible()
        await box.fill("sp_live_" + "0" * 40)
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Invalid API key")).to_be_visible()
        await box.fill(ADMIN_KEY)
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Agent name")).to_have_value("Nova")


async def test_a_link_signs_in_once_and_leaves_no_code_in_the_address(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        user, _ = await gateway.user(role="admin", name="Ann")
        code = await gateway.state.auth.create_sign_in_code(user.id)
        page = await browser.page(f"/#code={code}", key="")
        await expect(page.locator(".person")).to_have_text("Ann")
        assert "code" not in page.url
        again = await browser.page(f"/#code={code}", key="")
        await expect(again.get_by_text("was used already")).to_be_visible()


async def test_a_key_that_ends_asks_for_another_and_keeps_the_draft(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        user, key = await gateway.user(role="admin", name="Ann")
        page = await browser.page(key=key)
        await page.locator(".composer textarea").fill("half a thought")
        await gateway.state.auth.set_active(user.id, False)
        await expect(page.get_by_text("Please sign in again")).to_be_visible()
        await gateway.state.auth.set_active(user.id, True)
        await page.get_by_label("API key").fill(key)
        await page.keyboard.press("Enter")
        await expect(page.locator(".composer textarea")).to_have_value("half a thought")


async def test_the_palette_reaches_chats_pages_and_settings(tmp_path: Path) -> None:
    """Check 21: by typing and by arrows, and Esc gives the focus back."""
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("The plumber comes on Friday."))
        page = await browser.page()
        await say(page, "When does somebody come?")
        await expect(reply(page)).to_be_visible()
        chat = page.url
        palette = page.locator(".palette input")
        await page.keyboard.press("Control+k")
        await expect(palette).to_be_focused()
        await page.keyboard.type("plumber")
        await expect(page.locator(".palette mark")).to_have_text("plumber")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(chat)
        await page.keyboard.press("Control+k")
        await expect(palette).to_be_focused()
        options = page.locator(".palette [role=option]")
        places = [text.removesuffix("Page") for text in await options.all_text_contents() if text.endswith("Page")]
        assert len(places) >= 16
        for place in places:
            await palette.fill(place)
            found = options.filter(has_text=place).first
            await expect(found).to_be_visible()
            steps = await options.evaluate_all(
                "(all, text) => all.findIndex(e => e.textContent === text)", f"{place}Page"
            )
            for _ in range(steps):
                await page.keyboard.press("ArrowDown")
            await page.keyboard.press("Enter")
            await expect(page.locator(".palette")).to_have_count(0)
            await expect(page.locator(".main h1").first).to_be_visible()
            assert await page.locator(f'.main :is(h1, h2, a[aria-current=page]):has-text("{place}")').count() > 0 or (
                await page.locator(f'.side [aria-current=page]:has-text("{place}")').count()
            ), place
            await page.keyboard.press("Control+k")
            await expect(palette).to_be_focused()
        await page.keyboard.press("Escape")
        await page.goto(chat)
        await page.locator(".composer textarea").focus()
        await page.keyboard.press("Control+k")
        await expect(palette).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator(".composer textarea")).to_be_focused()


async def test_every_shortcut_does_what_its_sheet_says(tmp_path: Path) -> None:
    """Check 22: whatever stands in the sheet must be tried here."""
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        await gateway.http.post("/api/settings/skills", json={"name": "sum", "description": "Sums", "body": "Sum up."})
        page = await with_a_chat(gateway, browser)
        chat, box = page.url, page.locator(".composer textarea")
        await page.keyboard.press("Control+/")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Copy the last reply")
        keys = await dialog.locator("dd").all_inner_texts()
        sheet = dict(zip(await dialog.locator("dt").all_inner_texts(), keys, strict=True))
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)

        async def press(words: str) -> None:
            names = {"Ctrl": "Control", "Esc": "Escape", "\u2191": "ArrowUp"}
            await page.keyboard.press("+".join(names.get(each, each) for each in sheet.pop(words).split("+")))

        await press("Keyboard shortcuts")
        await expect(dialog).to_be_visible()
        await page.keyboard.press("Escape")
        await press("Copy the last reply")
        await page.wait_for_function("async text => await navigator.clipboard.readText() === text", arg=RICH)
        await press("Copy the last code block")
        await page.wait_for_function(
            "async () => (await navigator.clipboard.readText()).startsWith(\"print('hello')\")"
        )
        await press("Show or hide the sidebar")
        await expect(page.locator(".side")).to_be_hidden()
        await page.keyboard.press("Control+Shift+s")
        await expect(page.locator(".side")).to_be_visible()
        await page.locator(".log").focus()
        await press("Go to the message box")
        await expect(box).to_be_focused()
        await press("Edit the last message (in an empty box)")
        await expect(page.locator(".edit textarea")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator(".edit")).to_have_count(0)
        await expect(box).to_be_focused()
        await press("Skills (at the start of a message)")
        await expect(page.get_by_role("option")).to_contain_text("/sum")
        await page.keyboard.press("Escape")
        await box.fill("one")
        await press("New line")
        await expect(box).to_have_value("one\n")
        gateway.provider.play(script("Slow ", Wait(gate)))
        await press("Send")
        await expect(reply(page)).to_have_text("Slow")
        await press("Stop the reply, close what is open")
        await expect(page.locator(".stopped")).to_contain_text("Stopped")
        gate.open()
        await press("Search or jump to\u2026")
        await expect(page.locator(".palette input")).to_be_focused()
        await page.keyboard.press("Escape")
        await press("Settings")
        await expect(page.locator("h1")).to_have_text("Settings")
        await page.reload()
        await page.get_by_role("link", name="Appearance").focus()
        await press("Next in a list")
        await expect(page.get_by_role("link", name="API keys")).to_be_focused()
        await press("Previous in a list")
        await expect(page.get_by_role("link", name="Appearance")).to_be_focused()
        await page.goto(chat)
        await expect(page.locator(".md").last).to_be_visible()
        await press("New chat")
        await expect(page).to_have_url(f"{gateway.url}/")
        assert sheet == {}


async def test_chats_are_pinned_archived_and_exported(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("Done."))
        for text in ("oldest", "middle", "newest"):
            await gateway.http.post("/api/chat", json={"text": text})
        page = await browser.page()
        titles = page.locator(".session a .cut")
        await expect(titles).to_have_text(["newest", "middle", "oldest"])

        async def choose(title: str, item: str) -> None:
            row = page.locator(".session", has_text=title)
            await row.hover()
            await row.get_by_role("button").click()
            await page.get_by_role("menuitem", name=item, exact=True).click()

        await choose("oldest", "Pin")
        await expect(titles).to_have_text(["oldest", "newest", "middle"])
        await expect(page.locator(".sessions h2")).to_have_text(["Pinned", "Today"])
        await page.reload()
        await expect(titles).to_have_text(["oldest", "newest", "middle"])
        await choose("oldest", "Unpin")
        await expect(titles).to_have_text(["newest", "middle", "oldest"])
        for item, start in (("Export as Markdown", "# middle"), ("Export as JSON", "{")):
            async with page.expect_download() as download:
                await choose("middle", item)
            assert (await (await download.value).path()).read_text(encoding="utf-8").startswith(start)
        await choose("middle", "Archive")
        await expect(titles).to_have_text(["newest", "oldest"])
        await page.locator(".person").click()
        await page.get_by_role("menuitem", name="Archived chats").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("link")).to_have_text(["middle"])
        await dialog.get_by_role("button", name="Bring back").click()
        await expect(dialog).to_contain_text("Nothing is archived.")
        await page.keyboard.press("Escape")
        await expect(titles).to_have_text(["newest", "middle", "oldest"])


async def test_a_finished_job_is_told_beside_the_text_and_marks_its_session(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(script("The bins are due."))
        page = await browser.page()
        await gateway.connected()
        body = {"name": "bins", "prompt": "look", "schedule": {"kind": "cron", "expr": "0 0 1 1 *"}}
        job = (await gateway.http.post("/api/cron/jobs", json=body)).json()
        await gateway.http.post(f"/api/cron/jobs/{job['id']}/run")
        toast = page.locator(".toast")
        await expect(toast).to_contain_text("bins is done")
        box, column = await toast.bounding_box(), await page.locator(".main").bounding_box()
        assert box is not None and column is not None and box["x"] + box["width"] <= column["x"]
        await expect(page.locator(".session.unread")).to_have_count(1)
        await expect(page).to_have_title("(1) New chat · Nova")
        await page.get_by_role("button", name="Notifications, 1 unread").click()
        await expect(page.get_by_role("dialog")).to_contain_text("The bins are due.")
        await page.keyboard.press("Escape")
        await toast.get_by_role("button", name="Open run").click()
        await expect(reply(page)).to_have_text("The bins are due.")
        await expect(page.locator(".session.unread")).to_have_count(0)
        await expect(page).to_have_title("look · Nova")


async def test_a_deleted_chat_comes_back_and_a_renamed_one_keeps_its_name(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        page = await with_a_chat(gateway, browser)
        row = page.locator(".session")
        await row.hover()
        await row.get_by_role("button").click()
        await page.get_by_role("menuitem", name="Rename").click()
        await page.get_by_label("Title").fill("Shopping")
        await page.keyboard.press("Enter")
        await expect(row).to_contain_text("Shopping")
        await row.hover()
        await row.get_by_role("button").click()
        await page.get_by_role("menuitem", name="Delete").click()
        await expect(row).to_have_count(0)
        await page.get_by_role("button", name="Undo").click()
        await expect(row).to_contain_text("Shopping")


async def test_a_setting_is_saved_and_a_bad_one_is_told_at_its_field(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/settings/memory")
        form = page.locator("form").first
        field, save = form.get_by_label("Half life days"), form.get_by_role("button", name="Save")
        await expect(save).to_be_disabled()
        await field.fill("-3")
        await save.click()
        await expect(field).to_be_focused()
        await expect(field).to_have_value("-3")
        await expect(form.locator(".field.invalid .error")).to_have_count(1)
        await page.get_by_role("link", name="New chat").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Leave without saving?")
        await page.get_by_role("button", name="Cancel").click()
        await field.fill("21")
        await save.click()
        await expect(page.locator(".toast")).to_contain_text("Saved")
        await page.reload()
        await expect(form.get_by_label("Half life days")).to_have_value("21")
        assert (await gateway.http.get("/api/settings/memory")).json()["half_life_days"] == 21


async def test_a_secret_goes_into_the_vault_and_is_never_shown(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/settings/vault")
        await page.get_by_role("button", name="Add a secret").click()
        await page.get_by_label("Name").fill("OPENAI_API_KEY")
        await page.get_by_label("Value").fill("sk-nobody-may-see-this-1234")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator(".list")).to_contain_text("OPENAI_API_KEY")
        await page.reload()
        await expect(page.locator(".list")).to_contain_text("OPENAI_API_KEY")
        assert "nobody-may-see" not in await page.content()


async def test_first_steps_lead_to_a_usable_page_without_key_or_network(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page()
        await page.get_by_role("link", name="First steps").click()
        await page.get_by_role("button", name="Look around first").click()
        await page.get_by_label("What is your agent called?").fill("Vega")
        await page.get_by_role("button", name="Next").click()
        await expect(page.get_by_text("Talk on Telegram")).to_be_visible()
        await page.get_by_role("button", name="Skip").click()
        await expect(page.locator(".brand")).to_have_text("Vega")
        await say(page, "help")
        await expect(reply(page)).to_contain_text("remember")


async def test_first_steps_say_what_is_wrong_with_a_key(tmp_path: Path) -> None:
    async with (
        OpenAIServerAt() as provider,
        Gateway(tmp_path, settings=provider.settings) as gateway,
        Browser(gateway) as browser,
    ):
        page = await browser.page("/start")
        await page.get_by_label("Provider").select_option("openai")
        await page.get_by_role("button", name="Connect").click()
        await expect(page.get_by_text("Paste the key of the provider")).to_be_visible()
        provider.server.play(script(Fail(401, "bad key")), script("ok"))
        await page.get_by_label("API key").fill("sk-wrong")
        await page.get_by_role("button", name="Connect").click()
        await expect(page.locator(".field .error")).to_contain_text("Check the key")
        await page.get_by_label("API key").fill("sk-right")
        await page.get_by_role("button", name="Connect").click()
        await expect(page.get_by_label("What is your agent called?")).to_be_visible()
        general = (await gateway.http.get("/api/settings/general")).json()
        assert general["models"][0].startswith("openai/") and general["models"][1] == "offline/assistant"


class OpenAIServerAt:
    """A provider that answers in the place of OpenAI's."""

    def __init__(self) -> None:
        self.server = OpenAIServer()

    @property
    def settings(self) -> dict[str, Any]:
        return {"providers": {"openai": {"base_url": f"{self.server.url}/v1"}}, "provider_http": {"max_retries": 0}}

    async def __aenter__(self) -> OpenAIServerAt:
        self.server.__enter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.server.__exit__(None, None, None)


async def test_an_instance_is_made_opened_paused_and_deleted_by_name(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/instances")
        await page.get_by_role("button", name="New instance").last.click()
        await page.get_by_role("textbox").fill("Garden")
        await page.keyboard.press("Enter")
        row = page.locator(".list > li")
        await expect(row).to_contain_text("running", timeout=15_000)
        opened = await page.context.new_page()
        await opened.goto(
            gateway.url
            + str(await row.get_by_role("link", name="Open").get_attribute("href")).removeprefix(gateway.url)
        )
        await expect(opened.locator(".composer textarea")).to_be_visible()
        await say(opened, "help")
        await expect(opened.locator(".md").last).to_contain_text("remember")
        await opened.close()
        await row.get_by_role("button", name="More for Garden").click()
        await page.get_by_role("menuitem", name="Pause").click()
        await expect(row).to_contain_text("paused", timeout=15_000)
        for name in ("garden", "Garden"):
            await row.get_by_role("button", name="More for Garden").click()
            await page.get_by_role("menuitem", name="Delete").click()
            await page.get_by_role("dialog").get_by_role("textbox").fill(name)
            await page.keyboard.press("Enter")
        await expect(page.get_by_text("No instances yet")).to_be_visible(timeout=15_000)


async def test_people_without_rights_see_their_own_settings_only(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        _, key = await gateway.user(name="Bob")
        page = await browser.page("/settings/users", key=key)
        await expect(page.locator(".settings-list a")).to_have_text(["Appearance", "API keys"])
        await expect(page.get_by_role("heading", name="This page is for administrators")).to_be_visible()
        await page.get_by_role("link", name="API keys").click()
        await page.get_by_role("button", name="New key").click()
        await page.get_by_label("What is it for?").fill("script")
        await page.keyboard.press("Enter")
        shown = await page.locator(".key-shown").inner_text()
        assert (await gateway.client(shown).get("/api/sessions")).status_code == 200


async def test_another_language_and_theme_last(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        page = await browser.page("/settings/appearance")
        await page.get_by_role("radio", name="Deutsch").check()
        await expect(page.locator("h1")).to_have_text("Einstellungen")
        await page.get_by_role("radio", name="Hell").check()
        await page.reload()
        await expect(page.locator("h1")).to_have_text("Einstellungen")
        assert await page.evaluate("[document.documentElement.lang, document.documentElement.dataset.theme]") == [
            "de",
            "light",
        ]


async def test_nothing_moves_for_those_who_asked_for_it(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway, reduced_motion="reduce") as browser:
        gateway.provider.play(script(Say(("Some ", "words ")), Wait(gate), "more."))
        page = await browser.page()
        await say(page, "hi")
        await expect(reply(page)).to_have_text("Some words")
        assert await page.evaluate("document.getAnimations().filter(each => each.playState == 'running').length") == 0
        gate.open()
        await expect(page.locator(".live")).to_have_count(0)


async def test_the_shell_opens_without_a_network_and_holds_nobodys_chats(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer(), keep_port=True) as gateway, Browser(gateway) as browser:
        page = await with_a_chat(gateway, browser)
        await page.evaluate("navigator.serviceWorker.ready")
        await page.wait_for_function(
            "caches.open('starpod-shell-1').then(c => c.keys()).then(k => k.length > 1)", timeout=8000
        )
        await page.reload()
        await page.wait_for_timeout(500)
        await gateway.stop()
        await page.goto(f"{gateway.url}/")
        await expect(page.get_by_label("API key")).to_be_visible()
        assert "A question that is too long" not in await page.content()
