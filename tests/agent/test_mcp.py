"""MCP servers in turns: their tools, what happens when they die, hang or talk nonsense, and what a reload does."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket as sockets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from starpod.tools.mcp.names import offered_name
from tests.fakes import FakeClock
from tests.gateway import Frame, Gateway, said
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, script

pytestmark = pytest.mark.gen_test(timeout=60)

SERVERS = Path(__file__).parent.parent / "mcp_servers"
PATIENCE_S = 20.0


def demo(folder: Path, **settings: Any) -> dict[str, Any]:
    """The settings of the well-behaved server; it logs to `demo.log` in the folder."""
    return {"command": sys.executable, "args": [str(SERVERS / "demo.py"), str(folder / "demo.log")]} | settings


def bad(folder: Path, kind: str, **settings: Any) -> dict[str, Any]:
    return {"command": sys.executable, "args": [str(SERVERS / "bad.py"), str(folder / "bad.log"), kind]} | settings


def gateway_with(folder: Path, **servers: dict[str, Any]) -> Gateway:
    (folder / "agent").mkdir(exist_ok=True)
    return Gateway(folder / "agent", OpenAIServer(), settings={"mcp": {"servers": servers}})


def pids(folder: Path, name: str = "demo.log") -> list[int]:
    path = folder / name
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(line.split()[1]) for line in lines if line.startswith("start")]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 (another process tells nobody)
            await asyncio.sleep(0.02)


async def status(gateway: Gateway, name: str) -> dict[str, Any]:
    servers = (await gateway.http.get("/api/settings/mcp")).json()["servers"]
    return next(server for server in servers if server["name"] == name)


async def reach(gateway: Gateway, name: str, state: str, error: str = "") -> dict[str, Any]:
    """Wait until a server is in a state, with such an error."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            now = await status(gateway, name)
            if now["state"] == state and error in (now["error"] or ""):
                return now
            await asyncio.sleep(0.05)


async def use(gateway: Gateway, tool: str, key: str | None = None, **arguments: Any) -> Frame:
    """Have the model call a tool once; its result as people see it."""
    gateway.provider.play(script(CallTool(tool, json.dumps(arguments))), script("Done."))
    frames = await (await gateway.socket(key)).say("go", "tools")
    assert said(frames) == "Done."
    return next(frame for frame in frames if frame["type"] == "tool_result")


def offered(gateway: Gateway) -> set[str]:
    """The tools that the model was last shown."""
    return {tool["function"]["name"] for tool in gateway.provider.requests[-1].body.get("tools", ())}


async def save(gateway: Gateway, **servers: dict[str, Any]) -> None:
    """Change the settings file as an operator would, and have it read."""
    path = gateway.state.paths.agent_toml
    document = tomlkit.parse(path.read_text()).unwrap()
    document["mcp"] = {"servers": servers}
    path.write_text(tomlkit.dumps(document))
    await gateway.state.watcher.reload()


async def test_the_model_uses_the_tools_of_a_server(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, demo=demo(tmp_path)) as gateway:
        await reach(gateway, "demo", "connected")
        assert (await use(gateway, "demo_add", a=40, b=2))["content"] == "42"
        assert {"demo_add", "demo_slow", "FileList"} <= offered(gateway)
        assert (await use(gateway, "demo_add", a="x"))["is_error"] is True
        failed = await use(gateway, "demo_fail")
        assert failed["is_error"] is True and "Error executing tool fail" in failed["content"]
        picture = await use(gateway, "demo_picture")
        assert "look" in picture["content"] and "image/png" in picture["content"]
        flood = await use(gateway, "demo_flood")
        assert flood["is_error"] is False
        shown = gateway.provider.requests[-1].body["messages"][-1]["content"]
        assert len(shown) < 60_000 and "cut" in shown
        assert (await use(gateway, "demo_noise"))["content"] == "still here"
        assert (await use(gateway, "demo_add", a=1, b=1))["content"] == "2"
        assert len(pids(tmp_path)) == 1
    assert not any(alive(pid) for pid in pids(tmp_path))


