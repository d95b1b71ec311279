"""Health, readiness, and what the page may know before anybody signed in."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from starpod import __version__
from tests.gateway import Gateway

pytestmark = pytest.mark.gen_test


async def test_health_tells_the_version_to_anybody(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.client().get("/api/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": __version__})


async def test_a_wrong_key_does_not_spoil_health(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for path in ("/api/health", "/api/health/ready", "/api/config"):
            assert (await gateway.client("nonsense").get(path)).status_code == 200, path


async def test_a_gateway_that_works_is_ready(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.client().get("/api/health/ready")
        checks = answer.json()["checks"]
        assert answer.status_code == 200 and answer.json()["status"] == "ready"
        assert (checks["database"], checks["config"]) == ("ok", "ok") and checks["event_loop_delay_ms"] >= 0


async def test_a_gateway_that_lost_its_database_is_up_but_not_ready(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        with sqlite3.connect(gateway.state.paths.core_db) as other:
            other.execute("ALTER TABLE session_metadata RENAME TO moved")
        ready = await gateway.client().get("/api/health/ready")
        assert ready.status_code == 503, ready.text
        assert "Traceback" not in ready.text and str(tmp_path) not in ready.text
        assert (await gateway.client().get("/api/health")).status_code == 200


async def test_a_config_that_was_spoiled_is_told_and_the_old_one_stays(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        path = gateway.state.paths.agent_toml
        good = path.read_text()
        path.write_text("models = [\n")
        await gateway.state.watcher.reload()
        health = (await gateway.client().get("/api/health")).json()
        assert health["status"] == "ok" and "config_error" in health
        assert str(tmp_path) not in health["config_error"]
        ready = await gateway.client().get("/api/health/ready")
        assert (ready.status_code, ready.json()["checks"]["config"]) == (200, "rejected")
        assert (await gateway.http.post("/api/chat", json={"text": "hello"})).status_code == 200
        path.write_text(good)
        await gateway.state.watcher.reload()
        assert "config_error" not in (await gateway.client().get("/api/health")).json()


async def test_the_page_is_told_how_to_look(tmp_path: Path) -> None:
    settings = {"agent_name": "Ada", "attachments": {"allowed_extensions": ["png"], "max_file_size": 1000}}
    async with Gateway(tmp_path, settings=settings) as gateway:
        (gateway.state.paths.config_dir / "frontend.toml").write_text('greeting = "Hi <b>"\nprompts = ["One", "Two"]\n')
        body = (await gateway.client().get("/api/config")).json()
        assert (body["greeting"], body["prompts"], body["agent_name"]) == ("Hi <b>", ["One", "Two"], "Ada")
        assert body["models"] == ["offline/assistant"]
        assert body["attachments"] == {"enabled": True, "max_file_size": 1000, "allowed_extensions": ["png"]}


@pytest.mark.parametrize("text", [None, "", "greeting = [", "greeting = 5\nprompts = 'x'\n", "\ufeff", "\x00"])
async def test_a_missing_or_spoiled_frontend_file_leaves_a_plain_page(tmp_path: Path, text: str | None) -> None:
    async with Gateway(tmp_path) as gateway:
        path = gateway.state.paths.config_dir / "frontend.toml"
        path.unlink() if text is None else path.write_text(text)
        answer = await gateway.client().get("/api/config")
        assert answer.status_code == 200, answer.text
        assert answer.json()["greeting"] is None and answer.json()["prompts"] == []
