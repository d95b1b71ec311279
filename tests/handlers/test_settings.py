"""The settings pages: what they show, what a save changes, and what it refuses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from starpod.config.sections import SECTIONS
from tests.gateway import Gateway
from tests.handlers.support import every_route

pytestmark = pytest.mark.gen_test

GENERAL: dict[str, Any] = {
    "models": ["offline/assistant"],
    "max_turns": 12,
    "max_tokens": 2000,
    "agent_name": "Vega",
    "server_addr": "127.0.0.1:3000",
}


async def put(gateway: Gateway, section: str, body: Any) -> Any:
    return await gateway.http.put(f"/api/settings/{section}", json=body)


@pytest.mark.parametrize("section", SECTIONS)
async def test_what_a_page_shows_can_be_saved_and_changes_nothing(tmp_path: Path, section: str) -> None:
    async with Gateway(tmp_path) as gateway:
        before = gateway.state.paths.agent_toml.read_text()
        shown = (await gateway.http.get(f"/api/settings/{section}")).json()
        answer = await put(gateway, section, shown)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert (await gateway.http.get(f"/api/settings/{section}")).json() == shown
        assert gateway.state.paths.agent_toml.read_text() == before


async def test_a_save_acts_at_once_and_keeps_the_rest_of_the_file(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        path = gateway.state.paths.agent_toml
        path.write_text(f"# mine\nmax_turns = 5 # few\nmystery = 1\n{path.read_text()}")
        answer = await put(gateway, "general", GENERAL | {"timezone": "Europe/Berlin"})
        assert answer.status_code == 200
        assert "# mine\nmax_turns = 12 # few\nmystery = 1\n" in path.read_text()
        shown = (await gateway.http.get("/api/settings/general")).json()
        assert (shown["max_turns"], shown["timezone"], shown["agent_name"]) == (12, "Europe/Berlin", "Vega")
        assert (shown["provider"], shown["model"]) == ("offline", "assistant")
        await put(gateway, "general", GENERAL | {"timezone": ""})
        assert "timezone" not in path.read_text()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"models": []}, "models cannot be empty"),
        ({"models": ["gpt-4o"]}, "invalid model spec: 'gpt-4o' — expected 'provider/model'"),
        ({"max_turns": 0}, "max_turns must be > 0"),
        ({"models": None, "provider": "openai"}, None),
    ],
)
async def test_mistakes_on_the_general_page(tmp_path: Path, changes: dict[str, Any], text: str | None) -> None:
    async with Gateway(tmp_path) as gateway:
        before = gateway.state.paths.agent_toml.read_text()
        answer = await put(gateway, "general", GENERAL | changes)
        assert (answer.status_code, answer.json()["error"]) == (400, text) if text else answer.status_code == 422
        assert gateway.state.paths.agent_toml.read_text() == before


async def test_the_older_form_names_one_model(tmp_path: Path) -> None:
    older = {name: value for name, value in GENERAL.items() if name != "models"}
    async with Gateway(tmp_path) as gateway:
        assert (await put(gateway, "general", older | {"provider": "openai", "model": "gpt-4o"})).status_code == 200
        assert (await gateway.http.get("/api/settings/general")).json()["models"] == ["openai/gpt-4o"]
        for name in ("model", "provider"):
            answer = await put(gateway, "general", older | {"provider": "openai", "model": "x"} | {name: ""})
            assert (answer.status_code, answer.json()) == (400, {"error": f"{name} cannot be empty"})


@pytest.mark.parametrize(
    ("section", "changes", "field"),
    [
        ("general", {"timezone": "Mars/Olympus"}, "timezone"),
        ("general", {"server_addr": "3000"}, "server_addr"),
        ("general", {"max_turns": "many"}, "max_turns"),
        ("general", {"max_turns": 10**30}, "max_turns"),
        ("general", {"models": ["acme/x"]}, "models"),
        ("general", {"models": [None]}, "models[0]"),
        ("general", {"proxy_enabled": "yes"}, "proxy_enabled"),
        ("memory", {"half_life_days": 0}, "half_life_days"),
        ("memory", {"chunk_overlap": 99999}, "chunk_overlap"),
        ("memory", {"mmr_lambda": None}, "mmr_lambda"),
        ("cron", {"max_concurrent_runs": 1.5}, "max_concurrent_runs"),
        ("channels", {"telegram": {"enabled": 3}}, "telegram.enabled"),
        ("channels", {"telegram": 3}, "telegram.enabled"),
        ("compaction", {"prune_threshold_pct": 101}, "prune_threshold_pct"),
        ("attachments", {"allowed_extensions": {"a": 1}}, "allowed_extensions"),
        ("internet", {"timeout_secs": -1}, "timeout_secs"),
        ("auth", {"cookie_days": "long"}, "cookie_days"),
        ("turns", {"max_parallel": 0}, "max_parallel"),
        ("websocket", {"outbox_bytes": 1}, "outbox_bytes"),
        ("provider_http", {"timeout_secs": "inf"}, "timeout_secs"),
        ("tools", {"shell": 1}, "shell"),
    ],
)
async def test_a_bad_value_is_told_by_its_field(
    tmp_path: Path, section: str, changes: dict[str, Any], field: str
) -> None:
    async with Gateway(tmp_path) as gateway:
        before = gateway.state.paths.agent_toml.read_text()
        shown = (await gateway.http.get(f"/api/settings/{section}")).json()
        answer = await put(gateway, section, shown | changes)
        assert (answer.status_code, next(iter(answer.json()["fields"]))) == (422, field)
        assert gateway.state.paths.agent_toml.read_text() == before


async def test_the_heartbeat_interval_is_at_least_a_minute(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        shown = (await gateway.http.get("/api/settings/cron")).json()
        assert (await put(gateway, "cron", shown | {"heartbeat_interval_minutes": 0})).status_code == 200
        assert gateway.state.config.cron.heartbeat_interval_minutes == 1


@pytest.mark.parametrize(
    ("section", "field", "name"),
    [("channels", "bot_token", "TELEGRAM_BOT_TOKEN"), ("internet", "brave_api_key", "BRAVE_API_KEY")],
)
async def test_a_secret_goes_to_the_vault_and_only_its_end_comes_back(
    tmp_path: Path, section: str, field: str, name: str
) -> None:
    secret = "123456:a-long-secret-that-ends-in-wxyz"

    def part(body: Any) -> Any:
        return body["telegram"] if section == "channels" else body

    async with Gateway(tmp_path) as gateway:
        page = (await gateway.http.get(f"/api/settings/{section}")).json()
        assert field not in part(page)
        part(page)[field] = secret
        answer = await put(gateway, section, page)
        assert answer.json() == {"status": "ok"}
        assert gateway.state.vault.value(name) == secret
        assert secret not in gateway.state.paths.agent_toml.read_text()
        shown = (await gateway.http.get(f"/api/settings/{section}")).json()
        assert part(shown)[field] == "••••wxyz"
        for kept in (shown, {**shown, "unknown": 1}):
            assert (await put(gateway, section, kept)).status_code == 200
            assert gateway.state.vault.value(name) == secret
        part(shown)[field] = 7
        assert (await put(gateway, section, shown)).status_code == 422
        part(shown)[field] = None
        await put(gateway, section, shown)
        assert gateway.state.vault.value(name) == secret
        for _ in range(2):
            part(shown)[field] = ""
            assert (await put(gateway, section, shown)).status_code == 200
            assert gateway.state.vault.value(name) is None
        assert field not in part((await gateway.http.get(f"/api/settings/{section}")).json())


async def test_a_page_with_a_mistake_keeps_no_secret(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        body = {"telegram": {"enabled": "maybe", "bot_token": "123456:some-token-or-other"}}
        assert (await put(gateway, "channels", body)).status_code == 422
        assert gateway.state.vault.value("TELEGRAM_BOT_TOKEN") is None


async def test_saves_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        cron = (await gateway.http.get("/api/settings/cron")).json()
        saves = [put(gateway, "general", GENERAL | {"max_tokens": 3000 + number}) for number in range(50)]
        saves += [put(gateway, "cron", cron | {"max_concurrent_runs": 2 + number}) for number in range(50)]
        assert {answer.status_code for answer in await asyncio.gather(*saves)} == {200}
        assert gateway.state.config.agent_name == "Vega"
        assert gateway.state.config.max_tokens >= 3000
        assert gateway.state.config.cron.max_concurrent_runs >= 2


async def test_nothing_is_saved_into_a_broken_file(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        gateway.state.paths.agent_toml.write_text("max_turns =\n")
        answer = await put(gateway, "general", GENERAL)
        assert (answer.status_code, "agent.toml cannot be read" in answer.json()["error"]) == (500, True)
        assert gateway.state.paths.agent_toml.read_text() == "max_turns =\n"


async def test_a_new_address_says_that_it_needs_a_restart(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await put(gateway, "general", GENERAL | {"server_addr": "127.0.0.1:4000"})
        assert answer.json() == {"status": "ok", "restart_needed": ["server_addr"]}


async def test_the_schema_and_the_models(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        schema = (await gateway.http.get("/api/settings/schema")).json()
        assert schema["properties"]["max_turns"]["default"] == 30
        assert schema["properties"]["max_turns"]["description"]
        answer = (await gateway.http.get("/api/settings/models")).json()
        models, providers = answer["models"], answer["providers"]
        assert providers["openai"] == {"key": "OPENAI_API_KEY", "is_ready": False}
        assert providers["bedrock"]["key"] is None
        await gateway.http.put("/api/settings/vault/OPENAI_API_KEY", json={"value": "sk-1234567890"})
        providers = (await gateway.http.get("/api/settings/models")).json()["providers"]
        assert providers["openai"]["is_ready"] and not providers["anthropic"]["is_ready"]
        assert models["openai"] == sorted(models["openai"])


async def test_a_client_that_does_not_know_a_field_keeps_it(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        shown = (await gateway.http.get("/api/settings/memory")).json()
        await put(gateway, "memory", shown | {"embedding_model": "ollama/nomic-embed-text"})
        del shown["embedding_model"]
        assert (await put(gateway, "memory", shown)).status_code == 200
        known = (await gateway.http.get("/api/settings/memory")).json()
        assert known["embedding_model"] == "ollama/nomic-embed-text"
        await put(gateway, "memory", known | {"embedding_model": None})
        assert (await gateway.http.get("/api/settings/memory")).json()["embedding_model"] is None


async def test_the_agents_texts(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        url = "/api/settings/files/SOUL.md"
        assert (await gateway.http.put(url, json={"content": "You are Vega."})).json() == {"status": "ok"}
        assert (await gateway.http.get(url)).json() == {"content": "You are Vega."}
        (line,) = (await gateway.http.get("/api/settings/audit?limit=1")).json()
        assert (line["event_type"], line["detail"]) == ("settings_changed", "SOUL.md")
        assert (await gateway.http.put(url, json={"content": "x" * 1_048_577})).status_code == 413
        (gateway.state.paths.config_dir / "BOOT.md").unlink()
        assert (await gateway.http.get("/api/settings/files/BOOT.md")).json() == {"content": ""}
        for name in ("secret.md", "agent.toml", "..%2Fagent.toml", "SOUL.md%00", "soul.md", "%2Fetc%2Fpasswd"):
            assert (await gateway.http.get(f"/api/settings/files/{name}")).status_code == 400


async def test_users_and_keys(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        users = "/api/settings/auth/users"
        (admin,) = (await gateway.http.get(users)).json()
        made = await gateway.http.post(users, json={"email": "ann@example.org", "display_name": "Ann"})
        assert made.status_code == 201
        ann = f"{users}/{made.json()['id']}"
        assert (await gateway.http.post(users, json={"email": "ANN@example.org"})).status_code == 409
        assert (await gateway.http.post(users, json={"role": "king"})).status_code == 422
        assert (await gateway.http.put(ann, json={"email": None})).json()["email"] is None
        assert (await gateway.http.put(ann, json={})).json()["display_name"] == "Ann"
        assert (await gateway.http.get(f"{users}/nobody")).json() == {"error": "User not found"}
        assert (await gateway.http.put(f"{users}/{admin['id']}", json={"role": "user"})).status_code == 409
        itself = await gateway.http.post(f"{users}/{admin['id']}/deactivate")
        assert (itself.status_code, itself.json()) == (400, {"error": "Cannot deactivate yourself"})
        key = (await gateway.http.post(f"{ann}/api-keys", json={"label": "phone"})).json()
        assert key["meta"]["label"] == "phone"
        client = gateway.client(key["key"])
        assert (await client.get("/api/sessions")).status_code == 200
        assert (await gateway.http.post(f"{ann}/deactivate")).json() == {"status": "ok"}
        assert (await client.get("/api/sessions")).status_code == 401
        await gateway.http.post(f"{ann}/activate")
        assert (await client.get("/api/sessions")).status_code == 200
        revoke = f"/api/settings/auth/api-keys/{key['meta']['id']}/revoke"
        assert (await gateway.http.post(revoke)).json() == {"status": "ok"}
        assert (await client.get("/api/sessions")).status_code == 401
        assert "sp_live_" not in (await gateway.http.get(f"{ann}/api-keys")).text
        kinds = [line["event_type"] for line in (await gateway.http.get("/api/settings/audit")).json()]
        assert {"user_created", "user_updated", "user_deactivated", "api_key_created", "api_key_revoked"} <= set(kinds)


async def test_only_admins_reach_the_settings(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        settings = [(route, path) for route, path in every_route("SOUL.md") if path.startswith("/api/settings/")]
        assert settings
        assert {route.access for route, _ in settings} == {"admin"}
        for _, path in settings:
            for method in ("GET", "PUT", "POST", "DELETE"):
                assert (await gateway.client().request(method, path)).status_code == 401
                refused = await gateway.client(key).request(method, path)
                assert (refused.status_code, refused.json()) == (403, {"error": "Admin access required"})
