"""`/mcp` by the protocol's own client, and by clients that do everything wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from starpod.channels.mcp.service import MOST_OF_A_PERSON
from starpod.memory.versions import Writer
from tests.gateway import ADMIN_KEY, TIMEOUT_S, Gateway
from tests.handlers.openai_client import heard
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Fail, Hang, script

pytestmark = pytest.mark.gen_test

ROOT = Path(__file__).resolve().parents[2]
BOTH = {"Accept": "application/json, text/event-stream"}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}


@contextlib.asynccontextmanager
async def mcp(gateway: Gateway, key: str = ADMIN_KEY, *, header: str = "bearer") -> AsyncIterator[Client]:
    """The client as a person would set it up: address and key."""
    headers = {"Authorization": f"Bearer {key}"} if header == "bearer" else {"X-API-Key": key}
    async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=TIMEOUT_S) as http:
        transport = streamable_http_client(f"{gateway.url}/mcp", http_client=http)
        async with Client(transport, read_timeout_seconds=TIMEOUT_S) as client:
            yield client


async def call(client: Client, name: str, /, **arguments: Any) -> str:
    """The text of a call that works."""
    result = await client.call_tool(name, arguments)
    [content] = result.content
    assert not result.is_error and content.type == "text", content
    return content.text


async def test_the_tools_are_listed_with_what_they_take(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, mcp(gateway) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {
            "memory_search",
            "memory_read",
            "memory_write",
            "memory_append_daily",
            "session_search",
            "ask_agent",
            "list_jobs",
            "run_job",
            "job_runs",
        }
        assert tools["ask_agent"].input_schema["required"] == ["message"]
        assert all(tool.description for tool in tools.values())
        assert tools["memory_search"].annotations is not None and tools["memory_search"].annotations.read_only_hint
        assert tools["memory_write"].annotations is not None and not tools["memory_write"].annotations.read_only_hint


@pytest.mark.parametrize("header", ["bearer", "x-api-key"])
async def test_memory_is_written_read_and_found(tmp_path: Path, header: str) -> None:
    async with Gateway(tmp_path) as gateway, mcp(gateway, header=header) as client:
        assert "MEMORY.md" in await call(
            client, "memory_write", file="MEMORY.md", content="The plumber comes on Friday.\n"
        )
        assert "Friday" in await call(client, "memory_read", file="MEMORY.md")
        await gateway.state.memory_index.refresh()
        hits = json.loads(await call(client, "memory_search", query="when does the plumber come?"))
        assert "plumber" in hits[0]["text"]
        versions = (await gateway.http.get("/api/memory/history?file=MEMORY.md")).json()
        assert versions[0]["session_id"] is None


async def test_the_agent_answers_and_goes_on(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, mcp(gateway) as client:
        gateway.provider.play(script("Let me see.", CallTool("FileList")), script("One."), script("Two."))
        assert await call(client, "ask_agent", message="first", session="work") == "Let me see.\nOne."
        assert await call(client, "ask_agent", message="second", session="work") == "Two."
        assert [text for role, text in heard(gateway) if role == "user"] == ["first", "second"]
        found = json.loads(await call(client, "session_search", query="second"))
        assert len(found) == 1 and found[0]["session_id"]


async def test_a_new_conversation_says_how_to_go_on(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, mcp(gateway) as client:
        gateway.provider.play(script("One."), script("Two."))
        answer = await call(client, "ask_agent", message="first")
        assert answer.startswith("One.\n\n[To go on")
        session = answer.rstrip("]").split()[-1]
        await call(client, "ask_agent", message="second", session=session)
        assert [text for role, text in heard(gateway) if role == "user"] == ["first", "second"]


async def test_jobs_are_listed_and_run(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, mcp(gateway) as client:
        gateway.provider.play(script("Done."))
        job = {"name": "bins", "prompt": "Remind me", "schedule": {"kind": "interval", "every_ms": 3_600_000}}
        assert (await gateway.http.post("/api/cron/jobs", json=job)).status_code == 201
        [listed] = json.loads(await call(client, "list_jobs"))
        assert listed["name"] == "bins" and listed["next_run_at"]
        assert "bins" in await call(client, "run_job", name="bins")
        assert await asyncio.to_thread(gateway.provider.wait_for_requests, 1)
        [run] = json.loads(await call(client, "job_runs", name="bins"))
        assert run["started_at"]


async def test_everybody_acts_for_themselves(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hello."))
        ann, anns = await gateway.user(name="ann")
        _, bobs = await gateway.user(name="bob")
        await gateway.state.memory.write(Writer(ann.id, False, "page"), "MEMORY.md", "Ann has a cat.")
        await gateway.state.memory_index.refresh()
        job = {"name": "feed", "prompt": "cat", "schedule": {"kind": "interval", "every_ms": 3_600_000}}
        await gateway.client(anns).post("/api/cron/jobs", json=job)
        async with mcp(gateway, anns) as client:
            await call(client, "ask_agent", message="about my zebra", session="work")
            assert "cat" in await call(client, "memory_search", query="cat")
        async with mcp(gateway, bobs) as client:
            assert json.loads(await call(client, "memory_search", query="cat")) == []
            assert "empty or does not exist" in await call(client, "memory_read", file="MEMORY.md")
            assert json.loads(await call(client, "session_search", query="zebra")) == []
            assert json.loads(await call(client, "list_jobs")) == []
            assert (await client.call_tool("run_job", {"name": "feed"})).is_error
            await call(client, "ask_agent", message="hi", session="work")
            assert [text for role, text in heard(gateway) if role == "user"] == ["hi"]


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("memory_write", {"content": "x"}, "`file` is missing"),
        ("memory_write", {"file": "../../core.db", "content": "x"}, "file name"),
        ("memory_search", {"query": 5}, "`query`"),
        ("memory_search", {"query": "x", "limit": 1000}, "`limit`"),
        ("ask_agent", {"message": "  "}, "empty"),
        ("ask_agent", {"message": "hi", "model": "gpt-9"}, "allowed list"),
        ("ask_agent", {"message": "hi", "session": "x" * 300}, "session key"),
        ("run_job", {"name": "nothing"}, "nothing"),
    ],
)
async def test_what_a_tool_cannot_do_is_told_to_the_model(
    tmp_path: Path, name: str, arguments: dict[str, Any], told: str
) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, mcp(gateway) as client:
        result = await client.call_tool(name, arguments)
        [content] = result.content
        assert result.is_error and content.type == "text" and told in content.text
        assert str(tmp_path) not in content.text


async def test_an_unknown_tool_is_an_error_of_the_protocol(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, mcp(gateway) as client:
        with pytest.raises(MCPError, match="no tool"):
            await client.call_tool("rm_rf", {})


async def test_a_provider_that_fails_is_told(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, mcp(gateway) as client:
        gateway.provider.play(script(Fail(500, "kaput")))
        result = await client.call_tool("ask_agent", {"message": "hi"})
        assert result.is_error


async def test_a_call_that_is_given_up_stops_the_turn(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, mcp(gateway) as client:
        gateway.provider.play(script("So far.", Hang()))
        task = asyncio.ensure_future(client.call_tool("ask_agent", {"message": "hi"}))
        assert await asyncio.to_thread(gateway.provider.wait_for_requests, 1)
        task.cancel()
        assert await asyncio.to_thread(gateway.provider.requests[0].closed.wait, TIMEOUT_S)


async def begin(client: httpx2.AsyncClient) -> dict[str, str]:
    """Begin a session by hand: the headers of its requests."""
    answer = await client.post("/mcp", json=HELLO, headers=BOTH)
    assert answer.status_code == 200, answer.text
    headers = BOTH | {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "Mcp-Protocol-Version": "2025-06-18"}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await client.post("/mcp", json=ready, headers=headers)).status_code == 202
    return headers


async def test_a_session_by_hand_and_its_end(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        headers = await begin(gateway.http)
        answer = await gateway.http.post("/mcp", json=LIST, headers=headers)
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
        assert "memory_search" in answer.text
        assert (await gateway.http.delete("/mcp", headers=headers)).status_code == 200
        assert (await gateway.http.post("/mcp", json=LIST, headers=headers)).status_code == 404


async def test_a_session_is_unknown_to_everybody_else(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        headers = await begin(gateway.http)
        _, key = await gateway.user()
        theirs = await gateway.client(key).post("/mcp", json=LIST, headers=headers)
        made_up = await gateway.http.post("/mcp", json=LIST, headers=headers | {"Mcp-Session-Id": "0" * 32})
        assert (theirs.status_code, theirs.json()) == (made_up.status_code, made_up.json())
        assert theirs.status_code == 404
        assert (await gateway.http.post("/mcp", json=LIST, headers=headers)).status_code == 200


async def test_of_very_many_sessions_of_a_person_the_one_used_longest_ago_ends(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        theirs = await begin(gateway.client(key))
        used, unused, *later = [await begin(gateway.http) for _ in range(MOST_OF_A_PERSON)]
        assert (await gateway.http.post("/mcp", json=LIST, headers=used)).status_code == 200
        newest = await begin(gateway.http)
        assert (await gateway.http.post("/mcp", json=LIST, headers=unused)).status_code == 404
        for headers in (used, *later[:2], newest):
            assert (await gateway.http.post("/mcp", json=LIST, headers=headers)).status_code == 200
        assert (await gateway.client(key).post("/mcp", json=LIST, headers=theirs)).status_code == 200


async def test_nobody_gets_in_without_a_key(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for client in (gateway.client(), gateway.client("sp_live_" + "0" * 40)):
            for method in ("GET", "POST", "DELETE"):
                answer = await client.request(method, "/mcp", headers=BOTH)
                assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
        headers = await begin(gateway.http)
        assert (await gateway.client().post("/mcp", json=LIST, headers=headers)).status_code == 401


async def test_pages_of_other_sites_are_refused_unless_listed(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"auth": {"allowed_origins": ["https://app.example"]}}) as gateway:
        statuses = {}
        for origin in ("https://evil.example", "null", "https://app.example", gateway.url):
            answer = await gateway.http.post("/mcp", json=HELLO, headers=BOTH | {"Origin": origin})
            statuses[origin] = answer.status_code
        assert list(statuses.values()) == [403, 403, 200, 200]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"", {}, 400),
        (b"[]", {}, 400),
        (b'"hi"', {}, 400),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "x"}', {}, 400),
        (b"\xff\xfe", {}, 400),
        (json.dumps(LIST).encode(), {}, 400),
        (json.dumps(HELLO).encode(), {"Accept": "application/json"}, 406),
        (json.dumps(HELLO).encode(), {"Accept": "text/html"}, 406),
        (json.dumps(HELLO).encode(), {"Content-Type": "text/plain"}, 400),
        (b" " * (2 * 1024 * 1024 + 1), {}, 413),
    ],
)
async def test_messages_that_are_none(tmp_path: Path, content: bytes, headers: dict[str, str], status: int) -> None:
    async with Gateway(tmp_path) as gateway:
        sent = BOTH | {"Content-Type": "application/json"} | headers
        answer = await gateway.http.post("/mcp", content=content, headers=sent)
        assert answer.status_code == status, answer.text
        assert "Traceback" not in answer.text and str(tmp_path) not in answer.text
        assert (await begin(gateway.http))["Mcp-Session-Id"]


async def test_other_methods_are_told_the_right_ones(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.http.put("/mcp", json={})
        assert answer.status_code == 405 and "POST" in answer.headers["Allow"]


async def test_an_open_stream_does_not_keep_the_gateway_from_stopping(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        headers = await begin(gateway.http)
        async with gateway.http.stream("GET", "/mcp", headers=headers) as stream:
            assert stream.status_code == 200
            async with asyncio.timeout(TIMEOUT_S):
                await gateway.stop()


PROGRAM = """
import asyncio, sys
from pathlib import Path
sys.modules["mcp"] = None  # as where the extra is not installed
from tests.gateway import Gateway

async def main():
    async with Gateway(Path(sys.argv[1])) as gateway:
        answer = await gateway.http.post("/mcp", json={})
        print(answer.status_code, answer.json()["error"])
        print((await gateway.http.get("/api/health")).status_code)

asyncio.run(main())
"""


async def test_where_the_library_is_missing_the_route_says_so(tmp_path: Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    assert done.stdout.splitlines()[-2:] == [
        "503 This gateway cannot serve MCP: install its extra (pip install 'starpod[mcp]') and start it again",
        "200",
    ], done.stderr
