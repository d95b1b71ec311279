"""The channel as operators see it: on and off, trouble and recovery, restarts without loss, approvals, notices."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from starpod.agent.types import TurnRequest
from starpod.channels.telegram.client import Client
from starpod.channels.telegram.failures import Failing
from starpod.errors import Upstream
from starpod.outbox.types import RetryLater, Undeliverable
from starpod.sessions.types import SessionKey
from tests.channels.telegram.bot_api import TOKEN, BotApi, Failure
from tests.channels.telegram.support import chatting, rows, settled
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Gate, Hang, Wait, script

pytestmark = pytest.mark.gen_test

QUESTION = script(CallTool("FileDelete", '{"path": "plan.md"}'))
ASK = {"tools": {"approval": {"ask": ["FileDelete"]}}}


def told(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("starpod.channels") and record.levelno >= level
    ]


async def test_nothing_is_loaded_while_the_channel_is_off() -> None:
    code = "import sys, starpod.state, starpod.server; print([m for m in sys.modules if m.split('.')[0] == 'telegram'])"
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


async def test_another_poller_is_told_once_and_its_end_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "starpod.channels")
    async with chatting(tmp_path) as (telegram, gateway, _):
        conflict = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
        telegram.failures["getUpdates"] = Failure(409, conflict, times=3)
        telegram.write("/help")
        await settled(gateway, "failing")
        assert (await gateway.http.get("/api/health")).json()["warnings"] == ["Telegram does not work; see the log"]
        status = (await gateway.http.get("/api/settings/status")).json()["telegram"]
        assert "another program polls this bot" in status["problem"]
        assert await telegram.said()
        await settled(gateway, "running")
        assert "warnings" not in (await gateway.http.get("/api/health")).json()
        assert len(told(caplog)) == 1
        assert len([line for line in told(caplog, logging.INFO) if line == "Telegram: works again"]) == 1


async def test_a_revoked_token_is_told_and_a_new_one_is_used_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with chatting(tmp_path) as (telegram, gateway, _):
        telegram.revoke("4242:AAanother-token-after-revoking")
        await settled(gateway, "failing")
        assert gateway.state.telegram.status.problem == (
            "Telegram does not know the token; set TELEGRAM_BOT_TOKEN to the one that @BotFather shows"
        )
        assert len(told(caplog)) == 1
        await gateway.state.vault.set("TELEGRAM_BOT_TOKEN", telegram.token)
        telegram.write("/help")
        assert await telegram.said()
        await settled(gateway, "running")


async def test_the_token_is_never_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "httpx")
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("hi"))
        document = {"file_id": telegram.file(b"x"), "file_unique_id": "u", "file_name": "a.txt"}
        telegram.write(caption="hello", document=document)
        await telegram.said()
        await telegram.stop()
        await settled(gateway, "failing")
        await telegram.start()
        await settled(gateway, "running")
        telegram.revoke("4242:AAother")
        await settled(gateway, "failing")
    assert "getUpdates" in caplog.text
    assert TOKEN.partition(":")[2] not in caplog.text


async def test_a_lost_network_comes_back_and_nothing_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gate = Gate()
        gateway.provider.play(script(Wait(gate), "before"), script("after"))
        telegram.write("one")
        assert await asyncio.to_thread(gateway.provider.wait_for_requests, 1)
        await telegram.stop()
        gate.open()
        telegram.write("two")
        await settled(gateway, "failing")
        await telegram.start()
        assert await telegram.said(count=2) == ["before", "after"]
        assert len(told(caplog)) == 1


async def test_a_poll_that_stalls_is_given_up() -> None:
    async with BotApi() as telegram:
        client = Client(TOKEN, telegram.url, poll_s=0, stall_s=0.2)
        await client.connect([])
        telegram.hangs = True
        telegram.write("hi")
        with pytest.raises(Failing, match="did not answer in time"):
            await client.updates(None)
        telegram.hangs = False
        assert [update["message"]["text"] for update in await client.updates(None)] == ["hi"]
        await client.close()


async def test_what_waited_while_the_gateway_was_down_is_answered(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("here again"))
        await gateway.stop()
        telegram.write("anybody?")
        await gateway.start()
        assert await telegram.said() == ["here again"]


async def test_a_start_without_network_is_made_up_for_when_it_comes_back(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("here at last"))
        await gateway.stop()
        await telegram.stop()
        telegram.write("anybody?")
        await gateway.start()
        await settled(gateway, "failing", "cannot be reached")
        assert (await gateway.http.get("/api/health")).status_code == 200
        await telegram.start()
        assert await telegram.said() == ["here at last"]
        await settled(gateway, "running")


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (502, "<html>Bad Gateway</html>"),
        (200, "<html>Hi</html>"),
        (200, "[]"),
        (200, '{"ok": true, "result": 7}'),
        (200, ""),
    ],
)
async def test_an_answer_that_is_none_of_telegrams_is_a_passing_trouble(tmp_path: Path, status: int, raw: str) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("here"))
        telegram.failures["getUpdates"] = Failure(status, "", times=2, raw=raw)
        telegram.failures["sendMessage"] = Failure(status, "", raw=raw)
        telegram.write("hi")
        await settled(gateway, "failing")
        assert await telegram.said() == ["here"]
        await settled(gateway, "running")


async def test_a_poll_that_telegram_asks_to_be_later_waits(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (telegram, gateway, _):
        telegram.failures["getUpdates"] = Failure(429, "Too Many Requests: retry after 1", {"retry_after": 1}, times=2)
        telegram.write("/help")
        await settled(gateway, "failing", "asked to wait for 1 s")
        assert await telegram.said()
        await settled(gateway, "running")


async def test_an_answer_that_was_cut_off_is_told_after_the_restart(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer(), stream_mode="live") as (telegram, gateway, _):
        gateway.provider.play(script("Half of ", Hang()), script("never asked again"))
        telegram.write("go")
        await telegram.until(lambda: telegram.texts() == ["Half of"])
        await gateway.stop()
        await gateway.start()
        await telegram.until(lambda: "stopped before this was finished" in "".join(telegram.texts()))
        assert len(telegram.texts()) == 1
        assert len(gateway.provider.requests) == 1


async def test_settings_take_effect_without_a_restart(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("never here"), script("one"), script("two"))

        async def put(**fields: Any) -> None:
            response = await gateway.http.put("/api/settings/channels", json={"telegram": fields})
            assert response.status_code == 200

        await put(enabled=False)
        await settled(gateway, "off")
        gateway.provider.play(script("one", CallTool("FileList")), script("two"))
        telegram.write("hello")
        await put(enabled=True, stream_mode="all_messages")
        assert await telegram.said(count=2) == ["one", "two"]


async def test_a_change_of_settings_loses_no_running_answer(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gate = Gate()
        gateway.provider.play(script("slow ", Wait(gate), "answer"))
        telegram.write("go")
        assert await asyncio.to_thread(gateway.provider.wait_for_requests, 1)
        for enabled in (False, True):
            body = {"telegram": {"enabled": enabled}}
            assert (await gateway.http.put("/api/settings/channels", json=body)).status_code == 200
            await settled(gateway, "running" if enabled else "off")
        gate.open()
        assert await telegram.said() == ["slow answer"]
        assert len(gateway.provider.requests) == 1


@pytest.mark.parametrize(("token", "problem"), [(None, "there is no TELEGRAM_BOT_TOKEN"), ("12/../x", "no bot token")])
async def test_a_missing_or_wrong_token_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, token: str | None, problem: str
) -> None:
    async with Gateway(tmp_path, settings={"channels": {"telegram": {"enabled": True}}}) as gateway:
        if token is not None:
            await gateway.state.vault.set("TELEGRAM_BOT_TOKEN", token)
        await settled(gateway, "failing", problem)
        assert [line for line in told(caplog) if problem in line] or token is not None


async def test_a_tool_waits_for_a_button(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer(), **ASK) as (telegram, gateway, user):
        home = gateway.state.paths.users_dir / user.id / "home"
        await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread((home / "plan.md").write_text, "x")
        gateway.provider.play(QUESTION, script("Done."))
        telegram.write("delete it")
        (question,) = await telegram.said()
        assert "FileDelete" in question and "plan.md" in question
        telegram.press("Approve", sender=666, chat=7)
        await telegram.until(lambda: bool(telegram.named("answerCallbackQuery")))
        assert "not linked" in telegram.named("answerCallbackQuery")[0]["text"]
        assert await asyncio.to_thread((home / "plan.md").exists)
        telegram.press("Approve")
        await telegram.until(lambda: "Done." in telegram.texts())
        await telegram.until(lambda: "✅ Approved" in telegram.texts()[0])
        assert not await asyncio.to_thread((home / "plan.md").exists)
        assert "reply_markup" not in next(iter(telegram.chats[7].values()))


async def test_an_answer_given_elsewhere_closes_the_question(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer(), **ASK) as (telegram, gateway, user):
        _, key = await gateway.state.auth.create_key(user.id)
        gateway.provider.play(QUESTION, script("Kept."))
        telegram.write("delete it")
        await telegram.said()
        http = gateway.client(key)
        (waiting,) = (await http.get("/api/approvals")).json()["waiting"]
        path = f"/api/sessions/{waiting['session_id']}/approvals/{waiting['id']}"
        assert (await http.post(path, json={"decision": "deny"})).status_code == 200
        await telegram.until(lambda: "❌ Denied" in telegram.texts()[0] and "Kept." in telegram.texts())


async def test_who_has_no_other_way_is_asked_on_telegram(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer(), **ASK) as (telegram, gateway, user):
        gateway.provider.play(QUESTION, script("Kept."))
        submitted = await gateway.state.agent.submit(TurnRequest("delete it", SessionKey("main", "job", user.id)))
        (question,) = await telegram.said()
        assert "FileDelete" in question
        telegram.press("Deny")
        await telegram.until(lambda: "❌ Denied" in telegram.texts()[0])
        assert submitted.turn is not None
        await asyncio.wait_for(submitted.turn.ended.wait(), 10)
        assert (submitted.turn.text, telegram.texts()[1:]) == ("Kept.", [])


async def test_a_question_from_before_a_restart_of_the_channel_can_still_be_answered(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer(), **ASK) as (telegram, gateway, _):
        gateway.provider.play(QUESTION, script("Kept."))
        telegram.write("delete it")
        await telegram.said()
        for enabled in (False, True):
            await gateway.http.put("/api/settings/channels", json={"telegram": {"enabled": enabled}})
            await settled(gateway, "running" if enabled else "off")
        telegram.press("Deny")
        await telegram.until(lambda: "❌ Denied" in telegram.texts()[0] and "Kept." in telegram.texts())


async def test_a_question_that_is_over_is_closed_when_it_is_pressed(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer(), **ASK) as (telegram, gateway, _):
        gateway.provider.play(QUESTION, script("Kept."))
        telegram.write("delete it")
        await telegram.said()
        telegram.failures["editMessageText"] = Failure(502, "Bad Gateway", times=None)
        await gateway.stop()
        del telegram.failures["editMessageText"]
        await gateway.start()
        telegram.press("Approve")
        await telegram.until(lambda: "This question is closed" in telegram.texts()[0])


async def test_a_user_who_was_unlinked_hears_no_more(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, user):
        gate = Gate()
        gateway.provider.play(script("private ", Wait(gate), "things"))
        telegram.write("go")
        assert await asyncio.to_thread(gateway.provider.wait_for_requests, 1)
        await gateway.state.auth.links.remove(user.id)
        gate.open()
        telegram.write("hello?")
        assert "not linked" in (await telegram.said())[0]
        assert telegram.texts() == await telegram.said()


async def test_a_notice_is_delivered_in_chunks_and_goes_on_where_it_failed(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (telegram, gateway, user):
        deliver = gateway.state.telegram.deliver
        await deliver(user.id, "**Bins** are due")
        assert telegram.texts() == ["Bins are due"]
        long = "\n\n".join(f"{number} " + "word " * 300 for number in range(6))
        telegram.failures["sendMessage"] = Failure(429, "Too Many Requests", {"retry_after": 9}, after=1)
        with pytest.raises(RetryLater) as later:
            await deliver(user.id, long)
        assert later.value.seconds == 9
        await deliver(user.id, long)
        assert "".join("".join(telegram.texts()[1:]).split()) == "".join(long.split())


async def test_who_cannot_be_reached_is_told_apart_from_a_passing_trouble(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (telegram, gateway, user):
        deliver = gateway.state.telegram.deliver
        stranger, _ = await gateway.user(name="Bob")
        with pytest.raises(Undeliverable, match="no Telegram account is linked"):
            await deliver(stranger.id, "x")
        await gateway.state.auth.links.set(stranger.id, None, "bob")
        with pytest.raises(Undeliverable, match="@bob has not written"):
            await deliver(stranger.id, "x")
        telegram.failures["sendMessage"] = Failure(403, "Forbidden: bot was blocked by the user")
        with pytest.raises(Undeliverable, match="blocked"):
            await deliver(user.id, "x")
        telegram.failures["sendMessage"] = Failure(502, "Bad Gateway")
        with pytest.raises(Upstream, match="Bad Gateway"):
            await deliver(user.id, "x")
        await gateway.http.put("/api/settings/channels", json={"telegram": {"enabled": False}})
        await settled(gateway, "off")
        with pytest.raises(Upstream, match="off"):
            await deliver(user.id, "x")


async def test_only_the_rest_of_an_answer_is_sent_after_a_restart(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        text = "\n\n".join(f"{number} " + "word " * 300 for number in range(6))
        telegram.failures["sendMessage"] = Failure(502, "Bad Gateway", times=None, after=1)
        gateway.provider.play(script(text))
        telegram.write("go")
        await telegram.until(lambda: len(telegram.named("sendMessage")) > 1)
        await gateway.stop()
        assert len(telegram.texts()) == 1
        del telegram.failures["sendMessage"]
        await gateway.start()
        await telegram.until(lambda: "".join("".join(telegram.texts()).split()) == "".join(text.split()))
        assert len(gateway.provider.requests) == 1


async def test_answers_keep_their_order_over_a_restart(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        telegram.failures["sendMessage"] = Failure(502, "Bad Gateway", times=None)
        gateway.provider.play(*(script(f"answer {number}") for number in range(4)))
        for number in range(3):
            telegram.write(f"question {number}")
        count = "SELECT count(*) FROM turns WHERE state = 'completed'"
        async with asyncio.timeout(10):
            while rows(gateway.state, count) != [(3,)]:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        await gateway.stop()
        assert telegram.texts() == []
        telegram.write("question 3")
        del telegram.failures["sendMessage"]
        await gateway.start()
        assert await telegram.said(count=4) == [f"answer {number}" for number in range(4)]


async def test_a_webhook_that_is_set_later_is_taken_away_too(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (telegram, gateway, _):
        conflict = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete it first"
        telegram.failures["getUpdates"] = Failure(409, conflict, times=None)
        telegram.drop_polls()
        await telegram.until(lambda: len(telegram.named("deleteWebhook")) >= 2)
        del telegram.failures["getUpdates"]
        telegram.write("/help")
        assert await telegram.said()
        await settled(gateway, "running")


async def test_a_webhook_is_taken_away_and_what_it_missed_is_kept(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (telegram, _, _user):
        assert [name for name, _ in telegram.calls][:2] == ["getMe", "deleteWebhook"]
        assert telegram.named("deleteWebhook")[0].get("drop_pending_updates") in (None, "false")


@pytest.mark.parametrize("mode", ["live", "all_messages", "final_only"])
async def test_the_settings_page_takes_every_mode(tmp_path: Path, mode: str) -> None:
    async with chatting(tmp_path) as (_, gateway, _user):
        body = {"telegram": {"enabled": True, "stream_mode": mode}}
        assert (await gateway.http.put("/api/settings/channels", json=body)).status_code == 200
        assert (await gateway.http.get("/api/settings/channels")).json()["telegram"]["stream_mode"] == mode