@asynccontextmanager
async def over_http(folder: Path) -> AsyncIterator[str]:
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVERS / "demo.py"), str(folder / "demo.log"), "http", str(port), stderr=-3
    )
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_server_over_http_that_comes_late_and_goes(tmp_path: Path) -> None:
    async with over_http(tmp_path) as url, gateway_with(tmp_path, web={"url": url}) as gateway:
        await reach(gateway, "web", "connected")
        assert (await use(gateway, "web_add", a=40, b=2))["content"] == "42"
        picture = await use(gateway, "web_picture")
        assert "image/png" in picture["content"]
        died = await use(gateway, "web_die")
        assert died["is_error"] is True
        await reach(gateway, "web", "failed", "cannot be reached")
        gateway.provider.play(script("Hello."))
        assert said(await (await gateway.socket()).say("hi")) == "Hello."
        assert not any(name.startswith("web_") for name in offered(gateway))


async def test_an_address_that_never_answers_delays_nobody(tmp_path: Path) -> None:
    connected: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda reader, writer: connected.append(writer), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/mcp"
    try:
        async with gateway_with(tmp_path, web={"url": url, "start_timeout_s": 1}) as gateway:
            async with asyncio.timeout(8):
                assert said(await (await gateway.socket()).say("hi")) == "Hello."
            await reach(gateway, "web", "failed", "not ready within 1 s")
    finally:
        for writer in connected:
            writer.close()
        silent.close()


