"""The vault's routes: names go out, values never; a saved key is usable at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from starpod.events import VaultChanged
from tests.gateway import PROVIDER_KEY, Gateway, said
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import script

pytestmark = pytest.mark.gen_test
VAULT = "/api/settings/vault"
SECRET = "sk-a-new-key-that-nobody-may-see-9876"


async def test_values_go_in_and_never_come_out(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        assert (await gateway.http.get(VAULT)).json() == {"entries": [], "proxy_enabled": False}
        body: dict[str, Any] = {"value": SECRET, "allowed_hosts": ["api.openai.com"]}
        answer = await gateway.http.put(f"{VAULT}/OPENAI_API_KEY", json=body)
        assert (answer.status_code, answer.content) == (200, b"")
        shown = await gateway.http.get(VAULT)
        assert SECRET not in shown.text
        (entry,) = shown.json()["entries"]
        assert entry.pop("updated_at")
        assert entry == {
            "key": "OPENAI_API_KEY",
            "has_value": True,
            "is_system": True,
            "allowed_hosts": ["api.openai.com"],
            "masked": "…9876",
        }
        answer = await gateway.http.put(f"{VAULT}/OPENAI_API_KEY/meta", json={"allowed_hosts": None})
        assert (answer.status_code, answer.content) == (200, b"")
        assert "allowed_hosts" not in (await gateway.http.get(VAULT)).json()["entries"][0]
        answer = await gateway.http.delete(f"{VAULT}/OPENAI_API_KEY")
        assert (answer.status_code, answer.content) == (200, b"")
        assert (await gateway.http.delete(f"{VAULT}/OPENAI_API_KEY")).status_code == 404
        audit = (await gateway.http.get("/api/settings/audit")).json()
        changes = [(event["event_type"], event["detail"]) for event in audit if event["event_type"].startswith("vault")]
        assert changes == [
            ("vault_deleted", "OPENAI_API_KEY"),
            ("vault_set", "OPENAI_API_KEY: allowed hosts"),
            ("vault_set", "OPENAI_API_KEY"),
        ]


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("TOKEN", {"value": ""}, 400),
        ("TOKEN", {"value": " "}, 400),
        ("TOKEN", {}, 422),
        ("TOKEN", {"value": 1}, 422),
        ("TOKEN", {"value": None}, 422),
        ("TOKEN", {"value": "x", "allowed_hosts": "api.example"}, 422),
        ("TOKEN", {"value": "x", "allowed_hosts": ["http://api.example"]}, 422),
        ("PATH", {"value": "x"}, 400),
        ("ld_preload", {"value": "x"}, 400),
        ("STARPOD_API_KEY", {"value": "x"}, 400),
        ("%20", {"value": "x"}, 400),
        ("..%2f..%2fx", {"value": "x"}, 400),
        ("A%00", {"value": "x"}, 400),
        ("", {"value": "x"}, 404),
    ],
)
async def test_what_the_vault_refuses(tmp_path: Path, name: str, body: Any, status: int) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.http.put(f"{VAULT}/{name}", json=body)
        assert (answer.status_code, bool(answer.json()["error"])) == (status, True)
        assert gateway.state.vault.names() == ()
        assert (await gateway.http.put(f"{VAULT}/NONE/meta", json={})).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"), [("GET", VAULT), ("PUT", f"{VAULT}/A"), ("DELETE", f"{VAULT}/A"), ("PUT", f"{VAULT}/A/meta")]
)
async def test_only_admins_reach_the_vault(tmp_path: Path, method: str, path: str) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        assert (await gateway.client(key).request(method, path, json={"value": "x"})).status_code == 403
        assert (await gateway.client().request(method, path, json={"value": "x"})).status_code == 401
        assert gateway.state.vault.names() == ()


async def test_a_saved_key_answers_the_next_message(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("One."), script("Two."), script("Three."))
        socket = await gateway.socket()
        assert said(await socket.say("hi")) == "One."
        await gateway.http.put(f"{VAULT}/LOCAL_API_KEY", json={"value": SECRET})
        assert said(await socket.say("hi")) == "Two."
        await gateway.http.delete(f"{VAULT}/LOCAL_API_KEY")
        assert said(await socket.say("hi")) == "Three."
        used = [request.headers["authorization"] for request in gateway.provider.requests]
        assert used == [f"Bearer {key}" for key in (PROVIDER_KEY, SECRET, PROVIDER_KEY)]


async def test_a_gateway_with_a_spoiled_key_file_starts_and_says_the_cure(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        await gateway.http.put(f"{VAULT}/TOKEN", json={"value": SECRET})
        assert "warnings" not in (await gateway.http.get("/api/health")).json()
        key_file = gateway.state.paths.db_dir / ".vault_key"
        key = key_file.read_bytes()
        await gateway.stop()
        key_file.chmod(0o644)
        await gateway.start()
        health = (await gateway.http.get("/api/health")).json()
        assert (health["status"], health["warnings"]) == ("ok", ["the vault cannot be used; see the log"])
        for answer in (
            await gateway.http.get(VAULT),
            await gateway.http.put(f"{VAULT}/TOKEN", json={"value": "new"}),
        ):
            assert answer.status_code == 503
            assert "chmod 600 .starpod/db/.vault_key" in answer.json()["error"]
        assert key_file.read_bytes() == key
        key_file.chmod(0o600)
        assert (await gateway.http.put(f"{VAULT}/OTHER", json={"value": "new"})).status_code == 200
        assert gateway.state.vault.value("TOKEN") == SECRET


@pytest.mark.gen_test
async def test_a_changed_secret_is_told_at_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        told: list[VaultChanged] = []
        gateway.state.events.subscribe(VaultChanged, told.append)
        assert (await gateway.http.put("/api/settings/vault/SOME_TOKEN", json={"value": "one"})).status_code == 200
        assert (await gateway.http.put("/api/settings/vault/SOME_TOKEN", json={"value": "one"})).status_code == 200
        assert len(told) == 1
        assert (await gateway.http.delete("/api/settings/vault/SOME_TOKEN")).status_code == 200
        assert len(told) == 2
