"""The Telegram bot as people use it: real gateway, real library, a Bot API of our own."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from starpod.auth.types import OPERATOR
from tests.channels.telegram.bot_api import Failure
from tests.channels.telegram.support import chatting, rows
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Fail, Gate, Hang, Say, Wait, script

pytestmark = pytest.mark.gen_test


async def test_live_mode_edits_one_message_until_it_is_whole(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer(), stream_mode="live") as (telegram, gateway, _):
        gate = Gate()
        gateway.provider.play(script(CallTool("FileList"), "Let me see."), script("It **was", Wait(gate), "** all."))
        telegram.write("what?")
        await telegram.until(lambda: any("It **was" in text for text in telegram.texts()))
        gate.open()
        await telegram.until(lambda: telegram.texts() == ["Let me see.\n\nIt was all."])
        assert len(telegram.named("sendMessage")) == 1
        assert telegram.named("editMessageText")


async def test_a_long_live_answer_goes_on_in_further_messages(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer(), stream_mode="live") as (telegram, gateway, _):
        text = "\n\n".join(f"{number} " + "word " * 150 for number in range(12))
        gateway.provider.play(script(Say((text[:3000], text[3000:]), 0.2)))
        telegram.write("go")
        await telegram.until(lambda: "".join("".join(telegram.texts()).split()) == "".join(text.split()))
        assert len(telegram.texts()) == 3


async def test_each_text_is_sent_as_it_comes(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer(), stream_mode="all_messages") as (telegram, gateway, _):
        gate = Gate()
        gateway.provider.play(script("First.", CallTool("FileList")), script(Wait(gate), "Second."))
        telegram.write("go")
        assert await telegram.said() == ["First."]
        gate.open()
        assert await telegram.said(count=2) == ["First.", "Second."]


async def test_only_the_last_text_is_sent_by_default(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("First.", CallTool("FileList")), script("Second."), script(""))
        telegram.write("go")
        assert await telegram.said() == ["Second."]
        telegram.write("and now?")
        assert await telegram.said(count=2) == ["Second.", "(no response)"]


async def test_messages_wait_their_turn_and_are_answered_in_order(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(*(script(Say((f"answer {number}",), 0.05)) for number in range(5)))
        for number in range(5):
            telegram.write(f"question {number}")
        assert await telegram.said(count=5) == [f"answer {number}" for number in range(5)]


async def test_stop_ends_what_runs_and_what_waits(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("Well, ", Hang()), script("never"))
        telegram.write("long")
        telegram.write("longer")
        assert await asyncio.to_thread(gateway.provider.wait_for_requests, 1)
        telegram.write("/stop")
        await telegram.until(lambda: "Stopped." in telegram.texts())
        telegram.write("/stop")
        await telegram.until(lambda: "Nothing is running." in telegram.texts())
        assert "never" not in telegram.texts() and len(gateway.provider.requests) == 1


async def test_new_begins_another_conversation(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("one"), script("two"))
        telegram.write("first")
        await telegram.said()
        telegram.write("/status")
        assert "Conversation: first (1 message)" in (await telegram.said(count=2))[1]
        telegram.write("/new")
        await telegram.said(count=3)
        telegram.write("second")
        assert (await telegram.said(count=4))[3] == "two"
        assert rows(gateway.state, "SELECT title, is_closed FROM session_metadata ORDER BY created_at") == [
            ("first", 1),
            ("second", 0),
        ]
        telegram.write("/help")
        assert "/stop" in (await telegram.said(count=5))[4]
        assert [call["commands"] for call in telegram.named("setMyCommands")]


async def test_what_a_message_replies_to_is_told_to_the_model(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("ok"))
        replied = {
            "message_id": 1,
            "date": 1,
            "chat": {"id": 7},
            "from": {"id": 4242, "is_bot": True},
            "text": "Eggs\nMilk",
        }
        telegram.write("which of these?", reply_to_message=replied)
        await telegram.said()
        said = str(gateway.provider.requests[0].body["messages"][-1]["content"])
        assert "which of these?" in said and "In reply to an earlier answer:\n> Eggs\n> Milk" in said


async def test_photos_and_documents_reach_the_agent(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, user):
        gateway.provider.play(script("seen"))
        sizes = [
            {"file_id": telegram.file(data), "file_unique_id": "u", "width": side, "height": side}
            for data, side in ((b"small", 10), (b"large", 100))
        ]
        telegram.write(caption="look", photo=sizes)
        await telegram.said()
        gateway.provider.play(script("read"))
        document = {"file_id": telegram.file(b"a,b"), "file_unique_id": "u", "file_name": "../x.csv", "file_size": 3}
        telegram.write(document=document)
        await telegram.said(count=2)
        folder = gateway.state.paths.users_dir / user.id / "home" / "downloads"
        found = {path.name[16:]: path.read_bytes() for path in await asyncio.to_thread(lambda: list(folder.iterdir()))}
        assert found == {"photo.jpg": b"large", "__x.csv": b"a,b"}


async def test_an_album_is_one_message(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("three"))
        for number in range(3):
            photo = [{"file_id": telegram.file(b"%d" % number), "file_unique_id": "u", "width": 1, "height": 1}]
            caption = {"caption": "compare"} if number == 0 else {}
            telegram.write(photo=photo, media_group_id="g1", **caption)
        assert await telegram.said() == ["three"]
        assert len(gateway.provider.requests) == 1
        assert str(gateway.provider.requests[0].body["messages"][-1]).count("photo.jpg (image/jpeg, 1 bytes)") == 3


async def test_files_that_are_too_large_are_refused_and_the_rest_is_answered(tmp_path: Path) -> None:
    settings = {"attachments": {"max_file_size": 1000}}
    async with chatting(tmp_path, OpenAIServer(), **settings) as (telegram, gateway, _):
        gateway.provider.play(script("so?"))
        # The second is larger than Telegram says.
        for data, claimed in ((b"x" * 2000, 2000), (b"x" * 2000, 10), (b"x", 30_000_000)):
            document = {"file_id": telegram.file(data, claimed), "file_unique_id": "u", "file_name": "a.txt"}
            telegram.write(document=document | ({"file_size": claimed} if claimed < 10_000_000 else {}))
        refused = await telegram.said(count=3)
        assert "exceeds" in refused[0] and "larger" in refused[1] and "larger" in refused[2]
        assert not gateway.provider.requests
        fetched = len([name for name, _ in telegram.calls if name == "file"])
        telegram.write(
            caption="what is this?", document={"file_id": "gone", "file_unique_id": "u", "file_name": "b.txt"}
        )
        answers = await telegram.said(count=5)
        assert "could not be fetched" in answers[3] and answers[4] == "so?"
        assert fetched == 1


async def test_a_file_that_cannot_be_fetched_at_once_is_fetched_later(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("read"))
        telegram.failures["getFile"] = Failure(502, "Bad Gateway")
        telegram.write(document={"file_id": telegram.file(b"a,b"), "file_unique_id": "u", "file_name": "x.csv"})
        assert await telegram.said() == ["read"]
        assert "x.csv (text/csv, 3 bytes)" in str(gateway.provider.requests[0].body["messages"][-1])


async def test_what_was_said_is_not_said_again_when_the_database_was_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with chatting(tmp_path) as (telegram, gateway, _):
        other = sqlite3.connect(gateway.state.database.path, isolation_level=None)

        def lock(call: dict[str, Any]) -> None:
            if not other.in_transaction:
                other.execute("BEGIN IMMEDIATE")

        telegram.refuse = lock
        telegram.write("/help")
        assert "/stop" in (await telegram.said())[0]
        noted = "a Telegram message is handled, but that cannot be noted yet"
        async with asyncio.timeout(10):
            while noted not in caplog.text:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        other.close()
        is_open = "SELECT update_id FROM telegram_updates WHERE state <> 'done'"
        async with asyncio.timeout(10):
            while rows(gateway.state, is_open):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
        assert len(telegram.texts()) == 1


async def test_files_of_the_agent_arrive(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, user):
        home = gateway.state.paths.users_dir / user.id / "home"
        await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread((home / "plan.txt").write_text, "the plan")
        gateway.provider.play(script(CallTool("Attach", '{"path": "plan.txt"}')), script("There."))
        telegram.write("send it")
        assert await telegram.said(count=2) == ["There.", "[document plan.txt]"]
        assert telegram.named("sendDocument")[0]["document"]["data"] == b"the plan"


async def test_an_error_is_told_and_the_chat_goes_on(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script(Fail(400, "no such thing")), script("fine"))
        telegram.write("hi")
        (told,) = await telegram.said()
        assert told.startswith("Sorry, an error occurred: ")
        telegram.write("and now?")
        assert (await telegram.said(count=2))[1] == "fine"


async def test_who_wrote_is_told_when_a_message_cannot_be_handled(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, user):
        home = gateway.state.paths.users_dir / user.id / "home"
        await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread((home / "downloads").write_text, "no folder, so nothing can be kept in it")
        gateway.provider.play(script("fine"))
        telegram.write(document={"file_id": telegram.file(b"x"), "file_unique_id": "u", "file_name": "a.txt"})
        (told,) = await telegram.said()
        assert told.startswith("Sorry, an error occurred: ") and str(tmp_path) not in told
        telegram.write("and without?")
        assert (await telegram.said(count=2))[1] == "fine"


async def test_a_group_hears_linked_people_only(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("Hello, group."))
        telegram.write("hi", sender=666, chat=-5)
        telegram.write("hi", sender=7, chat=-5)
        assert await telegram.said(-5) == ["Hello, group."]
        assert len(gateway.provider.requests) == 1
        (message,) = telegram.chats[-5].values()
        assert message["reply_parameters"]["message_id"]


async def test_an_update_is_never_handled_twice(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("once"), script("next"))
        number = telegram.write("hi")
        await telegram.said()
        again = {
            "update_id": number,
            "message": {"message_id": 1, "date": 1, "chat": {"id": 7}, "from": {"id": 7}, "text": "hi"},
        }
        telegram.push(again)
        telegram.write("and?")
        assert await telegram.said(count=2) == ["once", "next"]
        assert len(gateway.provider.requests) == 2


@pytest.mark.parametrize(
    "update",
    [
        None,
        7,
        {"update_id": "x"},
        {"update_id": -1},
        {"update_id": 2**70},
        {"update_id": 50, "message": 3},
        {"update_id": 50, "message": {}},
        {"update_id": 50, "message": {"message_id": 1, "chat": {"id": 7}, "from": {"id": 7}, "text": {"a": 1}}},
        {"update_id": 50, "message": {"message_id": 1, "chat": {"id": 7}, "from": {"id": "7"}, "text": "x"}},
        {"update_id": 50, "message": {"message_id": 1, "chat": {"id": 7}, "from": {"id": 7}, "photo": [{}]}},
        {"update_id": 50, "message": {"message_id": 1, "chat": {"id": 7}, "from": {"id": 7}, "text": "\ud800"}},
        {"update_id": 50, "callback_query": {}},
        {"update_id": 50, "callback_query": {"id": "1", "from": {"id": 7}, "data": "yes:" + "x" * 60}},
        {"update_id": 50, "edited_message": {"text": "x"}},
        {"update_id": 50, "message": {"message_id": 1, "chat": {"id": 7}, "from": {"id": 7}, "sticker": {}}},
    ],
)
async def test_malformed_updates_stop_nothing(tmp_path: Path, update: Any) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("still here"), script("still here"))
        telegram.push(update)
        telegram.write("are you there?")
        await telegram.until(lambda: "still here" in telegram.texts())


async def test_who_has_blocked_the_bot_costs_nothing_more(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        telegram.failures["sendMessage"] = Failure(403, "Forbidden: bot was blocked by the user", times=None)
        gateway.provider.play(script("unheard"), script("heard"))
        telegram.write("hi")
        await telegram.until(lambda: len(telegram.named("sendMessage")) == 1)
        del telegram.failures["sendMessage"]
        telegram.write("back")
        assert await telegram.said() == ["heard"]


async def test_too_many_messages_are_told_so(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer(), auth={"rate_limit_requests": 1}) as (telegram, gateway, _):
        gateway.provider.play(script("one"))
        telegram.write("a")
        await telegram.said()
        telegram.write("b")
        assert "Too many messages" in (await telegram.said(count=2))[1]


async def test_a_linked_person_is_answered_and_it_is_stored(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, user):
        gateway.provider.play(script("It is **four**."))
        telegram.write("What is 2 + 2?")
        assert await telegram.said() == ["It is four."]
        assert telegram.named("sendChatAction")
        rows = gateway.state.database.read_here(
            lambda db: db.execute_sql(
                "SELECT s.channel, s.channel_session_key, s.user_id, m.role, m.content FROM session_messages m "
                "JOIN session_metadata s ON s.id = m.session_id ORDER BY m.id"
            ).fetchall()
        )
        assert rows == [
            ("telegram", "7", user.id, "user", "What is 2 + 2?"),
            ("telegram", "7", user.id, "assistant", "It is **four**."),
        ]


async def test_strangers_are_told_their_id_and_nothing_of_theirs_is_fetched(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        document = {"file_id": telegram.file(b"x"), "file_unique_id": "u", "file_name": "a.txt", "file_size": 1}
        telegram.write(sender=666, document=document)
        (hint,) = await telegram.said(666)
        assert "not linked" in hint and "666" in hint
        telegram.write("/start", sender=666)
        greeting = (await telegram.said(666, 2))[1]
        assert "Nova" in greeting and "666" in greeting and "user666" in greeting
        assert not telegram.named("getFile") and not gateway.provider.requests


@pytest.mark.parametrize("mode", ["final_only", "live"])
async def test_a_refused_formatting_is_sent_as_plain_text(tmp_path: Path, mode: str) -> None:
    async with chatting(tmp_path, OpenAIServer(), stream_mode=mode) as (telegram, gateway, _):
        telegram.refuse = lambda call: "can't parse entities" if call.get("parse_mode") else None
        gate = Gate()
        gateway.provider.play(script("It is **four**", Wait(gate), " & `five`."))
        telegram.write("hi")
        if mode == "live":
            assert await telegram.said() == ["It is four"]
        gate.open()
        await telegram.until(lambda: telegram.texts() == ["It is four & five."])


async def test_a_wait_that_telegram_asks_for_is_kept(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        telegram.failures["sendMessage"] = Failure(429, "Too Many Requests", {"retry_after": 1})
        gateway.provider.play(script("Here."))
        telegram.write("hi")
        assert await telegram.said() == ["Here."]


async def test_a_topic_that_is_gone_is_answered_in_the_group(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        telegram.refuse = lambda call: "message thread not found" if "message_thread_id" in call else None
        gateway.provider.play(script("here"))
        telegram.write("hi", chat=-5, is_topic_message=True, message_thread_id=3)
        assert await telegram.said(-5) == ["here"]


async def test_a_file_that_telegram_does_not_take_is_told(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, user):
        home = gateway.state.paths.users_dir / user.id / "home"
        await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread((home / "a.png").write_bytes, b"no image")
        telegram.failures["sendPhoto"] = Failure(400, "Bad Request: IMAGE_PROCESS_FAILED")
        gateway.provider.play(script(CallTool("Attach", '{"path": "a.png"}')), script("There."))
        telegram.write("send it")
        assert await telegram.said(count=2) == ["There.", "[document a.png]"]
        telegram.failures["sendPhoto"] = Failure(413, "Request Entity Too Large")
        gateway.provider.play(script(CallTool("Attach", '{"path": "a.png"}')), script("Again."))
        telegram.write("again")
        assert (await telegram.said(count=4))[2:] == ["Again.", "(A part of the answer could not be sent.)"]


async def test_other_media_are_passed_over(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        gateway.provider.play(script("text"))
        telegram.write(voice={"file_id": "v", "file_unique_id": "u", "duration": 1})
        telegram.write("words")
        assert await telegram.said() == ["text"]
        assert not telegram.named("getFile")


async def test_a_person_who_is_linked_by_name_keeps_the_link_by_number(tmp_path: Path) -> None:
    async with chatting(tmp_path, OpenAIServer()) as (telegram, gateway, _):
        bob, _ = await gateway.user(name="Bob")
        await gateway.state.auth.links.set(bob.id, None, "user9")
        gateway.provider.play(script("Hi Bob"))
        telegram.write("hi", sender=9)
        assert await telegram.said(9) == ["Hi Bob"]
        link = await gateway.state.auth.links.find(bob.id)
        assert link is not None and link.telegram_id == 9
        await gateway.state.set_user_active(bob.id, False, actor=OPERATOR)
        telegram.write("still there?", sender=9)
        assert "not linked" in (await telegram.said(9, 2))[1]
