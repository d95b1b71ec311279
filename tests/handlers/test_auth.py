"""Signing in and out, and who is let in where."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from tornado.httpclient import HTTPClientError

from tests.fakes import FakeClock
from tests.gateway import TIMEOUT_S, Gateway
from tests.handlers.support import JSON_TYPE, ODD_TOKENS, raw

pytestmark = pytest.mark.gen_test

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
WRONG_KEY = "sp_live_" + "0" * 40


async def test_verify_while_nobody_exists(tmp_path: Path) -> None:
    async with Gateway(tmp_path, bootstrap=False) as gateway:
        answer = await gateway.http.get("/api/auth/verify")
        assert (answer.status_code, answer.json()) == (200, {"authenticated": True, "auth_disabled": True})


async def test_everything_is_open_while_nobody_exists(tmp_path: Path) -> None:
    async with Gateway(tmp_path, bootstrap=False) as gateway:
        assert (await gateway.http.get("/api/sessions")).json() == []
        chat = await gateway.http.post("/api/chat", json={"text": "hello", "user_id": "guest"})
        (session,) = (await gateway.http.get("/api/sessions")).json()
        assert session["id"] == chat.json()["session_id"] and session["user_id"] == "guest"
        socket = await gateway.socket(path="/ws")
        await socket.send("ping")
        assert await socket.next() == {"type": "pong"}


async def test_an_open_gateway_refuses_user_ids_that_are_paths(tmp_path: Path) -> None:
    async with Gateway(tmp_path, bootstrap=False) as gateway:
        for user_id in ("../x", "a/b", "a\x00b", "x" * 65, "\u00e9"):
            answer = await gateway.http.post("/api/chat", json={"text": "hello", "user_id": user_id})
            assert answer.status_code == 422 and "user_id" in answer.json()["fields"], user_id


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": WRONG_KEY}, {"X-API-Key": ""}])
async def test_verify_without_a_good_key(tmp_path: Path, headers: dict[str, str]) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.client().get("/api/auth/verify", headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"authenticated": False, "auth_disabled": False})


async def test_verify_of_a_good_key_tells_who_it_is(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user, key = await gateway.user(name="Ada")
        answer = await gateway.client(key).get("/api/auth/verify")
        assert answer.json() == {
            "authenticated": True,
            "auth_disabled": False,
            "user": {"id": user.id, "display_name": "Ada", "role": "user", "filesystem_enabled": False},
        }
        assert (await gateway.http.get("/api/auth/verify")).json()["user"]["role"] == "admin"


async def test_verify_after_the_key_was_revoked_or_its_owner_deactivated(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        first, first_key = await gateway.user()
        second, second_key = await gateway.user()
        (stored,) = await gateway.state.auth.list_keys(first.id)
        await gateway.state.auth.revoke_key(stored.id)
        await gateway.state.auth.set_active(second.id, False)
        for key in (first_key, second_key):
            answer = await gateway.client(key).get("/api/auth/verify")
            assert (answer.status_code, answer.json()) == (200, {"authenticated": False, "auth_disabled": False})
            assert (await gateway.client(key).get("/api/sessions")).status_code == 401


async def test_a_missing_and_a_wrong_key_are_told_apart(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        missing = await gateway.client().get("/api/sessions")
        wrong = await gateway.client(WRONG_KEY).get("/api/sessions")
        assert (missing.status_code, wrong.status_code) == (401, 401)
        assert missing.json() == {"error": "Missing API key \u2014 set X-API-Key header"}
        assert wrong.json() == {"error": "Invalid API key"}


async def test_a_key_is_taken_from_either_header(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        http = gateway.client()
        for headers in (
            {"x-api-key": gateway.key},
            {"X-API-KEY": gateway.key},
            {"Authorization": f"Bearer {gateway.key}"},
            {"authorization": f"bearer {gateway.key}"},
        ):
            assert (await http.get("/api/sessions", headers=headers)).status_code == 200, headers
        assert (await http.get("/api/sessions", headers={"Authorization": f"Basic {gateway.key}"})).status_code == 401
        assert (await http.get("/api/sessions", params={"token": gateway.key})).status_code == 401


async def test_odd_credentials_are_refused_wherever_they_stand(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"auth": {"failed_attempts": 0}}) as gateway:
        for token in ODD_TOKENS:
            sent = token.encode()
            for header in (
                b"X-API-Key: " + sent,
                b"Authorization: Bearer " + sent,
                b"Cookie: starpod_session=" + sent,
                b'Cookie: starpod_session="' + sent + b'"; \xff=\xfe',
            ):
                answer = await raw(gateway, b"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
                assert (answer.status, list(answer.json())) == (401, ["error"]), (header[:80], answer)
                answer = await raw(
                    gateway, b"GET /api/auth/verify HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n"
                )
                assert (answer.status, answer.json()["authenticated"]) == (200, False), header[:80]


async def test_odd_credentials_are_refused_at_sign_in_and_on_the_socket(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"auth": {"failed_attempts": 0}}) as gateway:
        http = gateway.client()
        for token in ODD_TOKENS:
            for body in ({"key": token}, {"code": token}):
                answer = await http.post("/api/auth/login", json=body, headers=SAME_SITE)
                assert answer.status_code == (401 if token.strip() else 400), (body, answer.text)
            with pytest.raises(HTTPClientError) as refused:
                await gateway.socket(path=f"/ws?token={quote(token)}")
            assert refused.value.code == 401, token


async def test_broken_bytes_as_a_credential_are_refused(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        lone = await gateway.client().post(
            "/api/auth/login", content=rb'{"key": "sp_live_\ud800\u0000"}', headers=JSON_TYPE | SAME_SITE
        )
        assert lone.status_code in (400, 401) and list(lone.json()) == ["error"]
        zero = await gateway.client().post("/api/auth/login", json={"key": "sp_live_\x00"}, headers=SAME_SITE)
        assert zero.status_code == 401
        for token in ("%ff%fe", "%00", "%ed%a0%80", "a&token=b", "[]"):
            answer = await raw(
                gateway,
                f"GET /ws?token={token} HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: websocket\n"
                "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
            )
            assert answer.status in (400, 401), (token, answer)
            assert b"Traceback" not in answer.body


async def test_too_many_requests_are_told_when_to_come_back(tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {"auth": {"rate_limit_requests": 1, "rate_limit_window_secs": 60}}
    async with Gateway(tmp_path, settings=settings, clock=clock) as gateway:
        _, other = await gateway.user()
        assert (await gateway.http.get("/api/sessions")).status_code == 200
        clock.advance(20)
        refused = await gateway.http.get("/api/sessions")
        assert (refused.status_code, refused.json()) == (429, {"error": "Rate limit exceeded"})
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                (line,) = await gateway.state.auth.list_audit(1)
                if line.event_type == "rate_limited":
                    break
                await asyncio.sleep(0.05)
        assert refused.headers["Retry-After"] == "40"
        assert (await gateway.client(other).get("/api/sessions")).status_code == 200
        assert (await gateway.http.get("/api/auth/verify")).status_code == 200
        assert (await gateway.http.get("/api/health")).status_code == 200
        clock.advance(40)
        assert (await gateway.http.get("/api/sessions")).status_code == 200


async def test_guessing_at_keys_ends_in_a_wait(tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {"auth": {"failed_attempts": 3, "failed_attempts_window_secs": 100}}
    async with Gateway(tmp_path, settings=settings, clock=clock) as gateway:
        http = gateway.client()
        for number in range(3):
            answer = await http.get("/api/sessions", headers={"X-API-Key": f"sp_live_{number:040x}"})
            assert answer.status_code == 401
        blocked = await http.get("/api/sessions", headers={"X-API-Key": WRONG_KEY})
        assert blocked.status_code == 429 and blocked.headers["Retry-After"] == "100"
        assert "failed attempts" in blocked.json()["error"]
        login = await http.post("/api/auth/login", json={"key": gateway.key}, headers=SAME_SITE)
        assert (login.status_code, login.headers["Retry-After"]) == (429, "100")
        with pytest.raises(HTTPClientError) as refused:
            await gateway.socket(WRONG_KEY)
        assert refused.value.code == 429
        assert refused.value.response is not None and refused.value.response.headers["Retry-After"] == "100"
        clock.advance(100)
        assert (await http.post("/api/auth/login", json={"key": gateway.key}, headers=SAME_SITE)).status_code == 200


async def test_the_cookie_of_a_key_opens_http_and_socket_until_sign_out(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        http = gateway.client()
        answer = await http.post("/api/auth/login", json={"key": gateway.key}, headers=SAME_SITE)
        assert answer.status_code == 200 and answer.json()["user"]["role"] == "admin"
        cookie = answer.headers["Set-Cookie"].lower()
        assert cookie.startswith("starpod_session=") and "path=/" in cookie
        assert "httponly" in cookie and "samesite=strict" in cookie
        token = http.cookies["starpod_session"]
        assert token != gateway.key
        assert (await http.get("/api/sessions")).status_code == 200
        assert (await http.get("/api/auth/verify")).json()["authenticated"] is True
        socket = await gateway.socket(path="/ws", headers={"Cookie": f"starpod_session={token}"})
        await socket.send("ping")
        assert await socket.next() == {"type": "pong"}

        assert (await http.post("/api/auth/logout", headers=SAME_SITE)).json() == {"ok": True}
        again = gateway.client()
        again.cookies.set("starpod_session", token)
        assert (await again.get("/api/sessions")).status_code == 401
        assert (await again.get("/api/auth/verify")).json()["authenticated"] is False
        await socket.send("message", text="am I still here?")
        assert (await socket.closed()).code == 4401


async def test_a_sign_in_link_works_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user, _ = await gateway.user()
        code = await gateway.state.auth.create_sign_in_code(user.id)
        first = await gateway.client().post("/api/auth/login", json={"code": code}, headers=SAME_SITE)
        second = await gateway.client().post("/api/auth/login", json={"code": code}, headers=SAME_SITE)
        assert (first.status_code, first.json()["user"]["id"]) == (200, user.id)
        assert (second.status_code, list(second.json())) == (401, ["error"])
        assert "Set-Cookie" not in second.headers


async def test_a_sign_in_link_grows_old(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Gateway(tmp_path, clock=clock) as gateway:
        user, _ = await gateway.user()
        code = await gateway.state.auth.create_sign_in_code(user.id)
        clock.advance(601)
        assert (
            await gateway.client().post("/api/auth/login", json={"code": code}, headers=SAME_SITE)
        ).status_code == 401


async def test_sign_in_wants_a_credential_and_sign_out_none(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        http = gateway.client()
        assert (await http.post("/api/auth/login", json={}, headers=SAME_SITE)).status_code == 400
        assert (await http.post("/api/auth/login", json={"key": 5}, headers=SAME_SITE)).status_code == 422
        assert (await http.post("/api/auth/logout", headers=SAME_SITE)).status_code == 200


async def test_a_foreign_page_cannot_use_the_cookie(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        http = gateway.client()
        await http.post("/api/auth/login", json={"key": gateway.key}, headers=SAME_SITE)
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": f"http://127.0.0.1:{gateway.server.port + 1}"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": gateway.url, "Sec-Fetch-Site": "cross-site"},
            {},
        ):
            answer = await http.post("/api/chat", json={"text": "hello"}, headers=headers)
            assert (answer.status_code, list(answer.json())) == (403, ["error"]), headers
            for path in ("/api/auth/login", "/api/auth/logout"):
                answer = await http.post(path, json={"key": gateway.key}, headers=headers)
                assert answer.status_code == 403, (path, headers)
        assert (await http.get("/api/sessions")).json() == []
        for headers in (SAME_SITE, {"Origin": gateway.url}):
            assert (await http.post("/api/chat", json={"text": "hello"}, headers=headers)).status_code == 200


async def test_a_key_in_a_header_needs_no_origin(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.http.post("/api/chat", json={"text": "hello"}, headers={"Origin": "https://app.example"})
        assert answer.status_code == 200


async def test_failures_are_recorded_without_the_credential(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Gateway(tmp_path, clock=clock) as gateway:
        await gateway.client(WRONG_KEY).get("/api/sessions")
        clock.advance(61)
        with pytest.raises(HTTPClientError):
            await gateway.socket(WRONG_KEY)
        events = [event for event in await gateway.state.auth.list_audit() if event.event_type == "failed_auth"]
        assert [event.ip_address for event in events] == ["127.0.0.1"] * 2
        assert WRONG_KEY not in json.dumps([event.detail for event in events])
