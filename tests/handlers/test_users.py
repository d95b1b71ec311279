"""People and their keys, as an admin manages them over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway import Gateway
from tests.handlers.support import every_route

USERS = "/api/settings/auth/users"


@pytest.mark.gen_test
async def test_a_new_user_can_sign_in_with_a_key_until_it_is_revoked(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        made = await gateway.http.post(USERS, json={"email": "ann@example.com", "display_name": "Ann"})
        assert made.status_code == 201
        user = made.json()
        assert (user["role"], user["is_active"], user["filesystem_enabled"]) == ("user", True, False)
        assert [each["display_name"] for each in (await gateway.http.get(USERS)).json()] == ["Admin", "Ann"]
        made = await gateway.http.post(f"{USERS}/{user['id']}/api-keys", json={"label": "laptop"})
        assert made.status_code == 201
        key, meta = made.json()["key"], made.json()["meta"]
        ann = gateway.client(key)
        assert (await ann.get("/api/sessions")).status_code == 200
        listed = (await gateway.http.get(f"{USERS}/{user['id']}/api-keys")).json()
        assert [each["label"] for each in listed] == ["laptop"] and key not in str(listed)
        assert (await gateway.http.post(f"/api/settings/auth/api-keys/{meta['id']}/revoke")).status_code == 200
        assert (await ann.get("/api/sessions")).status_code == 401


@pytest.mark.gen_test
async def test_changes_keep_what_is_left_out_and_null_empties(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user = (await gateway.http.post(USERS, json={"email": "ann@example.com", "display_name": "Ann"})).json()
        path = f"{USERS}/{user['id']}"
        changed = (await gateway.http.put(path, json={"filesystem_enabled": True, "email": None})).json()
        assert (changed["display_name"], changed["email"], changed["filesystem_enabled"]) == ("Ann", None, True)
        assert (await gateway.http.get(path)).json() == changed
        assert (await gateway.http.get(f"{USERS}/nobody")).status_code == 404


@pytest.mark.gen_test
async def test_a_deactivated_user_is_out_at_once_and_may_come_back(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user, key = await gateway.user()
        client = gateway.client(key)
        assert (await client.get("/api/sessions")).status_code == 200
        assert (await gateway.http.post(f"{USERS}/{user.id}/deactivate")).status_code == 200
        assert (await client.get("/api/sessions")).status_code == 401
        assert (await gateway.http.post(f"{USERS}/{user.id}/activate")).status_code == 200
        assert (await client.get("/api/sessions")).status_code == 200


@pytest.mark.gen_test
async def test_mistakes_that_would_lock_people_out_are_refused(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        me = (await gateway.http.get("/api/auth/verify")).json()["user"]["id"]
        assert (await gateway.http.post(f"{USERS}/{me}/deactivate")).status_code == 400
        demoted = await gateway.http.put(f"{USERS}/{me}", json={"role": "user"})
        assert demoted.status_code == 409
        await gateway.http.post(USERS, json={"email": "ann@example.com"})
        assert (await gateway.http.post(USERS, json={"email": "ANN@example.com"})).status_code == 409
        assert (await gateway.http.post(USERS, json={"role": "king"})).status_code == 422


@pytest.mark.gen_test
async def test_plain_users_reach_no_settings(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        client = gateway.client(key)
        settings = [(route, path) for route, path in every_route() if path.startswith("/api/settings")]
        assert settings and all(route.access == "admin" for route, _ in settings)
        for _, path in settings:
            for method in ("GET", "PUT", "POST"):
                answer = await client.request(method, path, json={})
                assert (answer.status_code, answer.json()) == (403, {"error": "Admin access required"}), (method, path)
