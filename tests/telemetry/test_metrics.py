"""What /metrics tells, and whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Usage, script

pytestmark = pytest.mark.gen_test


async def read(gateway: Gateway) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels."""
    answer = await gateway.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_what_a_turn_did_is_counted(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script(CallTool("FileList"), Usage(30, 4)), script("Done.", Usage(50, 6)))
        socket = await gateway.socket()
        await socket.say("look around")
        await gateway.http.get("/api/sessions/none-of-this-name")
        found = await read(gateway)
    model = ("model", "local/m")
    assert found["starpod_turns_total", (("state", "completed"),)] == 1
    assert found["starpod_turn_seconds_count", ()] == 1
    assert found["starpod_model_calls_total", (model, ("purpose", "chat"))] == 2
    assert found["starpod_tokens_total", (("kind", "input"), model)] == 80
    assert found["starpod_tokens_total", (("kind", "output"), model)] == 10
    assert found["starpod_tool_calls_total", (("outcome", "ok"), ("tool", "FileList"))] == 1
    assert found["starpod_websockets", ()] == 1
    assert found["starpod_turns_running", ()] == found["starpod_turns_waiting", ()] == 0
    assert found["starpod_outbox_deliveries", (("state", "waiting"),)] == 0
    assert found["starpod_database_seconds_count", (("kind", "write"),)] > 0
    assert found["starpod_database_seconds_count", (("kind", "read"),)] > 0
    assert found["process_resident_memory_bytes", ()] > 1e6
    route = ("route", "/api/sessions/{session_id}")
    assert found["starpod_http_requests_total", (("method", "GET"), route, ("status", "404"))] == 1
    assert found["starpod_http_request_seconds_count", (route,)] == 1
    assert not any("none-of-this-name" in str(key) for key in found)


async def test_two_gateways_in_a_process_count_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with Gateway(tmp_path / "a") as first, Gateway(tmp_path / "b") as second:
        await first.http.get("/api/sessions")
        key = ("starpod_http_requests_total", (("method", "GET"), ("route", "/api/sessions"), ("status", "200")))
        assert (await read(first))[key] == 1
        assert key not in await read(second)


async def test_only_admins_read_them(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        assert (await gateway.client().get("/metrics")).status_code == 401
        assert (await gateway.client(key).get("/metrics")).status_code == 403


async def test_this_machine_may_read_them_where_the_settings_say_so(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"metrics": {"loopback_without_key": True}}) as gateway:
        anybody = gateway.client()
        assert (await anybody.get("/metrics")).status_code == 200
        # What comes through a proxy on this machine may be anybody's.
        forwarded = await anybody.get("/metrics", headers={"X-Forwarded-For": "203.0.113.7"})
        assert forwarded.status_code == 401
        assert (await gateway.client("sp_live_" + "0" * 40).get("/metrics")).status_code == 401
