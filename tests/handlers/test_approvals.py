"""Tool calls that wait for a person: over the socket, over HTTP, remembered, timed out, stopped."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Frame, Gateway, Socket, kinds
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Script, script

DELETE = '{"path": "documents/plan.md"}'


def gateway_on(folder: Path, timeout_secs: float = 30.0, *ask: str, **tools: Any) -> Gateway:
    approval = {"ask": list(ask or ["FileDelete"]), "timeout_secs": timeout_secs}
    return Gateway(folder, OpenAIServer(), settings={"tools": {"approval": approval, **tools}})


async def with_file(gateway: Gateway) -> Path:
    path = gateway.home / "documents" / "plan.md"
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    await asyncio.to_thread(path.write_text, "the plan")
    return path


def deletion() -> tuple[Script, Script]:
    return script(CallTool("FileDelete", DELETE)), script("Done.")


async def asked(gateway: Gateway, socket: Socket, session: str = "a") -> Frame:
    gateway.provider.play(*deletion())
    await socket.send("message", text="delete it", channel_session_key=session)
    return await socket.next("approval_request")


async def answer(socket: Socket, request: Frame, kind: str, **fields: Any) -> list[Frame]:
    await socket.send(kind, session_id=request["session_id"], approval_id=request["approval_id"], **fields)
    return await socket.until("stream_end")


def result(frames: list[Frame]) -> Frame:
    (found,) = [frame for frame in frames if frame["type"] == "tool_result"]
    return found


@pytest.mark.gen_test
async def test_a_call_waits_and_runs_once_it_is_approved(tmp_path: Path) -> None:
    async with gateway_on(tmp_path) as gateway:
        path = await with_file(gateway)
        socket = await gateway.socket()
        request = await asked(gateway, socket)
        assert request["name"] == "FileDelete"
        assert request["input"] == json.loads(DELETE)
        assert request["seq"] > 0
        assert await asyncio.to_thread(path.exists)
        frames = await answer(socket, request, "approve")
        assert kinds(frames) == ["approval_result", "tool_result", "text_delta", "stream_end"]
        assert (frames[0]["outcome"], frames[0]["approval_id"]) == ("approved", request["approval_id"])
        assert not result(frames)["is_error"]
        assert not await asyncio.to_thread(path.exists)
        assert (await gateway.http.get("/api/approvals")).json() == {"waiting": [], "remembered": []}


@pytest.mark.gen_test
async def test_a_denied_call_is_a_clear_error_for_the_model(tmp_path: Path) -> None:
    async with gateway_on(tmp_path) as gateway:
        path = await with_file(gateway)
        socket = await gateway.socket()
        frames = await answer(socket, await asked(gateway, socket), "deny")
        assert result(frames)["is_error"]
        assert "did not allow this call of FileDelete" in result(frames)["content"]
        assert await asyncio.to_thread(path.exists)
        assert "did not allow" in gateway.provider.requests[1].body["messages"][-1]["content"]


@pytest.mark.gen_test
async def test_nobodys_answer_is_a_no(tmp_path: Path) -> None:
    async with gateway_on(tmp_path, 0.2) as gateway:
        path = await with_file(gateway)
        socket = await gateway.socket()
        request = await asked(gateway, socket)
        frames = await socket.until("stream_end")
        assert frames[0]["outcome"] == "timeout"
        assert "Nobody allowed this call" in result(frames)["content"]
        assert await asyncio.to_thread(path.exists)
        await socket.send("approve", session_id=request["session_id"], approval_id=request["approval_id"])
        assert (await socket.next("error"))["status"] == 404


@pytest.mark.gen_test
async def test_an_answer_over_http_counts_as_well_and_only_once(tmp_path: Path) -> None:
    async with gateway_on(tmp_path) as gateway:
        await with_file(gateway)
        socket = await gateway.socket()
        request = await asked(gateway, socket)
        waiting = (await gateway.http.get("/api/approvals")).json()["waiting"]
        assert [each["id"] for each in waiting] == [request["approval_id"]]
        url = f"/api/sessions/{request['session_id']}/approvals/{request['approval_id']}"
        assert (await gateway.http.post(url, json={"decision": "maybe"})).status_code == 422
        answers = await asyncio.gather(*(gateway.http.post(url, json={"decision": "approve"}) for _ in range(4)))
        assert sorted(each.status_code for each in answers) == [200, 404, 404, 404]
        assert not result(await socket.until("stream_end"))["is_error"]


@pytest.mark.gen_test
async def test_an_answer_for_the_session_holds_there_and_nowhere_else(tmp_path: Path) -> None:
    async with gateway_on(tmp_path) as gateway:
        socket = await gateway.socket()
        await with_file(gateway)
        await answer(socket, await asked(gateway, socket), "approve", remember="session")
        await with_file(gateway)
        gateway.provider.play(*deletion())
        frames = await socket.say("again")
        assert "approval_request" not in kinds(frames)
        assert not result(frames)["is_error"]
        await with_file(gateway)
        await answer(socket, await asked(gateway, socket, "b"), "deny")


@pytest.mark.gen_test
async def test_an_answer_for_ever_outlives_the_gateway_until_it_is_taken_back(tmp_path: Path) -> None:
    async with gateway_on(tmp_path) as gateway:
        await with_file(gateway)
        socket = await gateway.socket()
        await answer(socket, await asked(gateway, socket), "deny", remember="forever")
        await gateway.stop()
        await gateway.start()
        socket = await gateway.socket()
        gateway.provider.play(*deletion())
        frames = await socket.say("again", "b")
        assert "approval_request" not in kinds(frames)
        assert result(frames)["is_error"]
        (remembered,) = (await gateway.http.get("/api/approvals")).json()["remembered"]
        assert (remembered["tool_name"], remembered["decision"], remembered["session_id"]) == (
            "FileDelete",
            "deny",
            None,
        )
        assert (await gateway.http.delete(f"/api/approvals/{remembered['id']}")).status_code == 204
        assert (await gateway.http.delete(f"/api/approvals/{remembered['id']}")).status_code == 404
        await answer(socket, await asked(gateway, socket, "c"), "approve")


@pytest.mark.gen_test
async def test_a_command_is_remembered_exactly_as_it_was(tmp_path: Path) -> None:
    settings = {"shell": True, "shell_sandbox": "off"}
    async with gateway_on(tmp_path, 30, "Bash: touch", **settings) as gateway:
        socket = await gateway.socket()
        gateway.provider.play(script(CallTool("Bash", '{"command": "echo free && touch a"}')), script("Done."))
        await socket.send("message", text="go", channel_session_key="a")
        request = await socket.next("approval_request")
        assert request["subject"] == "echo free && touch a"
        await answer(socket, request, "approve", remember="forever")
        assert await asyncio.to_thread((gateway.home / "a").exists)
        gateway.provider.play(
            script(
                CallTool("Bash", '{"command": "echo free"}', "1"),
                CallTool("Bash", '{"command": "echo free && touch a"}', "2"),
                CallTool("Bash", '{"command": "touch b"}', "3"),
            ),
            script("Done."),
        )
        await socket.send("message", text="more", channel_session_key="a")
        frames = await socket.until("approval_request")
        assert [frame["tool_use_id"] for frame in frames if frame["type"] == "tool_result"] == ["1", "2"]
        assert frames[-1]["subject"] == "touch b"
        await answer(socket, frames[-1], "deny")
        assert not await asyncio.to_thread((gateway.home / "b").exists)


@pytest.mark.gen_test
async def test_only_the_owner_of_the_session_may_answer(tmp_path: Path) -> None:
    async with gateway_on(tmp_path) as gateway:
        _, ann = await gateway.user("user", "Ann")
        _, bob = await gateway.user("user", "Bob")
        socket = await gateway.socket(ann)
        request = await asked(gateway, socket)
        url = f"/api/sessions/{request['session_id']}/approvals/{request['approval_id']}"
        for other in (gateway.client(bob), gateway.http):
            assert (await other.post(url, json={"decision": "approve"})).status_code == 404
            assert (await other.get("/api/approvals")).json()["waiting"] == []
        stranger = await gateway.socket(bob)
        await stranger.send("approve", session_id=request["session_id"], approval_id=request["approval_id"])
        assert (await stranger.next("error"))["status"] == 404
        assert (await gateway.client().post(url, json={"decision": "approve"})).status_code == 401
        frames = await answer(socket, request, "deny", remember="forever")
        assert result(frames)["is_error"]
        (remembered,) = (await gateway.client(ann).get("/api/approvals")).json()["remembered"]
        assert (await gateway.client(bob).get("/api/approvals")).json()["remembered"] == []
        assert (await gateway.client(bob).delete(f"/api/approvals/{remembered['id']}")).status_code == 404


@pytest.mark.gen_test
async def test_a_socket_that_comes_later_hears_the_question_and_may_answer(tmp_path: Path) -> None:
    async with gateway_on(tmp_path) as gateway:
        await with_file(gateway)
        first = await gateway.socket()
        request = await asked(gateway, first)
        first.close()
        second = await gateway.socket()
        await second.send("resume", session_id=request["session_id"], after=0)
        again = await second.next("approval_request")
        assert again == request
        assert not result(await answer(second, again, "approve"))["is_error"]


@pytest.mark.gen_test
async def test_the_owners_other_sockets_are_told_that_something_waits(tmp_path: Path) -> None:
    async with gateway_on(tmp_path) as gateway:
        await with_file(gateway)
        _, bob = await gateway.user("user", "Bob")
        socket, other, stranger = await gateway.socket(), await gateway.socket(), await gateway.socket(bob)
        request = await asked(gateway, socket)
        told = await other.next("approval_waiting")
        assert (told["approval_id"], told["name"]) == (request["approval_id"], "FileDelete")
        frames = await answer(socket, told, "deny")
        assert "approval_waiting" not in kinds(frames)
        await stranger.send("ping")
        assert kinds(await stranger.until("pong")) == ["pong"]


@pytest.mark.gen_test
async def test_server_sent_events_carry_the_question(tmp_path: Path) -> None:
    async with gateway_on(tmp_path) as gateway:
        await with_file(gateway)
        gateway.provider.play(*deletion())
        seen: list[Frame] = []
        headers = {"Accept": "text/event-stream"}
        async with gateway.http.stream("POST", "/api/chat", json={"text": "go"}, headers=headers) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line[6:]))
                    if seen[-1]["type"] == "approval_request":
                        url = f"/api/sessions/{seen[-1]['session_id']}/approvals/{seen[-1]['approval_id']}"
                        await gateway.http.post(url, json={"decision": "approve"})
        assert [frame["outcome"] for frame in seen if frame["type"] == "approval_result"] == ["approved"]
        assert seen[-1]["type"] == "stream_end"


@pytest.mark.gen_test
async def test_stopping_the_turn_takes_the_question_back(tmp_path: Path) -> None:
    async with gateway_on(tmp_path) as gateway:
        path = await with_file(gateway)
        socket = await gateway.socket()
        request = await asked(gateway, socket)
        await socket.send("cancel", session_id=request["session_id"])
        frames = await socket.until("stream_end")
        assert [frame["outcome"] for frame in frames if frame["type"] == "approval_result"] == ["withdrawn"]
        assert frames[-1]["stopped"]
        assert await asyncio.to_thread(path.exists)
        assert (await gateway.http.get("/api/approvals")).json()["waiting"] == []


@pytest.mark.gen_test
async def test_a_gateway_that_stops_meanwhile_leaves_an_interrupted_turn_and_runs_nothing(tmp_path: Path) -> None:
    async with gateway_on(tmp_path) as gateway:
        path = await with_file(gateway)
        socket = await gateway.socket()
        request = await asked(gateway, socket)
        await gateway.stop()
        await gateway.start()
        assert await asyncio.to_thread(path.exists)
        socket = await gateway.socket()
        await socket.send("resume", session_id=request["session_id"], after=0)
        assert (await socket.next("stream_end"))["interrupted"]
        await socket.send("approve", session_id=request["session_id"], approval_id=request["approval_id"])
        assert (await socket.next("error"))["status"] == 404
        assert await asyncio.to_thread(path.exists)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "frame", [{}, {"session_id": "x"}, {"session_id": "x", "approval_id": "y", "remember": "always"}]
)
async def test_half_an_answer_is_told(tmp_path: Path, frame: dict[str, str]) -> None:
    async with gateway_on(tmp_path) as gateway:
        socket = await gateway.socket()
        await socket.send("approve", **frame)
        assert (await socket.next("error"))["message"].startswith("Invalid message format: ")


@pytest.mark.gen_test
async def test_what_waits_is_set_on_the_settings_page_and_holds_from_the_next_message(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        await with_file(gateway)
        saved = await gateway.http.put("/api/settings/tools", json={"approval": {"ask": ["FileDelete"]}})
        assert saved.status_code == 200
        socket = await gateway.socket()
        await answer(socket, await asked(gateway, socket), "deny")
        wrong = await gateway.http.put(
            "/api/settings/tools", json={"approval": {"ask": ["no tool"]}, "shell_sandbox": "maybe"}
        )
        assert wrong.status_code == 422
        assert set(wrong.json()["fields"]) == {"approval.ask[0]", "shell_sandbox"}
        assert (await gateway.http.get("/api/settings/tools")).json()["approval"]["ask"] == ["FileDelete"]
