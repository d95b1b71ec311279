"""What a turn does and costs: steps, failures, questions to the person, skills."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.browser import Browser, reply, say
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Cut, Fail, Gate, Usage, Wait, script

pytestmark = pytest.mark.gen_test


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
        await expect(line.locator(".took")).to_have_text(re.compile(r"^[\d.,]+ m?s$"))
        await expect(page.locator(".step.failed .took")).to_contain_text("does not exist")
        await line.click()
        await expect(line).to_have_attribute("aria-expanded", "true")
        await line.click()
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


@pytest.mark.parametrize(
    ("failure", "words", "has_key"),
    [
        (Fail(401, "bad key"), "did not accept the API key", True),
        (Fail(429, "slow down", headers={"retry-after": "7"}), "gets too many requests; try again in 7 s", False),
        (Fail(529, "overloaded", "overloaded_error"), "try again in a moment", False),
        (Cut(), "broke off before the answer was complete", False),
    ],
)
async def test_a_failed_answer_says_why_and_can_be_tried_again(
    tmp_path: Path, failure: Fail | Cut, words: str, has_key: bool
) -> None:
    """Check 29: a refused key, too many requests, an overloaded provider, a line that breaks."""
    settings = {"models": ["local/m", "local/other"]}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway, Browser(gateway) as browser:
        # What may pass is asked of the other model, too; not so once some of the answer was seen, or the key refused.
        failed = [script("Some", failure)] if isinstance(failure, Cut) else [script(failure)] * (1 if has_key else 2)
        gateway.provider.play(*failed, script("Now."), script("Other."))
        page = await browser.page()
        await say(page, "hi")
        card = page.locator(".failure-card")
        await expect(card).to_contain_text(words)
        await expect(card.get_by_role("link", name="Change key")).to_have_count(1 if has_key else 0)
        await card.get_by_role("button", name="Retry").click()
        await expect(reply(page)).to_have_text("Now.")
        await page.get_by_role("button", name="Retry with another model").click()
        await page.get_by_role("menuitem", name="local/other").click()
        await expect(reply(page)).to_have_text("Other.")
        assert gateway.provider.requests[-1].body["model"] == "other"
        await expect(page.locator(".facts")).to_contain_text("local/other")


async def test_a_provider_that_cannot_be_reached_is_said_so(tmp_path: Path) -> None:
    """Check 29: no network."""
    settings = {"models": ["away/m"], "providers": {"away": {"base_url": "http://127.0.0.1:9/v1"}}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway, Browser(gateway) as browser:
        await gateway.state.vault.set("AWAY_API_KEY", "nobody's")
        page = await browser.page()
        await say(page, "hi")
        card = page.locator(".failure-card")
        await expect(card).to_contain_text("m cannot be reached")
        await expect(card.get_by_role("button", name="Retry")).to_be_visible()


async def test_what_a_running_turn_costs_is_shown(tmp_path: Path) -> None:
    """Check 19: so far while it runs, also after a reload, and the same at the end."""
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), keep_port=True) as gateway, Browser(gateway) as browser:
        prices = "[local.models.m]\ninput = 1000\noutput = 1000\n"
        (gateway.state.paths.config_dir / "models.toml").write_text(prices)
        await gateway.stop()
        await gateway.start()
        first = Gate()
        gateway.provider.play(
            script("word" * 20, Wait(first), CallTool("FileList"), Usage(20, 11)),
            script(Wait(gate), "Done.", Usage(9, 10)),
        )
        page = await browser.page()
        await say(page, "look")
        # An estimate, as long as the provider has not told.
        await expect(page.locator(".composer")).to_contain_text(re.compile(r"~\$0\.0\d+ so far"))
        first.open()
        await expect(page.locator(".composer")).to_contain_text(re.compile(r"(?<!~)\$0\.031 so far"))
        await page.reload()
        await expect(page.locator(".composer")).to_contain_text("$0.031 so far")
        gate.open()
        await expect(page.locator(".facts")).to_contain_text("$0.05")
        await page.reload()
        await expect(page.locator(".facts")).to_contain_text("50 tokens · $0.05")


async def test_a_tool_call_waits_for_the_persons_word(tmp_path: Path) -> None:
    """Allowed here, denied there; another window shows the question, too, and a reload keeps it."""
    settings = {"tools": {"approval": {"ask": ["FileDelete"]}}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway, Browser(gateway) as browser:
        for name in ("a.txt", "b.txt"):
            (gateway.home / name).write_text("x")
        calls = [script(CallTool("FileDelete", json.dumps({"path": name}), name)) for name in ("a.txt", "b.txt")]
        gateway.provider.play(calls[0], script("Gone."), calls[1], script("Kept."))
        page = await browser.page()
        await say(page, "delete a")
        card = page.locator(".approval")
        await expect(card).to_contain_text("May I use FileDelete?")
        await page.reload()
        other = await browser.page(page.url.removeprefix(gateway.url), context=page.context)
        await expect(other.locator(".approval")).to_be_visible()
        await card.get_by_role("button", name="Allow once").click()
        await expect(reply(page)).to_have_text("Gone.")
        await expect(reply(other)).to_have_text("Gone.")
        await expect(other.locator(".approval")).to_have_count(0)
        await say(page, "delete b")
        await card.get_by_role("button", name="Deny").click()
        await expect(reply(page)).to_have_text("Kept.")
        assert [(gateway.home / name).exists() for name in ("a.txt", "b.txt")] == [False, True]


async def test_skills_are_offered_at_a_slash(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        for name in ("summarise", "translate"):
            body = {"name": name, "description": f"How to {name}", "body": f"Please {name}."}
            assert (await gateway.http.post("/api/settings/skills", json=body)).status_code == 201
        gateway.provider.play(script("Translated."))
        page = await browser.page()
        box = page.locator(".composer textarea")
        await box.press("/")
        await expect(page.get_by_role("option")).to_have_count(2)
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(box).to_have_value("/translate ")
        await page.keyboard.type("this")
        await page.keyboard.press("Enter")
        await expect(reply(page)).to_have_text("Translated.")
        assert "Please translate." in json.dumps(gateway.provider.requests[-1].body)


async def test_a_message_and_an_answer_are_deleted_after_one_question(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, Browser(gateway) as browser:
        gateway.provider.play(
            script(CallTool("FileList", call_id="c1")), script("An empty home."), script("Never mind.")
        )
        page = await browser.page()
        await say(page, "what is there?")
        await expect(reply(page)).to_have_text("An empty home.")
        await say(page, "forget it")
        await expect(reply(page)).to_have_text("Never mind.")
        await expect(page.locator(".turn .facts")).to_have_count(2)
        other = await browser.page(page.url.removeprefix(gateway.url), context=page.context)
        await expect(other.locator(".trace")).to_have_count(1)
        await page.bring_to_front()
        first = page.locator(".turn").first
        await first.get_by_role("button", name="Delete reply").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        await expect(first.locator(".trace")).to_have_count(1)
        await first.get_by_role("button", name="Delete reply").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        await expect(first.locator(".trace, .md")).to_have_count(0)
        await expect(page.locator(".log")).to_be_focused()
        await expect(other.locator(".trace")).to_have_count(0)
        await first.hover()
        await first.get_by_role("button", name="Delete message").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        for each in (page, other):
            await expect(each.locator(".turn")).to_have_count(1)
            await expect(each.locator(".bubble")).to_have_text("forget it")
        await page.reload()
        await expect(page.locator(".turn")).to_have_text(re.compile("^forget it.*Never mind."))
        await expect(page.locator(".turn")).to_have_count(1)
