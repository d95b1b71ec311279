"""Heartbeat, greeting, folders of users, and how far the setup has come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Gateway

pytestmark = pytest.mark.gen_test
HEARTBEAT, FRONTEND, USERS = "/api/settings/heartbeat", "/api/settings/frontend", "/api/settings/users"


async def test_the_heartbeat_is_a_text_and_an_interval(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        body = {"enabled": True, "interval_minutes": 0, "content": "Look at the calendar."}
        assert (await gateway.http.put(HEARTBEAT, json=body)).json() == {"status": "ok"}
        assert (await gateway.http.get(HEARTBEAT)).json() == body | {"interval_minutes": 1}
        off = {"enabled": False, "interval_minutes": 5, "content": "Look at the calendar."}
        assert (await gateway.http.put(HEARTBEAT, json=off)).status_code == 200
        assert (await gateway.http.get(HEARTBEAT)).json() == off | {"content": ""}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"content": " \n"}, 400),
        ({"interval_minutes": 10**12}, 422),
        ({"interval_minutes": "often"}, 422),
        ({"interval_minutes": True}, 422),
        ({"enabled": None}, 422),
        ({"content": 5}, 422),
    ],
)
async def test_a_heartbeat_with_a_mistake_changes_nothing(tmp_path: Path, changes: dict[str, Any], status: int) -> None:
    async with Gateway(tmp_path) as gateway:
        good = {"enabled": True, "interval_minutes": 7, "content": "Look."}
        await gateway.http.put(HEARTBEAT, json=good)
        answer = await gateway.http.put(
            HEARTBEAT, json={"enabled": True, "interval_minutes": 9, "content": "x"} | changes
        )
        assert answer.status_code == status
        if status == 400:
            assert answer.json() == {"error": "Heartbeat content cannot be empty when enabled"}
        assert (await gateway.http.get(HEARTBEAT)).json() == good


async def test_a_file_that_cannot_take_the_interval_leaves_the_text_as_it_was(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        before = (await gateway.http.get(HEARTBEAT)).json()
        gateway.state.paths.agent_toml.write_text("max_turns =\n")
        answer = await gateway.http.put(HEARTBEAT, json={"enabled": True, "interval_minutes": 9, "content": "x"})
        assert answer.status_code == 500
        assert (await gateway.http.get(HEARTBEAT)).json() == before


async def test_the_greeting(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        path = gateway.state.paths.config_dir / "frontend.toml"
        path.write_text("# mine\nprompts = ['a']\n")
        body = {"greeting": 'Hello "you" </script>', "prompts": ["One?", "Two?\nThree"]}
        assert (await gateway.http.put(FRONTEND, json=body)).json() == {"status": "ok"}
        assert (await gateway.http.get(FRONTEND)).json() == body
        assert (await gateway.client().get("/api/config")).json()["greeting"] == body["greeting"]
        assert path.read_text().startswith("# mine\n")
        await gateway.http.put(FRONTEND, json={"greeting": None, "prompts": []})
        assert (await gateway.http.get(FRONTEND)).json() == {"greeting": None, "prompts": []}
        for damage in ("prompts = [", None):
            path.write_text(damage) if damage else path.unlink()
            assert (await gateway.http.get(FRONTEND)).json() == {"greeting": None, "prompts": []}
            assert (await gateway.http.put(FRONTEND, json=body)).status_code == 200
            assert (await gateway.http.get(FRONTEND)).json() == body
        for bad in ({}, {"prompts": "x"}, {"prompts": [1]}, {"prompts": ["x"] * 51}):
            assert (await gateway.http.put(FRONTEND, json=bad)).status_code == 422


async def test_folders_of_users(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        made = await gateway.http.post(USERS, json={"id": "ann"})
        expected = {"id": "ann", "has_user_md": True, "has_memory_md": True, "daily_log_count": 0}
        assert (made.status_code, made.json()) == (201, expected)
        assert expected in (await gateway.http.get(USERS)).json()
        for bad in ("ann", "../x", "a b", "", "x" * 33, ".", "é"):
            assert (await gateway.http.post(USERS, json={"id": bad})).status_code == 400
        assert (await gateway.http.put(f"{USERS}/ann", json={"content": "# Ann"})).json() == {"status": "ok"}
        shown = (await gateway.http.get(f"{USERS}/ann")).json()
        assert (shown["id"], shown["user_md"], shown["daily_log_count"]) == ("ann", "# Ann", 0)
        assert (await gateway.http.delete(f"{USERS}/ann")).status_code == 204
        assert (await gateway.http.get(f"{USERS}/ann")).json() == {"error": "User 'ann' not found"}
        for name in ("ann", "..%2Fdb", "%2E%2E", "x%00"):
            for method in ("GET", "DELETE"):
                assert (await gateway.http.request(method, f"{USERS}/{name}")).status_code == 404
            assert (await gateway.http.put(f"{USERS}/{name}", json={"content": "x"})).status_code == 404


async def test_a_link_is_no_folder_of_a_user(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        outside = tmp_path / "outside"
        outside.mkdir()
        (gateway.state.paths.users_dir / "sly").symlink_to(outside)
        assert "sly" not in {each["id"] for each in (await gateway.http.get(USERS)).json()}
        assert (await gateway.http.delete(f"{USERS}/sly")).status_code == 404
        assert outside.is_dir()


async def test_how_far_the_setup_is(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"agent_name": "Vega"}) as gateway:
        url = "/api/settings/setup-status"
        status = (await gateway.http.get(url)).json()
        assert (status["complete"], status["agent_name"], status["provider"]) == (True, "Vega", "offline")
        await gateway.http.put("/api/settings/files/SOUL.md", json={"content": "short"})
        general = (await gateway.http.get("/api/settings/general")).json()
        await gateway.http.put("/api/settings/general", json=general | {"models": ["openai/gpt-4o"]})
        status = (await gateway.http.get(url)).json()
        assert status["steps"] == {"identity": True, "model": False, "personality": False}
        assert (status["complete"], status["provider"]) == (False, "openai")
        await gateway.state.vault.set("OPENAI_API_KEY", "sk-something-or-other")
        assert (await gateway.http.get(url)).json()["complete"] is True
