"""Links, keys of one's own, and what happens to a user's sockets, turns and data when they go."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Hang, script

pytestmark = pytest.mark.gen_test
USERS = "/api/settings/auth/users"


async def test_telegram_links_over_http(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user, _ = await gateway.user()
        path = f"{USERS}/{user.id}/telegram"
        assert (await gateway.http.get(path)).json() == {}
        put = await gateway.http.put(path, json={"telegram_id": None, "username": "ann"})
        assert (put.status_code, put.json()["telegram_id"], put.json()["username"]) == (200, None, "ann")
        assert (await gateway.http.get(path)).json() == put.json()
        assert (await gateway.http.put(path, json={})).json() == {"error": "Provide a Telegram ID or username"}
        assert (await gateway.http.put(path, json={"telegram_id": "x"})).status_code == 422
        unknown = await gateway.http.put(f"{USERS}/nobody/telegram", json={"telegram_id": 7})
        assert (unknown.status_code, unknown.json()) == (404, {"error": "User not found"})
        assert (await gateway.http.get(f"{USERS}/nobody/telegram")).json() == {}
        for _ in range(2):
            assert (await gateway.http.delete(path)).json() == {"status": "ok"}
        assert (await gateway.http.get(path)).json() == {}


async def test_people_look_after_their_own_keys(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        _, other = await gateway.user()
        ann, bob = gateway.client(key), gateway.client(other)
        made = (await ann.post("/api/keys", json={"label": "phone"})).json()
        assert len((await ann.get("/api/keys")).json()) == 2
        key_id = made["meta"]["id"]
        for verb in ("revoke", "rotate"):
            foreign = await bob.post(f"/api/keys/{key_id}/{verb}", json={})
            assert (foreign.status_code, foreign.json()) == (404, {"error": "API key not found"})
        new = await ann.post(f"/api/keys/{key_id}/rotate", json={"overlap_s": 60})
        assert new.status_code == 201
        for each in (made["key"], new.json()["key"]):
            assert (await gateway.client(each).get("/api/keys")).status_code == 200
        assert (await ann.post(f"/api/keys/{new.json()['meta']['id']}/revoke")).json() == {"status": "ok"}
        assert (await gateway.client(new.json()["key"]).get("/api/keys")).status_code == 401
        assert (await gateway.client().get("/api/keys")).status_code == 401


async def test_rotation_by_an_admin(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user, key = await gateway.user()
        (meta,) = await gateway.state.auth.list_keys(user.id)
        path = f"/api/settings/auth/api-keys/{meta.id}/rotate"
        made = await gateway.http.post(path, json={})
        assert (await gateway.client(key).get("/api/keys")).status_code == 401
        assert (await gateway.client(made.json()["key"]).get("/api/keys")).status_code == 200
        assert (await gateway.http.post(path, json={"overlap_s": "long"})).status_code == 422


@pytest.mark.parametrize("way", ["deactivate", "delete", "revoke"])
async def test_who_is_shut_out_loses_the_socket_at_once(tmp_path: Path, way: str) -> None:
    async with Gateway(tmp_path) as gateway:
        user, key = await gateway.user()
        socket, mine = await gateway.socket(key), await gateway.socket()
        (meta,) = await gateway.state.auth.list_keys(user.id)
        match way:
            case "deactivate":
                await gateway.http.post(f"{USERS}/{user.id}/deactivate")
            case "delete":
                await gateway.http.delete(f"{USERS}/{user.id}")
            case _:
                await gateway.http.post(f"/api/settings/auth/api-keys/{meta.id}/revoke")
        assert (await socket.closed()).code == 4401
        await mine.send("ping")
        await mine.next("pong")


async def test_a_deactivated_users_turn_is_stopped(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hello ", Hang()))
        user, key = await gateway.user()
        socket = await gateway.socket(key)
        await socket.send("message", text="hi", channel_session_key="a")
        await socket.next("text_delta")
        assert (await gateway.http.post(f"{USERS}/{user.id}/deactivate")).status_code == 200
        assert len(gateway.state.agent.turns) == 0


async def test_a_deleted_users_data_stays_or_goes(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for data, left in (("keep", 1), ("erase", 0)):
            user, key = await gateway.user()
            socket = await gateway.socket(key)
            await socket.say("hi")
            folder = gateway.state.paths.users_dir / user.id
            folder.mkdir(parents=True, exist_ok=True)
            path = f"{USERS}/{user.id}?data={data}"
            assert (await gateway.http.delete(path)).status_code == 204
            assert (await gateway.http.delete(path)).status_code == 404
            assert folder.exists() == bool(left)
            rows = await gateway.state.database.read(
                lambda database, owner: database.execute_sql(
                    "SELECT count(*) FROM session_metadata WHERE user_id = ?", (owner,)
                ).fetchone()[0],
                user.id,
            )
            assert rows == left
        assert (await gateway.http.delete(f"{USERS}/x?data=maybe")).status_code == 400


async def test_the_audit_log_by_pages(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        await asyncio.gather(*(gateway.user() for _ in range(4)))
        url = "/api/settings/audit"
        first = (await gateway.http.get(f"{url}?limit=3&event_type=user_created")).json()
        second = (await gateway.http.get(f"{url}?event_type=user_created&before={first[-1]['id']}")).json()
        assert (len(first), len(second)) == (3, 1)
        assert (await gateway.http.get(url, params={"until": first[0]["created_at"], "limit": 1})).status_code == 200
        assert (await gateway.http.get(f"{url}?since=2999-01-01T00:00:00+00:00")).json() == []
        for query in ("since=yesterday", "limit=0", "limit=x", "before=-1"):
            assert (await gateway.http.get(f"{url}?{query}")).status_code == 400