async def test_an_address_that_is_no_mcp_server_is_told(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway:
        url = f"{gateway.url}/api/settings/mcp"
        await save(gateway, web={"url": url, "headers": {"X-API-Key": "wrong"}})
        assert "credentials" in (await reach(gateway, "web", "failed"))["error"]
        await save(gateway, web={"url": f"{gateway.url}/nothing"})
        assert "no MCP server at this address" in (await reach(gateway, "web", "failed", "no MCP"))["error"]


async def test_a_tool_of_a_server_can_need_a_persons_word(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, demo=demo(tmp_path)) as gateway:
        path = gateway.state.paths.agent_toml
        path.write_text(f'{path.read_text()}\n[tools.approval]\nask = ["demo_*"]\n')
        await gateway.state.watcher.reload()
        await reach(gateway, "demo", "connected")
        gateway.provider.play(script(CallTool("demo_add", '{"a": 1, "b": 2}')), script("Done."))
        socket = await gateway.socket()
        await socket.send("message", text="go", channel_session_key="a")
        request = await socket.next("approval_request")
        await socket.send("deny", approval_id=request["approval_id"], session_id=request["session_id"])
        assert (await socket.next("tool_result"))["is_error"] is True


async def test_a_server_that_dies_in_a_call_is_started_again(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, demo=demo(tmp_path)) as gateway:
        await reach(gateway, "demo", "connected")
        died = await use(gateway, "demo_die")
        assert died["is_error"] is True and "broke off" in died["content"]
        await until(lambda: len(pids(tmp_path)) == 2)
        await reach(gateway, "demo", "connected")
        assert (await use(gateway, "demo_add", a=1, b=2))["content"] == "3"


async def test_a_server_that_dies_while_idle_is_started_again(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, demo=demo(tmp_path)) as gateway:
        await reach(gateway, "demo", "connected")
        os.kill(pids(tmp_path)[0], 9)
        await until(lambda: len(pids(tmp_path)) == 2)
        await reach(gateway, "demo", "connected")
        assert (await use(gateway, "demo_add", a=1, b=2))["content"] == "3"


async def test_servers_that_cannot_be_used_are_left_out_and_say_why(tmp_path: Path) -> None:
    servers = {
        "demo": demo(tmp_path),
        "hang": bad(tmp_path, "hang", start_timeout_s=1),
        "exit": bad(tmp_path, "exit"),
        "garbage": bad(tmp_path, "garbage", start_timeout_s=1),
        "gone": {"command": str(tmp_path / "nothing")},
        "lost": {"command": "true", "cwd": str(tmp_path / "nothing")},
        "secret": {"command": "true", "env": {"TOKEN": "${NOBODY_SET_THIS}"}},
        "web": {"url": "http://127.0.0.1:1/mcp"},
        "off": demo(tmp_path, enabled=False),
    }
    async with gateway_with(tmp_path, **servers) as gateway:
        socket = await gateway.socket()
        async with asyncio.timeout(8):
            assert said(await socket.say("hi")) == "Hello."
        await reach(gateway, "demo", "connected")
        why = {
            name: str((await reach(gateway, name, "failed"))["error"])
            for name in servers
            if name not in ("demo", "off")
        }
        assert "not ready within 1 s" in why["hang"] and "not ready within 1 s" in why["garbage"]
        assert "ended before it was ready" in why["exit"]
        assert "program was not found" in why["gone"] and "folder" in why["lost"]
        assert "NOBODY_SET_THIS is not set" in why["secret"]
        assert "cannot be reached" in why["web"]
        assert (await status(gateway, "off"))["state"] == "off"
        assert str(tmp_path) not in json.dumps((await gateway.http.get("/api/settings/mcp")).json())
        assert said(await socket.say("again")) == "Hello."
        assert {name.split("_")[0] for name in offered(gateway) if "_" in name} == {"demo"}
    assert not any(alive(pid) for pid in pids(tmp_path, "bad.log") + pids(tmp_path))


async def test_a_stop_ends_a_slow_tool(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, demo=demo(tmp_path)) as gateway:
        await reach(gateway, "demo", "connected")
        gateway.provider.play(script(CallTool("demo_slow")), script("Done."))
        socket = await gateway.socket()
        await socket.send("message", text="go", channel_session_key="a")
        used = await socket.next("tool_use")
        await until(lambda: "slow began" in (tmp_path / "demo.log").read_text())
        await socket.send("cancel", session_id=used["session_id"])
        assert (await socket.next("stream_end"))["stopped"] is True
        await until(lambda: "slow cancelled" in (tmp_path / "demo.log").read_text())
        assert (await use(gateway, "demo_add", a=1, b=2))["content"] == "3"
        assert len(pids(tmp_path)) == 1


async def test_a_tool_that_takes_too_long_is_cut_off(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, demo=demo(tmp_path, timeout_s=1)) as gateway:
        await reach(gateway, "demo", "connected")
        late = await use(gateway, "demo_slow")
        assert late["is_error"] is True and "within 1 s" in late["content"]
        assert (await use(gateway, "demo_add", a=1, b=2))["content"] == "3"


async def test_a_reload_restarts_only_what_changed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with gateway_with(tmp_path, demo=demo(tmp_path), second=demo(other)) as gateway:
        for name in ("demo", "second"):
            await reach(gateway, name, "connected")
        await save(gateway, demo=demo(tmp_path), second=demo(other, tools=["add", "nothing"]))
        await until(lambda: len(pids(other)) == 2)
        now = await reach(gateway, "second", "connected")
        assert now["tools"] == ["second_add"] and "nothing" in now["notes"][0]
        assert (await use(gateway, "second_add", a=1, b=2))["content"] == "3"
        assert "second_fail" not in offered(gateway)
        await save(gateway, demo=demo(tmp_path))
        await until(lambda: not any(alive(pid) for pid in pids(other)))
        assert [server["name"] for server in (await gateway.http.get("/api/settings/mcp")).json()["servers"]] == [
            "demo"
        ]
        assert len(pids(tmp_path)) == 1 and alive(pids(tmp_path)[0])
        await save(gateway)
        await until(lambda: not alive(pids(tmp_path)[0]))


async def test_only_named_secrets_reach_a_server_and_none_is_shown(tmp_path: Path) -> None:
    env = {"API_TOKEN": "Bearer ${FILES_TOKEN}", "MODE": "test"}
    async with gateway_with(tmp_path, demo=demo(tmp_path, env=env)) as gateway:
        gateway.state.paths.env_file.write_text("FILES_TOKEN=tok-12345678\nOTHER_SECRET=no\n")
        await gateway.state.watcher.reload()
        await reach(gateway, "demo", "connected")
        seen = json.loads((await use(gateway, "demo_variables"))["content"])
        assert (seen["API_TOKEN"], seen["MODE"]) == ("Bearer tok-12345678", "test")
        assert not {"OTHER_SECRET", "STARPOD_API_KEY", "LOCAL_API_KEY"} & set(seen)
        shown = await status(gateway, "demo")
        assert shown["env"] == ["API_TOKEN", "MODE"]
        assert "tok-12345678" not in json.dumps(shown) and "FILES_TOKEN" not in json.dumps(shown)
        first = pids(tmp_path)
        gateway.state.paths.env_file.write_text("FILES_TOKEN=tok-87654321\n")
        await gateway.state.watcher.reload()
        await until(lambda: len(pids(tmp_path)) > len(first))


async def test_a_secret_that_comes_into_the_vault_is_used_at_once(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, demo=demo(tmp_path, env={"TOKEN": "${VAULT_TOKEN}"})) as gateway:
        await reach(gateway, "demo", "failed", "VAULT_TOKEN is not set")
        await gateway.http.put("/api/settings/vault/VAULT_TOKEN", json={"value": "vault-secret-1"})
        await gateway.state.agent.pulse()
        await reach(gateway, "demo", "connected")
        leaked = await use(gateway, "demo_variables")
        assert json.loads(leaked["content"])["TOKEN"] == "vault-secret-1"


async def test_a_server_is_for_admins_until_it_is_shared(tmp_path: Path) -> None:
    servers = {"demo": demo(tmp_path), "open": demo(tmp_path, admins_only=False)}
    async with gateway_with(tmp_path, **servers) as gateway:
        for name in servers:
            await reach(gateway, name, "connected")
        _, key = await gateway.user()
        assert (await use(gateway, "open_add", key, a=1, b=2))["content"] == "3"
        assert not any(name.startswith("demo_") for name in offered(gateway))
        refused = await use(gateway, "demo_add", key, a=1, b=2)
        assert refused["is_error"] is True and "no tool named" in refused["content"]
        assert (await gateway.client(key).get("/api/settings/mcp")).status_code == 403


async def test_a_server_runs_at_home_also_when_nobody_has_made_that_yet(tmp_path: Path) -> None:
    async with gateway_with(tmp_path) as gateway:
        await asyncio.to_thread(shutil.rmtree, gateway.home)
        await save(gateway, demo=demo(tmp_path))
        await reach(gateway, "demo", "connected")
        assert await asyncio.to_thread(gateway.home.is_dir)


async def test_a_tool_that_comes_later_is_found(tmp_path: Path) -> None:
    clock = FakeClock()
    (tmp_path / "agent").mkdir()
    settings = {"mcp": {"servers": {"demo": demo(tmp_path)}}}
    async with Gateway(tmp_path / "agent", OpenAIServer(), settings=settings, clock=clock) as gateway:
        await reach(gateway, "demo", "connected")
        assert (await use(gateway, "demo_grow"))["content"] == "grown"
        clock.advance(61)
        await use(gateway, "demo_add", a=1, b=2)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if "demo_grown" in (await status(gateway, "demo"))["tools"]:
                    break
                await asyncio.sleep(0.05)
        assert (await use(gateway, "demo_grown"))["content"] == "new"


def test_names_fit_every_provider() -> None:
    assert offered_name("demo", "add") == "demo_add"
    odd = {offered_name("demo", tool) for tool in ("a.b", "a/b", "a b", "x" * 100, "x" * 101, "\u00e9", "")}
    assert len(odd) == 7 and all(len(name) <= 64 and name.replace("_", "").isascii() for name in odd)
